package compile

import (
	"errors"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/verify"
)

// TestChrootedProgramsAreProven: a caller in a chroot gets containers that nothing of the
// host's tree is left to, also of what the chroot hides from the caller.
func TestChrootedProgramsAreProven(t *testing.T) {
	for name, in := range inputs() {
		for _, noPivot := range [...]bool{false, true} {
			if name == "shared-mounts" {
				in.Spec.Hostname = ""
			}
			in.Host.Chrooted, in.NoPivot = true, noPivot
			out, err := Compile(in)
			if err != nil {
				t.Fatal(err)
			}
			prove(t, name+", --no-pivot "+strconv.FormatBool(noPivot), out.Program, in.Expect(out))
		}
	}
}

// TestProofOfAChroot: each of the calls by which the child leaves the chroot is needed.
func TestProofOfAChroot(t *testing.T) {
	for _, noPivot := range [...]bool{false, true} {
		in := inputs()["default"]
		in.Host.Chrooted, in.NoPivot = true, noPivot
		out, err := Compile(in)
		if err != nil {
			t.Fatal(err)
		}
		joins := 0
		for pc := range out.Program.Child {
			if i := &out.Program.Child[pc]; i.Op != program.OpSys || i.NR != unix.SYS_SETNS {
				continue
			}
			joins++
			p := out.Program.Copy()
			p.Child[pc] = program.Instr{Op: program.OpJump, To: program.Label(pc + 1)}
			_, err := verify.Program(p, in.Expect(out))
			var broken *verify.Error
			if !errors.As(err, &broken) || broken.Rule != verify.MountSlave && broken.Rule != verify.RootChange && broken.Rule != verify.MountPath && broken.Rule != verify.FdUse {
				t.Errorf("no pivot %t: without instruction %d: %v", noPivot, pc, err)
			}
		}
		if want := 2; joins < want {
			t.Errorf("no pivot %t: %d setns, want %d", noPivot, joins, want)
		}
	}
}
