package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestCVE2021_43784_SizesArePassedOn: lengths above what 16 bits hold reach the
// process as they are, and none of them becomes another part of the configuration.
func TestCVE2021_43784_SizesArePassedOn(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 65535, 65536, 70000, 131000} {
		value := strings.Repeat("v", n)
		got := script(t, `echo ${#LONG} $1 ${#2}; id -u`, func(s *specs.Spec) {
			s.Process.Env = append(s.Process.Env, "LONG="+value)
			s.Process.Args = append(s.Process.Args, "sh", "one", value)
		})
		if want := fmt.Sprintf("%d one %d\n0", n, n); strings.TrimSpace(got) != want {
			t.Errorf("%d bytes: %.80q, want %q", n, got, want)
		}
	}
	many := script(t, "env | grep -c ^MANY", func(s *specs.Spec) {
		for i := range 5000 {
			s.Process.Env = append(s.Process.Env, fmt.Sprintf("MANY%d=%s", i, strings.Repeat("x", 50)))
		}
	})
	if strings.TrimSpace(many) != "5000" {
		t.Errorf("%q of 5000 variables", many)
	}
}

// TestCVE2021_43784_HugeMappings: as many mappings as the kernel takes, whose text
// is longer than a page, are all there.
func TestCVE2021_43784_HugeMappings(t *testing.T) {
	t.Parallel()
	got := script(t, "wc -l </proc/self/uid_map; id -u", userNamespace, func(s *specs.Spec) {
		first := s.Linux.UIDMappings[0]
		var ids []specs.LinuxIDMapping
		for i := range uint32(300) {
			ids = append(ids, specs.LinuxIDMapping{ContainerID: i * 2, HostID: first.HostID + i*2, Size: 1})
		}
		s.Linux.UIDMappings = ids
	})
	if strings.TrimSpace(got) != "300\n0" {
		t.Errorf("%q", got)
	}
}

// TestCVE2026_119101_CraftedNames: names that mean something to other tools are
// names: the mounts are where they say, and the host has nothing new.
func TestCVE2026_119101_CraftedNames(t *testing.T) {
	t.Parallel()
	names := []string{"/mnt/]:x", "/mnt/a:b", "/mnt/a,rw,exec", "/mnt/new\nline", "/mnt/mnt[/etc]:/etc", "/mnt/ space", `/mnt/back\040slash`}
	b := newBundle(t, func(s *specs.Spec) {
		s.Process.Args = append([]string{"/bin/sh", "-c", `for d; do mkdir "$d/inside" && echo made; done; ls -a /etc | grep -c inside; grep -c ' /mnt/' /proc/self/mountinfo`, "sh"}, names...)
		for _, n := range names {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: n, Type: "tmpfs", Source: "tmpfs"})
		}
	})
	c := b.newCanary()
	b.writeSpec()
	res := b.run()
	if want := strings.Repeat("made\n", len(names)) + "0\n" + fmt.Sprint(len(names)) + "\n"; res.stdout != want {
		t.Errorf("want %q: %s", want, res)
	}
	c.check("run")
}
