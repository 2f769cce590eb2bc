package integration

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// nsFile is the name in /proc/PID/ns of each type.
func nsFile(kind specs.LinuxNamespaceType) string {
	switch kind {
	case specs.NetworkNamespace:
		return "net"
	case specs.MountNamespace:
		return "mnt"
	}
	return string(kind)
}

// allNamespaces but user, which needs mappings.
func allNamespaces() []specs.LinuxNamespaceType {
	return []specs.LinuxNamespaceType{
		specs.PIDNamespace, specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace,
		specs.MountNamespace, specs.CgroupNamespace, specs.TimeNamespace,
	}
}

func nsOf(t testing.TB, pid any, kind specs.LinuxNamespaceType) string {
	t.Helper()
	text, err := os.Readlink(fmt.Sprintf("/proc/%v/ns/%s", pid, nsFile(kind)))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestNamespaceNew(t *testing.T) {
	t.Parallel()
	for _, kind := range append(allNamespaces(), specs.UserNamespace) {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			edits := []edit{args("sleep", "1000"), namespace(kind, "")}
			switch kind {
			case specs.TimeNamespace:
				hutchOnly(t, "1.1 has no time namespace")
			case specs.UserNamespace:
				edits = append(edits, userNamespace)
			}
			b := newBundle(t, edits...).create()
			if host, own := nsOf(t, "self", kind), nsOf(t, b.pid, kind); host == own {
				t.Errorf("%s namespace is the host's, %s", kind, own)
			}
		})
	}
}

func TestNamespaceShared(t *testing.T) {
	t.Parallel()
	for _, kind := range allNamespaces() {
		if kind == specs.MountNamespace {
			continue // without one the host's mounts would change
		}
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			edits := []edit{args("sleep", "1000"), withoutNamespace(kind)}
			if kind == specs.UTSNamespace {
				edits = append(edits, func(s *specs.Spec) { s.Hostname = "" })
			}
			b := newBundle(t, edits...).create()
			if host, own := nsOf(t, "self", kind), nsOf(t, b.pid, kind); host != own {
				t.Errorf("%s namespace is %s, want the host's %s", kind, own, host)
			}
		})
	}
}

// holder is a process in new namespaces that others join.
func holder(t *testing.T, flags uintptr, attr syscall.SysProcAttr) int {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	attr.Cloneflags, attr.Pdeathsig = flags, syscall.SIGKILL
	cmd.SysProcAttr = &attr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd.Process.Pid
}

func nsPath(pid int, kind specs.LinuxNamespaceType) string {
	return fmt.Sprintf("/proc/%d/ns/%s", pid, nsFile(kind))
}

func TestNamespaceJoined(t *testing.T) {
	t.Parallel()
	flags := map[specs.LinuxNamespaceType]uintptr{
		specs.PIDNamespace: syscall.CLONE_NEWPID, specs.NetworkNamespace: syscall.CLONE_NEWNET,
		specs.IPCNamespace: syscall.CLONE_NEWIPC, specs.UTSNamespace: syscall.CLONE_NEWUTS,
		specs.CgroupNamespace: syscall.CLONE_NEWCGROUP,
	}
	for kind, flag := range flags {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			other := holder(t, flag, syscall.SysProcAttr{})
			edits := []edit{args("sleep", "1000"), namespace(kind, nsPath(other, kind))}
			if kind == specs.UTSNamespace {
				edits = append(edits, func(s *specs.Spec) { s.Hostname = "" })
			}
			b := newBundle(t, edits...).create()
			if want, own := nsOf(t, other, kind), nsOf(t, b.pid, kind); want != own {
				t.Errorf("%s namespace is %s, want %s", kind, own, want)
			}
		})
	}
}

