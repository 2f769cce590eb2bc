package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hutch-project/hutch/tests/testwait"
)

// call is one run of the runtime. Its stdout and stderr are files, not pipes:
// a container that create leaves behind holds them open.
type call struct {
	root   string   // --root; empty for none
	global []string // further global flags
	args   []string // the command and its arguments
	dir    string   // working directory
	env    []string // nil is the test's own
	stdin  *os.File // nil is /dev/null
	stdout string   // file to write to; empty is a temporary one
	stderr string
	files  []*os.File // descriptors from 3 on
	wrap   []string   // command line to run the runtime by
	attr   *syscall.SysProcAttr
}

// result is what a finished call gave.
type result struct {
	line           string
	stdout, stderr string
	code           int // 128+n when signal n ended it
}

func (r result) String() string {
	return fmt.Sprintf("%s\nexit code %d\nstdout: %s\nstderr: %s", r.line, r.code, r.stdout, r.stderr)
}

// running is a call that has not ended.
type running struct {
	t    testing.TB
	cmd  *exec.Cmd
	out  string
	err  string
	line string
	done chan error
}

// start runs the call in the background.
func (c call) start(t testing.TB) *running {
	t.Helper()
	c = c.byUser(t)
	words := append([]string{}, c.wrap...)
	words = append(append(words, runtimePath), runtimeFlags...)
	if c.root != "" {
		words = append(words, "--root", c.root)
	}
	words = append(append(words, c.global...), c.args...)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir, cmd.Env, cmd.ExtraFiles, cmd.SysProcAttr = c.dir, c.env, c.files, c.attr
	r := &running{t: t, cmd: cmd, line: strings.Join(words, " "), done: make(chan error, 1)}
	if c.stdin != nil {
		cmd.Stdin = c.stdin
	}
	open := func(path string) *os.File {
		var f *os.File
		var err error
		if path == "" {
			f, err = os.CreateTemp(workDir, "out-")
		} else {
			f, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		if userCaller {
			f.Chown(plainUser, plainUser)
		}
		return f
	}
	out, errOut := open(c.stdout), open(c.stderr)
	r.out, r.err = out.Name(), errOut.Name()
	cmd.Stdout, cmd.Stderr = out, errOut
	err := cmd.Start()
	out.Close()
	errOut.Close()
	if err != nil {
		t.Fatalf("%s: %v", r.line, err)
	}
	go func() { r.done <- cmd.Wait() }()
	return r
}

// wait waits for the end; a call that hangs is killed and fails the test.
func (r *running) wait() result {
	r.t.Helper()
	timer := time.NewTimer(testwait.Bound())
	defer timer.Stop()
	var err error
	select {
	case err = <-r.done:
	case <-timer.C:
		r.cmd.Process.Kill()
		<-r.done
		r.t.Fatalf("%s: did not end within %v\n%s", r.line, testwait.Bound(), r.result(0))
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatalf("%s: %v", r.line, err)
	}
	status := r.cmd.ProcessState.Sys().(syscall.WaitStatus)
	code := status.ExitStatus()
	if status.Signaled() {
		code = 128 + int(status.Signal())
	}
	return r.result(code)
}

func (r *running) result(code int) result {
	return result{line: r.line, stdout: written(r.out), stderr: written(r.err), code: code}
}

// written is what a call wrote to a file; nothing for a terminal, whose
// reading would wait.
func written(path string) string {
	if !strings.HasPrefix(path, workDir) {
		return ""
	}
	data, _ := os.ReadFile(path)
	return string(data)
}

// do runs the call to its end.
func (c call) do(t testing.TB) result {
	t.Helper()
	return c.start(t).wait()
}

// ok fails the test unless the call succeeded and kept silent on stderr.
func (r result) ok(t testing.TB) result {
	t.Helper()
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("want success and an empty stderr:\n%s", r)
	}
	return r
}

// failed fails the test unless the call failed with code 1, printed nothing on
// stdout, and every text stands on stderr.
func (r result) failed(t testing.TB, texts ...string) result {
	t.Helper()
	if r.code != 1 {
		t.Errorf("want exit code 1:\n%s", r)
	}
	// runc's text log escapes quotes; Hutch writes plain text.
	plain := strings.ReplaceAll(r.stderr, `\"`, `"`)
	for _, text := range texts {
		if !strings.Contains(plain, text) {
			t.Errorf("want %q on stderr:\n%s", text, r)
		}
	}
	if strings.TrimSpace(r.stderr) == "" {
		t.Errorf("want a reason on stderr:\n%s", r)
	}
	if strings.Contains(r.stderr, "goroutine ") {
		t.Errorf("the runtime crashed:\n%s", r)
	}
	return r
}

// eventually polls until what holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	testwait.Until(t, what, holds)
}
