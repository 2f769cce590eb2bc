package cgroup

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/internal/proc"
	"github.com/hutch-project/hutch/tests/testplain"
	"github.com/hutch-project/hutch/tests/testwait"
)

// helperEnv makes the test binary a process of several threads, see helper.
const helperEnv = "HUTCH_CGROUP_HELPER"

func TestMain(m *testing.M) {
	if _, ok := os.LookupEnv(helperEnv); ok {
		helper(strings.Split(os.Getenv(helperEnv), ":"))
	}
	testplain.Main(m)
}

// helper is a process whose second thread writes itself to the files of tasks. It
// says "ready"; then it answers each line with "alive", and ends at the end of its
// input. With the first word "leaderless" its main thread ends before.
func helper(words []string) {
	ready := make(chan error)
	leaderless := words[0] == "leaderless"
	go func() {
		runtime.LockOSThread() // and never unlocked
		for _, tasks := range words[1:] {
			if err := os.WriteFile(tasks, []byte("0"), 0); err != nil {
				ready <- err
			}
		}
		if leaderless {
			for { // the kernel tells nobody but the parent that a main thread has ended, and not even that
				_, state, err := proc.StartTime(os.Getpid())
				if err != nil || state == 'Z' {
					break
				}
				time.Sleep(time.Millisecond)
			}
			answer()
		}
		ready <- nil
		select {} // the thread stays
	}()
	if leaderless {
		_, _, _ = unix.Syscall(unix.SYS_EXIT, 0, 0, 0) // the main thread alone: init has locked it
	}
	if err := <-ready; err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	answer()
}

func answer() {
	fmt.Println("ready")
	for in := bufio.NewReader(os.Stdin); ; fmt.Println("alive") {
		if _, err := in.ReadString('\n'); err != nil {
			os.Exit(0)
		}
	}
}

// threads is a running helper.
type threads struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// newThreads starts a helper, inside the cgroups of p when that is not nil.
func newThreads(t *testing.T, p *Plan, words ...string) *threads {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	h := &threads{cmd: exec.Command(exe)}
	h.cmd.Env = append(os.Environ(), helperEnv+"="+strings.Join(words, ":"))
	if h.in, err = h.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	h.out = bufio.NewReader(out)
	if p != nil {
		startInside(t, p, h.cmd)
	} else if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = h.cmd.Process.Kill()
		_ = h.cmd.Wait()
	})
	if line, err := h.out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the helper said %q: %v", line, err)
	}
	return h
}

// alive reports whether the helper answers: it does not with a signal that ends it
// pending.
func (h *threads) alive() bool {
	if _, err := io.WriteString(h.in, "\n"); err != nil {
		return false
	}
	line, _ := h.out.ReadString('\n')
	return line == "alive\n"
}

// killed reports whether the helper has ended by SIGKILL, which it waits for.
func (h *threads) killed() bool {
	_ = h.cmd.Wait()
	ws, ok := h.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && ws.Signaled() && ws.Signal() == unix.SIGKILL
}

// stranger starts a helper outside of the cgroups of m with a thread in all of v1.
func stranger(t *testing.T, m Manager) *threads {
	t.Helper()
	words := []string{"plain"}
	for name, dir := range m.Paths() {
		if name != "" {
			words = append(words, dir+"/tasks")
		}
	}
	return newThreads(t, nil, words...)
}

// forV1 runs f on the kinds of cgroup mount that have hierarchies of v1.
func forV1(t *testing.T, f func(t *testing.T, p *Plan, m Manager)) {
	ran := false
	forEach(t, func(t *testing.T, l *Layout) {
		if l.Mode != V2 {
			ran = true
			p, m := planned(t, l, unique())
			f(t, p, m)
		}
	})
	if !ran {
		t.Skip("needs cgroup v1")
	}
}

