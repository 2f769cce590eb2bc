package engines

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/tests/testneed"
	"github.com/hutch-project/hutch/tests/testwait"
)

// The tests of this file are run by the virtual machine with Debian's criu (tests/vm/suite),
// since that criu cannot dump on kernels of today.

func needsCRIU(t *testing.T) {
	t.Helper()
	testneed.Feature(t, "criu", exec.Command("criu", "check").Run() == nil)
}

// counter is a program whose memory and open files a checkpoint has to keep.
const counter = `exec 5>>/tmp/open; i=0; while :; do i=$((i+1)); echo $i >/dev/shm/n; echo $i >&5; sleep 0.1; done`

// reached returns what the counter has come to.
func reached(t *testing.T, read func() string) int {
	t.Helper()
	n := 0
	testwait.Until(t, "the counter has written", func() bool {
		n, _ = strconv.Atoi(strings.TrimSpace(read()))
		return n > 0
	})
	return n
}

// goesOn waits until the counter is further than n, and fails where it has begun anew.
func goesOn(t *testing.T, n int, read func() string) int {
	t.Helper()
	last := 0
	testwait.Poll(t, func() string {
		return "the counter goes on from " + strconv.Itoa(n) + "; it is at " + strconv.Itoa(last)
	}, func() bool {
		last, _ = strconv.Atoi(strings.TrimSpace(read()))
		return last > n
	})
	return last
}

// count reads the file of the counter of a container, by the process id that the engine has.
func (e *engine) count(t *testing.T, name string) func() string {
	t.Helper()
	pid := e.ask(t, name, "{{.State.Pid}}")
	return countOf(pid)
}

func countOf(pid string) func() string {
	return func() string {
		data, _ := os.ReadFile("/proc/" + pid + "/root/dev/shm/n")
		return string(data)
	}
}

// TestCheckpointPodman is `podman container checkpoint` and `restore`, in the place, by an
// archive as for a migration, with memory copied ahead, and of a container that runs on.
func TestCheckpointPodman(t *testing.T) {
	needsCRIU(t)
	podman := setUpPodman(t)
	for _, s := range []struct {
		name string
		run  func(*testing.T, *engine)
	}{
		{"in place", podmanInPlace},
		{"archive", podmanArchive},
		{"ahead", podmanAhead},
		{"connection", podmanConnection},
		{"terminal", podmanTerminal},
	} {
		t.Run(s.name, func(t *testing.T) { s.run(t, podman) })
	}
	nothingLeft(t, podman)
}

// podmanInPlace also holds that what a container is denied is denied after the restore.
func podmanInPlace(t *testing.T, e *engine) {
	dir := t.TempDir()
	write(t, dir+"/file", "from the host\n")
	name := e.start(t, []string{"--network", "none", "--memory", "64m", "--cap-drop", "CHOWN", "--security-opt", "no-new-privileges", "-v", dir + ":/data:ro"}, counter)
	n := reached(t, e.count(t, name))
	is(t, e.run(t, "container", "checkpoint", "--leave-running", "--keep", name), name)
	is(t, e.ask(t, name, "{{.State.Status}}"), "running")
	n = goesOn(t, n, e.count(t, name))
	is(t, e.run(t, "container", "checkpoint", name), name)
	is(t, e.ask(t, name, "{{.State.Status}} {{.State.Checkpointed}}"), "exited true")
	is(t, e.run(t, "container", "restore", name), name)
	is(t, e.ask(t, name, "{{.State.Status}} {{.State.Restored}}"), "running true")
	n = goesOn(t, n, e.count(t, name))
	is(t, e.run(t, "exec", name, "sh", "-c", `cat /data/file; { echo x >/data/file; } 2>/dev/null || echo refused; grep -E "CapBnd|NoNewPrivs|Seccomp:" /proc/1/status; cat /sys/fs/cgroup/memory.max`),
		"from the host", "refused", "CapBnd:\t00000000a80425fa", "NoNewPrivs:\t1", "Seccomp:\t2", "67108864")
	e.run(t, "pause", name)
	e.run(t, "unpause", name)
	// Once more, with the logs and statistics that Podman reads.
	has(t, e.run(t, "container", "checkpoint", "--keep", "--print-stats", name), "runtime_checkpoint_duration", "frozen_time", "pages_written")
	has(t, e.run(t, "container", "restore", "--keep", "--print-stats", name), "runtime_restore_duration", "pages_restored")
	goesOn(t, n, e.count(t, name))
	e.run(t, "kill", name)
	is(t, e.run(t, "wait", name), "137")
}

