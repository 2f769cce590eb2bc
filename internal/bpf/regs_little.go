//go:build !(mips || mips64 || ppc64 || s390x)

package bpf

// regs is the byte of the two registers: a bit field in C, and so in the order of
// the machine.
func regs(dst, src Reg) byte { return byte(dst) | byte(src)<<4 }

// Registers returns the destination and the source back.
func (i Insn) Registers() (dst, src Reg) { return Reg(i.Regs & 15), Reg(i.Regs >> 4) }
