package engines

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/tests/testwait"
)

// scenario is something that a user does with an engine. Docker's and Podman's
// command lines are the same for all of them.
type scenario struct {
	name string
	run  func(t *testing.T, e *engine)
	not  map[string]string // engine's name: why it is not run there
}

// scenarios is the table that docs/engines.md shows.
func scenarios() []scenario {
	return []scenario{
		{name: "run", run: run},
		{name: "run what cannot be run", run: runImpossible},
		{name: "published port", run: publishedPort},
		{name: "stdin and attach", run: stdin},
		{name: "terminal", run: terminal},
		{name: "detached, logs", run: logs},
		{name: "exec", run: execs},
		{name: "stop", run: stops},
		{name: "kill", run: kills},
		{name: "pause", run: pauses},
		{name: "restart", run: restarts},
		{name: "restart policy", run: restartPolicy},
		{name: "top", run: tops},
		{name: "stats", run: stats},
		{name: "update", run: updates},
		{name: "out of memory", run: outOfMemory},
		{name: "limits", run: limits},
		{name: "users", run: users},
		{name: "read-only root", run: readOnlyRoot},
		{name: "tmpfs", run: tmpfs},
		{name: "volumes", run: volumes},
		{name: "propagation", run: propagation},
		{name: "privileged", run: privileged},
		{name: "capabilities", run: capabilities},
		{name: "seccomp", run: seccomp},
		{name: "no new privileges", run: noNewPrivileges},
		{name: "masked paths", run: maskedPaths},
		{name: "init", run: inits},
		{name: "namespaces of the host", run: hostNamespaces},
		{name: "namespaces of a container", run: sharedNamespaces},
		{name: "ulimits", run: ulimits},
		{name: "sysctls", run: sysctls},
		{name: "devices", run: devices},
		{name: "health check", run: healthCheck},
		{name: "copy", run: copies},
		{name: "build", run: builds},
		{name: "many at once", run: many},
	}
}

// runScenarios runs the whole table.
func runScenarios(t *testing.T, e *engine) {
	for _, s := range scenarios() {
		runScenario(t, e, s.name)
	}
}

// runScenario runs the one of that name.
func runScenario(t *testing.T, e *engine, name string) {
	t.Helper()
	for _, s := range scenarios() {
		if s.name != name {
			continue
		}
		t.Run(name, func(t *testing.T) {
			if reason, ok := s.not[e.name]; ok {
				t.Skip(reason)
			}
			s.run(t, e)
		})
		return
	}
	t.Errorf("no scenario is named %q", name)
}

// nothingLeft proves that an engine without containers holds nothing: no
// container, process of one, mount, veth end, forwarding rule, cgroup. Engines
// end their work in the background, so it is waited for.
func nothingLeft(t *testing.T, e *engine) {
	t.Helper()
	left := "?"
	testwait.Poll(t, func() string { return "nothing is left behind of:\n" + left }, func() bool {
		left = whatIsLeft(t, e)
		return left == ""
	})
}

// whatIsLeft names what nothingLeft looks for, one thing a line.
func whatIsLeft(t *testing.T, e *engine) string {
	t.Helper()
	var left []string
	if containers := e.run(t, "ps", "-a", "-q"); containers != "" {
		left = append(left, "containers: "+containers)
	}
	lines := func(what string, keep func(line string) bool, program ...string) {
		out, err := exec.Command(program[0], program[1:]...).Output()
		if err != nil {
			t.Fatalf("%s: %v", strings.Join(program, " "), err)
		}
		for line := range strings.Lines(string(out)) {
			if keep(line) {
				left = append(left, what+": "+strings.TrimSpace(line))
			}
		}
	}
	lines("mount", func(line string) bool {
		return strings.Contains(line, "/merged ") || strings.Contains(line, "/rootfs ") ||
			strings.Contains(line, "nsfs") && !strings.Contains(line, "/netns/default ")
	}, "cat", "/proc/self/mountinfo")
	lines("network device", func(string) bool { return true }, "ip", "-o", "link", "show", "type", "veth")
	lines("port", func(line string) bool { return strings.Contains(line, "--to-destination") }, "iptables-save", "-t", "nat")
	lines("process", func(line string) bool {
		return strings.Contains(line, "containerd-shim") || strings.Contains(line, "conmon ") || strings.Contains(line, runtimePath+" ")
	}, "ps", "-e", "-o", "pid=,args=")
	for _, dir := range cgroupsLeft() {
		left = append(left, "cgroup: "+dir)
	}
	return strings.Join(left, "\n")
}
