package seccomp

import (
	"cmp"
	"slices"

	"golang.org/x/sys/unix"
)

// noSys is the verdict for calls that are newer than the profile.
const noSys = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)

// badArch is the verdict for calls of architectures that are not in the profile.
//
// Source: libseccomp's SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL; runc keeps it.
const badArch = unix.SECCOMP_RET_KILL_THREAD

// skipped is the number of a call that a tracer has cancelled. The filter sees it
// again after the tracer, and the bad-architecture verdict must not meet it.
//
// Source: seccomp(2), "SECCOMP_RET_TRACE".
const skipped = ^uint32(0)

// compile makes the program: by architecture, then by number, then by arguments.
func (p *profile) compile() ([]unix.SockFilter, error) {
	a := &assembler{code: make([]unix.SockFilter, 0, 1024), rets: make([]target, 0, 16)}
	work := &calls{}
	list := make(intervals, 0, slots)
	// The program is built from its end, so that the native architecture, the
	// first, is looked for first.
	next := ret(badArch)
	for i := len(p.arches) - 1; i >= 0; i-- {
		audit := p.arches[i].audit
		same := func(a arch) bool { return a.audit == audit }
		if slices.ContainsFunc(p.arches[:i], same) {
			continue // it is made together with its first
		}
		abis := slices.DeleteFunc(slices.Clone(p.arches), func(a arch) bool { return !same(a) })
		slices.SortFunc(abis, func(a, b arch) int { return cmp.Compare(a.base, b.base) })
		list = list[:0]
		last64, last32 := -1, -1
		for j := range abis {
			if err := work.fill(p, &abis[j]); err != nil {
				return nil, err
			}
			list = p.layOut(list, a, work, &abis[j])
			if abis[j].base == x32Bit {
				last32 = work.last
			} else {
				last64 = work.last
			}
		}
		if audit == unix.AUDIT_ARCH_X86_64 {
			hasX32 := abis[len(abis)-1].base == x32Bit
			list = p.high(list, hasX32, p.newer(last64), p.newer(last32))
		}
		list.weigh(abis)
		next = a.jump(unix.BPF_JEQ, audit, a.load(offsetNumber, a.search(list, 0, len(list))), next)
	}
	return a.program(a.load(offsetArch, next))
}

// layOut adds the numbers of one ABI, and emits the rules of its calls.
func (p *profile) layOut(list intervals, a *assembler, c *calls, ar *arch) intervals {
	deflt, newer := ret(p.deflt), p.newer(c.last)
	switch ar.base {
	case x32Bit:
		if len(list) == 0 { // no x86_64
			list.from(0, ret(badArch))
		}
		list.from(ar.base, deflt)
	default:
		list.from(0, deflt)
	}
	one := func(slot int) {
		var t target
		switch call := &c.list[slot]; {
		case call.always:
			t = ret(call.verdict)
		case len(call.rules) > 0:
			t = a.rules(call.rules, ar, p.deflt)
		default:
			return
		}
		n := ar.base + slotNumber(slot)
		list.from(n, t)
		list.from(n+1, deflt)
	}
	if (ar.column == colS390 || ar.column == colS390X) && newer != deflt {
		// The instruction has room for numbers up to 255; for larger ones it says 0,
		// and 0 it stays when the kernel does not know the call.
		// Source: arch/s390/kernel/syscall.c.
		list.from(0, newer)
		list.from(1, deflt)
	}
	for slot := range plain {
		one(slot)
	}
	if c.last >= 0 {
		list.from(ar.base+uint32(c.last)+1, newer)
	}
	if ar.column == colARM {
		list.from(slotNumber(plain), deflt)
		for slot := plain; slot < slots; slot++ {
			one(slot)
		}
		list.from(slotNumber(slots), newer)
	}
	return list
}

// newer returns the target of calls above last, the highest that the profile names; -1
// is none.
func (p *profile) newer(last int) target {
	if p.enosys && last >= 0 {
		return ret(noSys)
	}
	return ret(p.deflt)
}

// high adds the upper half of the numbers on x86_64, which are newer calls of the
// ABI that the bit of x32 says: newer64 and newer32 are their targets. Without x32
// in the profile its numbers have the verdict for a bad architecture, in the lower
// half too.
func (p *profile) high(list intervals, hasX32 bool, newer64, newer32 target) intervals {
	if !hasX32 {
		newer32 = ret(badArch)
		list.from(x32Bit, newer32)
		if newer64 == ret(p.deflt) {
			newer64 = newer32
		}
	}
	list.from(2*x32Bit, newer64)
	list.from(3*x32Bit, newer32)
	if !hasX32 {
		list.from(skipped, ret(p.deflt))
	}
	return list
}
