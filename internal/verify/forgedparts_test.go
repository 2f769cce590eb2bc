package verify_test

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/verify"
)

// bound adds a bind to the configuration.
func bound(options ...string) func(in *compile.Input) {
	return func(in *compile.Input) {
		in.Spec.Mounts = append(in.Spec.Mounts, specs.Mount{Destination: "/data", Type: "bind", Source: "/srv", Options: options})
	}
}

// parentCall returns the last instruction of the parent section that makes the call nr.
func (f *forger) parentCall(nr uint32) *program.Instr {
	f.t.Helper()
	for pc := len(f.p.Parent) - 1; pc >= 0; pc-- {
		if in := &f.p.Parent[pc]; in.Op == program.OpSys && in.NR == nr {
			return in
		}
	}
	f.t.Fatalf("no instruction of the parent section makes the call %d", nr)
	return nil
}

// source returns the open_tree of the parent section that clones the tree at a path.
func (f *forger) source(path string) *program.Instr {
	f.t.Helper()
	for pc := range f.p.Parent {
		in := &f.p.Parent[pc]
		if off, ok := in.Args[1].Addr(); ok && in.NR == unix.SYS_OPEN_TREE {
			if text, _ := f.p.CString(off); text == path {
				return in
			}
		}
	}
	f.t.Fatalf("%s is not cloned", path)
	return nil
}

