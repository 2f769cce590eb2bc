package bpf

import "github.com/hutch-project/hutch/internal/machine"

// regs returns the byte of the two registers: bit fields in C, and so in the order of the
// machine.
func regs(dst, src Reg) byte {
	if machine.BigEndian() {
		return byte(dst)<<4 | byte(src)
	}
	return byte(dst) | byte(src)<<4
}

// Registers returns the destination and the source back.
func (i Insn) Registers() (dst, src Reg) {
	if machine.BigEndian() {
		return Reg(i.Regs >> 4), Reg(i.Regs & 15)
	}
	return Reg(i.Regs & 15), Reg(i.Regs >> 4)
}
