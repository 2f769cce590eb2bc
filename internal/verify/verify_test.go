package verify_test

import (
	"errors"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/template"
	"github.com/hutch-project/hutch/internal/verify"
)

// TestReport proves the program of the default configuration and looks at what is told
// of it.
func TestReport(t *testing.T) {
	in := &compile.Input{Spec: template.Spec(), Rootfs: "/bundle/rootfs", Bundle: "/bundle", Keyring: "_ses.77", Fifo: true,
		Host: compile.Host{Privileged: true, LastCap: 40, HeldCaps: 1<<41 - 1, Cgroup: &rootfs.Cgroup{V2: true, Dir: "/sys/fs/cgroup/web1"}}}
	out, err := compile.Compile(in)
	if err != nil {
		t.Fatal(err)
	}
	r, err := verify.Program(out.Program, in.Expect(out))
	if err != nil {
		explain(t, out.Program, err)
		return
	}
	for _, rule := range [...]verify.Rule{verify.FdName, verify.FdExec, verify.PathResolve, verify.Masked, verify.ReadOnly, verify.RootReadOnly, verify.MountConfig,
		verify.MountSlave, verify.HostInode, verify.RootChange, verify.Bounding, verify.IDs, verify.Capset, verify.Ambient, verify.NoNewPrivs, verify.Rlimits,
		verify.Cwd, verify.Dumpable, verify.Session, verify.Keyring, verify.Barrier, verify.Message} {
		if p := r.Proofs[rule]; len(p.Places) == 0 || p.Waived != "" {
			t.Errorf("rule %s: no instruction satisfies it", rule.ID())
		}
	}
	if p := r.Proofs[verify.FilterLoaded]; len(p.Places) > 0 {
		t.Errorf("instructions %v load a filter, and there is none", p.Places)
	}
}

// TestAnotherConfigurationIsRefused proves the program of one configuration against
// another that asks for more, or gives less.
func TestAnotherConfigurationIsRefused(t *testing.T) {
	for _, c := range []struct {
		rule   verify.Rule
		change func(s *specs.Spec)
	}{
		{verify.Masked, func(s *specs.Spec) { s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/proc/more") }},
		{verify.ReadOnly, func(s *specs.Spec) { s.Linux.ReadonlyPaths = append(s.Linux.ReadonlyPaths, "/proc/more") }},
		{verify.Bounding, func(s *specs.Spec) { s.Process.Capabilities.Bounding = nil }},
		{verify.Capset, func(s *specs.Spec) { s.Process.Capabilities.Effective = nil }},
		{verify.Capset, func(s *specs.Spec) { s.Process.User.UID = 7 }},
		{verify.NoNewPrivs, func(s *specs.Spec) { s.Process.NoNewPrivileges = false }},
		{verify.Label, func(s *specs.Spec) { s.Process.SelinuxLabel = "a:b:c:s0" }},
		{verify.Label, func(s *specs.Spec) { s.Process.ApparmorProfile = "x" }},
		{verify.Rlimits, func(s *specs.Spec) { s.Process.Rlimits[0].Soft = 7 }},
		{verify.Cwd, func(s *specs.Spec) { s.Process.Cwd = "/tmp" }},
		{verify.MountConfig, func(s *specs.Spec) { s.Mounts[3].Options = append(s.Mounts[3].Options, "ro") }},
		{verify.MountConfig, func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: "/x", Type: "bind", Source: "/x", Options: []string{"bind"}})
		}},
		{verify.Namespaces, func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
		}},
		{verify.Ends, func(s *specs.Spec) { s.Process.Args = []string{"other"} }},
	} {
		in := &compile.Input{Spec: template.Spec(), Rootfs: "/bundle/rootfs", Bundle: "/bundle", Keyring: "_ses.77", Host: compile.Host{Privileged: true, LastCap: 40, HeldCaps: 1<<41 - 1}}
		out, err := compile.Compile(in)
		if err != nil {
			t.Fatal(err)
		}
		e := in.Expect(out)
		changed := template.Spec()
		c.change(changed)
		e.Spec = changed
		var broken *verify.Error
		if _, err := verify.Program(out.Program, e); !errors.As(err, &broken) {
			t.Errorf("%s: the program of another configuration is taken: %v", c.rule.ID(), err)
		} else if broken.Rule != c.rule && !(c.rule == verify.Capset && broken.Rule == verify.IDs) {
			t.Errorf("%s: refused by %v", c.rule.ID(), err)
		}
	}
}