// TestMqueueIsTheRoots: message queues are the root's of the user namespace, one that is new or
// joined, as its other file systems are.
func TestMqueueIsTheRoots(t *testing.T) {
	t.Parallel()
	other := newBundle(t, args("sleep", "1000"), userNamespace).create()
	joined := namespace(specs.UserNamespace, nsPath(other.pid, specs.UserNamespace))
	for name, edits := range map[string][]edit{
		"user namespace":           {userNamespace},
		"joined user namespace":    {userNamespace, joined, func(s *specs.Spec) { s.Linux.UIDMappings, s.Linux.GIDMappings = nil, nil }},
		"without cgroup namespace": {userNamespace, withoutNamespace(specs.CgroupNamespace)},
	} {
		t.Run(name, func(t *testing.T) {
			queues := mount(specs.Mount{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue"})
			if out := script(t, "stat -c '%u:%g %a' /dev/mqueue; chmod 755 /dev/mqueue && stat -c %a /dev/mqueue", append(edits, queues)...); out != "0:0 1777\n755\n" {
				t.Errorf("got %q", out)
			}
		})
	}
}

func TestNamespaceJoinedMount(t *testing.T) {
	t.Parallel()
	other := holder(t, syscall.CLONE_NEWNS, syscall.SysProcAttr{})
	before := readText(t, fmt.Sprintf("/proc/%d/mountinfo", other))
	b := newBundle(t, args("sleep", "1000"), namespace(specs.MountNamespace, nsPath(other, specs.MountNamespace)), func(s *specs.Spec) {
		s.Mounts = nil // they would be made in the other's namespace, and stay
	})
	res := b.createCall().do(t)
	if res.code != 0 {
		res.failed(t)
		return // a runtime may refuse: the specification says nothing of the root there
	}
	b.readPid()
	if want, own := nsOf(t, other, specs.MountNamespace), nsOf(t, b.pid, specs.MountNamespace); want != own {
		t.Errorf("mount namespace is %s, want %s", own, want)
	}
	if strings.Count(before, "\n") == 0 {
		t.Error("empty mountinfo")
	}
}

// TestHostsMountNamespaceIsNotJoined: a mount namespace by path that is the runtime's own, or
// the one of process 1, is refused, since pivot_root would change the root of the host. The
// host is a process 1 and namespaces that were made for the test.
func TestHostsMountNamespaceIsNotJoined(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 changes the root of the host")
	for _, way := range []struct{ name, path, unshare string }{
		{"its own", "/proc/self/ns/mnt", ""},
		{"its own, that of process 1", "/proc/1/ns/mnt", ""},
		{"that of process 1", "/proc/1/ns/mnt", "unshare --mount"},
	} {
		for _, line := range [][]string{{"run"}, {"create"}, {"run", "--no-pivot"}} {
			t.Run(way.name+", "+strings.Join(line, " "), func(t *testing.T) {
				t.Parallel()
				b := newBundle(t, namespace(specs.MountNamespace, way.path), func(s *specs.Spec) { s.Mounts = nil })
				host := `before=$(stat -c %d:%i /); ` + way.unshare + ` "$@"; code=$?
[ "$before" = "$(stat -c %d:%i /)" ] || echo changed; exit $code`
				c := call{root: b.root, args: b.line(line[0], line[1:]...),
					wrap: []string{"unshare", "--mount", "--pid", "--fork", "--mount-proc", "/bin/sh", "-c", host, "sh"}}
				res := c.do(t)
				res.failed(t, "linux.namespaces[", way.path+" is the host's")
				if res.stdout != "" {
					t.Errorf("%s", res)
				}
			})
		}
	}
}

func TestNamespaceJoinedTime(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 has no time namespace")
	first := newBundle(t, args("sleep", "1000"), namespace(specs.TimeNamespace, ""), func(s *specs.Spec) {
		s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 5000}}
	}).create().start()
	second := newBundle(t, args("sleep", "1000"), namespace(specs.TimeNamespace, nsPath(first.pid, specs.TimeNamespace))).create().start()
	if want, own := nsOf(t, first.pid, specs.TimeNamespace), nsOf(t, second.pid, specs.TimeNamespace); want != own {
		t.Errorf("time namespace is %s, want %s", own, want)
	}
}

// TestNamespaceJoinedOwned joins namespaces that belong to another user
// namespace, together with that one.
func TestNamespaceJoinedOwned(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 wants mappings beside a user namespace's path")
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: mappedRoot, Size: 65536}}
	other := holder(t, syscall.CLONE_NEWUSER|syscall.CLONE_NEWNET|syscall.CLONE_NEWUTS|syscall.CLONE_NEWIPC|syscall.CLONE_NEWPID,
		syscall.SysProcAttr{UidMappings: ids, GidMappings: ids})
	kinds := []specs.LinuxNamespaceType{specs.UserNamespace, specs.NetworkNamespace, specs.UTSNamespace, specs.IPCNamespace, specs.PIDNamespace}
	edits := []edit{args("sleep", "1000"), func(s *specs.Spec) { s.Hostname = "" }}
	for _, kind := range kinds {
		edits = append(edits, namespace(kind, nsPath(other, kind)))
	}
	b := newBundle(t, edits...).create()
	for _, kind := range kinds {
		if want, own := nsOf(t, other, kind), nsOf(t, b.pid, kind); want != own {
			t.Errorf("%s namespace is %s, want %s", kind, own, want)
		}
	}
	if status := readText(t, fmt.Sprintf("/proc/%d/status", b.pid)); !strings.Contains(status, fmt.Sprintf("Uid:\t%d\t", mappedRoot)) {
		t.Errorf("init is not %d on the host:\n%s", mappedRoot, status)
	}
}

// TestNamespacePidJoined: entering a pid namespace takes a clone after the join;
// init is still the child of the caller.
func TestNamespacePidJoined(t *testing.T) {
	t.Parallel()
	first := newBundle(t, args("sleep", "1000")).create().start()
	second := newBundle(t, sh("echo pid $$; exec sleep 1000"), namespace(specs.PIDNamespace, nsPath(first.pid, specs.PIDNamespace))).create().start()
	text := second.waitOutput("pid ")
	if text == "pid 1\n" {
		t.Errorf("the process is 1 in a namespace that has a 1")
	}
	second.kill("KILL")
	if code := second.wait(); code != 137 {
		t.Errorf("exit code %d, want 137", code)
	}
}

