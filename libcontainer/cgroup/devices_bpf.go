package cgroup

import "hutch/internal/bpf"

// deviceProgram gives the eBPF program for the rules: it returns 1 when the access
// that its context tells is allowed, 0 when not.
//
// It goes through the rules from the last to the first and keeps in a register
// which kinds of the wanted access are still undecided: a deny rule that matches
// one of them ends it, an allow rule takes its kinds off, and when none is left
// the access is allowed. So each kind is decided by the last rule that matches.
// An access of no kind (an open for ioctl alone) is allowed where a rule allows
// anything.
//
// Source: include/uapi/linux/bpf.h, struct bpf_cgroup_dev_ctx: u32 access_type
// (access << 16 | type), u32 major, u32 minor; kernel bpf/standardization/
// instruction-set.rst.
func (d *devices) program() []bpf.Insn {
	const ctx, result = bpf.R1, bpf.R0
	const kind, wanted, major, minor, scratch = bpf.R2, bpf.R3, bpf.R4, bpf.R5, bpf.R6
	p := make([]bpf.Insn, 0, 7+len(d.rules)*9)
	p = append(p,
		bpf.LoadWord(kind, ctx, 0),
		bpf.Move(wanted, kind),
		bpf.AndImm(kind, 0xffff),
		bpf.ShiftRightImm(wanted, 16),
		bpf.LoadWord(major, ctx, 4),
		bpf.LoadWord(minor, ctx, 8),
	)
	for i := len(d.rules) - 1; i >= 0; i-- {
		r := &d.rules[i]
		var rule [10]bpf.Insn
		body := rule[:0]
		tests := 0
		test := func(reg bpf.Reg, want int64) {
			body = append(body, bpf.JumpNotEqualImm(reg, int32(uint32(want)), 0))
			tests++
		}
		if r.kind != 'a' {
			test(kind, deviceKind(r.kind))
		}
		if r.major != every {
			test(major, r.major)
		}
		if r.minor != every {
			test(minor, r.minor)
		}
		if r.allow {
			body = append(body,
				bpf.AndImm(wanted, int32(rwm&^r.access)),
				bpf.JumpNotEqualImm(wanted, 0, 2),
				bpf.MoveImm(result, 1),
				bpf.Exit(),
			)
		} else {
			body = append(body,
				bpf.Move(scratch, wanted),
				bpf.AndImm(scratch, int32(r.access)),
				bpf.JumpEqualImm(scratch, 0, 2),
				bpf.MoveImm(result, 0),
				bpf.Exit(),
			)
		}
		for t := range tests { // over the rule's rest
			body[t].Off = int16(len(body) - t - 1)
		}
		p = append(p, body...)
	}
	rest := int32(0)
	if d.all {
		rest = 1
	}
	return append(p, bpf.MoveImm(result, rest), bpf.Exit())
}

// deviceKind is BPF_DEVCG_DEV_BLOCK or BPF_DEVCG_DEV_CHAR.
func deviceKind(c byte) int64 {
	if c == 'b' {
		return 1
	}
	return 2
}