// podmanArchive takes a container to another name by a file, as to another host.
func podmanArchive(t *testing.T, e *engine) {
	name := e.start(t, []string{"--network", "none"}, "echo kept >/etc/kept; "+counter)
	n := reached(t, e.count(t, name))
	archive := filepath.Join(t.TempDir(), "archive.tar.gz")
	e.run(t, "container", "checkpoint", "--compress", "gzip", "--export", archive, name)
	e.remove(t, name)
	is(t, e.run(t, "ps", "-aq"), "")
	e.run(t, "container", "restore", "--import", archive)
	first := goesOn(t, n, e.count(t, name))
	is(t, e.run(t, "exec", name, "cat", "/etc/kept"), "kept")
	other := name + "-other"
	t.Cleanup(func() { e.remove(t, other) })
	e.run(t, "container", "restore", "--import", archive, "--name", other)
	goesOn(t, n, e.count(t, other))
	goesOn(t, first, e.count(t, name))
}

// podmanAhead copies the memory ahead, and exports both parts.
func podmanAhead(t *testing.T, e *engine) {
	name := e.start(t, []string{"--network", "none"}, counter)
	n := reached(t, e.count(t, name))
	dir := t.TempDir()
	e.run(t, "container", "checkpoint", "--pre-checkpoint", "--compress", "none", "--export", dir+"/pre.tar", name)
	is(t, e.ask(t, name, "{{.State.Status}}"), "running")
	n = goesOn(t, n, e.count(t, name))
	e.run(t, "container", "checkpoint", "--with-previous", "--compress", "none", "--export", dir+"/last.tar", name)
	e.remove(t, name)
	e.run(t, "container", "restore", "--import-previous", dir+"/pre.tar", "--import", dir+"/last.tar")
	goesOn(t, n, e.count(t, name))
}

// podmanConnection has a network of Podman's, whose namespace the restored container joins,
// and a connection from the host that outlives the checkpoint.
func podmanConnection(t *testing.T, e *engine) {
	name := e.start(t, []string{"--ip", "10.88.0.77"}, `while :; do nc -l -p 80 -e sh -c 'while read line; do echo "got $line"; done'; done`)
	var conn net.Conn
	testwait.Until(t, "the server listens", func() (ok bool) {
		var err error
		// A probe that comes between the network and the socket is answered by a reset.
		conn, err = (&net.Dialer{KeepAlive: -1}).Dial("tcp", "10.88.0.77:80")
		return err == nil
	})
	defer conn.Close()
	answers := func(word string) {
		t.Helper()
		if _, err := fmt.Fprintln(conn, word); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		_ = conn.SetReadDeadline(testwait.Deadline())
		if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "got "+word+"\n" {
			t.Fatalf("the answer is %q, %v", buf[:n], err)
		}
	}
	answers("before")
	code, refused := e.try(t, "container", "checkpoint", name)
	if code == 0 {
		t.Fatalf("a connection is given up: %s", refused)
	}
	has(t, refused, "--tcp-established")
	e.run(t, "container", "checkpoint", "--tcp-established", name)
	e.run(t, "container", "restore", "--tcp-established", name)
	answers("after")
}

// podmanTerminal has a terminal that nobody is attached to.
func podmanTerminal(t *testing.T, e *engine) {
	name := e.start(t, []string{"--network", "none", "-t"}, "tty; "+counter)
	n := reached(t, e.count(t, name))
	e.run(t, "container", "checkpoint", name)
	e.run(t, "container", "restore", name)
	goesOn(t, n, e.count(t, name))
	is(t, e.run(t, "exec", name, "readlink", "/proc/1/fd/0"), "/dev/pts/0")
}

