// Package bpf has the few instructions and calls of eBPF that a filter of a
// cgroup's devices needs. It is no general library.
//
// Source: bpf(2); include/uapi/linux/bpf.h; kernel bpf/standardization/
// instruction-set.rst.
package bpf

// Insn is one instruction in the kernel's shape, struct bpf_insn.
type Insn struct {
	Code byte
	Regs byte // destination in the low half, source in the high half, on little endian
	Off  int16
	Imm  int32
}

// Reg is a register. R1 holds the program's context at its begin, R0 its result
// at its end.
type Reg byte

const (
	R0 Reg = iota
	R1
	R2
	R3
	R4
	R5
	R6
)

// Instruction classes, modes and operations.
const (
	classLDX   = 0x01
	classALU   = 0x04
	classJMP32 = 0x06
	classJMP   = 0x05

	modeMEM  = 0x60
	sizeWord = 0x00
	fromReg  = 0x08

	opOr   = 0x40
	opAnd  = 0x50
	opLsh  = 0x60
	opRsh  = 0x70
	opMov  = 0xb0
	opJeq  = 0x10
	opJne  = 0x50
	opExit = 0x90
)

// LoadWord loads the 32 bits at off from where src points.
func LoadWord(dst, src Reg, off int16) Insn {
	return Insn{classLDX | modeMEM | sizeWord, regs(dst, src), off, 0}
}

// Move copies the low 32 bits of src and clears the rest.
func Move(dst, src Reg) Insn { return Insn{classALU | opMov | fromReg, regs(dst, src), 0, 0} }

// MoveImm sets dst.
func MoveImm(dst Reg, imm int32) Insn { return Insn{classALU | opMov, regs(dst, 0), 0, imm} }

// AndImm keeps the bits of imm, in 32 bits.
func AndImm(dst Reg, imm int32) Insn { return Insn{classALU | opAnd, regs(dst, 0), 0, imm} }

// Or sets in dst the bits of src, in 32 bits.
func Or(dst, src Reg) Insn { return Insn{classALU | opOr | fromReg, regs(dst, src), 0, 0} }

// ShiftLeftImm shifts in 32 bits.
func ShiftLeftImm(dst Reg, imm int32) Insn { return Insn{classALU | opLsh, regs(dst, 0), 0, imm} }

// ShiftRightImm shifts without sign, in 32 bits.
func ShiftRightImm(dst Reg, imm int32) Insn { return Insn{classALU | opRsh, regs(dst, 0), 0, imm} }

// JumpEqualImm skips off instructions when the low 32 bits of r are imm. (The
// 32 bit comparison, Linux 5.1, does not extend imm's sign.)
func JumpEqualImm(r Reg, imm int32, off int16) Insn {
	return Insn{classJMP32 | opJeq, regs(r, 0), off, imm}
}

// JumpNotEqualImm skips off instructions when the low 32 bits of r are not imm.
func JumpNotEqualImm(r Reg, imm int32, off int16) Insn {
	return Insn{classJMP32 | opJne, regs(r, 0), off, imm}
}

// Exit ends the program with R0 as its result.
func Exit() Insn { return Insn{classJMP | opExit, 0, 0, 0} }
