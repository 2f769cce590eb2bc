package spawn

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/proc"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/tests/testneed"
	"github.com/hutch-project/hutch/tests/testwait"
)

// The second process says nothing before the parent knows of it, which then has a
// pidfd of it and has reaped the first.
func TestACloneWithinTheProgramIsAdopted(t *testing.T) {
	for _, old := range []bool{false, true} {
		t.Run(cloningOf(&Options{OldClone: old}).name(), func(t *testing.T) { cloneIsAdopted(t, old) })
	}
}

func cloneIsAdopted(t *testing.T, old bool) {
	noNewFds(t)
	testneed.Root(t)
	b := program.New()
	if old {
		b.WithoutClone3()
	}
	own := b.Reg()
	b.Clone(unix.CLONE_NEWPID, 1)
	b.Sys(unix.SYS_GETPID).To(own)
	b.Barrier(2, own)
	b.Exit(7)
	c, err := Spawn(linked(t, b), &Options{Cgroup: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	first := c.Pid
	e, err := c.Next()
	if err != nil || e.Tag != 1 || e.Value == int64(first) || e.Value <= 0 || e.Fd >= 0 {
		t.Fatalf("%+v, %v; want another process than %d", e, err, first)
	}
	if err := c.Adopt(e); err != nil {
		t.Fatal(err)
	}
	if pid, err := proc.PidOf(c.Pidfd); err != nil || pid != c.Pid || c.Pid != int(e.Value) {
		t.Errorf("process %d by the pidfd of %d (%v) is followed, want %d", c.Pid, pid, err, e.Value)
	}
	if _, err := unix.Wait4(first, nil, unix.WNOHANG, nil); err != unix.ECHILD {
		t.Errorf("the first process is not reaped: %v", err)
	}
	if testwait.Now(t, c.sock) {
		t.Error("the second process speaks before it is answered")
	}
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	if v, err := c.Expect(2); err != nil || v != 1 {
		t.Errorf("the second process has number %d inside, %v; want 1", v, err)
	}
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	if ws, err := c.Wait(); err != nil || ws.ExitStatus() != 7 {
		t.Errorf("the process that goes on ended with %v, %v; want 7", ws.ExitStatus(), err)
	}
}

// TestASocketThatIsHeldOpenHidesNoEnd: whoever may trace the second process can take its
// end of the socket and keep it.
func TestASocketThatIsHeldOpenHidesNoEnd(t *testing.T) {
	b := program.New()
	b.Clone(0, 1)
	b.Barrier(2, 0)
	b.Exit(0)
	c := spawn(t, b)
	e, err := c.Next()
	if err == nil {
		err = c.Adopt(e)
	}
	if err != nil {
		t.Fatal(err)
	}
	held, err := unix.PidfdGetfd(c.Pidfd, int(c.p.Word(c.p.Sync())), 0)
	if err != nil {
		t.Skipf("take the child's socket: %v", err)
	}
	defer unix.Close(held)
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Expect(2); err != nil {
		t.Fatal(err)
	}
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	go func() {
		_, err := c.Next()
		got <- err
	}()
	if err := testwait.Value(t, "the end of the process is seen", got); !errors.Is(err, ErrEnded) {
		t.Errorf("got %v, want %v", err, ErrEnded)
	}
}

// ended reports whether the process of pidfd has.
func ended(t *testing.T, pidfd int) bool {
	t.Helper()
	return testwait.Now(t, pidfd)
}

// grandchild returns a process that another one than this is the parent of.
func grandchild(t *testing.T) (pid int) {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", "exec 3<&0; cat <&3 & echo $!; wait")
	in, err := cmd.StdinPipe() // at whose end all end
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		pid, err = strconv.Atoi(strings.TrimSpace(line))
	}
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// waiting returns a child that waits for its parent.
func waiting(t *testing.T) *Child {
	t.Helper()
	b := program.New()
	b.Wait(1, b.Zero(1))
	return spawnOf(t, b, &Options{Cgroup: -1})
}

func pidfdOf(t *testing.T, pid int) int {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestAdoptTakesOnlyAChild(t *testing.T) {
	others := grandchild(t)
	gone := waiting(t)
	reaped := gone.Pid
	gone.Kill()
	for _, c := range []struct {
		rule string
		pid  func(first *Child) int64
		want error
	}{
		{"the first process", func(first *Child) int64 { return int64(first.Pid) }, unix.ESRCH}, // waiting for its end would never end
		{"another's child", func(*Child) int64 { return int64(others) }, unix.ECHILD},
		{"init", func(*Child) int64 { return 1 }, unix.ECHILD},
		{"the runtime", func(*Child) int64 { return int64(os.Getpid()) }, unix.ECHILD},
		{"one that was reaped", func(*Child) int64 { return int64(reaped) }, unix.ESRCH},
		{"itself, as the kernel says it", func(*Child) int64 { return 0 }, unix.ESRCH},
		{"a group", func(*Child) int64 { return -int64(others) }, unix.ESRCH},
		{"more than a number of a process", func(first *Child) int64 { return 1<<32 + int64(first.Pid) }, unix.ESRCH},
	} {
		t.Run(c.rule, func(t *testing.T) {
			child := waiting(t)
			pid, pidfd := child.Pid, child.Pidfd
			before := len(openFds(t))
			err := child.Adopt(Event{Value: c.pid(child), Fd: -1, sender: child.Pid})
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if n := len(openFds(t)); n > before {
				t.Errorf("%d descriptors are open, want %d", n, before)
			}
			if child.Pid != pid || child.Pidfd != pidfd || ended(t, pidfd) {
				t.Errorf("process %d by %d is followed (ended: %v), want %d by %d as before", child.Pid, child.Pidfd, ended(t, pidfd), pid, pidfd)
			}
			fd := pidfdOf(t, others)
			defer unix.Close(fd)
			if ended(t, fd) {
				t.Error("another's child was ended")
			}
		})
	}
}

// TestOnlyTheFirstProcessTellsOfTheSecond: this process has many children, and whoever traces
// the second process of one has its socket, and could name any of the others.
func TestOnlyTheFirstProcessTellsOfTheSecond(t *testing.T) {
	other := waiting(t)
	b := program.New()
	b.Barrier(2, 0) // as long as the forged message comes first
	b.Clone(0, 1)
	b.Barrier(3, 0)
	c := spawn(t, b)
	first := c.Pid
	if _, err := c.Expect(2); err != nil {
		t.Fatal(err)
	}
	socket, err := unix.PidfdGetfd(c.Pidfd, int(c.p.Word(c.p.Sync())), 0)
	if err != nil {
		t.Skipf("take the child's socket: %v", err)
	}
	defer unix.Close(socket)
	send(t, socket, told(1, c.p.Forks()[0].Tell, int64(other.Pid)).bytes(), 0)
	e, err := c.Next()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Adopt(e); err == nil || c.Pid != first || ended(t, other.Pidfd) {
		t.Errorf("process %d is followed, %v; want %d", c.Pid, err, first)
	}
}

// One that has ended, and was not reaped, is a child all the same: its end is told.
func TestAnEndedChildCanBeAdopted(t *testing.T) {
	noNewFds(t)
	child := waiting(t)
	b := program.New()
	b.Exit(9)
	p := linked(t, b)
	second, err := Spawn(p, &Options{Cgroup: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.Next(); !errors.Is(err, ErrEnded) {
		t.Fatal(err)
	}
	if err := child.Release(); err != nil { // the first ends, as after a clone
		t.Fatal(err)
	}
	pid := second.Pid
	unix.Close(second.TakePidfd())
	if err := child.Adopt(Event{Value: int64(pid), Fd: -1, sender: child.Pid}); err != nil {
		t.Fatal(err)
	}
	second.Close()
	if ws, err := child.Wait(); err != nil || ws.ExitStatus() != 9 {
		t.Errorf("ended with %v, %v; want 9", ws.ExitStatus(), err)
	}
}
