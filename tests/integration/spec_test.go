package integration

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// edit changes a container's configuration before it is written.
type edit = func(*specs.Spec)

// defaultSpec is a small ordinary container: six namespaces, the usual mounts
// but cgroup's, docker's capabilities, a writable root.
func defaultSpec(id string) *specs.Spec {
	capabilities := []string{
		"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
		"CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
	}
	return &specs.Spec{
		Version: specs.Version,
		Root:    &specs.Root{Path: "rootfs"},
		Process: &specs.Process{
			Args: []string{"/bin/true"},
			Cwd:  "/",
			Env:  []string{"PATH=/bin", idVariable + "=" + id},
			Capabilities: &specs.LinuxCapabilities{
				Bounding: capabilities, Effective: capabilities, Permitted: capabilities,
			},
		},
		Hostname: "inside",
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts",
				Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
			{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
		},
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.NetworkNamespace}, {Type: specs.IPCNamespace},
				{Type: specs.UTSNamespace}, {Type: specs.MountNamespace}, {Type: specs.CgroupNamespace},
			},
		},
	}
}

// idVariable is in every container's environment: leftovers are found by it.
const idVariable = "HUTCH_TEST_ID"

func args(words ...string) edit { return func(s *specs.Spec) { s.Process.Args = words } }

// sh makes the container run a shell script.
func sh(script string) edit { return args("/bin/sh", "-c", script) }

func env(entries ...string) edit {
	return func(s *specs.Spec) { s.Process.Env = append(s.Process.Env, entries...) }
}

func mount(m specs.Mount) edit { return func(s *specs.Spec) { s.Mounts = append(s.Mounts, m) } }

// bindMount binds a host path; "bind" is added to the options.
func bindMount(source, destination string, options ...string) edit {
	return mount(specs.Mount{Destination: destination, Type: "bind", Source: source, Options: append([]string{"bind"}, options...)})
}

func tmpfsMount(destination string, options ...string) edit {
	return mount(specs.Mount{Destination: destination, Type: "tmpfs", Source: "tmpfs", Options: options})
}

// withoutNamespace shares a namespace with the host.
func withoutNamespace(kind specs.LinuxNamespaceType) edit {
	return func(s *specs.Spec) {
		s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == kind })
	}
}

// namespace adds or replaces a namespace; an empty path makes a new one.
func namespace(kind specs.LinuxNamespaceType, path string) edit {
	return func(s *specs.Spec) {
		withoutNamespace(kind)(s)
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: kind, Path: path})
	}
}

// mappedRoot is the host id that container id 0 has in userNamespace.
const mappedRoot = 200000

// userNamespace adds a user namespace with 65536 ids from mappedRoot on.
func userNamespace(s *specs.Spec) {
	namespace(specs.UserNamespace, "")(s)
	s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: mappedRoot, Size: 65536}}
	s.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: mappedRoot, Size: 65536}}
}

// withCapabilities adds to the bounding, effective and permitted sets.
func withCapabilities(names ...string) edit {
	return func(s *specs.Spec) {
		c := s.Process.Capabilities
		c.Bounding = append(slices.Clone(c.Bounding), names...)
		c.Effective = append(slices.Clone(c.Effective), names...)
		c.Permitted = append(slices.Clone(c.Permitted), names...)
	}
}

func readonlyRoot(s *specs.Spec) { s.Root.Readonly = true }

// asUser runs the process as a user and the group of the same number.
func asUser(id uint32) edit {
	return func(s *specs.Spec) { s.Process.User.UID, s.Process.User.GID = id, id }
}

func terminal(s *specs.Spec) { s.Process.Terminal = true }

func ptr[T any](v T) *T { return &v }
