// Package lsm emits the labels of security modules.
//
// Source: runtime-spec config.md "Linux Process"; kernel admin-guide/LSM.
package lsm

import (
	"errors"
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call/idiom"
)

// Host is which modules the kernel has switched on.
type Host struct {
	AppArmor, SELinux bool
}

// ErrOff is returned for a label whose module is off.
var ErrOff = errors.New("the security module is not enabled on this host")

// Ask returns which modules are on.
func Ask() Host {
	var h Host
	if fd, err := unix.Open("/sys/module/apparmor/parameters/enabled", unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
		var b [1]byte
		n, _ := unix.Read(fd, b[:])
		unix.Close(fd)
		h.AppArmor = n == 1 && b[0] == 'Y'
	}
	h.SELinux = unix.Access("/sys/fs/selinux/enforce", unix.F_OK) == nil
	return h
}

// Emit emits the labels that execve takes on, written through the procfs proc.
func Emit(b *program.Builder, proc program.Reg, p *specs.Process, h Host) {
	if l := p.ApparmorProfile; l != "" {
		b := b.Element(program.T("process.apparmorProfile"))
		if !h.AppArmor {
			b.Fault(fmt.Errorf("%q: AppArmor: %w; leave the profile out", l, ErrOff))
			return
		}
		// It counts at execve; until then the runtime's own confinement stays.
		write(b, proc, "apply the profile %s", l, "exec "+l, "self/attr/apparmor/exec")
	}
	if l := p.SelinuxLabel; l != "" {
		b := b.Element(program.T("process.selinuxLabel"))
		if !h.SELinux {
			b.Fault(fmt.Errorf("%q: SELinux: %w; leave the label out", l, ErrOff))
			return
		}
		write(b, proc, "apply the label %s", l, l, "self/attr/exec")
	}
}

func write(b *program.Builder, proc program.Reg, doing, label, text, path string) {
	b = b.Doing(program.T(doing, label))
	open, write := b.Step(program.T("open `/proc/%s`", path)), b.Step(program.T("write `/proc/%s`", path))
	idiom.WriteProc(open, write, proc, path, text, idiom.SelfLink)
}
