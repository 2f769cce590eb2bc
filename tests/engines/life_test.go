package engines

import (
	"strings"
	"testing"
	"time"

	"github.com/hutch-project/hutch/tests/testwait"
)

// trap is a program that tells of its signals.
const trap = `trap 'echo got HUP' HUP; trap 'echo got TERM; exit 3' TERM; echo ready; while :; do sleep 0.1; done`

// ready waits until a container's log holds text.
func ready(t *testing.T, e *engine, name, text string) {
	t.Helper()
	testwait.Until(t, "the log of "+name+" has "+text, func() bool {
		_, out := e.try(t, "logs", name)
		return strings.Contains(out, text)
	})
}

func stops(t *testing.T, e *engine) {
	polite := e.start(t, nil, trap)
	ready(t, e, polite, "ready")
	e.run(t, "stop", "-t", "200", polite)
	is(t, e.ask(t, polite, "{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}"), "exited 3 0")
	deaf := e.start(t, nil, "trap '' TERM; echo ready; while :; do sleep 0.1; done")
	ready(t, e, deaf, "ready")
	begin := time.Now()
	e.run(t, "stop", "-t", "1", deaf)
	if took := time.Since(begin); took < time.Second {
		t.Errorf("stop -t 1 took %v", took)
	}
	is(t, e.ask(t, deaf, "{{.State.Status}} {{.State.ExitCode}}"), "exited 137")
}

func kills(t *testing.T, e *engine) {
	name := e.start(t, nil, trap)
	ready(t, e, name, "ready")
	e.run(t, "kill", "-s", "HUP", name)
	ready(t, e, name, "got HUP")
	e.run(t, "kill", name)
	is(t, e.run(t, "wait", name), "137")
	if code, out := e.try(t, "kill", name); code == 0 {
		t.Errorf("a dead container can be killed: %s", out)
	}
}

func pauses(t *testing.T, e *engine) {
	name := e.start(t, nil, "i=0; while :; do i=$((i+1)); echo $i >/tmp/count; sleep 0.02; done")
	e.run(t, "pause", name)
	is(t, e.ask(t, name, "{{.State.Status}}"), "paused")
	if code, out := e.try(t, "exec", name, "true"); code == 0 {
		t.Errorf("exec in a paused container: %s", out)
	}
	e.run(t, "unpause", name)
	count := e.run(t, "exec", name, "cat", "/tmp/count")
	testwait.Until(t, "it counts on", func() bool {
		_, out := e.try(t, "exec", name, "cat", "/tmp/count")
		return strings.TrimSpace(out) != count
	})
	e.run(t, "pause", name)
	e.remove(t, name)
}

func restarts(t *testing.T, e *engine) {
	name := e.start(t, nil, "echo more >>/etc/kept; trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done")
	ready(t, e, name, "ready")
	pid := e.ask(t, name, "{{.State.Pid}}")
	e.run(t, "restart", "-t", "200", name)
	testwait.Until(t, "both runs have written", func() bool {
		_, out := e.try(t, "exec", name, "cat", "/etc/kept")
		return strings.TrimSpace(out) == "more\nmore"
	})
	if again := e.ask(t, name, "{{.State.Pid}}"); again == pid || again == "0" {
		t.Errorf("pid %s before and %s after", pid, again)
	}
	e.run(t, "stop", "-t", "5", name)
	e.run(t, "start", name)
	is(t, e.ask(t, name, "{{.State.Running}}"), "true")
}

func restartPolicy(t *testing.T, e *engine) {
	name := e.start(t, []string{"--restart", "on-failure:2"}, "exit 5")
	testwait.Until(t, "it is restarted twice", func() bool {
		return e.ask(t, name, "{{.RestartCount}} {{.State.Status}}") == "2 exited"
	})
}

func tops(t *testing.T, e *engine) {
	name := e.start(t, nil, "sleep 1001 & exec sleep 1002")
	e.run(t, "exec", "-d", name, "sleep", "1003")
	testwait.Until(t, "top shows all", func() bool {
		out := e.run(t, "top", name)
		return strings.Contains(out, "sleep 1001") && strings.Contains(out, "sleep 1002") && strings.Contains(out, "sleep 1003")
	})
}

func stats(t *testing.T, e *engine) {
	name := e.start(t, []string{"--memory", "48m"}, "exec sleep 1000")
	out := e.run(t, "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}", name)
	has(t, out, name, " 1")
	if !strings.Contains(out, "48MiB") && !strings.Contains(out, "50.33MB") {
		t.Errorf("no limit of 48 MiB in %q", out)
	}
}

func updates(t *testing.T, e *engine) {
	name := e.start(t, []string{"--memory", "64m", "--memory-swap", "64m"}, "exec sleep 1000")
	args := []string{"update", "--memory", "96m", "--memory-swap", "96m", "--cpu-shares", "512", "--cpu-quota", "50000", "--cpu-period", "100000"}
	if e.name == "docker" { // Podman 4.3 cannot change it
		args = append(args, "--pids-limit", "77")
	}
	e.run(t, append(args, name)...)
	is(t, e.run(t, "exec", name, "sh", "-c", "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.shares cpu/cpu.cfs_quota_us"),
		"100663296", "512", "50000")
	if e.name == "docker" {
		is(t, e.run(t, "exec", name, "cat", "/sys/fs/cgroup/pids/pids.max"), "77")
	}
	is(t, e.run(t, "exec", name, "cat", "/proc/1/comm"), "sleep")
}

// outOfMemory has a victim that init outlives, and that waits until the engine looks: one
// that is told of the exit first, or begins to look behind the kill, does not know why.
func outOfMemory(t *testing.T, e *engine) {
	name := e.start(t, []string{"--memory", "20m", "--memory-swap", "20m"}, `until [ -e /tmp/begin ]; do sleep 0.1; done
dd if=/dev/zero of=/dev/null bs=200M count=1; code=$?; echo over; until [ -e /tmp/end ]; do sleep 0.1; done; exit $code`)
	e.run(t, "exec", name, "touch", "/tmp/begin")
	if e.name != "podman" { // on cgroup v1 it does not tell, with runc neither
		testwait.Until(t, "the engine is told", func() bool {
			return e.run(t, "events", "--since", "24h", "--until", "0s", "--filter", "container="+name, "--filter", "event=oom") != ""
		})
	}
	// Before that a process has no room.
	testwait.Until(t, "the victim's end", func() bool { return strings.Contains(e.run(t, "logs", name), "over") })
	e.run(t, "exec", name, "touch", "/tmp/end")
	is(t, e.run(t, "wait", name), "137")
	if e.name != "podman" {
		is(t, e.ask(t, name, "{{.State.OOMKilled}} {{.State.ExitCode}}"), "true 137")
	}
}

func healthCheck(t *testing.T, e *engine) {
	name := e.start(t, []string{"--health-cmd", "test -e /tmp/healthy", "--health-interval", "500ms", "--health-retries", "2"}, "exec sleep 1000")
	probe := func() {
		if e.name == "podman" { // it leaves the regular ones to systemd
			e.try(t, "healthcheck", "run", name)
		}
	}
	e.run(t, "exec", name, "touch", "/tmp/healthy")
	testwait.Until(t, "it is healthy", func() bool {
		probe()
		return e.ask(t, name, "{{.State.Health.Status}}") == "healthy"
	})
	e.run(t, "exec", name, "rm", "/tmp/healthy")
	testwait.Until(t, "it is unhealthy", func() bool {
		probe()
		return e.ask(t, name, "{{.State.Health.Status}}") == "unhealthy"
	})
}
