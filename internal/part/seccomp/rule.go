package seccomp

import (
	"cmp"
	"fmt"
	"slices"
)

// rule is a verdict under conditions, which are sorted by their argument.
type rule struct {
	verdict uint32
	entry   int // of linux.seccomp.syscalls, for errors
	args    []condition
}

// call is what a profile says of one call of one architecture.
type call struct {
	always  bool // verdict holds whatever the arguments are
	verdict uint32
	rules   []rule // in the order in which they are tried
}

// calls are an architecture's calls by slot. last is the highest plain slot that
// the profile names, -1 if there is none.
type calls struct {
	list       [slots]call
	last       int
	conditions []condition // of the rules
}

// fill takes the entries for one architecture.
func (c *calls) fill(p *profile, abi *arch) error {
	*c = calls{last: -1, conditions: c.conditions[:0]}
	for i := range p.entries {
		e := &p.entries[i]
		for _, row := range e.rows {
			if slot, ok := abi.column.slot(int(row)); ok {
				if err := c.add(slot, e, i, abi, 0); err != nil {
					return err
				}
			}
			if !abi.mux {
				continue
			}
			if n := muxed(rowName(int(row))); n != 0 {
				slot := slotSocketcall
				if n&ipcCall != 0 {
					slot = slotIPC
				}
				if err := c.add(slot, e, i, abi, n); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// add adds the rules of entry e, of index i, to the call of a slot; mux is what
// muxed gives when that is a multiplexer, and the entry names another call.
func (c *calls) add(slot int, e *entry, i int, abi *arch, mux int) error {
	if slot < plain {
		c.last = max(c.last, slot)
	}
	if e.skip {
		return nil
	}
	// An unconditional entry is one rule without conditions.
	for n := range max(len(e.args), 1) {
		var args []condition
		if len(e.args) > 0 {
			args = e.args[n]
		}
		if other := c.list[slot].add(rule{e.verdict, i, c.keep(abi, mux, args)}); other >= 0 {
			return fmt.Errorf("linux.seccomp.syscalls[%d].action: differs from that of linux.seccomp.syscalls[%d], for the same call and arguments on %s; leave one of the two out", i, other, abi.name)
		}
	}
	return nil
}

// keep returns the conditions as an architecture compares them, in the memory of c:
// without those that always hold, and with the low words alone where the
// architecture has no more.
//
// For a multiplexer the number of the call comes first, in place of what is asked
// of the call's own first argument. Its arguments are behind a pointer; libseccomp
// asks the same.
func (c *calls) keep(a *arch, mux int, args []condition) []condition {
	from := len(c.conditions)
	if mux != 0 {
		c.conditions = append(c.conditions, condition{0, equal, a.mask(), uint64(mux &^ ipcCall)})
	}
	for _, x := range args {
		x.mask, x.value = x.mask&a.mask(), x.value&a.mask()
		if x.mask != 0 && (mux == 0 || x.arg != 0) {
			c.conditions = append(c.conditions, x)
		}
	}
	return c.conditions[from:len(c.conditions):len(c.conditions)]
}

// mask returns the bits of an argument that the architecture compares.
func (a *arch) mask() uint64 {
	if a.wide {
		return ^uint64(0)
	}
	return 0xffffffff
}

// add puts a rule in its place. An unconditional rule beats all conditional ones,
// the first of several wins. A conditional rule goes before those that it is more
// particular than (see order), and is dropped where one before it leaves it
// without effect: then it contradicts nothing either. add is the entry of the rule
// that has the same conditions and another verdict, else -1.
func (c *call) add(r rule) int {
	switch {
	case c.always:
		return -1
	case len(r.args) == 0:
		*c = call{always: true, verdict: r.verdict}
		return -1
	}
	at := 0
	for at < len(c.rules) && order(c.rules[at].args, r.args) <= 0 {
		at++
	}
	if slices.ContainsFunc(c.rules[:at], func(x rule) bool { return x.covers(r) }) {
		return -1
	}
	for _, x := range c.rules {
		if slices.Equal(x.args, r.args) {
			if x.verdict != r.verdict {
				return x.entry
			}
			return -1
		}
	}
	c.rules = slices.Insert(c.rules, at, r)
	return -1
}

// covers reports whether x holds whenever r does, by some of r's conditions: tried
// before r it leaves r without effect.
func (x rule) covers(r rule) bool {
	if len(x.args) >= len(r.args) {
		return false
	}
	for _, c := range x.args {
		if !slices.Contains(r.args, c) {
			return false
		}
	}
	return true
}

// order reports which of two rules of one call is tried first. It is libseccomp's:
// by the first condition in which they differ, the higher argument first; then
// equality before less before greater; then the larger value, but the smaller
// one of upper bounds; the rule with fewer conditions first. Rules that are equal
// in that keep the order of the profile.
func order(a, b []condition) int {
	for i := range min(len(a), len(b)) {
		x, y := a[i], b[i]
		if n := cmp.Compare(y.arg, x.arg); n != 0 {
			return n
		}
		if n := cmp.Compare(x.op.class(), y.op.class()); n != 0 {
			return n
		}
		n := cmp.Compare(y.value, x.value)
		if x.op.class() == classLess {
			n = -n
		}
		if n != 0 {
			return n
		}
		if x.op != y.op || x.mask != y.mask {
			return 0
		}
	}
	return cmp.Compare(len(a), len(b))
}

const (
	classEqual = iota
	classLess
	classGreater
)

func (o op) class() int {
	switch o {
	case less, lessEqual:
		return classLess
	case greater, greaterEqual:
		return classGreater
	}
	return classEqual
}
