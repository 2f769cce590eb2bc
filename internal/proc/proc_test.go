package proc

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const line = "%d (NAME) S 1 1 1 0 -1 4194560 10 20 0 0 1 2 3 4 20 0 7 0 123456 1 2 18446744073709551615 4 5 6 7 8 256 10 11\n"

func TestParse(t *testing.T) {
	for _, name := range []string{"sh", "a b", ") R 1 2", "))", "(", "x)\nS"} {
		s, ok := parse([]byte(strings.Replace(strings.Replace(line, "%d", "42", 1), "NAME", name, 1)))
		if want := (stat{start: 123456, threads: 7, flags: 4194560, pending: 256, state: 'S'}); !ok || s != want {
			t.Errorf("name %q: got %+v, %v, want %+v", name, s, ok, want)
		}
	}
	for _, bad := range []string{"", "1 (a)", "1 (a) ", "1 (a) S", "1 (a) SS 1 1", "1 (a) S 1 1 1 0 -1 4194560 10 20 0 0 1 2 3 4 20 0 x 0 12 1",
		"1 (a) S 1 1 1 0 -1 4194560 10 20 0 0 1 2 3 4 20 0 1 0 99999999999999999999 1",
		"1 (a) S 1 1 1 0 -1 4194560 10 20 0 0 1 2 3 4 20 0 1 0 12 1 2 3 4 5 6 7 8 x 10"} {
		if s, ok := parse([]byte(bad)); ok {
			t.Errorf("%q: taken as %+v", bad, s)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(line))
	f.Fuzz(func(t *testing.T, p []byte) { parse(p) })
}

func TestIdentity(t *testing.T) {
	pid := os.Getpid()
	start, state, err := StartTime(pid)
	if err != nil || start == 0 || !strings.ContainsRune("RSD", rune(state)) {
		t.Fatalf("StartTime of this process: %d, %c, %v", start, state, err)
	}
	if !Alive(pid, start) {
		t.Error("this process is not alive")
	}
	if Alive(pid, start+1) {
		t.Error("alive with another start time")
	}
	fd, err := OpenPidfd(pid, start)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	if fd, err := OpenPidfd(pid, start+1); !errors.Is(err, unix.ESRCH) {
		t.Errorf("another start time: descriptor %d, %v, want ESRCH", fd, err)
	}
}

func TestZombieHasEnded(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	start, _, err := StartTime(pid)
	if err != nil {
		t.Fatal(err)
	}
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if _, state, err := StartTime(pid); state != 'Z' || err != nil {
		t.Errorf("state %c, %v, want Z", state, err)
	}
	if Alive(pid, start) {
		t.Error("a zombie is alive")
	}
	if _, err := OpenPidfd(pid, start); !errors.Is(err, unix.ESRCH) {
		t.Errorf("OpenPidfd of a zombie: %v, want ESRCH", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if Alive(pid, start) {
		t.Error("a reaped process is alive")
	}
	if _, err := OpenPidfd(pid, start); !errors.Is(err, unix.ESRCH) {
		t.Errorf("OpenPidfd of a reaped process: %v, want ESRCH", err)
	}
	if _, _, err := StartTime(pid); !errors.Is(err, unix.ESRCH) {
		t.Errorf("StartTime of a reaped process: %v, want ESRCH", err)
	}
}

// A process whose main thread has ended shows as a zombie and runs on.
func TestMainThreadEnded(t *testing.T) {
	if (stat{state: 'Z', threads: 2}).ended() {
		t.Error("a process with another thread has not ended")
	}
	if !(stat{state: 'Z', threads: 1}).ended() {
		t.Error("a zombie without another thread has ended")
	}
}

func BenchmarkAlive(b *testing.B) {
	start, _, err := StartTime(os.Getpid())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !Alive(os.Getpid(), start) {
			b.Fatal("not alive")
		}
	}
}

// TestThreadsAndTheirEnd has a process of one thread, alive and as a zombie.
func TestThreadsAndTheirEnd(t *testing.T) {
	self := os.Getpid()
	if ends, err := Exits(self, self); err != nil || ends {
		t.Errorf("this process ends: %v, %v", ends, err)
	}
	threads, err := Threads(self)
	if err != nil || !slices.Contains(threads, self) || !slices.Contains(threads, unix.Gettid()) {
		t.Errorf("threads %v, %v, want %d and %d among them", threads, err, self, unix.Gettid())
	}
	if Uninterruptible(self) {
		t.Error("this process, which runs, is asleep")
	}
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if ends, err := Exits(pid, pid); err != nil || !ends {
		t.Errorf("a zombie ends: %v, %v", ends, err)
	}
	if !Uninterruptible(pid) {
		t.Error("a zombie runs")
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := Exits(pid, pid); !errors.Is(err, unix.ESRCH) {
		t.Errorf("a reaped process: %v, want ESRCH", err)
	}
	if _, err := Threads(pid); !errors.Is(err, unix.ESRCH) {
		t.Errorf("threads of a reaped process: %v, want ESRCH", err)
	}
}

// TestPidfdOfAThread: a thread is no process.
func TestPidfdOfAThread(t *testing.T) {
	tid, done := make(chan int), make(chan struct{})
	defer close(done)
	runtime.LockOSThread() // so that the other goroutine has another thread
	defer runtime.UnlockOSThread()
	go func() {
		runtime.LockOSThread() // which ends with the goroutine
		tid <- unix.Gettid()
		<-done
	}()
	n := <-tid
	if n == os.Getpid() { // then this one is not
		n = unix.Gettid()
	}
	if fd, err := Pidfd(n); !errors.Is(err, unix.ESRCH) {
		t.Errorf("got %d, %v, want ESRCH", fd, err)
	}
	fd, err := Pidfd(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
}
