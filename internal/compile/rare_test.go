package compile

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/seat"
	"github.com/hutch-project/hutch/internal/template"
)

// TestRareProgramsAreProven proves programs in which two things that seldom come together do.
func TestRareProgramsAreProven(t *testing.T) {
	plain := func(mounts ...specs.Mount) *specs.Spec {
		s := template.Spec()
		s.Process.Terminal = false
		s.Mounts = append(s.Mounts, mounts...)
		return s
	}
	for name, c := range map[string]struct {
		spec   *specs.Spec
		change func(in *Input)
	}{
		// A procfs by mount(2) is of the pid namespace that the process is in.
		"a joined pid namespace where fsopen is denied": {joined(), func(in *Input) {
			in.Host.ProcOfPidNS, in.Host.Denied = true, seat.Denied{Fsopen: true}
		}},
		// The second way, by mount(2), would leave the mapping out.
		"mapped ids of a tree that may pin namespaces": {plain(specs.Mount{
			Destination: "/data", Type: "bind", Source: "/srv", Options: []string{"rbind"},
			UIDMappings: []specs.LinuxIDMapping{{HostID: 1000, Size: 10}}, GIDMappings: []specs.LinuxIDMapping{{HostID: 1000, Size: 10}},
		}), nil},
		// Nothing of the image's may lead from there into another mount.
		"a working directory in a mount that a later one covers": {func() *specs.Spec {
			s := onRoot("/srv/root")
			s.Mounts = append([]specs.Mount{{Destination: "/srv", Type: "tmpfs", Source: "tmpfs"}}, s.Mounts...)
			s.Process.Cwd = "/srv/data"
			return s
		}(), nil},
		"a working directory in a copy of a symbolic link": {func() *specs.Spec {
			s := plain(specs.Mount{Destination: "/srv", Type: "bind", Source: "/link", Options: []string{"bind", "copy-symlink"}})
			s.Process.Cwd = "/srv/data"
			return s
		}(), func(in *Input) { in.Links = map[int]string{len(in.Spec.Mounts) - 1: "../data"} }},
	} {
		in := &Input{Spec: c.spec, Rootfs: "/bundle/rootfs", Bundle: "/bundle", Keyring: "_ses.77", Fifo: true,
			Host: Host{Privileged: true, LastCap: 40, HeldCaps: 1<<41 - 1}}
		if c.change != nil {
			c.change(in)
		}
		out, err := Compile(in)
		if err != nil {
			t.Fatal(err)
		}
		prove(t, name, out.Program, in.Expect(out))
	}
}
