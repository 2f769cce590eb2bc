package device

import "github.com/hutch-project/hutch/internal/bpf"

// program returns the eBPF program for the rules, which itself returns 1 when the
// access of its context is allowed, 0 when not.
//
// It goes through the rules from the last to the first. A deny rule that has one
// of the wanted kinds of access ends it, and so does an allow rule that has them
// all; one that has a part takes it off what is wanted. So each kind is decided by
// the last rule that matches, as far as the kernel asks: for reading, writing or
// both, or for mknod alone. An access of no kind (an open for ioctl alone) is
// allowed where a rule, not wholly overruled, allows anything.
//
// The kernel's check of a program costs 3 to 5 microseconds a branch, which is why
// major and minor are compared as one number and the types of devices part first.
//
// Source: include/uapi/linux/bpf.h, struct bpf_cgroup_dev_ctx: u32 access_type
// (access << 16 | type), u32 major, u32 minor; kernel bpf/standardization/
// instruction-set.rst.
func (d *Rules) program() []bpf.Insn {
	p := &assembler{insns: make([]bpf.Insn, 0, 24+4*len(d.rules))}
	p.emit(
		bpf.LoadWord(regKind, bpf.R1, 0),
		bpf.LoadWord(regMajor, bpf.R1, 4),
		bpf.LoadWord(regMinor, bpf.R1, 8),
		bpf.Move(regWanted, regKind),
		bpf.AndImm(regKind, 0xffff),
		bpf.ShiftRightImm(regWanted, 16),
		bpf.Move(regNumber, regMajor),
		bpf.ShiftLeftImm(regNumber, minorBits),
		bpf.Or(regNumber, regMinor),
	)
	branch := len(p.insns)
	p.emit(bpf.JumpNotEqualImm(regKind, kindNumber('c'), 0))
	p.rules(d, 'c')
	p.insns[branch].Off = int16(len(p.insns) - branch - 1)
	p.rules(d, 'b')
	p.verdict(1, p.allow)
	p.verdict(0, p.deny)
	return p.insns
}

// Registers of the program.
const (
	regKind   = bpf.R2
	regWanted = bpf.R3
	regMajor  = bpf.R4
	regMinor  = bpf.R5
	regSome   = bpf.R6
	regNumber = bpf.R0 // major << minorBits | minor, until the verdict
)

// The kernel's numbers of devices have no more bits.
//
// Source: include/linux/kdev_t.h.
const (
	minorBits = 20
	majorBits = 12
)

// assembler collects the instructions of a program.
type assembler struct {
	insns       []bpf.Insn
	allow, deny []int // jumps to the verdicts
}

func (p *assembler) emit(in ...bpf.Insn) { p.insns = append(p.insns, in...) }

// allowIf and denyIf emit a jump to a verdict.
func (p *assembler) allowIf(jump bpf.Insn) {
	p.allow = append(p.allow, len(p.insns))
	p.emit(jump)
}

func (p *assembler) denyIf(jump bpf.Insn) {
	p.deny = append(p.deny, len(p.insns))
	p.emit(jump)
}

// verdict emits an end of the program and leads jumps to it. The kernel refuses
// code that is never reached.
func (p *assembler) verdict(result int32, jumps []int) {
	if len(jumps) == 0 {
		return
	}
	for _, at := range jumps {
		p.insns[at].Off = int16(len(p.insns) - at - 1)
	}
	p.emit(bpf.MoveImm(bpf.R0, result), bpf.Exit())
}

// rules emits the rules for one type of device and what holds without them.
func (p *assembler) rules(d *Rules, kind byte) {
	decided := false
	for i := len(d.rules) - 1; i >= 0 && !decided; i-- {
		r := &d.rules[i]
		if r.kind != kind && r.kind != 'a' || r.never() || d.hidden(i) {
			continue
		}
		decided = p.rule(r)
	}
	if decided {
		return
	}
	rest := int32(0)
	if d.all {
		rest = 1
	}
	p.emit(bpf.MoveImm(bpf.R0, rest), bpf.Exit())
}

// never reports whether no device has the rule's number.
func (r *rule) never() bool { return r.major >= 1<<majorBits || r.minor >= 1<<minorBits }

// hidden reports whether a later rule for the same devices decides all that rule i
// would. Engines send the default rules once more.
func (d *Rules) hidden(i int) bool {
	r := &d.rules[i]
	for j := i + 1; j < len(d.rules); j++ {
		o := &d.rules[j]
		if (o.kind == r.kind || o.kind == 'a') && o.major == r.major && o.minor == r.minor && o.access&r.access == r.access {
			return true
		}
	}
	return false
}

// rule emits one rule; decided is true when nothing goes on after it.
func (p *assembler) rule(r *rule) (decided bool) {
	reg, number := bpf.Reg(0), int64(Every)
	switch {
	case r.major != Every && r.minor != Every:
		reg, number = regNumber, r.major<<minorBits|r.minor
	case r.major != Every:
		reg, number = regMajor, r.major
	case r.minor != Every:
		reg, number = regMinor, r.minor
	}
	if r.allow && r.access == rwm && number != Every {
		p.allowIf(bpf.JumpEqualImm(reg, int32(uint32(number)), 0))
		return false
	}
	test := len(p.insns)
	if number != Every {
		p.emit(bpf.JumpNotEqualImm(reg, int32(uint32(number)), 0))
	}
	switch both := r.access & (read | write); {
	case r.allow && r.access == rwm:
		p.emit(bpf.MoveImm(bpf.R0, 1), bpf.Exit())
		return true
	case r.allow && (both == read || both == write):
		p.emit(bpf.AndImm(regWanted, int32(rwm&^r.access)))
		p.allowIf(bpf.JumpEqualImm(regWanted, 0, 0))
	case r.allow:
		p.emit(bpf.Move(regSome, regWanted), bpf.AndImm(regSome, int32(rwm&^r.access)))
		p.allowIf(bpf.JumpEqualImm(regSome, 0, 0))
	default:
		p.emit(bpf.Move(regSome, regWanted), bpf.AndImm(regSome, int32(r.access)))
		p.denyIf(bpf.JumpNotEqualImm(regSome, 0, 0))
	}
	if number != Every {
		p.insns[test].Off = int16(len(p.insns) - test - 1)
	}
	return false
}

// kindNumber is BPF_DEVCG_DEV_BLOCK or BPF_DEVCG_DEV_CHAR.
func kindNumber(c byte) int32 {
	if c == 'b' {
		return 1
	}
	return 2
}
