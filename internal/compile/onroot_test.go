package compile

import (
	"errors"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/template"
	"github.com/hutch-project/hutch/internal/verify"
)

// onRoot returns a configuration of a container with a user namespace that has the directory
// source bound on "/", or without one a tmpfs, before the other mounts and after one.
func onRoot(source string) *specs.Spec {
	s := template.Spec()
	s.Process.Terminal = false
	s.Root.Readonly = false
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
	s.Linux.GIDMappings = s.Linux.UIDMappings
	s.Linux.RootfsPropagation = "rshared"
	covered := specs.Mount{Destination: "/covered", Type: "bind", Source: "/nosuch", Options: []string{"bind"}}
	root := specs.Mount{Destination: "/", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "size=1m", "ro"}}
	if source != "" {
		root = specs.Mount{Destination: "/", Type: "bind", Source: source, Options: []string{"rbind", "nosuid", "ro"}}
	}
	s.Mounts = append([]specs.Mount{covered, root}, s.Mounts...)
	return s
}

// TestProofOfTheRoot: what is mounted on "/" is the root, with its options and nothing else.
func TestProofOfTheRoot(t *testing.T) {
	other := func(m *specs.Mount) {
		switch m.Type {
		case "bind":
			m.Source = "/srv/other"
		default:
			m.Type = "ramfs"
		}
	}
	for name, c := range map[string]struct {
		change func(*program.Program, *verify.Expect)
		rule   verify.Rule
		fails  bool
	}{
		"as it is": {func(*program.Program, *verify.Expect) {}, 0, false},
		"another":  {func(_ *program.Program, e *verify.Expect) { other(&e.Spec.Mounts[1]) }, verify.MountPath, true},
		"none":     {func(_ *program.Program, e *verify.Expect) { e.Spec.Mounts = e.Spec.Mounts[2:] }, verify.MountPath, true},
		"more options": {func(_ *program.Program, e *verify.Expect) {
			e.Spec.Mounts[1].Options = append(e.Spec.Mounts[1].Options, "nodev")
		}, verify.MountConfig, true},
		"one too early": {func(_ *program.Program, e *verify.Expect) { e.Spec.Mounts = e.Spec.Mounts[1:] }, 0, false},
		"writable": {func(p *program.Program, _ *verify.Expect) {
			for pc := range p.Child {
				in := &p.Child[pc]
				if in.NR == unix.SYS_MOUNT_SETATTR && p.Note(in).Doing.String() == "make the root read-only (needs Linux 5.12: mount_setattr)" {
					*in = program.Instr{Op: program.OpJump, To: program.Label(pc + 1), Note: in.Note}
				}
			}
		}, verify.MountConfig, true},
		"not before the others": {func(_ *program.Program, e *verify.Expect) {
			e.Spec.Mounts[0], e.Spec.Mounts[1] = e.Spec.Mounts[1], e.Spec.Mounts[0]
		}, verify.MountConfig, true},
	} {
		for _, kind := range []string{"on-root", "on-root-tmpfs"} {
			in := inputs()[kind]
			out, err := Compile(in)
			if err != nil {
				t.Fatal(err)
			}
			e := in.Expect(out)
			c.change(out.Program, e)
			_, err = verify.Program(out.Program, e)
			var broken *verify.Error
			if errors.As(err, &broken) != c.fails || c.fails && broken.Rule != c.rule || !c.fails && err != nil {
				t.Errorf("%s, %s: got %v", kind, name, err)
			}
		}
	}
}
