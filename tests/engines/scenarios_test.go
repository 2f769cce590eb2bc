package engines

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
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
// container, process of one, mount, veth end, forwarding rule, cgroup.
func nothingLeft(t *testing.T, e *engine) {
	t.Helper()
	var containers string
	for range 50 { // Docker removes what has failed in the background
		if containers = e.run(t, "ps", "-a", "-q"); containers == "" {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if containers != "" {
		t.Errorf("containers left:\n%s", e.run(t, "ps", "-a", "--no-trunc"))
		e.try(t, append([]string{"rm", "-f"}, strings.Fields(containers)...)...)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, "/merged ") || strings.Contains(line, "/rootfs ") || strings.Contains(line, "nsfs") && !strings.Contains(line, "/netns/default ") {
			t.Errorf("mount left: %s", line)
		}
	}
	if links, err := exec.Command("ip", "-o", "link", "show", "type", "veth").CombinedOutput(); err != nil || len(links) > 0 {
		t.Errorf("network devices left (%v):\n%s", err, links)
	}
	rules, err := exec.Command("iptables-save", "-t", "nat").Output()
	if err != nil || strings.Contains(string(rules), "--to-destination") {
		t.Errorf("port rules left (%v):\n%s", err, rules)
	}
	processes, _ := exec.Command("ps", "-e", "-o", "pid=,args=").Output()
	for line := range strings.Lines(string(processes)) {
		if strings.Contains(line, "containerd-shim") || strings.Contains(line, "conmon ") || strings.Contains(line, runtimePath+" ") {
			t.Errorf("process left: %s", line)
		}
	}
	if left := cgroupsLeft(); len(left) > 0 {
		t.Errorf("cgroups left:\n%s", strings.Join(left, "\n"))
	}
}
