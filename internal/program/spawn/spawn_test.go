package spawn

import (
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

func linked(t testing.TB, b *program.Builder) *program.Program {
	t.Helper()
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func spawn(t *testing.T, b *program.Builder) *Child {
	t.Helper()
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Spawn(p, &Options{Cgroup: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Kill(); c.Close() })
	return c
}

func TestChildTellsAndWaits(t *testing.T) {
	b := program.New()
	r := b.RegOf(40)
	got := b.Zero(8)
	b.Tell(7, r)
	b.Wait(8, got)
	b.Tell(9, got.Reg(0))
	c := spawn(t, b)
	if v, err := c.Expect(7); err != nil || v != 40 {
		t.Fatalf("told %d, %v; want 40", v, err)
	}
	if err := c.Send(binary.NativeEndian.AppendUint64(nil, 0x201)); err != nil {
		t.Fatal(err)
	}
	if v, err := c.Expect(9); err != nil || v != 0x201 {
		t.Fatalf("told %#x, %v; want 0x201", v, err)
	}
	if _, err := c.Next(); !errors.Is(err, ErrEnded) {
		t.Fatalf("after the last instruction: %v", err)
	}
}

func TestFailureNamesElementStepAndReason(t *testing.T) {
	b := program.New()
	b = b.Element(program.N("mounts[%d]", 3)).Doing(program.T("bind %s on %s", "/data", "/mnt"))
	step := b.Step(program.T("open source %s", "/data"))
	step.Sys(unix.SYS_OPENAT, program.Imm(unix.AT_FDCWD), b.Str("/no/such/file"), program.Imm(unix.O_RDONLY))
	c := spawn(t, step)
	_, err := c.Next()
	if want := "mounts[3]: bind /data on /mnt: open source /data: no such file or directory"; err == nil || err.Error() != want {
		t.Fatalf("got %v, want %s", err, want)
	}
	if !errors.Is(err, unix.ENOENT) {
		t.Errorf("%v is not ENOENT", err)
	}
}

// A child that fails before it has read an answer: the kernel reports that the answer was lost
// before it hands out what the child has sent.
func TestFailureBehindAnUnreadAnswer(t *testing.T) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	b := program.New()
	b.Tell(1, 0)
	b.Sys(unix.SYS_READ, program.Imm(p[0]), b.Zero(8).Arg(), program.Imm(1))
	b.Tell(2, 0)
	b.Element(program.T("mounts")).Fail(unix.EIO)
	b.Wait(3, b.Zero(8))
	c := spawn(t, b)
	if _, err := c.Expect(1); err != nil {
		t.Fatal(err)
	}
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(p[1], []byte{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Expect(2); err != nil {
		t.Fatalf("what was told before the end: %v", err)
	}
	var reported *program.Error
	if _, err := c.Next(); !errors.As(err, &reported) || !errors.Is(err, unix.EIO) {
		t.Fatalf("got %v, want the failure that the child has reported", err)
	}
	if _, err := c.Next(); !errors.Is(err, ErrEnded) {
		t.Fatalf("after the report: %v", err)
	}
}

func TestErrorsJumpIgnoreAndCompare(t *testing.T) {
	b := program.New()
	l, end := b.Label(), b.Label()
	r := b.Reg()
	b.Sys(unix.SYS_CLOSE, program.Imm(-1)).To(r).Ignore()
	b.IfErrno(r, unix.EBADF, l)
	b.Fail(unix.EIO)
	b.Bind(l)
	b.Sys(unix.SYS_CLOSE, program.Imm(-1)).On(unix.EBADF, end)
	b.Fail(unix.EIO)
	b.Bind(end)
	b.Tell(1, r)
	c := spawn(t, b)
	if v, err := c.Expect(1); err != nil || v != -int64(unix.EBADF) {
		t.Fatalf("told %d, %v", v, err)
	}
}

func TestExecveRunsWithArgumentsAndEnvironment(t *testing.T) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	b := program.New()
	b.Sys(unix.SYS_DUP3, program.Imm(p[1]), program.Imm(1), program.Imm(0))
	none := b.Zero(8)
	b.Sys(unix.SYS_RT_SIGPROCMASK, program.Imm(unix.SIG_SETMASK), none.Arg(), program.Imm(0), program.Imm(8))
	b.Sys(unix.SYS_EXECVE, b.Str("/bin/sh"), b.Strv([]string{"sh", "-c", "echo $A $1", "x", "one"}).Arg(), b.Strv([]string{"A=two"}).Arg())
	c := spawn(t, b)
	unix.Close(p[1])
	buf := make([]byte, 64)
	n, err := unix.Read(p[0], buf)
	if err != nil || string(buf[:max(n, 0)]) != "two one\n" {
		t.Fatalf("%q, %v", buf[:max(n, 0)], err)
	}
	if ws, err := c.Wait(); err != nil || ws.ExitStatus() != 0 {
		t.Fatalf("%v %v", ws, err)
	}
}

func TestParentSectionOpensForTheChildAndCloses(t *testing.T) {
	b := program.New()
	var fd program.Reg
	b.InParent(func() {
		fd = b.Sys(unix.SYS_OPENAT, program.Imm(unix.AT_FDCWD), b.Str("/dev/null"), program.Imm(unix.O_RDONLY|unix.O_CLOEXEC)).Fd()
	})
	b.Sys(unix.SYS_FCNTL, program.Val(fd), program.Imm(unix.F_GETFD))
	b.Tell(1, fd)
	c := spawn(t, b)
	v, err := c.Expect(1)
	if err != nil || v < 3 {
		t.Fatalf("told %d, %v", v, err)
	}
	if _, err := unix.FcntlInt(uintptr(v), unix.F_GETFD, 0); err != unix.EBADF && v != int64(c.Pidfd) {
		t.Errorf("descriptor %d is open in the parent: %v", v, err)
	}
}
