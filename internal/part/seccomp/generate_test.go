package seccomp

import (
	"math/rand/v2"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// randomProfile returns a profile that libseccomp takes: any actions, operators,
// architectures, and rules that meet on few calls.
func randomProfile(r *rand.Rand, goarch string) *specs.LinuxSeccomp {
	s := &specs.LinuxSeccomp{ListenerPath: "/agent"}
	s.DefaultAction, s.DefaultErrnoRet = randomAction(r)
	for _, a := range family(goarch) {
		if r.IntN(3) == 0 {
			s.Architectures = append(s.Architectures, a)
		}
	}
	pool := make([]string, 1+r.IntN(60))
	for i := range pool {
		pool[i] = rowName(r.IntN(rows))
		if r.IntN(8) == 0 {
			pool[i] = []string{"socket", "accept4", "shmget", "semop", "send", "socketcall", "ipc"}[r.IntN(7)]
		}
	}
	// One action for a call keeps libseccomp from refusing the profile; with
	// several it must take those of the two actions together.
	mixed := r.IntN(3) == 0
	actions := make([]specs.LinuxSyscall, len(pool))
	for i := range actions {
		actions[i].Action, actions[i].ErrnoRet = randomAction(r)
	}
	values := make([]uint64, 1+r.IntN(4))
	for i := range values {
		values[i] = randomValue(r)
	}
	for range 1 + r.IntN(2*len(pool)) {
		i := r.IntN(len(pool))
		c := actions[i]
		if mixed && r.IntN(2) == 0 {
			c.Action, c.ErrnoRet = randomAction(r)
		}
		c.Names = []string{pool[i]}
		if !mixed {
			for j := range pool {
				if r.IntN(len(pool)) == 0 && pool[j] != pool[i] {
					c.Names = append(c.Names, pool[j])
				}
			}
		}
		if r.IntN(4) > 0 {
			for range 1 + r.IntN(3) {
				c.Args = append(c.Args, randomArg(r, values))
			}
		}
		s.Syscalls = append(s.Syscalls, c)
	}
	if !mixed {
		oneAction(s)
	}
	return s
}

// oneAction gives all entries of a call the action of its first.
func oneAction(s *specs.LinuxSeccomp) {
	for i := range s.Syscalls {
		for j := range i {
			a, b := &s.Syscalls[j], &s.Syscalls[i]
			if slices.ContainsFunc(b.Names, func(n string) bool {
				return slices.Contains(a.Names, n) || muxed(n) != 0 || n == "socketcall" || n == "ipc"
			}) {
				// The multiplexers bring many names to one call.
				b.Action, b.ErrnoRet = a.Action, a.ErrnoRet
			}
		}
	}
}

func randomAction(r *rand.Rand) (specs.LinuxSeccompAction, *uint) {
	a := specs.LinuxSeccompAction(Actions()[r.IntN(len(Actions()))])
	if a != specs.ActErrno && a != specs.ActTrace || r.IntN(3) == 0 {
		return a, nil
	}
	n := uint(r.IntN(200))
	return a, &n
}

func randomValue(r *rand.Rand) uint64 {
	switch r.IntN(5) {
	case 0:
		return uint64(r.IntN(4))
	case 1:
		return r.Uint64()
	case 2:
		return uint64(r.Uint32())
	case 3:
		return 1<<r.IntN(64) - uint64(r.IntN(2))
	}
	return uint64(r.IntN(3))<<32 | uint64(r.IntN(3))
}

func randomArg(r *rand.Rand, values []uint64) specs.LinuxSeccompArg {
	value := func() uint64 {
		if r.IntN(3) > 0 {
			return values[r.IntN(len(values))] + uint64(r.IntN(3))
		}
		return randomValue(r)
	}
	return specs.LinuxSeccompArg{
		Index: uint(r.IntN(6)), Value: value(), ValueTwo: value(),
		Op: specs.LinuxSeccompOperator(Operators()[r.IntN(len(Operators()))]),
	}
}

// edges are arguments at and around the values of the rules, in all words.
func edges(rules []rule, r *rand.Rand) [][6]uint64 {
	var values [6][]uint64
	for _, x := range rules {
		for _, c := range x.args {
			for _, d := range []uint64{0, 1, ^uint64(0), 1 << 32, ^uint64(1<<32) + 1, 1 << 63} {
				values[c.arg] = append(values[c.arg], c.value+d)
			}
			values[c.arg] = append(values[c.arg], c.value|^c.mask, c.value&0xffffffff)
		}
	}
	n := 0
	for i := range values {
		values[i] = append(values[i], 0, ^uint64(0))
		n += len(values[i])
	}
	list := make([][6]uint64, 0, n*4)
	for range min(n*4, 400) {
		var args [6]uint64
		for i := range args {
			args[i] = values[i][r.IntN(len(values[i]))]
			if r.IntN(20) == 0 {
				args[i] = r.Uint64()
			}
		}
		list = append(list, args)
	}
	return list
}

// matches returns what the rules of a call say of arguments, worked out in Go: the
// verdicts of all rules that hold, in their order.
func matches(rules []rule, a *arch, args [6]uint64) []uint32 {
	var list []uint32
	for _, x := range rules {
		if !slices.ContainsFunc(x.args, func(c condition) bool { return !holds(c, a, args[c.arg]) }) {
			list = append(list, x.verdict)
		}
	}
	return list
}

func holds(c condition, a *arch, v uint64) bool {
	if !a.wide {
		v &= 0xffffffff
	}
	switch c.op {
	case equal:
		return v == c.value
	case notEqual:
		return v != c.value
	case masked:
		return v&c.mask == c.value
	case less:
		return v < c.value
	case lessEqual:
		return v <= c.value
	case greater:
		return v > c.value
	}
	return v >= c.value
}
