package verify_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/template"
	"github.com/hutch-project/hutch/internal/verify"
)

// proofOf compiles the default configuration after change.
func proofOf(t *testing.T, change func(s *specs.Spec)) (*program.Program, *verify.Expect) {
	t.Helper()
	in := &compile.Input{Spec: template.Spec(), Rootfs: "/bundle/rootfs", Bundle: "/bundle", Keyring: "_ses.77",
		Host: compile.Host{Privileged: true, LastCap: 40, HeldCaps: 1<<41 - 1}}
	change(in.Spec)
	out, err := compile.Compile(in)
	if err != nil {
		t.Fatal(err)
	}
	return out.Program, in.Expect(out)
}

// refused reports an error unless the program is refused for the rule.
func refused(t *testing.T, p *program.Program, e *verify.Expect, rule verify.Rule) {
	t.Helper()
	var broken *verify.Error
	if _, err := verify.Program(p, e); !errors.As(err, &broken) {
		t.Errorf("the program is taken: %v", err)
	} else if broken.Rule != rule {
		t.Errorf("refused by %v, want the rule %s", err, rule.ID())
	}
}

// TestChangeByANameIsRefused has a remount go to what the name of the mount leads to.
func TestChangeByANameIsRefused(t *testing.T) {
	set := func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/srv/x", Type: "bind", Source: "/srv", Options: []string{"remount", "bind", "ro"}})
	}
	p, e := proofOf(t, set)
	if _, err := verify.Program(p, e); err != nil {
		explain(t, p, err)
	}
	last := fmt.Sprintf("mounts[%d]", len(e.Spec.Mounts)-1)
	for pc := range p.Child {
		if in := &p.Child[pc]; in.NR == unix.SYS_OPENAT2 && p.Note(in).Element.String() == last {
			off, _ := in.Args[2].Addr()
			const resolve = 16 // in struct open_how
			binary.NativeEndian.PutUint64(p.Data(off+resolve, 8), unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
		}
	}
	refused(t, p, e, verify.MountPath)
}

// TestRootOnTopIsNotReadOnly has a program clone the root and attach that on the root,
// which nobody sees, in place of making the root read-only; or that mount alone.
func TestRootOnTopIsNotReadOnly(t *testing.T) {
	set := func(s *specs.Spec) {
		s.Root.Readonly, s.Linux.MaskedPaths = false, nil
		s.Linux.ReadonlyPaths = []string{"/srv/zz", "/"}
	}
	p, e := proofOf(t, set)
	if _, err := verify.Program(p, e); err != nil {
		explain(t, p, err)
	}
	for pc := range p.Child {
		if in := &p.Child[pc]; in.NR == unix.SYS_MOUNT_SETATTR && p.Note(in).Element.String() == "linux.readonlyPaths[1]" {
			in.Args[2] = program.Imm(unix.AT_EMPTY_PATH)
		}
	}
	refused(t, p, e, verify.ReadOnly)
	p, e = proofOf(t, set)
	for pc := range p.Child {
		in := &p.Child[pc]
		switch element := p.Note(in).Element.String(); {
		case in.NR == unix.SYS_MOUNT_SETATTR && element == "linux.readonlyPaths[1]":
			*in = program.Instr{Op: program.OpJump, To: program.Label(pc + 1), Note: in.Note}
		case in.NR == unix.SYS_OPENAT2 && element == "linux.readonlyPaths[0]":
			off, _ := in.Args[1].Addr()
			copy(p.Data(off, 2), "/\x00")
		}
	}
	e.Spec.Linux.ReadonlyPaths = []string{"/"}
	refused(t, p, e, verify.ReadOnly)
}

// TestMasksOfWhatIsCoveredAreRefused has a program make its masks in the sysfs that a
// later bind covers.
func TestMasksOfWhatIsCoveredAreRefused(t *testing.T) {
	p, e := proofOf(t, func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/sys", Type: "bind", Source: "/sys", Options: []string{"rbind"}})
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = []string{"/sys/firmware"}, nil
	})
	if _, err := verify.Program(p, e); err != nil {
		explain(t, p, err)
	}
	var tree program.Reg
	for pc := range p.Child {
		if in := &p.Child[pc]; p.Note(in).Step.String() == "fsmount sysfs" {
			tree = in.Dst
		}
	}
	for pc := range p.Child {
		in := &p.Child[pc]
		if in.Op == program.OpSys && program.CallName(uintptr(in.NR)) == "openat2" && p.Note(in).Element.String() == "linux.maskedPaths[0]" {
			in.Args[0] = program.Val(tree)
			off, _ := in.Args[1].Addr()
			copy(p.Data(off, 9), "firmware\x00")
		}
	}
	refused(t, p, e, verify.Masked)
}

// TestSourceBehindALinkIsRefused has the source of a bind in the container be opened over
// what may be a symbolic link.
func TestSourceBehindALinkIsRefused(t *testing.T) {
	p, e := proofOf(t, func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/data", Type: "bind", Source: "/srv", Options: []string{"rbind"}},
			specs.Mount{Destination: "/to", Type: "bind", Source: "/bundle/rootfs/data/dir", Options: []string{"bind"}})
	})
	if _, err := verify.Program(p, e); err != nil {
		explain(t, p, err)
	}
	changed := 0
	for pc := range p.Child {
		in := &p.Child[pc]
		if in.Op != program.OpSys || in.NR != unix.SYS_OPENAT2 {
			continue
		}
		off, ok := in.Args[1].Addr()
		if path, is := p.CString(off); ok && is && path == "/data/dir" {
			off, _ := in.Args[2].Addr()
			const resolve = 16 // in struct open_how
			binary.NativeEndian.PutUint64(p.Data(off+resolve, 8), unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
			changed++
		}
	}
	if changed != 1 {
		t.Fatalf("%d calls open the source", changed)
	}
	refused(t, p, e, verify.MountConfig)
}