// TestThreadOfAnotherProcessIsNoMember has a process of the host with one thread in
// the container's cgroups, as a runtime that forks there has.
func TestThreadOfAnotherProcessIsNoMember(t *testing.T) {
	forV1(t, func(t *testing.T, p *Plan, m Manager) {
		inside := newThreads(t, p, "plain")
		alien := stranger(t, m)
		dir, _ := m.(v1).listing()
		procs, err := ids(dir, "cgroup.procs")
		if err != nil || !slices.Contains(procs, alien.cmd.Process.Pid) {
			t.Fatalf("cgroup.procs has not the other process, %d: %v, %v", alien.cmd.Process.Pid, procs, err)
		}
		if pids, err := m.Pids(); err != nil || !slices.Equal(pids, []int{inside.cmd.Process.Pid}) {
			t.Errorf("Pids: got %v, %v, want [%d]", pids, err, inside.cmd.Process.Pid)
		}
		if err := m.SignalAll(unix.SIGKILL); err != nil {
			t.Error(err)
		}
		if !inside.killed() {
			t.Error("SignalAll has not reached the member")
		}
		second := newThreads(t, p, "plain")
		if err := m.KillAll(); err != nil {
			t.Error(err)
		}
		if !second.killed() {
			t.Error("KillAll has not killed the member")
		}
		if !alien.alive() {
			t.Fatal("the other process has been killed")
		}
		err = removeTree(dir, false, time.Now())
		want := fmt.Sprintf("threads of the processes [%d], which are not the container's, are in it", alien.cmd.Process.Pid)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Remove: got %v, want %s", err, want)
		}
		alien.in.Close()
		_ = alien.cmd.Wait()
		if err := m.Remove(); err != nil {
			t.Error(err)
		}
	})
}

// TestThreadOfAnotherProcessIsNotFrozen holds the freezer off while one is inside.
func TestThreadOfAnotherProcessIsNotFrozen(t *testing.T) {
	forV1(t, func(t *testing.T, p *Plan, m Manager) {
		dir, ok := m.Paths().With("freezer")
		if !ok {
			t.Skip("needs the freezer")
		}
		newThreads(t, p, "plain")
		alien := stranger(t, m)
		written := watchWrites(t, dir+"/freezer.state")
		err := freezeV1(dir, time.Now())
		want := fmt.Sprintf("threads of the processes [%d], which are not the container's, are in it, and would be frozen with it", alien.cmd.Process.Pid)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if text, err := cgroupfs.ReadLine(unix.AT_FDCWD, dir+"/freezer.state"); err != nil || text != "THAWED\n" {
			t.Errorf("the state is %q, %v", text, err)
		}
		if n := written(); n != 1 {
			t.Errorf("the state was written %d times, want once, THAWED", n)
		}
		if frozen, err := freezeOnce(dir); frozen || err != nil {
			t.Errorf("frozen with the thread of another process: %v, %v", frozen, err)
		}
		if text, err := cgroupfs.ReadLine(unix.AT_FDCWD, dir+"/freezer.state"); err != nil || text != "THAWED\n" {
			t.Errorf("after it came in, the state is %q, %v", text, err)
		}
		// It waits for one that leaves.
		done := make(chan error)
		go func() { done <- freezeV1(dir, testwait.Deadline()) }()
		alien.in.Close()
		_ = alien.cmd.Wait()
		if err := errors.Join(testwait.Value(t, "the freezing", done), m.Thaw()); err != nil {
			t.Error(err)
		}
	})
}

// watchWrites gives what tells how often file has been written since the last time.
func watchWrites(t *testing.T, file string) func() int {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	// IN_OPEN, since equal events that follow each other are told once.
	if _, err := unix.InotifyAddWatch(fd, file, unix.IN_OPEN|unix.IN_MODIFY); err != nil {
		t.Fatal(err)
	}
	return func() int {
		var buf [4096]byte
		n, err := unix.Read(fd, buf[:])
		if err != nil && err != unix.EAGAIN {
			t.Fatal(err)
		}
		writes := 0
		for at := 0; at+unix.SizeofInotifyEvent <= n; at += unix.SizeofInotifyEvent { // without names
			if binary.NativeEndian.Uint32(buf[at+4:])&unix.IN_MODIFY != 0 {
				writes++
			}
		}
		return writes
	}
}

