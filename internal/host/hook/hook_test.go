package hook

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testwait"
)

const state = `{"ociVersion":"1.3.0","id":"web1","status":"creating","pid":7,"bundle":"/b"}`

// script writes a shell script and returns its path; $D is its directory.
func script(t *testing.T, text string) (path, dir string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, "hook")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nD="+dir+"\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path, dir
}

// absent is a path at which nothing is.
func absent(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "absent")
}

func content(t *testing.T, dir, name string) string {
	t.Helper()
	p, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Error(err)
	}
	return string(p)
}

func TestHookGetsWhatItIsGiven(t *testing.T) {
	t.Setenv("LD_PRELOAD", "")
	t.Setenv("SECRET", "of the runtime")
	path, dir := script(t, `
tr '\0' '\n' </proc/$$/cmdline >$D/args
tr '\0' '\n' </proc/$$/environ >$D/env
pwd >$D/cwd
ps -o pgid= -p $$ >$D/pgid 2>/dev/null || cut -d' ' -f5 /proc/$$/stat >$D/pgid
echo $$ >$D/pid
cat >$D/stdin
echo to nobody; echo to nobody >&2`)
	bundle := t.TempDir()
	h := []specs.Hook{{Path: path, Args: []string{"zero", "one two", ""}, Env: []string{"A=b", "PATH=" + os.Getenv("PATH")}}}
	if err := Run(h, "createRuntime", []byte(state), Options{Dir: bundle}); err != nil {
		t.Fatal(err)
	}
	// The kernel puts the script's path in the place of args[0].
	if got, want := content(t, dir, "args"), "/bin/sh\n"+path+"\none two\n\n"; got != want {
		t.Errorf("args: got %q, want %q", got, want)
	}
	if got, want := content(t, dir, "env"), "A=b\nPATH="+os.Getenv("PATH")+"\n"; got != want {
		t.Errorf("env: got %q, want %q", got, want)
	}
	if got := content(t, dir, "cwd"); got != bundle+"\n" {
		t.Errorf("cwd: got %q, want %q", got, bundle)
	}
	if got := content(t, dir, "stdin"); got != state {
		t.Errorf("stdin: got %q, want %q", got, state)
	}
	if pid, pgid := strings.TrimSpace(content(t, dir, "pid")), strings.TrimSpace(content(t, dir, "pgid")); pid != pgid {
		t.Errorf("process group %s of process %s, want its own", pgid, pid)
	}
}

func TestNoOtherDescriptor(t *testing.T) {
	for _, want := range []int{30, 40} { // not close-on-exec, as a caller may leave them
		leak, err := unix.FcntlInt(0, unix.F_DUPFD, want)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(leak)
	}
	// The last one is that of the directory itself.
	h := []specs.Hook{{Path: "/bin/ls", Args: []string{"ls", absent(t), "/proc/self/fd"}, Env: []string{"LC_ALL=C"}}}
	err := Run(h, "prestart", nil, Options{})
	if err == nil || !strings.HasSuffix(err.Error(), "/proc/self/fd:; 0; 1; 2; 3") {
		t.Errorf("got %v, want descriptors 0 to 3", err)
	}
}

func TestArgsZero(t *testing.T) {
	// cat shows its own command line, without a script in between.
	no := absent(t)
	for want, args := range map[string][]string{"called\x00/proc/self/cmdline\x00" + no + "\x00": {"called", "/proc/self/cmdline", no}} {
		err := Run([]specs.Hook{{Path: "/bin/cat", Args: args}}, "prestart", nil, Options{})
		if shown := strings.ReplaceAll(want, "\x00", " "); err == nil || !strings.Contains(err.Error(), "exit status 1: "+shown) {
			t.Errorf("args %q: got %v, want %q in it", args, err, shown)
		}
	}
	if err := Run([]specs.Hook{{Path: "/bin/cat"}}, "prestart", []byte("x"), Options{}); err != nil {
		t.Errorf("without args: %v", err)
	}
}

// TestEnvironment: a hook has its own environment and nothing else, or the runtime's.
func TestEnvironment(t *testing.T) {
	t.Setenv("OF_THE_RUNTIME", "1")
	environ := func(env []string) string {
		err := Run([]specs.Hook{{Path: "/bin/cat", Args: []string{"cat", "/proc/self/environ", "/proc/nothing"}, Env: env}}, "prestart", nil, Options{Env: os.Environ})
		if err == nil {
			t.Fatal("cat finds /proc/nothing")
		}
		return err.Error()
	}
	if got := environ(nil); !strings.Contains(got, "OF_THE_RUNTIME=1") {
		t.Errorf("without env: %s", got)
	}
	for _, own := range [][]string{{}, {"OWN=1"}} {
		if got := environ(own); strings.Contains(got, "OF_THE_RUNTIME") || len(own) > 0 && !strings.Contains(got, own[0]) {
			t.Errorf("env %q: %s", own, got)
		}
	}
}

