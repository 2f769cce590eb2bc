package verify_test

import (
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/verify"
)

// TestForgedMountsAreRefused has a program that changes what it has mounted.
func TestForgedMountsAreRefused(t *testing.T) {
	forgeries(t, map[string]forgery{
		"a result becomes a mount's attributes": {rule: verify.MountConfig, forge: func(f *forger) {
			pc, root := f.attached()
			m := f.words(unix.MOUNT_ATTR_NOSUID, 0, 0, 0)
			f.insert(pc, append(f.number(m.Reg(8), unix.MOUNT_ATTR_NODEV), sys(unix.SYS_MOUNT_SETATTR, val(root), f.str(""), num(empty), m.Arg(), num(32)))...)
		}},
		"the root is left before the host's tree is unmounted": {rule: verify.MountPath, forge: func(f *forger) {
			_, root := f.attached()
			d := f.reg(0)
			f.insert(f.find(0, unix.SYS_PIVOT_ROOT)+1, f.open(d, root, "/proc", opath, plain), sys(unix.SYS_FCHDIR, val(d)))
		}},
		"a mask is moved away": {rule: verify.MountPath, forge: func(f *forger) {
			_, root := f.attached()
			m, at, other := f.reg(0), f.reg(0), f.reg(0)
			list := append(f.fs(m, "tmpfs"), sys(unix.SYS_MOUNT_SETATTR, val(m), f.str(""), num(empty), f.words(unix.MOUNT_ATTR_RDONLY, 0, 0, 0).Arg(), num(32)),
				f.open(at, root, "/proc/acpi", opath, inRoot), f.open(other, root, "/tmp", opath, inRoot), f.move(m, at), f.move(m, other))
			f.insert(f.at("linux.maskedPaths[0]", unix.SYS_OPENAT2), list...)
		}},
		"a read-only mount becomes writable": {rule: verify.MountConfig, config: func(in *compile.Input) {
			in.Spec.Mounts = append(in.Spec.Mounts, specs.Mount{Destination: "/data", Type: "bind", Source: "/srv", Options: []string{"bind", "ro"}})
		}, forge: func(f *forger) {
			pc := f.last(unix.SYS_MOVE_MOUNT)
			for p := f.find(0, unix.SYS_MOVE_MOUNT); p < len(f.p.Child); p++ {
				if in := &f.p.Child[p]; in.NR == unix.SYS_MOVE_MOUNT && strings.HasPrefix(f.p.Note(in).Element.String(), "mounts[7]") {
					pc = p
				}
			}
			f.insert(pc+1, sys(unix.SYS_MOUNT_SETATTR, f.p.Child[pc].Args[0], f.str(""), num(empty), f.words(0, unix.MOUNT_ATTR_RDONLY, 0, 0).Arg(), num(32)))
		}},
		"it is mounted again, writable": {rule: verify.MountPath, config: func(in *compile.Input) {
			in.Spec.Mounts = append(in.Spec.Mounts, specs.Mount{Destination: "/data", Type: "bind", Source: "/srv", Options: []string{"bind", "ro"}})
		}, forge: func(f *forger) {
			_, root := f.attached()
			d := f.reg(0)
			f.insert(f.find(0, unix.SYS_PIVOT_ROOT)-1, f.open(d, root, "/data", opath, plain), sys(unix.SYS_FCHDIR, val(d)),
				sys(unix.SYS_MOUNT, num(0), f.str("."), num(0), num(unix.MS_REMOUNT), num(0)))
		}},
	})
}

// TestForgedNewMountsAreRefused has a program mount what the configuration has not.
func TestForgedNewMountsAreRefused(t *testing.T) {
	forgeries(t, map[string]forgery{
		"an unmasked procfs elsewhere": {rule: verify.MountConfig, forge: func(f *forger) {
			pc, root := f.attached()
			m, d := f.reg(0), f.reg(0)
			f.insert(pc, append(f.fs(m, "proc"), f.open(d, root, "/srv", opath, plain), f.move(m, d))...)
		}},
		"a file system of the host's disk": {rule: verify.MountConfig, forge: func(f *forger) {
			pc, root := f.attached()
			m, d := f.reg(0), f.reg(0)
			f.insert(pc, append(f.fs(m, "ext4"), f.open(d, root, "/srv", opath, plain), f.move(m, d))...)
		}},
		"a mount in a covered directory": {rule: verify.MountConfig, config: func(in *compile.Input) {
			in.Spec.Mounts = append(in.Spec.Mounts, specs.Mount{Destination: "/srv", Type: "bind", Source: "/srv", Options: []string{"bind"}},
				specs.Mount{Destination: "/srv/x", Type: "tmpfs", Source: "tmpfs"})
		}, forge: func(f *forger) {
			pc, root := f.attached()
			d := f.reg(0)
			f.insert(pc, f.open(d, root, "/srv/x", opath, plain))
			for pc := f.at("mounts[8]", unix.SYS_MOVE_MOUNT); pc >= 0; pc-- {
				if in := &f.p.Child[pc]; in.NR == unix.SYS_MOVE_MOUNT && f.p.Note(in).Element.String() == "mounts[8]" {
					*in = program.Instr{Op: program.OpJump, To: program.Label(pc + 1)}
					f.insert(pc, sys(unix.SYS_FCHDIR, val(d)), sys(unix.SYS_MOUNT, num(0), f.str("."), f.str("tmpfs"), num(0), num(0)))
					return
				}
			}
		}},
	})
}
