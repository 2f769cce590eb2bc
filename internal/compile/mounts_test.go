package compile

import (
	"bytes"
	"errors"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/list"
	"github.com/hutch-project/hutch/internal/verify"
)

// mountsInputs returns the programs by which a container that runs gets mounts or loses them.
func mountsInputs() map[string]*MountsInput {
	mounts := []specs.Mount{
		{Destination: "/srv/data", Source: "/srv/data", Options: []string{"rbind", "ro", "nosuid"}},
		{Destination: "/srv/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"nodev", "ro", "size=1m"}},
		{Destination: "/etc/link", Source: "/etc/link", Options: []string{"bind", "copy-symlink"}},
	}
	init := namespace.Init{Pid: 77, Pidfd: 5, Flags: unix.CLONE_NEWNS | unix.CLONE_NEWPID}
	user := init
	user.Flags |= unix.CLONE_NEWUSER
	return map[string]*MountsInput{
		"mounts-add":    {Init: init, Mounts: mounts, Add: true, Rootfs: "/bundle/rootfs", Links: map[int]string{2: "there"}},
		"mounts-user":   {Init: user, Mounts: mounts[:2], Add: true, Rootfs: "/bundle/rootfs", RootUID: 1000, RootGID: 1000, Privileged: true},
		"mounts-own":    {Init: user, Mounts: mounts[:2], Add: true, Rootfs: "/bundle/rootfs", RootUID: 1000, RootGID: 1000},
		"mounts-remove": {Init: init, Mounts: mounts[:2], Rootfs: "/bundle/rootfs"},
	}
}

// TestMountsListings compares the programs with golden files.
func TestMountsListings(t *testing.T) {
	for name, in := range mountsInputs() {
		p, _, err := Mounts(in)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := list.WriteText(&got, list.Lines(p, &list.Options{TagName: TagName})); err != nil {
			t.Fatal(err)
		}
		golden(t, name, got.String())
	}
}

// TestMountsAreProven: the programs do what they are there for, from outside of the pid
// namespace, and nothing else.
func TestMountsAreProven(t *testing.T) {
	for name, in := range mountsInputs() {
		p, root, err := Mounts(in)
		if err != nil {
			t.Fatal(err)
		}
		prove(t, name, p, in.Expect(root))
	}
}

// TestProofOfMounts: what is added is what was asked for, at its place, and nothing else is
// taken away.
func TestProofOfMounts(t *testing.T) {
	for name, c := range map[string]struct {
		program string
		change  func(*program.Program, *verify.Expect)
	}{
		"another source": {"mounts-add", func(_ *program.Program, e *verify.Expect) { e.Spec.Mounts[0].Source = "/srv" }},
		"another place":  {"mounts-add", func(_ *program.Program, e *verify.Expect) { e.Spec.Mounts[0].Destination = "/srv" }},
		"another type":   {"mounts-add", func(_ *program.Program, e *verify.Expect) { e.Spec.Mounts[1].Type = "ramfs" }},
		"options left out": {"mounts-add", func(_ *program.Program, e *verify.Expect) {
			e.Spec.Mounts[0].Options = []string{"rbind", "ro", "nosuid", "noexec"}
		}},
		"another link":             {"mounts-add", func(_ *program.Program, e *verify.Expect) { e.Links[2] = "elsewhere" }},
		"another mount namespace":  {"mounts-user", func(_ *program.Program, e *verify.Expect) { e.MountNS = "/proc/78/ns/mnt" }},
		"another is removed":       {"mounts-remove", func(_ *program.Program, e *verify.Expect) { e.Spec.Mounts[1].Destination = "/etc" }},
		"one is not removed":       {"mounts-remove", without(unix.SYS_UMOUNT2)},
		"in another dir":           {"mounts-remove", without(unix.SYS_FCHDIR)},
		"namespaces":               {"mounts-add", without(unix.SYS_SETNS)},
		"one is not attached":      {"mounts-user", without(unix.SYS_MOVE_MOUNT)},
		"a copy that is not asked": {"mounts-own", func(_ *program.Program, e *verify.Expect) { e.Copies = false }},
		"a copy of the host's":     {"mounts-own", without(unix.SYS_SETNS)},
		"attached in the copy":     {"mounts-own", withoutLast(unix.SYS_SETNS)},
	} {
		in := mountsInputs()[c.program]
		p, root, err := Mounts(in)
		if err != nil {
			t.Fatal(err)
		}
		e := in.Expect(root)
		mounts := append([]specs.Mount(nil), in.Mounts...)
		e.Spec = &specs.Spec{Mounts: mounts, Linux: &specs.Linux{}}
		c.change(p, e)
		var broken *verify.Error
		if _, err := verify.Program(p, e); !errors.As(err, &broken) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// withoutLast takes the last call nr out of a program.
func withoutLast(nr uint32) func(*program.Program, *verify.Expect) {
	return func(p *program.Program, _ *verify.Expect) {
		for pc := len(p.Child) - 1; pc >= 0; pc-- {
			if in := &p.Child[pc]; in.Op == program.OpSys && in.NR == nr {
				p.Child[pc] = program.Instr{Op: program.OpJump, To: program.Label(pc + 1)}
				return
			}
		}
	}
}

// without takes the first call nr out of a program.
func without(nr uint32) func(*program.Program, *verify.Expect) {
	return func(p *program.Program, _ *verify.Expect) {
		for pc := range p.Child {
			if in := &p.Child[pc]; in.Op == program.OpSys && in.NR == nr {
				p.Child[pc] = program.Instr{Op: program.OpJump, To: program.Label(pc + 1)}
				return
			}
		}
	}
}