func TestErrors(t *testing.T) {
	ok, okDir := script(t, "cat >/dev/null; echo x >>$D/ran")
	fails, _ := script(t, "echo out; printf 'why\\n\\033[31mso\\n' >&2; exit 3")
	signaled, _ := script(t, "kill -TERM $$")
	loud, _ := script(t, "i=0; while [ $i -lt 20000 ]; do echo line $i of much output >&2; i=$((i+1)); done; echo the end >&2; exit 1")
	badInterp, _ := script(t, "")
	if err := os.WriteFile(badInterp, []byte("#!"+absent(t)+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	plain, _ := script(t, "")
	if err := os.Chmod(plain, 0o644); err != nil {
		t.Fatal(err)
	}
	zero, no := 0, absent(t)
	for name, c := range map[string]struct {
		hook specs.Hook
		want string
	}{
		"exit status":       {specs.Hook{Path: fails}, "hooks.createRuntime[1]: run " + fails + ": exit status 3: out; why; [31mso"},
		"signal":            {specs.Hook{Path: signaled}, "hooks.createRuntime[1]: run " + signaled + ": killed by signal 15 (SIGTERM)"},
		"missing":           {specs.Hook{Path: no}, "hooks.createRuntime[1]: run " + no + ": no such file or directory"},
		"not executable":    {specs.Hook{Path: plain}, "hooks.createRuntime[1]: run " + plain + ": permission denied"},
		"no interpreter":    {specs.Hook{Path: badInterp}, "hooks.createRuntime[1]: run " + badInterp + ": no such file or directory: the file is there, its interpreter"},
		"directory":         {specs.Hook{Path: okDir}, "hooks.createRuntime[1]: run " + okDir + ": permission denied"},
		"timeout of 0":      {specs.Hook{Path: ok, Timeout: &zero}, "hooks.createRuntime[1]: timeout: 0 is no time"},
		"only the last 2 K": {specs.Hook{Path: loud, Env: []string{"PATH=/bin:/usr/bin"}}, "hooks.createRuntime[1]: run " + loud + ": exit status 1: …"},
	} {
		t.Run(name, func(t *testing.T) {
			_ = os.Remove(filepath.Join(okDir, "ran"))
			hooks := []specs.Hook{{Path: ok, Env: []string{"PATH=/bin:/usr/bin"}}, c.hook, {Path: ok, Env: []string{"PATH=/bin:/usr/bin"}}}
			err := Run(hooks, "createRuntime", []byte(state), Options{})
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if err != nil && (strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 3000) {
				t.Errorf("not one line of bounded length: %q", err)
			}
			if name == "only the last 2 K" && !strings.HasSuffix(err.Error(), "line 19999 of much output; the end") {
				t.Errorf("the end is missing: %v", err)
			}
			if got := content(t, okDir, "ran"); got != "x\n" {
				t.Errorf("hooks that succeed ran %d times, want once", len(got)/2)
			}
			w := RunAll(hooks, "createRuntime", []byte(state), Options{})
			if len(w) != 1 || !strings.HasPrefix(w[0], c.want) {
				t.Errorf("RunAll: got %q, want %s", w, c.want)
			}
			if got := content(t, okDir, "ran"); got != "x\nx\nx\n" {
				t.Errorf("RunAll: hooks that succeed ran %d times, want twice", len(got)/2-1)
			}
		})
	}
}

func TestMissingBundleIsNamed(t *testing.T) {
	no := absent(t)
	err := Run([]specs.Hook{{Path: "/bin/true"}}, "poststop", nil, Options{Dir: no})
	if want := "hooks.poststop[0]: run /bin/true: chdir to the bundle " + no + ": no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestLargeState(t *testing.T) {
	large := []byte(strings.Repeat("0123456789abcdef", 1<<16)) // 1 MiB, 16 pipes
	path, dir := script(t, "wc -c >$D/count")
	env := []string{"PATH=/bin:/usr/bin"}
	if err := Run([]specs.Hook{{Path: path, Env: env}}, "prestart", large, Options{}); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(content(t, dir, "count")); got != "1048576" {
		t.Errorf("the hook read %s bytes", got)
	}
	for name, text := range map[string]string{"ends unread": "exit 0", "closes it": "exec <&-; sleep 0.1", "reads a part": "head -c 1000 >/dev/null"} {
		path, _ := script(t, text)
		if err := Run([]specs.Hook{{Path: path, Env: env}}, "prestart", large, Options{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// timesOut runs a hook that does not end with a timeout, and returns the timeout and
// what Run does. The hook has said in the file ready that all that it starts is there:
// where it had no time for that, it gets more.
func timesOut(t *testing.T, path, dir string) (seconds int, err error) {
	t.Helper()
	for seconds = 1; ; seconds *= 2 {
		began := time.Now()
		got := make(chan error, 1)
		hooks := []specs.Hook{{Path: "/bin/true"}, {Path: path, Timeout: &seconds, Env: []string{"PATH=/bin:/usr/bin"}}}
		go func() { got <- Run(hooks, "prestart", []byte(state), Options{}) }()
		err = testwait.Value(t, "the end of a hook with a timeout", got)
		if took := time.Since(began); took < time.Duration(seconds)*time.Second {
			t.Errorf("ended after %v, before its timeout of %d s: %v", took, seconds, err)
		}
		if there(filepath.Join(dir, "ready")) || seconds > 100 {
			return seconds, err
		}
	}
}

func TestTimeoutKillsTheGroup(t *testing.T) {
	for name, text := range map[string]string{
		"waits":          "sleep 1000 & echo $! >$D/child; echo $$ >$D/pid; echo hello >&2; : >$D/ready; wait",
		"ignores TERM":   "trap '' TERM INT HUP; sleep 1000 & echo $! >$D/child; echo $$ >$D/pid; echo hello >&2; : >$D/ready; while :; do sleep 1; done",
		"writes forever": "sleep 1000 & echo $! >$D/child; echo $$ >$D/pid; echo hello >&2; : >$D/ready; yes >&2",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, dir := script(t, text)
			seconds, err := timesOut(t, path, dir)
			want := fmt.Sprintf("hooks.prestart[1]: %s: no end within %d s (timeout); killed: ", path, seconds)
			if err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("got %v, want %s…", err, want)
			}
			for _, who := range []string{"child", "pid"} {
				pid, err := strconv.Atoi(strings.TrimSpace(content(t, dir, who)))
				if err != nil {
					t.Fatal(err)
				}
				testwait.End(t, "the end of the hook's "+who, pid)
			}
		})
	}
}

// A daemon that a hook leaves behind keeps the output open; it is not waited for.
func TestDaemonIsNotWaitedFor(t *testing.T) {
	path, dir := script(t, "sleep 1000 & echo $! >$D/child; exit 0")
	got := make(chan error, 1)
	go func() {
		got <- Run([]specs.Hook{{Path: path, Env: []string{"PATH=/bin:/usr/bin"}}}, "poststart", []byte(state), Options{})
	}()
	if err := testwait.Value(t, "the end of a hook that leaves a daemon", got); err != nil {
		t.Error(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(content(t, dir, "child")))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Errorf("the daemon was killed with the hook: %v", err)
	}
}

func TestStartElsewhere(t *testing.T) {
	path, _ := script(t, "read line; echo got $line; exit 4")
	here := Options{}
	calls := 0
	o := Options{Start: func(h specs.Hook, std [3]*os.File) (int, int, error) {
		calls++
		return here.startHere(h, std)
	}}
	err := Run([]specs.Hook{{Path: path}}, "createContainer", []byte("the state\n"), o)
	if want := "hooks.createContainer[0]: run " + path + ": exit status 4: got the state"; err == nil || err.Error() != want || calls != 1 {
		t.Errorf("got %v after %d calls, want %s", err, calls, want)
	}
	bad := errors.New("setns: operation not permitted")
	o.Start = func(specs.Hook, [3]*os.File) (int, int, error) { return -1, 0, bad }
	err = Run([]specs.Hook{{Path: path}}, "createContainer", nil, o)
	if want := "hooks.createContainer[0]: run " + path + ": " + bad.Error(); err == nil || err.Error() != want || !errors.Is(err, bad) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// No descriptor stays open, and no process, whatever happens.
func TestNothingIsLeft(t *testing.T) {
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	fails, _ := script(t, "exit 1")
	no := absent(t)
	before := open()
	for range 20 {
		for _, path := range []string{"/bin/true", fails, no} {
			_ = RunAll([]specs.Hook{{Path: path}}, "poststop", []byte(state), Options{})
		}
	}
	if after := open(); after > before+5 { // fewer, where others' are closed meanwhile
		t.Errorf("%d descriptors are open, %d before", after, before)
	}
	if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
		t.Errorf("a child is left: %d, %v", pid, err)
	}
}

func BenchmarkRun(b *testing.B) {
	h := []specs.Hook{{Path: "/bin/true"}}
	for b.Loop() {
		if err := Run(h, "prestart", []byte(state), Options{}); err != nil {
			b.Fatal(fmt.Errorf("run: %w", err))
		}
	}
}
