package seccomp

import "golang.org/x/sys/unix"

// Data is struct seccomp_data, what a filter decides on.
//
// Source: seccomp(2).
type Data struct {
	Number  int32
	Arch    uint32 // AUDIT_ARCH_*
	Pointer uint64 // the instruction pointer
	Args    [6]uint64
}

// Verdict returns what the filter says to a call: a value SECCOMP_RET_*. It knows the
// instructions that Compile makes.
//
// Source: kernel Documentation/networking/filter.rst.
func (f *Filter) Verdict(d *Data) uint32 {
	v, _ := run(f.Program, d, f.big)
	return v
}

// AuditArch returns the audit value of a kernel's own architecture, for Data; 0 for a
// GOARCH that Compile refuses.
func AuditArch(goarch string) uint32 {
	name := native(goarch)
	for _, a := range arches() {
		if a.name == name {
			return a.audit
		}
	}
	return 0
}

// run returns the verdict and the number of instructions that led to it. A program
// that leaves its bounds, or has another instruction, kills.
func run(program []unix.SockFilter, d *Data, big bool) (verdict uint32, steps int) {
	a := uint32(0)
	for pc := 0; pc < len(program); pc++ {
		i := &program[pc]
		steps++
		taken := false
		switch i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = d.word(i.K, big)
			continue
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			a &= i.K
			continue
		case unix.BPF_RET | unix.BPF_K:
			return i.K, steps
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(i.K)
			continue
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			taken = a == i.K
		case unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K:
			taken = a > i.K
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			taken = a >= i.K
		default:
			return unix.SECCOMP_RET_KILL_PROCESS, steps
		}
		if taken {
			pc += int(i.Jt)
		} else {
			pc += int(i.Jf)
		}
	}
	return unix.SECCOMP_RET_KILL_PROCESS, steps
}

// word returns the word at an offset of the data.
func (d *Data) word(offset uint32, big bool) uint32 {
	switch {
	case offset == offsetNumber:
		return uint32(d.Number)
	case offset == offsetArch:
		return d.Arch
	}
	v := d.Pointer
	if offset >= offsetArgs {
		v = d.Args[(offset-offsetArgs)/8%6]
	}
	if (offset%8 != 0) != big {
		v >>= 32
	}
	return uint32(v)
}
