package engines

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

// engine is one engine's command line.
type engine struct {
	name   string   // as the scenarios' table calls it
	call   []string // the program and its global arguments
	image  string   // busybox's name there
	parent string   // --cgroup-parent of its containers
}

// try runs the engine with args and returns exit code and both outputs.
func (e *engine) try(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	return tryInput(t, "", append(append([]string{}, e.call...), args...)...)
}

// run is try for what must succeed; it returns the outputs without the spaces
// around.
func (e *engine) run(t *testing.T, args ...string) string {
	t.Helper()
	code, out := e.try(t, args...)
	if code != 0 {
		t.Fatalf("%s %s: exit code %d:\n%s", e.name, strings.Join(args, " "), code, out)
	}
	return strings.TrimSpace(out)
}

// sh runs script in a new container made with options, and removes it.
func (e *engine) sh(t *testing.T, options []string, script string) string {
	t.Helper()
	return e.run(t, e.shArgs(options, script)...)
}

// trySh is sh for what may fail.
func (e *engine) trySh(t *testing.T, options []string, script string) (code int, out string) {
	t.Helper()
	return e.try(t, e.shArgs(options, script)...)
}

func (e *engine) shArgs(options []string, script string) []string {
	args := append([]string{"run", "--rm", "--cgroup-parent", e.parent}, options...)
	return append(args, e.image, "sh", "-c", script)
}

// start starts a container in the background that runs script, and takes care
// of its removal. It returns its name.
func (e *engine) start(t *testing.T, options []string, script string) string {
	t.Helper()
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-", ",", "").Replace(t.Name()))
	if len(name) > 40 {
		name = name[len(name)-40:]
	}
	name = strings.Trim(name, "-") + "-" + time.Now().Format("150405.000000")[7:]
	t.Cleanup(func() { e.remove(t, name) })
	args := append([]string{"run", "-d", "--name", name, "--cgroup-parent", e.parent}, options...)
	e.run(t, append(args, e.image, "sh", "-c", script)...)
	return name
}

// remove ends and removes a container at once, if it is there. Podman cleans up
// after a container at the same time by itself, and the two can collide.
func (e *engine) remove(t *testing.T, name string) {
	t.Helper()
	args := []string{"rm", "-f", "-v", name}
	if e.name == "podman" { // which is patient otherwise
		args = []string{"rm", "-f", "-v", "-t", "0", name}
	}
	code, out := e.try(t, args...)
	testwait.Poll(t, func() string { return fmt.Sprintf("%s is not busy: %s", name, out) }, func() bool {
		if !strings.Contains(out, "resource busy") {
			return true
		}
		code, out = e.try(t, args...)
		return false
	})
	if code != 0 && !strings.Contains(strings.ToLower(out), "no such container") && !strings.Contains(out, "no container with") {
		t.Errorf("%s rm %s: exit code %d: %s", e.name, name, code, out)
	}
}

// ask gives one value of `inspect`.
func (e *engine) ask(t *testing.T, name, format string) string {
	t.Helper()
	return e.run(t, "inspect", "--format", format, name)
}

// tryInput runs a command with input on its stdin.
func tryInput(t *testing.T, input string, args ...string) (code int, out string) {
	t.Helper()
	ctx := testwait.Context(t)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(input)
	cmd.WaitDelay = 2 * time.Second
	data, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		t.Fatalf("%s: not finished after %v:\n%s", strings.Join(args, " "), testwait.Bound(), data)
	case err != nil && !errors.As(err, &exit):
		t.Fatalf("%s: %v:\n%s", strings.Join(args, " "), err, data)
	}
	return cmd.ProcessState.ExitCode(), string(data)
}

// daemon starts a server that lives until the test ends and whose log is shown
// when the test fails.
func daemon(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	log, err := os.CreateTemp(space, "log-")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop(t, cmd)
		if data, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("log of %s, its end:\n%s", args[0], data[max(0, len(data)-4000):])
		}
	})
	return cmd
}

// stop ends a server and waits for it.
func stop(t *testing.T, cmd *exec.Cmd) {
	if cmd.ProcessState != nil {
		return
	}
	cmd.Process.Signal(syscall.SIGTERM)
	_ = testwait.Command(t, cmd)
}

// need fails where a program is missing, and names it.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("needs %s (tests/install)", program)
		}
	}
}

// has fails unless out holds want.
func has(t *testing.T, out string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(out, w) {
			t.Errorf("no %q in:\n%s", w, out)
		}
	}
}

// is fails unless the lines of out are want's.
func is(t *testing.T, out string, want ...string) {
	t.Helper()
	got := strings.ReplaceAll(strings.TrimSpace(out), "\r", "")
	if got != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}
