package process

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/tests/testplain"
)

// busybox is the static program that the children execute.
const busybox = "/bin/busybox"

// TestMain is also what some tests execute in their children, in place of a
// test's run.
func TestMain(m *testing.M) {
	if what := os.Getenv("HUTCH_TEST_PRINT"); what != "" {
		print(what)
		return
	}
	testplain.Main(m)
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// run runs the program that emit builds, then execve of args with env, and gives
// what args printed, or the error that the child reported. Answer is called for
// each message of the child.
func run(t *testing.T, flags uint64, args []string, emit func(*program.Builder), answer func(*program.Child, program.Event)) (string, error) {
	t.Helper()
	return runEnv(t, flags, args, func(b *program.Builder) program.Mem { emit(b); return b.Strv([]string{"PATH=/bin"}) }, answer)
}

func runEnv(t *testing.T, flags uint64, args []string, emit func(*program.Builder) program.Mem, answer func(*program.Child, program.Event)) (string, error) {
	t.Helper()
	if _, err := os.Stat(args[0]); err != nil {
		t.Skip("needs " + args[0])
	}
	b := program.New()
	out := pipeTo1(t, b)
	env := emit(b)
	b = b.Element(program.T("test"))
	Unblock(b)
	b.Sys(unix.SYS_EXECVE, b.Str(args[0]), b.Strv(args).Arg(), env.Arg())
	return finish(t, b, flags, out, answer)
}

// pipeTo1 makes a pipe the standard output of the child.
func pipeTo1(t *testing.T, b *program.Builder) *os.File {
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

// finish runs b's program to the end.
func finish(t *testing.T, b *program.Builder, flags uint64, out *os.File, answer func(*program.Child, program.Event)) (string, error) {
	t.Helper()
	p, err := b.Program()
	if err != nil {
		unix.Close(writers[out])
		return "", err
	}
	c, err := program.Spawn(p, &program.Options{Flags: flags, Cgroup: -1})
	unix.Close(writers[out])
	delete(writers, out)
	if err != nil {
		return "", err
	}
	defer c.Close()
	for {
		e, err := c.Next()
		if err == nil {
			if answer == nil {
				t.Fatalf("message %+v", e)
			}
			answer(c, e)
			continue
		}
		var text bytes.Buffer
		if _, err := text.ReadFrom(out); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Wait(); err != nil {
			t.Fatal(err)
		}
		if err == program.ErrEnded {
			err = nil
		}
		return text.String(), err
	}
}

// must runs what is to succeed.
func must(t *testing.T, args []string, emit func(*program.Builder)) string {
	t.Helper()
	out, err := run(t, 0, args, emit, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// fails runs what is to fail with the text want.
func fails(t *testing.T, want string, emit func(*program.Builder)) {
	t.Helper()
	out, err := run(t, 0, []string{busybox, "true"}, emit, nil)
	if err == nil || err.Error() != want {
		t.Errorf("%v (output %q)\nwant %s", err, out, want)
	}
}

// status are the lines of /proc/self/status of a process made by emit.
func status(t *testing.T, flags uint64, emit func(*program.Builder)) map[string]string {
	t.Helper()
	out, err := run(t, flags, []string{busybox, "cat", "/proc/self/status"}, emit, nil)
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