func TestNamespaceRefused(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		only  string // why not on another runtime
		texts []string
		edit  edit
	}{
		{"twice", "", nil, func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.PIDNamespace})
		}},
		{"of another type", "", nil, namespace(specs.NetworkNamespace, "/proc/self/ns/uts")},
		{"path of nothing", "", []string{"no such file"}, namespace(specs.NetworkNamespace, "/no/such/namespace")},
		{"path of no namespace", "", nil, namespace(specs.NetworkNamespace, "/etc/passwd")},
		{"unknown type", "", nil, namespace("fantasy", "")},
		{"hostname without uts", "", nil, withoutNamespace(specs.UTSNamespace)},
		{"mappings without user", "1.1 ignores them", []string{"uidMappings"}, func(s *specs.Spec) {
			s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 0, Size: 1}}
		}},
		{"offsets without time", "1.1 ignores timeOffsets", []string{"timeOffsets"}, func(s *specs.Spec) {
			s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 1}}
		}},
		{"offset of an unknown clock", "1.1 has no time namespace", []string{"timeOffsets"}, func(s *specs.Spec) {
			namespace(specs.TimeNamespace, "")(s)
			s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"realtime": {Secs: 1}}
		}},
		{"relative path", "1.1 takes it from the working directory", []string{"namespaces"}, namespace(specs.NetworkNamespace, "proc/self/ns/net")},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.only != "" {
				hutchOnly(t, c.only)
			}
			refused(t, c.texts, c.edit)
		})
	}
}

func TestTimeOffsets(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 has no time namespace")
	for _, clock := range []string{"boottime", "monotonic"} {
		t.Run(clock, func(t *testing.T) {
			t.Parallel()
			out := command(t, []string{"probe", "clock", clock}, namespace(specs.TimeNamespace, ""), func(s *specs.Spec) {
				s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{clock: {Secs: 1_000_000, Nanosecs: 500}}
			})
			seconds, err := strconv.Atoi(strings.TrimSpace(out))
			if err != nil || seconds < 1_000_000 {
				t.Errorf("%s is %q, want more than a million seconds", clock, out)
			}
		})
	}
}

func TestHostname(t *testing.T) {
	t.Parallel()
	out := script(t, "hostname; cat /proc/sys/kernel/hostname", func(s *specs.Spec) { s.Hostname = "web-1.example" })
	if out != "web-1.example\nweb-1.example\n" {
		t.Errorf("host name %q", out)
	}
}

func TestDomainname(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 has no domainname")
	out := script(t, "cat /proc/sys/kernel/domainname", func(s *specs.Spec) { s.Domainname = "example.org" })
	if out != "example.org\n" {
		t.Errorf("domain name %q", out)
	}
	for name, edits := range map[string][]edit{"root": nil, "user namespace": {userNamespace}} {
		if out := script(t, "cat /proc/sys/kernel/domainname", append(edits, sysctl("kernel.domainname", "example.net"))...); out != "example.net\n" {
			t.Errorf("%s: domain name by linux.sysctl: %q", name, out)
		}
	}
	refused(t, []string{"kernel.domainname", "example.net", "example.org"}, sysctl("kernel.domainname", "example.net"), func(s *specs.Spec) { s.Domainname = "example.org" })
}

func TestLoopbackIsUp(t *testing.T) {
	t.Parallel()
	out := script(t, "ifconfig lo; ls /sys/class/net")
	if !strings.Contains(out, "UP LOOPBACK RUNNING") || !strings.Contains(out, "127.0.0.1") {
		t.Errorf("lo is not up with its address:\n%s", out)
	}
}

// TestLoopbackOfAnotherIsLeft: a joined network namespace is somebody else's.
func TestLoopbackOfAnotherIsLeft(t *testing.T) {
	t.Parallel()
	other := holder(t, syscall.CLONE_NEWNET, syscall.SysProcAttr{})
	out := script(t, "cat /proc/net/if_inet6; cat /sys/class/net/lo/flags", namespace(specs.NetworkNamespace, nsPath(other, specs.NetworkNamespace)))
	if out != "0x8\n" { // IFF_LOOPBACK without IFF_UP
		t.Errorf("flags of lo %q, want 0x8", out)
	}
}

// TestNoMountNamespace: a container may share the caller's mount namespace.
// That one keeps its root and its mounts, or the container is refused.
func TestNoMountNamespace(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("echo ran; pwd"), withoutNamespace(specs.MountNamespace), func(s *specs.Spec) { s.Mounts = nil })
	// In a mount namespace of its own, should the runtime do harm.
	res := call{root: b.root, args: b.line("run"), wrap: []string{"unshare", "-m", "sh", "-c",
		`ls / >` + b.path("before") + `; "$@"; code=$?; cd /; ls / >` + b.path("after") + `; exit $code`, "sh"}}.do(t)
	if before, after := readText(t, b.path("before")), readText(t, b.path("after")); before != after {
		t.Errorf("the caller's root has changed from %q to %q", before, after)
	}
	if res.code != 0 {
		res.failed(t)
	} else if res.stdout != "ran\n/\n" {
		t.Errorf("%s", res)
	}
}
