package verify_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/verify"
)

// TestForgedMasksAreRefused has a program that makes masks where nobody sees them.
func TestForgedMasksAreRefused(t *testing.T) {
	forgeries(t, map[string]forgery{
		"what is masked is looked for elsewhere": {rule: verify.Masked, forge: func(f *forger) {
			m := f.reg(0)
			pc := f.at("linux.maskedPaths[2]", unix.SYS_OPENAT2)
			out := program.Label(0)
			for i := pc; out == 0; i++ {
				if in := &f.p.Child[i]; in.NR == unix.SYS_OPENAT2 && in.OnErr == program.JumpOn {
					out = in.To
				}
			}
			list := append(f.fs(m, "tmpfs"), f.open(f.reg(0), m, "/proc/kcore", opath, inRoot))
			n := len(list)
			f.insert(pc, list...)
			in := &f.p.Child[pc+n-1]
			in.OnErr, in.Errno, in.To = program.JumpOn, unix.ENOENT, out+program.Label(n)
		}},
		"a file is taken for a missing directory": {rule: verify.Masked, forge: func(f *forger) { lookFor(f, "kcore", opath|unix.O_DIRECTORY) }},
		"what is below a file is missing":         {rule: verify.Masked, forge: func(f *forger) { lookFor(f, "kcore/", opath) }},
		"a mask in a clone": {rule: verify.Masked, forge: func(f *forger) {
			_, root := f.attached()
			c := f.reg(0)
			pc := f.at("linux.maskedPaths[2]", unix.SYS_OPENAT2)
			f.insert(pc, to(c, sys(unix.SYS_OPEN_TREE, val(root), f.str(""), num(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|empty))))
			for _, i := range [...]int{pc + 1, pc + 5} {
				f.p.Child[i].Args[0], f.p.Child[i].Args[1] = val(c), f.str("/proc/kcore")
			}
		}},
		"another attribute than that of a mount": {rule: verify.MountConfig, config: maskSys, forge: func(f *forger) {
			f.p.Child[f.at(ofSys, unix.SYS_STATX)+1].Args[1] = num(unix.STATX_ATTR_IMMUTABLE)
		}},
		"another place is a mount": {rule: verify.MountConfig, config: maskSys, forge: func(f *forger) {
			f.p.Child[f.at(ofSys, unix.SYS_STATX)-1].Args[1] = f.str("/dev")
		}},
	})
}

// ofSys is the element of the mount on /sys, which maskSys masks as a whole.
const ofSys = "mounts[5]"

func maskSys(in *compile.Input) {
	in.Spec.Linux.MaskedPaths = append(in.Spec.Linux.MaskedPaths, "/sys")
}

// lookFor has the program look for what it masks third by another name below /proc.
func lookFor(f *forger, name string, flags uint64) {
	pc := f.at("linux.maskedPaths[2]", unix.SYS_OPENAT2)
	for _, i := range [...]int{pc, pc + 4} {
		f.p.Child[i].Args[1], f.p.Child[i].Args[2] = f.str(name), f.how(flags, inRoot).Arg()
	}
}
