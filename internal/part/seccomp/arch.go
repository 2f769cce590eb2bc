package seccomp

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// arch is one ABI of the kernel. Two ABIs with the same audit value (x86_64 and
// x32) differ by base.
type arch struct {
	name   specs.Arch
	audit  uint32 // AUDIT_ARCH_*
	base   uint32 // of the numbers
	column column
	wide   bool // arguments are compared as 64 bits, else by their low word alone
	big    bool // big-endian
	mux    bool // has socketcall(2) and ipc(2)
}

// x32Bit marks a call of the x32 ABI. Source: seccomp(2), "BUGS"; syscall(2).
const x32Bit = 0x40000000

// arches returns the architectures of the runtime-spec, in its order.
//
// Source: runtime-spec config-linux.md "Seccomp"; linux/audit.h; the widths and
// the multiplexers are those of libseccomp.
func arches() []arch {
	return []arch{
		{specs.ArchX86, unix.AUDIT_ARCH_I386, 0, colX86, false, false, true},
		{specs.ArchX86_64, unix.AUDIT_ARCH_X86_64, 0, colX8664, true, false, false},
		{specs.ArchX32, unix.AUDIT_ARCH_X86_64, x32Bit, colX32, false, false, false},
		{specs.ArchARM, unix.AUDIT_ARCH_ARM, 0, colARM, false, false, false},
		{specs.ArchAARCH64, unix.AUDIT_ARCH_AARCH64, 0, colARM64, true, false, false},
		{specs.ArchMIPS, unix.AUDIT_ARCH_MIPS, 4000, colMIPS, false, true, true},
		{specs.ArchMIPS64, unix.AUDIT_ARCH_MIPS64, 5000, colMIPS64, true, true, false},
		{specs.ArchMIPS64N32, unix.AUDIT_ARCH_MIPS64N32, 6000, colN32, false, true, false},
		{specs.ArchMIPSEL, unix.AUDIT_ARCH_MIPSEL, 4000, colMIPS, false, false, true},
		{specs.ArchMIPSEL64, unix.AUDIT_ARCH_MIPSEL64, 5000, colMIPS64, true, false, false},
		{specs.ArchMIPSEL64N32, unix.AUDIT_ARCH_MIPSEL64N32, 6000, colN32, false, false, false},
		{specs.ArchPPC, unix.AUDIT_ARCH_PPC, 0, colPPC, false, true, true},
		{specs.ArchPPC64, unix.AUDIT_ARCH_PPC64, 0, colPPC64, true, true, true},
		{specs.ArchPPC64LE, unix.AUDIT_ARCH_PPC64LE, 0, colPPC64, true, false, true},
		{specs.ArchS390, unix.AUDIT_ARCH_S390, 0, colS390, false, true, true},
		{specs.ArchS390X, unix.AUDIT_ARCH_S390X, 0, colS390X, true, true, true},
		{specs.ArchPARISC, unix.AUDIT_ARCH_PARISC, 0, colPARISC, false, true, false},
		{specs.ArchPARISC64, unix.AUDIT_ARCH_PARISC64, 0, colPARISC64, true, true, false},
		{specs.ArchRISCV64, unix.AUDIT_ARCH_RISCV64, 0, colRISCV64, true, false, false},
		{specs.ArchLOONGARCH64, unix.AUDIT_ARCH_LOONGARCH64, 0, colLoong64, true, false, false},
		{specs.ArchM68K, unix.AUDIT_ARCH_M68K, 0, colM68K, false, true, false},
		{specs.ArchSH, unix.AUDIT_ARCH_SHEL, 0, colSH, false, false, false},
		{specs.ArchSHEB, unix.AUDIT_ARCH_SH, 0, colSH, false, true, false},
	}
}

// native returns the architecture that a kernel's own programs have. Empty: none.
func native(goarch string) specs.Arch {
	switch goarch {
	case "386":
		return specs.ArchX86
	case "amd64":
		return specs.ArchX86_64
	case "arm":
		return specs.ArchARM
	case "arm64":
		return specs.ArchAARCH64
	case "mips":
		return specs.ArchMIPS
	case "mipsle":
		return specs.ArchMIPSEL
	case "mips64":
		return specs.ArchMIPS64
	case "mips64le":
		return specs.ArchMIPSEL64
	case "ppc64":
		return specs.ArchPPC64
	case "ppc64le":
		return specs.ArchPPC64LE
	case "riscv64":
		return specs.ArchRISCV64
	case "s390x":
		return specs.ArchS390X
	case "loong64":
		return specs.ArchLOONGARCH64
	}
	return ""
}

// parseArches returns the native architecture and then the others of the list, each
// once. An architecture of the other byte order is an error, as with runc: the
// kernel cannot have it, and a filter has one order.
//
// Source: runtime-spec config-linux.md "Seccomp"; seccomp_arch_add(3).
func (p *profile) parseArches(list []specs.Arch, goarch string) {
	all := arches()
	find := func(name specs.Arch) *arch {
		for i := range all {
			if all[i].name == name {
				return &all[i]
			}
		}
		return nil
	}
	own := find(native(goarch))
	if own == nil {
		p.fault(fmt.Errorf("linux.seccomp: no system call table for the architecture %s", goarch))
		return
	}
	use := append(make([]arch, 0, 4), *own)
next:
	for i, name := range list {
		abi := find(name)
		switch {
		case abi == nil:
			p.fault(fmt.Errorf("linux.seccomp.architectures[%d]: %s", i, notKnown(string(name), Architectures())))
			continue
		case abi.big != own.big:
			p.fault(fmt.Errorf("linux.seccomp.architectures[%d]: %s has another byte order than this kernel's %s", i, name, own.name))
			continue
		}
		for _, have := range use {
			if have.name == name {
				continue next
			}
		}
		use = append(use, *abi)
	}
	p.arches = use
}
