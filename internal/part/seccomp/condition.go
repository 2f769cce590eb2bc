package seccomp

import "golang.org/x/sys/unix"

// Offsets in struct seccomp_data. Source: seccomp(2).
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
)

// chain is where the rules of a call begin. Where the first rule asks whether an
// argument equals a value, it has two further ways in for a rule before it that
// asks for another value of the same argument.
type chain struct {
	start    target
	head     condition
	headed   bool   // head is such a first condition, and the targets below hold
	low      target // the low word of head's argument is loaded, its high word is equal
	highMiss target // the high word of head's argument is not that of head's value
}

// rules emits the rules of a call, which fall to the verdict deflt.
func (a *assembler) rules(list []rule, ar *arch, deflt uint32) target {
	c := chain{start: ret(deflt)}
	for i := len(list) - 1; i >= 0; i-- {
		c = a.rule(&list[i], ar, c)
	}
	return c.start
}

// rule emits one rule, which goes to miss when it does not match.
func (a *assembler) rule(r *rule, ar *arch, miss chain) chain {
	hit := ret(r.verdict)
	for i := len(r.args) - 1; i > 0; i-- {
		hit = a.compare(&r.args[i], ar, hit, miss.start)
	}
	first := r.args[0]
	if first.op != equal {
		return chain{start: a.compare(&first, ar, hit, miss.start)}
	}
	c := chain{head: first, headed: true, highMiss: miss.start}
	lowMiss := miss.start
	if miss.headed && miss.head.arg == first.arg && (!ar.wide || miss.head.value>>32 == first.value>>32) {
		lowMiss, c.highMiss = miss.low, miss.highMiss
	}
	c.low = a.jump(unix.BPF_JEQ, uint32(first.value), hit, lowMiss)
	c.start = a.load(ar.offset(first.arg, false), c.low)
	if ar.wide {
		c.start = a.jump(unix.BPF_JEQ, uint32(first.value>>32), c.start, c.highMiss)
		c.start = a.load(ar.offset(first.arg, true), c.start)
	}
	return c
}

// compare emits one condition.
func (a *assembler) compare(cond *condition, ar *arch, yes, no target) target {
	test := uint16(unix.BPF_JEQ)
	switch cond.op {
	case notEqual:
		yes, no = no, yes
	case greater:
		test = unix.BPF_JGT
	case lessEqual:
		test, yes, no = unix.BPF_JGT, no, yes
	case greaterEqual:
		test = unix.BPF_JGE
	case less:
		test, yes, no = unix.BPF_JGE, no, yes
	}
	t := a.half(cond, ar, false, test, yes, no)
	if !ar.wide {
		return t
	}
	if test == unix.BPF_JEQ {
		return a.half(cond, ar, true, test, t, no)
	}
	t = a.jump(unix.BPF_JEQ, uint32(cond.value>>32), t, no)
	return a.half(cond, ar, true, unix.BPF_JGT, yes, t)
}

// half emits the comparison of one word of an argument.
func (a *assembler) half(cond *condition, ar *arch, high bool, test uint16, yes, no target) target {
	mask, value := uint32(cond.mask), uint32(cond.value)
	if high {
		mask, value = uint32(cond.mask>>32), uint32(cond.value>>32)
	}
	if mask == 0 {
		return yes // masked, and nothing of this word counts
	}
	t := a.jump(test, value, yes, no)
	if mask != ^uint32(0) {
		t = a.and(mask, t)
	}
	return a.load(ar.offset(cond.arg, high), t)
}

// offset returns where a word of an argument is.
func (ar *arch) offset(arg uint8, high bool) uint32 {
	n := offsetArgs + 8*uint32(arg)
	if high != ar.big {
		n += 4
	}
	return n
}
