package integration

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestDeleteLeavesTheSuccessorAlone: a container that has ended, and a later one in its
// cgroups: of the same cgroupsPath, or of the same id in another state directory.
func TestDeleteLeavesTheSuccessorAlone(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 kills the second by its delete of the first")
	for name, edit := range map[string]edit{
		"same cgroupsPath": func(s *specs.Spec) {},
		"same id":          func(s *specs.Spec) { s.Linux.CgroupsPath = "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := newBundle(t, args("true"), edit)
			first.create().start().wait()
			second := newBundle(t, args("sleep", "1000"), edit)
			if second.spec.Linux.CgroupsPath == "" {
				second.id = first.id
			} else {
				second.spec.Linux.CgroupsPath = first.spec.Linux.CgroupsPath
				second.writeSpec()
			}
			second.create().start()
			first.rt("kill", first.id, "KILL").failed(t, "not running")
			first.rt("ps", first.id).failed(t, "no cgroup any more")
			first.rt("pause", first.id).failed(t)
			first.rt("delete", first.id).ok(t)
			second.status("running")
			if res := second.rt("ps", "--format", "json", second.id).ok(t); !strings.Contains(res.stdout, "[") {
				t.Errorf("%s", res)
			}
			second.kill("KILL").wait()
			second.delete()
		})
	}
}

// TestDeleteAndKillOfContainerThatFreezesItself: on cgroup v1 a frozen process does not see
// SIGKILL, and the processes of a container to which its freezer is writable freeze it again
// whenever it is thawed.
func TestDeleteAndKillOfContainerThatFreezesItself(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 thaws once")
	if onV2(t) {
		t.Skip("needs cgroup v1: a frozen process of v2 ends by SIGKILL")
	}
	const own = "/sys/fs/cgroup/freezer/freezer.state"
	b := newBundle(t, sh("for i in $(seq 40); do (while :; do echo FROZEN; done >"+own+") & done; wait"),
		mount(specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"rw", "nosuid", "noexec", "nodev"}}))
	dir := ""          // of its freezer
	t.Cleanup(func() { // else a test that fails leaves what nobody can end
		for end := time.Now().Add(20 * time.Second); dir != "" && time.Now().Before(end); {
			tasks, err := os.ReadFile(dir + "/tasks")
			if err != nil || len(tasks) == 0 {
				return
			}
			for _, task := range strings.Fields(string(tasks)) {
				if pid, err := strconv.Atoi(task); err == nil {
					_ = unix.Kill(pid, unix.SIGKILL)
				}
			}
			_ = os.WriteFile(dir+"/freezer.state", []byte("THAWED"), 0)
		}
	})
	for _, words := range [][]string{{"delete", "--force"}, {"kill"}} {
		b.create().start()
		dir = b.cgroupDir("freezer")
		eventually(t, "it has frozen itself", func() bool { return strings.HasPrefix(readText(t, dir+"/freezer.state"), "FR") })
		args := append(words, b.id)
		if words[0] == "kill" {
			args = append(args, "KILL")
		}
		b.rt(args...).ok(t)
		b.wait()
		b.rt("delete", "--force", b.id).ok(t)
	}
}

// TestContainerThatFreezesItself: it is paused as by pause, and an exec that it has frozen on its
// way, or in its program, ends with it. On cgroup v2 it takes the host's cgroup namespace: in
// one of its own, nsdelegate keeps it from that.
func TestContainerThatFreezesItself(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 lets exec wait for ever")
	own, word, namespace := "/sys/fs/cgroup/freezer/freezer.state", "FROZEN", edit(func(*specs.Spec) {})
	if onV2(t) {
		own, word, namespace = "/sys/fs/cgroup/cgroup.freeze", "1", withoutNamespace(specs.CgroupNamespace)
	}
	for _, words := range [][]string{{"delete", "--force"}, {"kill"}} {
		b := newBundle(t, sh("echo "+word+" >"+own+"; exec sleep 1000"), namespace,
			mount(specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"rw", "nosuid", "noexec", "nodev"}}))
		b.create().start()
		b.waitsWith("paused")
		if res := b.rt("exec", b.id, "true"); res.code != 255 || !strings.Contains(res.stderr, "paused") {
			t.Errorf("%s", res)
		}
		b.rt("resume", b.id).ok(t)
		b.status("running")
		exec := call{root: b.root, args: []string{"exec", b.id, "sh", "-c", "echo " + word + " >" + own + "; exec sleep 1000"}}.start(t)
		b.waitsWith("paused")
		waiting := call{root: b.root, args: []string{"exec", "--ignore-paused", b.id, "sleep", "1000"}}.start(t)
		args := append(words, b.id)
		if words[0] == "kill" {
			args = append(args, "KILL")
		}
		b.rt(args...).ok(t)
		b.wait()
		if res := exec.wait(); res.code != 128+int(unix.SIGKILL) {
			t.Errorf("%s", res)
		}
		if res := waiting.wait(); res.code == 0 {
			t.Errorf("%s", res)
		}
		b.rt("delete", "--force", b.id).ok(t)
	}
}

// TestDeleteOfInitFrozenElsewhere: init was moved to a cgroup that is frozen. It is thawed if
// that is for nobody else.
func TestDeleteOfInitFrozenElsewhere(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 leaves init there")
	if onV2(t) {
		t.Skip("needs cgroup v1: a frozen process of v2 ends by SIGKILL")
	}
	b := newBundle(t, args("sleep", "1000")).create().start()
	dir := b.cgroupDir("freezer") + "-elsewhere"
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		_ = os.WriteFile(dir+"/freezer.state", []byte("THAWED"), 0o644)
		eventually(t, "the cgroup can be removed", func() bool { return os.Remove(dir) == nil })
	})
	write("cgroup.procs", strconv.Itoa(b.pid))
	write("freezer.state", "FROZEN")
	b.rt("delete", "--force", b.id).ok(t)
	b.wait()
}
