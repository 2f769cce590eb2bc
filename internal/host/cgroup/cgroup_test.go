package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/tests/testplain"
	"github.com/hutch-project/hutch/tests/testwait"
)

// init keeps the main thread for the main goroutine: a goroutine that ends while
// it is locked to the main thread does not end that, and the cgroups that it has
// entered could not be removed.
func init() { runtime.LockOSThread() }

// unique returns a name that no other test, of this or another run, has.
func unique() string { return testplain.Unique("hutch-test") }

// roots returns the mount roots of this machine to test on, by their mode: the
// host's own and, where that is hybrid, its unified mount taken for a pure v2.
func roots(t *testing.T) map[Mode]string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root to make cgroups")
	}
	out := map[Mode]string{}
	for _, root := range []string{Root, Root + "/unified"} {
		l, err := Detect(root)
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		if l.Mode != None {
			out[l.Mode] = root
		}
	}
	if len(out) == 0 {
		t.Skip("needs a cgroup mount on " + Root)
	}
	return out
}

// forEach runs f on each kind of cgroup mount that the machine has.
func forEach(t *testing.T, f func(t *testing.T, l *Layout)) {
	for mode, root := range roots(t) {
		t.Run(mode.String(), func(t *testing.T) {
			l, err := Detect(root)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(l.Close)
			f(t, l)
		})
	}
}

// planned makes the cgroups of path and takes them away after the test.
func planned(t *testing.T, l *Layout, path string) (*Plan, Manager) {
	t.Helper()
	p, err := l.Plan(path, "unused")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Create(); err != nil {
		t.Fatal(err)
	}
	m := p.Manager()
	t.Cleanup(func() {
		if err := errors.Join(m.KillAll(), m.Remove(), p.Undo()); err != nil {
			t.Error(err)
		}
		if m.Exists() {
			t.Errorf("%v is left", m.Paths())
		}
	})
	return p, m
}

// born starts a shell inside the cgroups of p and waits for its word "ready".
func born(t *testing.T, p *Plan, script string) *exec.Cmd {
	t.Helper()
	var out io.Reader
	cmd := started(t, p, func(cmd *exec.Cmd) {
		var err error
		if out, err = cmd.StdoutPipe(); err != nil {
			t.Fatal(err)
		}
	}, script)
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the shell said %q: %v", line, err)
	}
	return cmd
}

// started starts a shell inside the cgroups of p, after prepare has had it.
func started(t *testing.T, p *Plan, prepare func(*exec.Cmd), script string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", script)
	prepare(cmd)
	startInside(t, p, cmd)
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

// startInside starts cmd inside the cgroups of p.
func startInside(t *testing.T, p *Plan, cmd *exec.Cmd) {
	t.Helper()
	e, err := p.Entry(true)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if e.Cgroup >= 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: e.Cgroup}
	}
	// As a container's first process does, it writes itself into the files of v1. A
	// thread of this process that stood in a frozen cgroup would hold all of it, and
	// nothing could end it.
	enter := ""
	for _, fd := range e.Tasks {
		enter += fmt.Sprintf("echo 0 >/proc/%d/fd/%d && ", os.Getpid(), fd)
	}
	if enter != "" {
		enter += `echo in >&3 && exec 3>&- && exec "$@"`
		cmd.Args = append([]string{"sh", "-c", enter, "sh", cmd.Path}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd.ExtraFiles = []*os.File{w}
	err = cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if enter == "" {
		return
	}
	testwait.Readable(t, "a process enters its cgroups", int(r.Fd()))
	if n, _ := r.Read(make([]byte, 4)); n == 0 {
		t.Fatalf("a process has not entered its cgroups: %v", testwait.Command(t, cmd))
	}
}

func TestBornInside(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		p, m := planned(t, l, unique())
		cmd := born(t, p, "echo ready; exec sleep 1000")
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		for i := range p.dirs {
			want := ":" + p.dirs[i].name + ":/" + p.dirs[i].Path + "\n"
			if !strings.Contains(string(text), want) {
				t.Errorf("/proc/PID/cgroup has no line ending in %q:\n%s", want, text)
			}
		}
		if pids, err := m.Pids(); err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
			t.Errorf("Pids: got %v, %v, want [%d]", pids, err, cmd.Process.Pid)
		}
		if own, err := os.ReadFile("/proc/self/cgroup"); err != nil || string(own) == string(text) {
			t.Errorf("the runtime itself has moved: %s %v", own, err)
		}
	})
}

