// Package parttest runs what the parts emit, in a child, for their tests.
package parttest

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/program/spawn"
	"github.com/hutch-project/hutch/internal/sigaction"
	"github.com/hutch-project/hutch/tests/testplain"
)

// Busybox is the static program that the children execute.
const Busybox = "/bin/busybox"

// Main runs the tests of a package, or print with what a test asks its child to print of
// itself, by HUTCH_TEST_PRINT in its environment.
func Main(m *testing.M, print func(what string)) {
	if what := os.Getenv("HUTCH_TEST_PRINT"); what != "" {
		print(what)
		return
	}
	testplain.Main(m)
}

// Run runs the program that emit builds, then execve of args with env, and returns
// what args printed, or the error that the child reported. Answer is called for each
// message of the child.
func Run(t *testing.T, flags uint64, args []string, emit func(*program.Builder), answer func(*spawn.Child, spawn.Event)) (string, error) {
	t.Helper()
	return RunEnv(t, flags, args, func(b *program.Builder) program.Mem { emit(b); return b.Strv([]string{"PATH=/bin"}) }, answer)
}

// RunEnv is Run with the environment that emit returns.
func RunEnv(t *testing.T, flags uint64, args []string, emit func(*program.Builder) program.Mem, answer func(*spawn.Child, spawn.Event)) (string, error) {
	t.Helper()
	if _, err := os.Stat(args[0]); err != nil {
		t.Skip("needs " + args[0])
	}
	b := program.New()
	out := PipeTo1(t, b)
	env := emit(b)
	b = b.Element(program.T("test"))
	call.RtSigprocmask(b, unix.SIG_SETMASK, b.Zero(sigaction.SetSize)) // until here all are blocked
	b.Sys(unix.SYS_EXECVE, b.Str(args[0]), b.Strv(args).Arg(), env.Arg())
	return Finish(t, b, flags, out, answer)
}

// PipeTo1 makes a pipe the standard output of the child.
func PipeTo1(t *testing.T, b *program.Builder) *os.File {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	r := os.NewFile(uintptr(p[0]), "output of the child")
	w := b.RegOf(int64(p[1]))
	t.Cleanup(func() { r.Close() })
	b.Sys(unix.SYS_DUP3, program.Val(w), program.Imm(1), program.Imm(0))
	b.Sys(unix.SYS_CLOSE, program.Val(w))
	// The parent's end is closed by finish.
	writers[r] = p[1]
	return r
}

var writers = map[*os.File]int{}

// Finish runs b's program to the end.
func Finish(t *testing.T, b *program.Builder, flags uint64, out *os.File, answer func(*spawn.Child, spawn.Event)) (string, error) {
	t.Helper()
	p, err := b.Program()
	if err != nil {
		unix.Close(writers[out])
		return "", err
	}
	child, err := spawn.Spawn(p, &spawn.Options{Flags: flags, Cgroup: -1})
	unix.Close(writers[out])
	delete(writers, out)
	if err != nil {
		return "", err
	}
	defer child.Close()
	for {
		e, err := child.Next()
		if err == nil {
			if answer == nil {
				t.Fatalf("message %+v", e)
			}
			answer(child, e)
			continue
		}
		var text bytes.Buffer
		if _, err := text.ReadFrom(out); err != nil {
			t.Fatal(err)
		}
		if _, err := child.Wait(); err != nil {
			t.Fatal(err)
		}
		if err == spawn.ErrEnded {
			err = nil
		}
		return text.String(), err
	}
}

// Must runs what is to succeed.
func Must(t *testing.T, args []string, emit func(*program.Builder)) string {
	t.Helper()
	out, err := Run(t, 0, args, emit, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Fails runs what is to fail with the text want.
func Fails(t *testing.T, want string, emit func(*program.Builder)) {
	t.Helper()
	out, err := Run(t, 0, []string{Busybox, "true"}, emit, nil)
	if err == nil || err.Error() != want {
		t.Errorf("%v (output %q)\nwant %s", err, out, want)
	}
}

// Status returns the lines of /proc/self/status of a process made by emit.
func Status(t *testing.T, flags uint64, emit func(*program.Builder)) map[string]string {
	t.Helper()
	out, err := Run(t, flags, []string{Busybox, "cat", "/proc/self/status"}, emit, nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	for line := range strings.Lines(out) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		lines[name] = strings.Join(strings.Fields(value), " ")
	}
	return lines
}

// Self returns the path of this test's program.
func Self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Spawn runs b's program; the child is killed with the test, if it has not ended.
func Spawn(t testing.TB, b *program.Builder, flags uint64) *spawn.Child {
	t.Helper()
	c, err := TrySpawn(t, b, flags)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TrySpawn is Spawn for a program whose parent section may fail.
func TrySpawn(t testing.TB, b *program.Builder, flags uint64) (*spawn.Child, error) {
	t.Helper()
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	c, err := spawn.Spawn(p, &spawn.Options{Flags: flags, Cgroup: -1})
	if err == nil {
		t.Cleanup(func() { c.Kill(); c.Close() })
	}
	return c, err
}

// Told runs b's program to its end, and returns the values that it tells, by tag, or the
// error that it reports.
func Told(t testing.TB, b *program.Builder, flags uint64) (map[uint32]int64, error) {
	t.Helper()
	c, err := TrySpawn(t, b, flags)
	if err != nil {
		return nil, err
	}
	told := map[uint32]int64{}
	for {
		switch e, err := c.Next(); {
		case err == spawn.ErrEnded:
			return told, nil
		case err != nil:
			return told, err
		default:
			told[e.Tag] = e.Value
		}
	}
}

// Tell runs b's program until it tells something, and returns the value.
func Tell(t testing.TB, b *program.Builder, flags uint64) int64 {
	t.Helper()
	e, err := Spawn(t, b, flags).Next()
	if err != nil {
		t.Fatal(err)
	}
	return e.Value
}

// Printed runs this program after what emit emits, and returns what the function that Main
// was given prints for what.
func Printed(t *testing.T, what string, emit func(*program.Builder)) (string, error) {
	t.Helper()
	return RunEnv(t, 0, []string{Self(t)}, func(b *program.Builder) program.Mem {
		emit(b)
		return b.Strv([]string{"HUTCH_TEST_PRINT=" + what})
	}, nil)
}