// TestForgedBindsAreRefused has a program bind something else, or otherwise, than the
// configuration says.
func TestForgedBindsAreRefused(t *testing.T) {
	forgeries(t, map[string]forgery{
		"with all below": {rule: verify.MountConfig, config: bound("bind"), forge: func(f *forger) {
			f.source("/srv").Args[2] = num(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_RECURSIVE)
		}},
		"without what is below": {rule: verify.MountConfig, config: bound("rbind"), forge: func(f *forger) {
			f.source("/srv").Args[2] = num(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
		}},
		"with other ids": {rule: verify.MountConfig, config: bound("bind", "ro"), forge: func(f *forger) {
			b, _ := f.parentCall(unix.SYS_MOUNT_SETATTR).Args[3].Addr()
			for pc := range f.p.Parent {
				if in := &f.p.Parent[pc]; in.NR == unix.SYS_MOUNT_SETATTR && in.Args[0] == val(f.source("/srv").Dst) {
					b, _ = in.Args[3].Addr()
				}
			}
			f.p.Data(b+2, 1)[0] |= unix.MOUNT_ATTR_IDMAP >> 16
		}},
		"without the mapping of ids": {rule: verify.MountConfig, config: func(in *compile.Input) {
			bound("bind")(in)
			ids := []specs.LinuxIDMapping{{HostID: 1000, Size: 10}}
			m := &in.Spec.Mounts[len(in.Spec.Mounts)-1]
			m.UIDMappings, m.GIDMappings = ids, ids
		}, forge: func(f *forger) {
			for pc := range f.p.Parent {
				if in := &f.p.Parent[pc]; in.NR == unix.SYS_MOUNT_SETATTR && in.Args[0] == val(f.source("/srv").Dst) {
					if b, _ := in.Args[3].Addr(); f.p.Data(b+2, 1)[0]&(unix.MOUNT_ATTR_IDMAP>>16) != 0 {
						in.Args[3] = f.words(0, 0, 0, 0).Arg()
					}
				}
			}
		}},
		"as the host's peer": {rule: verify.MountSlave, config: bound("bind"), forge: func(f *forger) {
			for pc := range f.p.Parent {
				if in := &f.p.Parent[pc]; in.NR == unix.SYS_MOUNT_SETATTR && in.Args[0] == val(f.source("/srv").Dst) {
					in.Args[3] = f.words(unix.MOUNT_ATTR_NOSUID, 0, 0, 0).Arg()
				}
			}
		}},
		"a file of the host as a device": {rule: verify.HostInode, config: func(in *compile.Input) {
			in.Host.NoNodes = true
		}, forge: func(f *forger) { f.source("/dev/zero").Args[1] = f.str("/etc/shadow") }},
		"another device": {rule: verify.HostInode, config: func(in *compile.Input) {
			in.Host.NoNodes = true
		}, forge: func(f *forger) { f.source("/dev/zero").Args[1] = f.str("/dev/sda") }},
		"root.path over a symbolic link": {rule: verify.MountPath, forge: func(f *forger) {
			for pc := range f.p.Parent {
				if in := &f.p.Parent[pc]; in.NR == unix.SYS_OPENAT2 {
					*in = to(in.Dst, sys(unix.SYS_OPENAT, at, f.str("/bundle/rootfs"), num(opath|unix.O_DIRECTORY)))
					return
				}
			}
		}},
	})
}

// TestForgedPartsAreRefused has a program attach a part of the container's tree where what is
// masked or read-only would be seen.
func TestForgedPartsAreRefused(t *testing.T) {
	clone := num(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | empty)
	forgeries(t, map[string]forgery{
		"a clone of /proc elsewhere": {rule: verify.MountConfig, forge: func(f *forger) {
			_, root := f.attached()
			d, c, e := f.reg(0), f.reg(0), f.reg(0)
			f.insert(f.closes()-1, f.open(d, root, "/proc", opath, plain), to(c, sys(unix.SYS_OPEN_TREE, val(d), f.str(""), clone)),
				f.open(e, root, "/srv", opath, plain), f.move(c, e))
		}},
		"a directory of a procfs of its own": {rule: verify.MountConfig, forge: func(f *forger) {
			_, root := f.attached()
			m, c, e := f.reg(0), f.reg(0), f.reg(0)
			f.insert(f.closes()-1, append(f.fs(m, "proc"), to(c, sys(unix.SYS_OPEN_TREE, val(m), f.str("sys"), num(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC))),
				f.open(e, root, "/srv", opath, plain), f.move(c, e))...)
		}},
		"a directory of a sysfs of its own": {rule: verify.MountConfig, forge: func(f *forger) {
			_, root := f.attached()
			m, c, e := f.reg(0), f.reg(0), f.reg(0)
			f.insert(f.closes()-1, append(f.fs(m, "sysfs"), to(c, sys(unix.SYS_OPEN_TREE, val(m), f.str("kernel"), num(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC))),
				f.open(e, root, "/srv", opath, plain), f.move(c, e))...)
		}},
		"a tmpfs that nobody asked for": {rule: verify.MountConfig, forge: func(f *forger) {
			_, root := f.attached()
			m, e := f.reg(0), f.reg(0)
			f.insert(f.closes()-1, append(f.fs(m, "tmpfs"), f.open(e, root, "/srv", opath, plain), f.move(m, e))...)
		}},
		"a mask beneath what it is to cover": {rule: verify.MountPath, forge: func(f *forger) {
			const beneath = 0x200 // MOVE_MOUNT_BENEATH
			f.p.Child[f.at("linux.maskedPaths[2]", unix.SYS_MOVE_MOUNT)].Args[4] = num(unix.MOVE_MOUNT_F_EMPTY_PATH | unix.MOVE_MOUNT_T_EMPTY_PATH | beneath)
		}},
	})
}

// TestForgedChangesOfMountsAreRefused has a program change mounts that are there, or as a
// process that only joins.
func TestForgedChangesOfMountsAreRefused(t *testing.T) {
	forgeries(t, map[string]forgery{
		"read-only without what is below": {rule: verify.ReadOnly, forge: func(f *forger) {
			attr := f.at("linux.readonlyPaths[0]", unix.SYS_OPEN_TREE_ATTR)
			f.p.Child[attr] = program.Instr{Op: program.OpJump, To: f.p.Child[attr].To}
			f.p.Child[f.at("linux.readonlyPaths[0]", unix.SYS_MOUNT_SETATTR)].Args[2] = num(empty)
		}},
		"attributes of a mount that was opened by its name": {rule: verify.MountConfig, config: bound("bind", "nosuid"), forge: func(f *forger) {
			_, root := f.attached()
			d := f.reg(0)
			f.insert(f.closes()-1, f.open(d, root, "/data", opath, plain),
				sys(unix.SYS_MOUNT_SETATTR, val(d), f.str(""), num(empty), f.words(0, unix.MOUNT_ATTR_NOSUID, 0, 0).Arg(), num(32)))
		}},
		"what lies beneath a mount is read-only": {rule: verify.MountConfig, config: bound("bind", "ro"), forge: func(f *forger) {
			pc, root := f.attached()
			d := f.reg(0)
			for i := range f.p.Parent {
				if in := &f.p.Parent[i]; in.NR == unix.SYS_MOUNT_SETATTR && in.Args[0] == val(f.source("/srv").Dst) {
					if b, _ := in.Args[3].Addr(); f.p.Data(b, 1)[0]&unix.MOUNT_ATTR_RDONLY != 0 {
						in.Args[3] = f.words(0, 0, unix.MS_SLAVE, 0).Arg()
					}
				}
			}
			f.insert(f.closes()-1, sys(unix.SYS_MOUNT_SETATTR, val(d), f.str(""), num(empty), f.words(unix.MOUNT_ATTR_RDONLY, 0, 0, 0).Arg(), num(32)))
			f.insert(pc, f.open(d, root, "/data", opath, plain))
		}},
		"a further process mounts": {rule: verify.MountPath, exec: func(*compile.ExecInput) {}, forge: func(f *forger) {
			m, d := f.reg(0), f.reg(0)
			f.insert(f.closes(), append(f.fs(m, "tmpfs"), to(d, sys(unix.SYS_OPENAT, at, f.str("/"), num(opath))), f.move(m, d))...)
		}},
		"a further process mounts by mount(2)": {rule: verify.MountPath, exec: func(*compile.ExecInput) {}, forge: func(f *forger) {
			f.insert(f.closes(), sys(unix.SYS_MOUNT, f.str("proc"), f.str("."), f.str("proc"), num(0), num(0)))
		}},
		"the host's servers are waited for no more": {rule: verify.MountPath, forge: func(f *forger) {
			f.p.Child[f.last(unix.SYS_UMOUNT2)].Args[1] = num(unix.MNT_DETACH | unix.MNT_FORCE)
		}},
	})
}

// TestForgedFileSystemsAreRefused has a program make other file systems than the configuration
// says.
func TestForgedFileSystemsAreRefused(t *testing.T) {
	option := func(element, key, value string) func(f *forger) {
		return func(f *forger) {
			for pc := range f.p.Child {
				in := &f.p.Child[pc]
				off, ok := in.Args[2].Addr()
				if text, _ := f.p.CString(off); ok && in.NR == unix.SYS_FSCONFIG && text == key && f.p.Note(in).Element.String() == element {
					in.Args[3] = f.str(value)
				}
			}
		}
	}
	overlay := func(in *compile.Input) {
		in.Spec.Mounts = append(in.Spec.Mounts, specs.Mount{Destination: "/data", Type: "overlay", Source: "overlay", Options: []string{"lowerdir=/a:/b", "ro"}})
	}
	forgeries(t, map[string]forgery{
		"another source":          {rule: verify.MountConfig, forge: option("mounts[1]", "source", "/dev/sda1")},
		"another option":          {rule: verify.MountConfig, forge: option("mounts[1]", "mode", "777")},
		"another lower directory": {rule: verify.MountConfig, config: overlay, forge: option("mounts[7]", "lowerdir", "/etc:/b")},
		"another option of mount(2)": {rule: verify.MountConfig, forge: func(f *forger) {
			f.p.Child[f.at("mounts[2]", unix.SYS_MOUNT)].Args[4] = f.str("newinstance,ptmxmode=0666,mode=0666,gid=5")
		}},
		"an option less": {rule: verify.MountConfig, forge: func(f *forger) {
			f.p.Child[f.at("mounts[2]", unix.SYS_MOUNT)].Args[4] = f.str("newinstance")
		}},
		"an option of a file": {rule: verify.Known, forge: func(f *forger) {
			const setPath = 3
			f.p.Child[f.at("mounts[1]", unix.SYS_FSCONFIG)].Args[1] = num(setPath)
		}},
		"a descriptor of the host": {rule: verify.MountConfig, forge: func(f *forger) {
			h, pc := f.reg(0), f.at("mounts[1]", unix.SYS_FSCONFIG)
			f.p.Child[pc].Args[1], f.p.Child[pc].Args[4] = num(unix.FSCONFIG_SET_FD), val(h)
			f.insert(pc, f.host(h, "/etc"))
		}},
		"a sysfs of the host's network": {rule: verify.Namespaces, forge: func(f *forger) {
			f.e.CloneFlags &^= unix.CLONE_NEWNET
			pc := f.at("mounts[5]", unix.SYS_MOVE_MOUNT)
			f.insert(pc, sys(unix.SYS_UNSHARE, num(unix.CLONE_NEWNET)))
			for i := range f.p.Child {
				if in := &f.p.Child[i]; in.NR == unix.SYS_SOCKET || in.Op == program.OpSys && in.NR == unix.SYS_IOCTL && in.Args[1] == num(unix.SIOCSIFFLAGS) {
					*in = program.Instr{Op: program.OpJump, To: program.Label(i + 1)}
				}
			}
		}},
	})
}

// TestForgedHidingIsRefused has a program without pivot_root hide the host's procfs by something
// else than nothing.
func TestForgedHidingIsRefused(t *testing.T) {
	forgeries(t, map[string]forgery{
		"a procfs over the host's": {rule: verify.MountPath, config: func(in *compile.Input) { in.NoPivot = true }, forge: func(f *forger) {
			for pc := range f.p.Child {
				in := &f.p.Child[pc]
				if off, ok := in.Args[1].Addr(); ok && in.Op == program.OpSys && in.NR == unix.SYS_MOUNT {
					if text, _ := f.p.CString(off); text == "/proc" {
						in.Args[2] = f.str("proc")
					}
				}
			}
		}},
	})
}
