package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The tests of this file are what the tests of the box run in it: each does what the
// box is there for, and is skipped elsewhere.

const actVariable = "HUTCH_BOX_ACT"

func act(t *testing.T) {
	t.Helper()
	if os.Getenv(actVariable) == "" {
		t.Skip("runs in a box, for another test")
	}
}

// freezers lists the cgroup that the tests are in of each hierarchy that can freeze,
// as files and the words for them.
func freezers() map[string]string {
	found := map[string]string{}
	if os.Geteuid() != 0 {
		return found
	}
	for _, dir := range cgroupRoots() {
		if _, err := os.Stat(dir + "/cgroup.controllers"); err == nil {
			found[dir+"/%s/cgroup.freeze"] = "1"
		} else if strings.HasSuffix(dir, "/freezer") {
			found[dir+"/%s/freezer.state"] = "FROZEN"
		}
	}
	return found
}

// cgroupRoots lists where cgroup hierarchies are mounted.
func cgroupRoots() []string {
	table, _ := os.ReadFile("/proc/self/mountinfo")
	var dirs []string
	for line := range strings.Lines(string(table)) {
		if m, ok := parseMount(line); ok && strings.HasPrefix(m.fs, "cgroup") {
			dirs = append(dirs, m.at)
		}
	}
	return dirs
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestActLook(t *testing.T) {
	act(t)
	in, err := os.Readlink("/proc/self/fd/0")
	must(t, err)
	groups, err := os.ReadFile("/proc/self/cgroup")
	must(t, err)
	self, err := os.Readlink("/proc/self")
	must(t, err)
	// The last is the shell's, of the directory.
	open, err := exec.Command("sh", "-c", "cd /proc/$$/fd && echo *").Output()
	must(t, err)
	fmt.Printf("look: descriptors %s, parent %d, proc %v, stdin %s, temporary %s, cgroups %s\n", strings.TrimSpace(string(open)), os.Getppid(), self == fmt.Sprint(os.Getpid()),
		in, os.TempDir(), strings.ReplaceAll(strings.TrimSpace(string(groups)), "\n", " "))
}

func TestActFail(t *testing.T) {
	act(t)
	t.Log("words of the parent")
	t.Run("good", func(t *testing.T) { t.Log("words of the good") })
	t.Run("bad", func(t *testing.T) {
		t.Run("worse", func(t *testing.T) { t.Error("words of the worse") })
	})
	t.Run("skipped", func(t *testing.T) { t.Skip("words of the skipped") })
}

func TestActPass(t *testing.T) {
	act(t)
	t.Log("words of the passing")
}

func TestActExit(t *testing.T) {
	act(t)
	os.Exit(7)
}

func TestActKilled(t *testing.T) {
	act(t)
	unix.Kill(os.Getpid(), unix.SIGKILL)
	select {}
}

// TestActSignal says which signal comes.
func TestActSignal(t *testing.T) {
	act(t)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGUSR1)
	ready(t)
	fmt.Printf("signal: %v\n", <-signals)
}

// ready tells the test outside that this one is there.
func ready(t *testing.T) {
	t.Helper()
	must(t, os.WriteFile(os.Getenv(actVariable), []byte("ready\n"), 0))
}

// TestActOrphan leaves an orphan to init that ends: a zombie is there if none reaps it.
func TestActOrphan(t *testing.T) {
	act(t)
	out, err := exec.Command("sh", "-c", "sh -c : & echo $!").Output()
	must(t, err)
	pid := strings.TrimSpace(string(out))
	within(t, "the orphan is reaped", func() bool {
		_, err := os.Stat("/proc/" + pid)
		return os.IsNotExist(err)
	})
}

func TestActHang(t *testing.T) {
	act(t)
	select {}
}

// TestActHangIgnoring cannot be ended but by SIGKILL.
func TestActHangIgnoring(t *testing.T) {
	act(t)
	must(t, unix.Exec("/bin/sh", []string{"sh", "-c", "trap '' QUIT TERM INT; while :; do sleep 1000; done"}, os.Environ()))
}

// TestActHangFrozen freezes itself.
func TestActHangFrozen(t *testing.T) {
	act(t)
	for file, word := range freezers() {
		file = fmt.Sprintf(file, "frozen")
		must(t, os.MkdirAll(filepath.Dir(file), 0o755))
		must(t, os.WriteFile(filepath.Dir(file)+"/cgroup.procs", []byte("0"), 0))
		must(t, os.WriteFile(file, []byte(word), 0))
	}
	select {}
}

// TestActMess leaves a spinning child in frozen cgroups, a stopped one, a mount, a
// file, and waits to be killed.
func TestActMess(t *testing.T) {
	act(t)
	spinning := exec.Command("sh", "-c", "while :; do :; done")
	must(t, spinning.Start())
	for file, word := range freezers() {
		file = fmt.Sprintf(file, "frozen")
		must(t, os.MkdirAll(filepath.Dir(file), 0o755))
		must(t, os.WriteFile(filepath.Dir(file)+"/cgroup.procs", []byte(fmt.Sprint(spinning.Process.Pid)), 0))
		must(t, os.WriteFile(file, []byte(word), 0))
	}
	stopped := exec.Command("setsid", "sleep", "1000")
	must(t, stopped.Start())
	must(t, unix.Kill(stopped.Process.Pid, unix.SIGSTOP))
	dir, err := os.MkdirTemp("", "mess-")
	must(t, err)
	if os.Geteuid() == 0 {
		must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
	}
	must(t, os.WriteFile(dir+"/file", nil, 0o644))
	ready(t)
	select {}
}

func TestActA(t *testing.T) { act(t) }

func TestActBLeavesFiles(t *testing.T) {
	act(t)
	must(t, os.WriteFile("/run/hutch-act", nil, 0o644))
	must(t, os.WriteFile(filepath.Join(os.TempDir(), "act"), nil, 0o644))
	must(t, os.WriteFile(filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "act"), nil, 0o644))
}

func TestActCLeavesCgroups(t *testing.T) {
	act(t)
	for _, dir := range cgroupRoots() {
		must(t, os.Mkdir(dir+"/act", 0o755))
	}
}

func TestActD(t *testing.T) { act(t) }

func TestActELeavesMount(t *testing.T) {
	act(t)
	must(t, unix.Mount("tmpfs", "/mnt", "tmpfs", 0, ""))
}

func TestActFLeavesNamespace(t *testing.T) {
	act(t)
	must(t, os.MkdirAll("/run/netns", 0o755))
	must(t, os.WriteFile("/run/netns/act", nil, 0o644))
	must(t, unix.Mount("/proc/self/ns/net", "/run/netns/act", "", unix.MS_BIND, ""))
}

func TestActG(t *testing.T) { act(t) }

func TestActHLeavesProcess(t *testing.T) {
	act(t)
	must(t, exec.Command("sh", "-c", "setsid sleep 1001 >/dev/null 2>&1 &").Run())
}

func TestActLast(t *testing.T) { act(t) }
