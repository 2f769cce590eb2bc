package rootfs

import (
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestDefaultOptions: mounts at their usual places have their usual options where the
// configuration has none, and no others.
func TestDefaultOptions(t *testing.T) {
	userns := []specs.LinuxNamespace{{Type: specs.UserNamespace}}
	for name, c := range map[string]struct {
		mount specs.Mount
		linux *specs.Linux
		want  string
	}{
		"devpts":               {specs.Mount{Destination: "/dev/pts/", Type: "devpts"}, nil, "nosuid,noexec,newinstance,ptmxmode=0666,mode=620,gid=5"},
		"devpts without tty":   {specs.Mount{Destination: "/dev/pts", Type: "devpts"}, &specs.Linux{Namespaces: userns, GIDMappings: []specs.LinuxIDMapping{{ContainerID: 0, Size: 5}}}, "nosuid,noexec,newinstance,ptmxmode=0666,mode=620"},
		"devpts with a range":  {specs.Mount{Destination: "/dev/pts", Type: "devpts"}, &specs.Linux{Namespaces: userns, GIDMappings: []specs.LinuxIDMapping{{ContainerID: 0, Size: 6}}}, "nosuid,noexec,newinstance,ptmxmode=0666,mode=620,gid=5"},
		"tmpfs on /dev":        {specs.Mount{Destination: "dev", Type: "tmpfs"}, nil, "noexec,strictatime,mode=755"},
		"shm":                  {specs.Mount{Destination: "/dev/shm", Type: "tmpfs"}, nil, "nosuid,noexec,nodev,mode=1777,size=65536k"},
		"sysfs":                {specs.Mount{Destination: "/sys", Type: "sysfs"}, nil, "nosuid,noexec,nodev"},
		"cgroup":               {specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup"}, nil, "nosuid,noexec,strictatime"},
		"proc":                 {specs.Mount{Destination: "/proc", Type: "proc"}, nil, ""},
		"another type":         {specs.Mount{Destination: "/sys", Type: "tmpfs"}, nil, ""},
		"another place":        {specs.Mount{Destination: "/srv/sys", Type: "sysfs"}, nil, ""},
		"an empty list":        {specs.Mount{Destination: "/sys", Type: "sysfs", Options: []string{}}, nil, ""},
		"options of one's own": {specs.Mount{Destination: "/sys", Type: "sysfs", Options: []string{"ro"}}, nil, "ro"},
	} {
		s := &specs.Spec{Mounts: []specs.Mount{c.mount}, Linux: c.linux}
		AddDefaultOptions(s)
		if got := strings.Join(s.Mounts[0].Options, ","); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