// TestJudgeOfThreads is what is made of the threads of a process without a main one.
func TestJudgeOfThreads(t *testing.T) {
	ended := thread{ends: true}
	for _, c := range []struct {
		name            string
		threads         []thread
		inside, outside bool
	}{
		{"none", []thread{ended}, false, false},
		{"a living one inside", []thread{ended, {within: true}}, true, false},
		{"a living one outside too", []thread{ended, {within: true}, {}}, true, true},
		{"one inside that ends", []thread{ended, {within: true, ends: true}}, true, true},
		{"one outside alone", []thread{ended, {}}, false, true},
	} {
		if in, out := judge(c.threads); in != c.inside || out != c.outside {
			t.Errorf("%s: got inside %v, outside %v", c.name, in, out)
		}
	}
}

// TestKillAllDoesNotFreezeAnotherProcess has members that fork faster than they
// are found, beside a thread of another process.
func TestKillAllDoesNotFreezeAnotherProcess(t *testing.T) {
	forV1(t, func(t *testing.T, _ *Plan, m Manager) {
		freezer, ok := m.Paths().With("freezer")
		if !ok {
			t.Skip("needs the freezer")
		}
		for _, c := range []struct {
			name   string
			l      listing
			frozen bool
		}{
			{"members alone", listing{members: []int{1}}, true},
			{"a stranger", listing{members: []int{1}, strangers: []int{2}}, false},
			{"the caller", listing{members: []int{os.Getpid()}}, false},
		} {
			if got := m.(v1).stall(c.l); got != c.frozen {
				t.Errorf("%s: stalled: %v", c.name, got)
			}
			text, err := cgroupfs.ReadLine(unix.AT_FDCWD, freezer+"/freezer.state")
			if got := text != "THAWED\n"; err != nil || got != c.frozen {
				t.Errorf("%s: the state is %q, %v", c.name, text, err)
			}
			if err := m.Thaw(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestProcessWithoutMainThreadIsKilled has a member whose main thread has ended.
func TestProcessWithoutMainThreadIsKilled(t *testing.T) {
	for name, end := range map[string]func(Manager) error{
		"KillAll":   Manager.KillAll,
		"SignalAll": func(m Manager) error { return m.SignalAll(unix.SIGKILL) },
	} {
		t.Run(name, func(t *testing.T) {
			forEach(t, func(t *testing.T, l *Layout) {
				p, m := planned(t, l, unique())
				h := newThreads(t, p, "leaderless")
				if pids, err := m.Pids(); err != nil || !slices.Equal(pids, []int{h.cmd.Process.Pid}) {
					t.Errorf("Pids: got %v, %v, want [%d]", pids, err, h.cmd.Process.Pid)
				}
				if !h.alive() {
					t.Fatal("the helper does not answer")
				}
				if err := end(m); err != nil {
					t.Error(err)
				}
				if !h.killed() {
					t.Error("it has not been killed")
				}
			})
		})
	}
}

// TestStrangerWithoutMainThreadIsLeftAlone is a process of the host whose main
// thread has ended, with one of its other threads inside.
func TestStrangerWithoutMainThreadIsLeftAlone(t *testing.T) {
	forV1(t, func(t *testing.T, _ *Plan, m Manager) {
		words := []string{"leaderless"}
		for name, dir := range m.Paths() {
			if name != "" {
				words = append(words, dir+"/tasks")
			}
		}
		h := newThreads(t, nil, words...)
		if err := m.KillAll(); err != nil {
			t.Error(err)
		}
		if pids, err := m.Pids(); err != nil || len(pids) > 0 {
			t.Errorf("Pids: got %v, %v", pids, err)
		}
		if !h.alive() {
			t.Error("it has been killed")
		}
		h.in.Close()
		_ = h.cmd.Wait()
	})
}

// TestCallerIsNeitherKilledNorFrozen has a process kill and freeze the cgroup that
// it is in itself: this one, which has a test run in a child of its own.
func TestCallerIsNeitherKilledNorFrozen(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		p, m := planned(t, l, unique())
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		other := newThreads(t, p, "plain")
		cmd := exec.Command(exe, "-test.run=^TestInsideOwnCgroup$", "-test.v")
		cmd.Env = append(os.Environ(), insideEnv+"="+encodePaths(m.Paths()))
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		startInside(t, p, cmd)
		if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "--- PASS: TestInsideOwnCgroup") {
			t.Errorf("%v\n%s", err, &out)
		}
		if !other.killed() {
			t.Error("the other member has not been killed")
		}
	})
}

const insideEnv = "HUTCH_CGROUP_INSIDE"

func encodePaths(p Paths) string {
	var list []string
	for name, dir := range p {
		list = append(list, name+":"+dir)
	}
	return strings.Join(list, "\n")
}

// TestInsideOwnCgroup is the child of TestCallerIsNeitherKilledNorFrozen.
func TestInsideOwnCgroup(t *testing.T) {
	if os.Getenv(insideEnv) == "" {
		t.Skip("is run by TestCallerIsNeitherKilledNorFrozen")
	}
	paths := Paths{}
	for line := range strings.SplitSeq(os.Getenv(insideEnv), "\n") {
		name, dir, _ := strings.Cut(line, ":")
		paths[name] = dir
	}
	m, err := Load(paths, nil)
	if err != nil {
		t.Fatal(err)
	}
	if pids, err := m.Pids(); err != nil || !slices.Contains(pids, os.Getpid()) {
		t.Fatalf("Pids: got %v, %v, want %d among them", pids, err, os.Getpid())
	}
	if err := m.Freeze(); !errors.Is(err, ErrCannotFreeze) && (err == nil || !strings.Contains(err.Error(), "is in it and would be frozen too")) {
		t.Errorf("Freeze: got %v", err)
	}
	if err := errors.Join(m.SignalAll(unix.SIGSTOP), m.KillAll()); err != nil {
		t.Error(err)
	}
}

// TestKillHoldsFew: there are more processes than descriptors, and descriptors are left to
// list them by.
func TestKillHoldsFew(t *testing.T) {
	// Children of a shell, since a program for each takes an emulated machine minutes.
	cmd := exec.Command("/bin/sh", "-c", "exec 3<&0; for i in $(seq "+strconv.Itoa(signalBatch+40)+"); do (read x <&3) & echo $!; done; echo; read x")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	var all []int
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != ""; {
		pid, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, pid)
	}
	slices.Sort(all)
	descriptors := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before, most := descriptors(), 0
	list := func() (listing, error) {
		most = max(most, descriptors()-before)
		return listing{members: all}, nil
	}
	if err := kill("x", list, nil); err != nil {
		t.Error(err)
	}
	if most > signalBatch || most < signalBatch/2 {
		t.Errorf("at most %d were held, want %d", most, signalBatch)
	}
	for _, pid := range all {
		testwait.Until(t, "it is killed", func() bool {
			_, state, err := proc.StartTime(pid)
			return errors.Is(err, unix.ESRCH) || state == 'Z'
		})
	}
	if len(all) != signalBatch+40 {
		t.Errorf("%d processes, want %d", len(all), signalBatch+40)
	}
}

// TestKillLooksTwice has a listing whose number is another process's by the time
// that it is used.
func TestKillLooksTwice(t *testing.T) {
	victim := newThreads(t, nil, "plain")
	pid := victim.cmd.Process.Pid
	once := func() func() (listing, error) {
		n := 0
		return func() (listing, error) {
			if n++; n == 1 {
				return listing{members: []int{pid}}, nil
			}
			return listing{}, nil
		}
	}
	if err := errors.Join(kill("x", once(), nil), signal(once(), unix.SIGKILL)); err != nil {
		t.Error(err)
	}
	if !victim.alive() {
		t.Error("it has got the signal of a member that has ended")
	}
	always := func() (listing, error) { return listing{members: []int{pid}}, nil }
	if err := kill("x", always, nil); err != nil || !victim.killed() {
		t.Errorf("a member is not killed: %v", err)
	}
}
