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

// TestForgedFilesAreRefused has a program that opens, makes, changes or writes what is not its own.
func TestForgedFilesAreRefused(t *testing.T) {
	forgeries(t, map[string]forgery{
		"a host's file is emptied": {rule: verify.HostWrite, forge: func(f *forger) {
			f.insert(0, to(f.reg(0), sys(unix.SYS_OPENAT, at, f.str("/etc/passwd"), num(unix.O_RDONLY|unix.O_TRUNC|unix.O_CLOEXEC))))
		}},
		"a result becomes open_how": {rule: verify.PathResolve, forge: func(f *forger) {
			pc, root := f.attached()
			h := f.how(opath, plain)
			open := to(f.reg(0), sys(unix.SYS_OPENAT2, val(root), f.str("/etc"), h.Arg(), num(24)))
			f.insert(pc, append(f.number(h.Reg(16), 0), open)...)
		}},
		"a name leads up": {rule: verify.PathResolve, forge: func(f *forger) { lookFor(f, "../proc/kcore", opath) }},
		"the owner of what is bound": {rule: verify.HostInode, config: func(in *compile.Input) {
			in.Spec.Mounts = append(in.Spec.Mounts, specs.Mount{Destination: "/data", Type: "bind", Source: "/srv", Options: []string{"bind"}})
		}, forge: func(f *forger) {
			pc := f.last(unix.SYS_MOVE_MOUNT)
			for p := range f.p.Child {
				if in := &f.p.Child[p]; in.NR == unix.SYS_MOVE_MOUNT && strings.HasPrefix(f.p.Note(in).Element.String(), "mounts[7]") {
					pc = p
				}
			}
			f.insert(pc+1, sys(unix.SYS_FCHOWNAT, f.p.Child[pc].Args[0], f.str(""), num(1000), num(1000), num(empty)))
		}},
		"a file of what is bound is emptied": {rule: verify.PathName, config: func(in *compile.Input) {
			in.Spec.Mounts = append(in.Spec.Mounts, specs.Mount{Destination: "/data", Type: "bind", Source: "/srv", Options: []string{"bind"}})
		}, forge: func(f *forger) {
			_, root := f.attached()
			f.insert(f.closes(), f.open(f.reg(0), root, "/data/x", unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC|unix.O_CLOEXEC, inRoot))
		}},
	})
}

// TestForgedWritesAreRefused has a program write what is not its own.
func TestForgedWritesAreRefused(t *testing.T) {
	forgeries(t, map[string]forgery{
		"another profile is written behind the first": {rule: verify.ProcWrite, config: func(in *compile.Input) {
			in.Spec.Process.SelinuxLabel, in.Host.LSM.SELinux = "a:b:c:s0", true
		}, forge: func(f *forger) {
			for pc := range f.p.Child {
				if in := f.p.Child[pc]; in.Op == program.OpSys && in.NR == unix.SYS_WRITE && strings.Contains(f.p.Note(&in).Element.String(), "selinux") {
					f.insert(pc+1, sys(unix.SYS_PWRITE64, in.Args[0], f.str("a:b:unconfined:s0"), num(17), num(0)))
					return
				}
			}
			f.t.Fatal("no profile is written")
		}},
		"a file is sent into a procfs": {rule: verify.ProcWrite, config: func(in *compile.Input) {
			in.Spec.Process.SelinuxLabel, in.Host.LSM.SELinux = "a:b:c:s0", true
		}, forge: func(f *forger) {
			for pc := range f.p.Child {
				if in := f.p.Child[pc]; in.Op == program.OpSys && in.NR == unix.SYS_WRITE && strings.Contains(f.p.Note(&in).Element.String(), "selinux") {
					m := f.reg(-1)
					f.insert(pc+1, to(m, sys(unix.SYS_MEMFD_CREATE, f.str("m"), num(unix.MFD_CLOEXEC))), sys(unix.SYS_SENDFILE, in.Args[0], val(m), num(0), num(9)))
					return
				}
			}
			f.t.Fatal("no profile is written")
		}},
		"a parameter of the kernel is written": {rule: verify.ProcWrite, config: func(in *compile.Input) {
			in.Spec.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"}
		}, forge: func(f *forger) {
			for pc := range f.p.Child {
				in := &f.p.Child[pc]
				off, ok := in.Args[1].Addr()
				if path, is := f.p.CString(off); ok && is && in.NR == unix.SYS_OPENAT2 && path == "sys/net/ipv4/ip_forward" {
					in.Args[1] = f.str("sys/kernel/core_pattern")
					return
				}
			}
			f.t.Fatal("no parameter is opened")
		}},
		"limits of another process": {rule: verify.HostWrite, forge: func(f *forger) {
			f.insert(0, sys(unix.SYS_PRLIMIT64, num(1), num(unix.RLIMIT_NOFILE), f.words(1, 1).Arg(), num(0)))
		}},
		"a message that is written by hand": {rule: verify.HostWrite, forge: func(f *forger) {
			f.insert(0, sys(unix.SYS_WRITE, val(f.p.Sync()), f.words(0, 0).Arg(), num(16)))
		}},
	})
}
