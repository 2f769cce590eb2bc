package rootfs

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/check"
)

// defaultOptions are the options of mounts that have none, by place and type. A procfs has
// none there either.
//
// Source: crun, get_default_flags; its devpts has the group tty, too.
var defaultOptions = [...]struct {
	dest, kind string
	options    []string
}{
	{"/dev", "tmpfs", []string{"noexec", "strictatime", "mode=755"}},
	{"/dev/shm", "tmpfs", []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
	{"/dev/mqueue", "mqueue", []string{"nosuid", "noexec", "nodev"}},
	{"/dev/pts", "devpts", []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=620"}},
	{"/sys", "sysfs", []string{"nosuid", "noexec", "nodev"}},
	{"/sys/fs/cgroup", "cgroup", []string{"nosuid", "noexec", "strictatime"}},
	{"/sys/fs/cgroup", "cgroup2", []string{"nosuid", "noexec", "strictatime"}},
}

// AddDefaultOptions gives their usual options to those mounts of s, at their usual places,
// whose options are absent. An empty list is what it says.
func AddDefaultOptions(s *specs.Spec) {
	for i := range s.Mounts {
		m := &s.Mounts[i]
		if m.Options != nil {
			continue
		}
		for j := range defaultOptions {
			if d := &defaultOptions[j]; d.kind == m.Type && d.dest == destination(m.Destination) {
				m.Options = slices.Clone(d.options)
				if d.kind == "devpts" && hasTTY(s.Linux) {
					m.Options = append(m.Options, "gid=5")
				}
			}
		}
	}
}

// hasTTY reports whether the group tty, which is 5 everywhere, is one of the container's: a
// devpts with another is refused.
func hasTTY(l *specs.Linux) bool {
	if l == nil || !slices.ContainsFunc(l.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.UserNamespace }) {
		return true
	}
	return check.Mapped(l.GIDMappings, 5)
}