// TestCheckpointContainerd is `ctr` with Debian's containerd: checkpoints of a paused task into
// images that containerd keeps, and into a directory.
func TestCheckpointContainerd(t *testing.T) {
	needsCRIU(t)
	need(t, "containerd", "ctr", "containerd-shim-runc-v2")
	e := startContainerd(t, "containerd-checkpoint")
	ctrCheckpoint(t, e)
}

// TestCheckpointContainerd2 does so with a current one.
func TestCheckpointContainerd2(t *testing.T) {
	needsCRIU(t)
	folder := os.Getenv("CONTAINERD")
	if _, err := os.Stat(filepath.Join(folder, "ctr")); err != nil || folder == "" {
		t.Skip("needs CONTAINERD, the folder of a built containerd 2 (make engines)")
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	e := startContainerd(t, "containerd-checkpoint-2")
	ctrCheckpoint(t, e)
}

func ctrCheckpoint(t *testing.T, e *engine) {
	background(t, e, "counted", nil, "sh", "-c", counter)
	count := func(id string) func() string {
		t.Helper()
		for line := range strings.Lines(e.run(t, "task", "ls")) {
			if f := strings.Fields(line); f[0] == id {
				return countOf(f[1])
			}
		}
		t.Fatalf("no task %s", id)
		return nil
	}
	n := reached(t, count("counted"))
	const kept = "docker.io/library/kept:latest"
	e.run(t, "container", "checkpoint", "--rw", "--image", "--task", "counted", kept)
	has(t, e.run(t, "task", "ls"), "RUNNING")
	goesOn(t, n, count("counted"))
	dir := t.TempDir()
	e.run(t, "task", "checkpoint", "--exit", "--image-path", dir+"/images", "--work-path", dir+"/work", "counted")
	testwait.Until(t, "it is stopped", func() bool { return strings.Contains(e.run(t, "task", "ls"), "STOPPED") })
	if _, err := os.Stat(dir + "/images/inventory.img"); err != nil {
		t.Error(err)
	}
	e.try(t, "task", "rm", "counted")
	e.run(t, "container", "rm", "counted")
	t.Cleanup(func() {
		e.try(t, "task", "kill", "-s", "KILL", "counted")
		e.try(t, "task", "rm", "-f", "counted")
		e.try(t, "container", "rm", "counted")
	})
	e.run(t, "container", "restore", "--rw", "--live", "counted", kept)
	goesOn(t, n, count("counted"))
	has(t, e.run(t, "task", "ls"), "RUNNING")
}

// TestCheckpointDocker is `docker checkpoint`, which is one of dockerd's experiments.
func TestCheckpointDocker(t *testing.T) {
	needsCRIU(t)
	need(t, "dockerd", "docker", "containerd", "containerd-shim-runc-v2", "iptables")
	docker, _ := startDocker(t, "docker-checkpoint", `"experimental": true,`)
	name := docker.start(t, []string{"--network", "none"}, counter)
	n := reached(t, docker.count(t, name))
	docker.run(t, "checkpoint", "create", "--leave-running", name, "first")
	n = goesOn(t, n, docker.count(t, name))
	docker.run(t, "checkpoint", "create", name, "second")
	is(t, docker.ask(t, name, "{{.State.Status}}"), "exited")
	has(t, docker.run(t, "checkpoint", "ls", name), "first", "second")
	docker.run(t, "start", "--checkpoint", "second", name)
	goesOn(t, n, docker.count(t, name))
	docker.remove(t, name)
	nothingLeft(t, docker)
}

// TestCheckpointCRI is what a kubelet asks a current containerd for to look at a container
// elsewhere, and a container of another pod that is made of that.
func TestCheckpointCRI(t *testing.T) {
	needsCRIU(t)
	folder := os.Getenv("CONTAINERD")
	if _, err := os.Stat(filepath.Join(folder, "ctr")); err != nil || folder == "" {
		t.Skip("needs CONTAINERD, the folder of a built containerd 2 (make engines)")
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	need(t, os.Getenv("CRI"))
	socket := startCRI(t, "cri-checkpoint").call[2]
	from := registry(t, `"Env": ["PATH=/bin"]`)
	if code, out := kubelet(t, socket, from+"/bb:latest", "checkpoint"); code != 0 {
		t.Error(out)
	}
}
