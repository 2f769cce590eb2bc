package integration

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// netns is a network namespace of the test's own.
type netns struct {
	t   testing.TB
	pid int
}

func newNetns(t *testing.T) netns {
	t.Helper()
	return netns{t, holder(t, syscall.CLONE_NEWNET, syscall.SysProcAttr{})}
}

func (n netns) path() string { return nsPath(n.pid, specs.NetworkNamespace) }

// enter is the command line that runs others in the namespace.
func (n netns) enter() []string { return []string{"nsenter", "-t", strconv.Itoa(n.pid), "-n", "--"} }

func (n netns) run(words ...string) string {
	n.t.Helper()
	words = append(n.enter(), words...)
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		n.t.Fatalf("%q: %v\n%s", words, err, out)
	}
	return string(out)
}

func netDevice(host, inside string) edit {
	return func(s *specs.Spec) {
		if s.Linux.NetDevices == nil {
			s.Linux.NetDevices = map[string]specs.LinuxNetDevice{}
		}
		s.Linux.NetDevices[host] = specs.LinuxNetDevice{Name: inside}
	}
}

// TestNetDevices: a device of the runtime's network namespace is moved,
// renamed, keeps its address, and is up.
func TestNetDevices(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 has no netDevices")
	outside := newNetns(t)
	outside.run("ip", "link", "add", "host0", "mtu", "1300", "type", "veth", "peer", "name", "peer0")
	outside.run("ip", "link", "add", "host1", "type", "veth", "peer", "name", "peer1")
	outside.run("ip", "addr", "add", "10.9.8.7/24", "dev", "host0")
	outside.run("ip", "link", "set", "peer0", "up")
	b := newBundle(t, sh("ifconfig -a; ip addr show dev inside0"), netDevice("host0", "inside0"), netDevice("host1", ""))
	res := call{root: b.root, args: b.line("run"), wrap: outside.enter()}.do(t).ok(t)
	for _, want := range []string{"inside0", "host1", "10.9.8.7/24", "mtu 1300", "UP"} {
		if !strings.Contains(res.stdout, want) {
			t.Errorf("no %q in:\n%s", want, res.stdout)
		}
	}
	if strings.Contains(res.stdout, "host0") {
		t.Errorf("not renamed:\n%s", res.stdout)
	}
}

func TestNetDevicesRefused(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 has no netDevices")
	cases := []struct {
		name  string
		texts []string
		edits []edit
	}{
		{"not there", []string{"netDevices", "nosuchdevice"}, []edit{netDevice("nosuchdevice", "")}},
		{"no network namespace", []string{"netDevices"}, []edit{netDevice("peer0", ""), withoutNamespace(specs.NetworkNamespace)}},
		{"name with a slash", []string{"netDevices"}, []edit{netDevice("lo", "a/b")}},
		{"name too long", []string{"netDevices"}, []edit{netDevice("lo", strings.Repeat("x", 16))}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			refused(t, c.texts, c.edits...)
		})
	}
}