func TestRemoveWaitsForTheKilled(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		p, m := planned(t, l, unique()+"/inner")
		cmd := born(t, p, "sleep 1000 & echo ready; exec sleep 1000")
		loaded, err := Load(m.Paths(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if pids, err := loaded.Pids(); err != nil || len(pids) != 2 {
			t.Errorf("Pids: got %v, %v, want two", pids, err)
		}
		if err := loaded.KillAll(); err != nil {
			t.Fatal(err)
		}
		if err := loaded.Remove(); err != nil {
			t.Fatal(err)
		}
		if loaded.Exists() {
			t.Error("still exists")
		}
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Errorf("the process ended with %v, not by SIGKILL", err)
		}
	})
}

func TestKillAllHasNoEscape(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		p, m := planned(t, l, unique())
		// Forks as fast as it can, and each child once more.
		born(t, p, "echo ready; while :; do (sleep 1000 & sleep 1000 &) ; done")
		testwait.Until(t, "many processes", func() bool {
			pids, err := m.Pids()
			return err == nil && len(pids) > 20
		})
		if err := m.KillAll(); err != nil {
			t.Fatal(err)
		}
		if err := m.Remove(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestNestedCgroupsAreListedKilledAndRemoved(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		p, m := planned(t, l, unique())
		cmd := born(t, p, "echo ready; exec sleep 1000")
		for i := range p.dirs {
			deep := filepath.Join(p.dirs[i].Abs, "a", "b")
			for _, dir := range []string{deep, filepath.Join(p.dirs[i].Abs, "c")} {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if hasController(p.dirs[i].name, "cpuset") {
				if err := inheritCpuset(cgroupfs.Dir{FD: p.dirs[i].FD, Path: p.dirs[i].Path + "/a/b", Abs: p.dirs[i].Abs + "/a/b"}, nil); err != nil {
					t.Fatal(err)
				}
			}
			procs := filepath.Join(deep, "cgroup.procs")
			if err := os.WriteFile(procs, fmt.Append(nil, cmd.Process.Pid), 0); err != nil {
				t.Fatal(err)
			}
		}
		if pids, err := m.Pids(); err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
			t.Errorf("Pids: got %v, %v, want [%d]", pids, err, cmd.Process.Pid)
		}
		if err := errors.Join(m.KillAll(), m.Remove()); err != nil {
			t.Fatal(err)
		}
		if m.Exists() {
			t.Error("still exists")
		}
	})
}

func TestRemoveGoesDeeperThanPaths(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		_, m := planned(t, l, unique())
		name := m.Paths().names()[0]
		fd, err := unix.Open(m.Paths()[name], unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		long := strings.Repeat("d", 200)
		for range 30 { // 6000 bytes
			if err := unix.Mkdirat(fd, long, 0o755); err != nil {
				t.Fatal(err)
			}
			next, err := unix.Openat(fd, long, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			unix.Close(fd)
			fd = next
		}
		unix.Close(fd)
		if err := m.Remove(); err != nil {
			t.Fatal(err)
		}
		if cgroupfs.Exists(m.Paths()[name]) {
			t.Error("still exists")
		}
	})
}

func TestFrozenContainerDies(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		p, m := planned(t, l, unique())
		cmd := born(t, p, "echo ready; exec sleep 1000")
		file, state := "", ""
		for name, dir := range m.Paths() {
			if hasController(name, "freezer") {
				file, state = dir+"/freezer.state", "FROZEN"
			} else if name == "" && l.Mode == V2 {
				file, state = dir+"/cgroup.freeze", "1"
			}
		}
		if file == "" {
			t.Skip("needs a freezer")
		}
		if m.Frozen() {
			t.Error("frozen from the start")
		}
		if err := os.WriteFile(file, []byte(state), 0); err != nil {
			t.Fatal(err)
		}
		if !m.Frozen() {
			t.Error("Frozen: got false")
		}
		if err := m.Thaw(); err != nil || m.Frozen() {
			t.Errorf("Thaw: %v, frozen %v", err, m.Frozen())
		}
		if err := os.WriteFile(file, []byte(state), 0); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(m.KillAll(), m.Remove()); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
	})
}

func TestCreateRefusesUsedAndFrozen(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		path := unique()
		p, m := planned(t, l, path)
		second, err := l.Plan(path, "unused")
		if err != nil {
			t.Fatal(err)
		}
		if err := second.Create(); err != nil {
			t.Errorf("an empty cgroup that exists is refused: %v", err)
		}
		if m.Exists() {
			t.Error("the empty cgroup is not made anew")
		}
		if err := second.Undo(); err != nil || second.Manager().Exists() {
			t.Errorf("Undo has left what it had made: %v", err)
		}
		if err := p.Create(); err != nil {
			t.Fatal(err)
		}
		m = p.Manager()
		cmd := born(t, p, "echo ready; exec sleep 1000")
		if err := second.Create(); !errors.Is(err, ErrNotEmpty) || !strings.Contains(err.Error(), "1 process(es)") {
			t.Errorf("used: got %v, want %v", err, ErrNotEmpty)
		}
		if err := second.Undo(); err != nil {
			t.Error(err)
		}
		if pids, err := m.Pids(); err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
			t.Errorf("the other container's process is gone: %v, %v", pids, err)
		}

		// A new cgroup below a frozen one is frozen.
		file, on := "", ""
		for name, dir := range m.Paths() {
			if hasController(name, "freezer") {
				file, on = dir+"/freezer.state", "FROZEN"
			} else if name == "" && l.Mode == V2 {
				file, on = dir+"/cgroup.freeze", "1"
			}
		}
		if file == "" {
			t.Skip("needs a freezer")
		}
		if err := os.WriteFile(file, []byte(on), 0); err != nil {
			t.Fatal(err)
		}
		below, err := l.Plan(path+"/x/y", "unused")
		if err != nil {
			t.Fatal(err)
		}
		if err := below.Create(); !errors.Is(err, ErrFrozen) {
			t.Errorf("frozen: got %v, want %v", err, ErrFrozen)
		}
		for _, dir := range m.Paths() {
			if cgroupfs.Exists(dir + "/x") {
				t.Errorf("the refused Create has left %s/x", dir)
			}
		}
		if err := m.Thaw(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestUndoTakesParents(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		top := unique()
		p, err := l.Plan(top+"/a/b", "unused")
		if err != nil {
			t.Fatal(err)
		}
		if p.Manager().Exists() {
			t.Fatal("Plan has an effect")
		}
		if err := p.Create(); err != nil {
			t.Fatal(err)
		}
		if !p.Manager().Exists() {
			t.Fatal("Create has made nothing")
		}
		if err := p.Undo(); err != nil {
			t.Fatal(err)
		}
		for _, dir := range p.Paths() {
			if above := strings.TrimSuffix(dir, "/a/b"); above == dir || cgroupfs.Exists(above) {
				t.Errorf("%s is left", above)
			}
		}
	})
}

func TestKillAllOfNothingLetsOthersBeBorn(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		p, m := planned(t, l, unique())
		if err := m.KillAll(); err != nil {
			t.Fatal(err)
		}
		born(t, p, "echo ready; exec sleep 1000")
	})
}

func TestUndoKillsWhatWasBorn(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		p, m := planned(t, l, unique())
		cmd := born(t, p, "echo ready; exec sleep 1000")
		if err := p.Undo(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil || m.Exists() {
			t.Errorf("the process ended with %v, the cgroup exists: %v", err, m.Exists())
		}
	})
}

func TestRemoveTellsWhatStays(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		p, m := planned(t, l, unique())
		cmd := born(t, p, "echo ready; exec sleep 1000")
		name := "cpu"
		if l.Mode == V2 {
			name = ""
		}
		dir, ok := m.Paths().With(name)
		if !ok {
			t.Skip("needs the cpu hierarchy")
		}
		err := removeTree(dir, name == "", time.Now().Add(20*time.Millisecond))
		want := fmt.Sprintf("cgroup %s stays: processes [%d] are still in it: rmdir: device or resource busy", dir, cmd.Process.Pid)
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	})
}

func TestGoneIsNoError(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		p, err := l.Plan(unique(), "unused")
		if err != nil {
			t.Fatal(err)
		}
		m := p.Manager()
		if err := errors.Join(m.KillAll(), m.Thaw(), m.Remove()); err != nil {
			t.Error(err)
		}
		if pids, err := m.Pids(); err != nil || len(pids) > 0 || m.Frozen() || m.Exists() {
			t.Errorf("got %v %v", pids, err)
		}
	})
}

func TestLoadRefusesOddRecords(t *testing.T) {
	for _, dir := range []string{"", "/", "a/b", "/sys/../etc", "/sys/fs/"} {
		if _, err := Load(Paths{"": dir}, nil); err == nil {
			t.Errorf("%q is taken", dir)
		}
	}
	for _, p := range []Paths{{"": Root}, {"": Root + "/unified"}, {"pids": Root + "/pids"}, {"name=systemd": Root}} {
		if _, err := Load(p, nil); err == nil || !strings.Contains(err.Error(), "is the whole hierarchy") {
			t.Errorf("%v: got %v", p, err)
		}
	}
	m, err := Load(nil, nil)
	if err != nil || m.Exists() || m.KillAll() != nil || m.Remove() != nil {
		t.Errorf("no cgroups: %v %v", m, err)
	}
	want := Paths{"": "/x/u", "cpu,cpuacct": "/x/c"}
	if m, err := Load(want, nil); err != nil || !maps.Equal(m.Paths(), want) {
		t.Errorf("got %v %v", m, err)
	}
}
