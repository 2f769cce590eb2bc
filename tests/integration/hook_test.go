package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// hook is a shell script as a hook, run by the machine's shell, or by the
// container's for hooks that run inside.
func hook(text string) specs.Hook {
	return specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", text}}
}

// hooks sets the hooks of one kind, named as in config.json.
func hooks(kind string, list ...specs.Hook) edit {
	return func(s *specs.Spec) {
		if s.Hooks == nil {
			s.Hooks = &specs.Hooks{}
		}
		switch kind {
		case "prestart":
			s.Hooks.Prestart = list
		case "createRuntime":
			s.Hooks.CreateRuntime = list
		case "createContainer":
			s.Hooks.CreateContainer = list
		case "startContainer":
			s.Hooks.StartContainer = list
		case "poststart":
			s.Hooks.Poststart = list
		case "poststop":
			s.Hooks.Poststop = list
		}
	}
}

// hookKinds in the order in which they run.
func hookKinds() []string {
	return []string{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}
}

// TestHooksOrderAndState: each kind runs when it should, two hooks in order,
// with the state on stdin and the right status in it.
//
// Source: runtime-spec config.md "POSIX-platform Hooks", runtime.md "Lifecycle".
func TestHooksOrderAndState(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("echo process >>/hooks/order; sleep 1000"), func(s *specs.Spec) { s.Annotations = map[string]string{"a": "b"} })
	dir := b.path("hooks")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	bindMount(dir, "/hooks")(b.spec)
	for _, kind := range hookKinds() {
		at := dir
		if kind == "startContainer" {
			at = "/hooks" // it runs inside
		}
		hooks(kind, hook(fmt.Sprintf("cat >%s/%s; echo %s >>%s/order", at, kind, kind, at)), hook(fmt.Sprintf("echo %s again >>%s/order", kind, at)))(b.spec)
	}
	b.writeSpec()
	order := func() string { return strings.ReplaceAll(readText(t, dir+"/order"), "\n", ", ") }

	b.create()
	pid := b.pid
	created := "prestart, prestart again, createRuntime, createRuntime again, createContainer, createContainer again, "
	if runtimeName == "hutch" && order() != created { // 1.1 runs poststart at create
		t.Errorf("after create: %s", order())
	}
	b.start()
	if runtimeName == "hutch" {
		eventually(t, "the process runs", func() bool { return strings.Contains(order(), "process") })
		got := strings.Replace(order(), "process, ", "", 1)
		if want := created + "startContainer, startContainer again, poststart, poststart again, "; got != want {
			t.Errorf("after start: %s, want %s", got, want)
		}
		if strings.Index(order(), "process") < strings.Index(order(), "startContainer again") {
			t.Errorf("the process ran before startContainer: %s", order())
		}
	}
	b.kill("KILL")
	b.wait()
	b.delete()
	if !strings.HasSuffix(order(), "poststop, poststop again, ") {
		t.Errorf("after delete: %s", order())
	}
	for kind, status := range map[string]string{
		"prestart": "creating", "createRuntime": "creating", "createContainer": "creating", "startContainer": "created", "poststart": "running", "poststop": "stopped",
	} {
		var s state
		if err := json.Unmarshal([]byte(readText(t, dir+"/"+kind)), &s); err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if s.ID != b.id || s.Bundle != b.dir || s.Annotations["a"] != "b" || s.OCIVersion == "" {
			t.Errorf("%s: state %+v", kind, s)
		}
		if s.Status != status && (runtimeName == "hutch" || kind != "poststart" && kind != "createContainer") {
			t.Errorf("%s: status %q, want %q", kind, s.Status, status)
		}
		if kind != "poststop" && kind != "startContainer" && kind != "createContainer" && (s.Pid == nil || *s.Pid != pid) {
			t.Errorf("%s: pid %v, want %d", kind, s.Pid, pid)
		}
	}
}

func TestHookArgsEnv(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	out := b.path("out")
	h := specs.Hook{Path: "/bin/sh", Args: []string{"name", "-c", `{ echo "$0 $# $1 $2"; env | sort; readlink /proc/self/exe | grep -c .; } >` + out, "zero", "one", "two words"},
		Env: []string{"A=1", "B=two words"}}
	hooks("createRuntime", h)(b.spec)
	b.writeSpec()
	res := call{root: b.root, args: b.line("run"), env: []string{"PATH=" + os.Getenv("PATH"), "LEAK=host"}}.do(t).ok(t)
	got := readText(t, out)
	if !strings.HasPrefix(got, "zero 2 one two words\nA=1\nB=two words\n") || strings.Contains(got, "LEAK") {
		t.Errorf("hook saw %q\n%s", got, res)
	}
}

// TestHookWithoutArgs: the path is then the only argument.
func TestHookWithoutArgs(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	program := writeText(t, b.path("program"), "#!/bin/sh\ncat /proc/$$/cmdline >"+b.path("out")+"\n")
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	hooks("createRuntime", specs.Hook{Path: program})(b.spec)
	b.writeSpec()
	b.run().ok(t)
	if got := readText(t, b.path("out")); !strings.HasSuffix(got, "\x00"+program+"\x00") {
		t.Errorf("cmdline %q", got)
	}
}

// TestHookNamespaces: the first two run outside, createContainer in the
// container's namespaces before its root, startContainer inside.
func TestHookNamespaces(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	dir := b.path("hooks")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	bindMount(dir, "/hooks")(b.spec)
	for _, kind := range hookKinds()[:5] {
		at := dir
		if kind == "startContainer" {
			at = "/hooks"
		}
		hooks(kind, hook(fmt.Sprintf("{ readlink /proc/self/ns/net; readlink /proc/self/ns/mnt; hostname; ls /home/user >/dev/null 2>&1 && echo container root; } >%s/%s; true", at, kind)))(b.spec)
	}
	b.writeSpec()
	b.run().ok(t)
	host := nsOf(t, "self", specs.NetworkNamespace)
	for _, kind := range hookKinds()[:5] {
		got := readText(t, dir+"/"+kind)
		outside := kind == "prestart" || kind == "createRuntime" || kind == "poststart"
		if strings.HasPrefix(got, host+"\n") != outside {
			t.Errorf("%s ran in %q; the host's network namespace is %s", kind, got, host)
		}
		if inside := strings.HasSuffix(got, "container root\n"); inside != (kind == "startContainer") {
			t.Errorf("%s: the container's root is /: %v", kind, inside)
		}
		if kind == "createContainer" && strings.Contains(got, nsOf(t, "self", specs.MountNamespace)) {
			t.Errorf("createContainer ran in the host's mount namespace: %q", got)
		}
	}
}

// TestHookFailure: a failing hook ends the container, with its last words in
// the error, and the poststop hooks run; those only warn.
//
// Source: runtime-spec runtime.md "Lifecycle".
func TestHookFailure(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"prestart", "createRuntime", "createContainer"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			hooks("poststop", hook("echo stopped >"+b.path("poststop")))(b.spec)
			hooks(kind, hook("echo reason-for-it >&2; exit 3"), hook("echo second >"+b.path("second")))(b.spec)
			b.writeSpec()
			b.refuse([]string{"reason-for-it", "exit status 3"})
			if _, err := os.Stat(b.path("second")); err == nil {
				t.Error("the hook after the failed one ran")
			}
			if _, err := os.Stat(b.path("poststop")); err != nil && runtimeName == "hutch" {
				t.Errorf("poststop hooks did not run: %v", err)
			}
		})
	}
	// At start, "generate an error, stop the container, and continue the
	// lifecycle at step 12": its destruction, then the poststop hooks. A runtime
	// may leave these to delete.
	for _, kind := range []string{"startContainer", "poststart"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			hutchOnly(t, "1.1's start does not hear of startContainer, its create runs poststart")
			b := newBundle(t, sh("sleep 1000"))
			hooks("poststop", hook("echo stopped >"+b.path("poststop")))(b.spec)
			hooks(kind, hook("echo reason-for-it >&2; exit 3"), hook("echo second >"+b.path("second")))(b.spec)
			b.writeSpec()
			b.create()
			b.rt("start", b.id).failed(t, "hooks."+kind+"[0]", "reason-for-it", "exit status 3")
			if code := b.wait(); code == 0 {
				t.Error("the process ended well")
			}
			b.delete("--force")
			if _, err := os.Stat(b.path("poststop")); err != nil {
				t.Errorf("poststop hooks did not run: %v", err)
			}
			if _, err := os.Stat(b.path("second")); err == nil {
				t.Error("the hook after the failed one ran")
			}
		})
	}
	t.Run("poststop", func(t *testing.T) {
		t.Parallel()
		b := newBundle(t, args("sleep", "1000"))
		hooks("poststop", hook("exit 3"), hook("echo second >"+b.path("second")))(b.spec)
		b.writeSpec()
		b.create().kill("KILL").wait()
		res := b.rt("delete", b.id)
		if runtimeName == "hutch" { // 1.1 stops at the first and fails
			if res.code != 0 || readText(t, b.path("second")) != "second\n" {
				t.Errorf("%s", res)
			}
		}
	})
	t.Run("missing program", func(t *testing.T) {
		t.Parallel()
		refused(t, []string{"/no/such/hook"}, hooks("createRuntime", specs.Hook{Path: "/no/such/hook"}))
	})
	t.Run("relative path", func(t *testing.T) {
		t.Parallel()
		hutchOnly(t, "1.1 takes it from the working directory")
		refused(t, []string{"hooks.createRuntime[0]"}, hooks("createRuntime", specs.Hook{Path: "hook"}))
	})
}

// TestHookTimeout: the whole process group of the hook is killed.
func TestHookTimeout(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 waits for the hook's child as well")
	b := newBundle(t)
	written := func() bool { text, _ := os.ReadFile(b.path("child")); return strings.HasSuffix(string(text), "\n") }
	// A hook that has not come to its child in its time gets more.
	for seconds := 1; !written() && seconds < 100; seconds *= 2 {
		began := time.Now()
		hooks("createRuntime", specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", "sleep 1000 & echo $! >" + b.path("child") + "; sleep 1000"}, Timeout: &seconds})(b.spec)
		b.writeSpec()
		b.refuse([]string{"hooks.createRuntime[0]", fmt.Sprintf("no end within %d s (timeout)", seconds)})
		if took := time.Since(began); took < time.Duration(seconds)*time.Second {
			t.Errorf("took %v with a timeout of %d s", took, seconds)
		}
	}
	pid := strings.TrimSpace(readText(t, b.path("child")))
	eventually(t, "the hook's child is gone", func() bool {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

// TestHookIgnoresStdin: a hook that does not read its state is no error, also
// when the state is larger than a pipe.
func TestHookIgnoresStdin(t *testing.T) {
	t.Parallel()
	newBundle(t, hooks("createRuntime", hook("exit 0"), hook("exec <&-; sleep 0.05")), func(s *specs.Spec) {
		s.Annotations = map[string]string{"large": strings.Repeat("x", 200_000)}
	}).run().ok(t)
}

// TestHookOutputIsBounded: a hook that floods stderr neither fills memory nor
// the error.
func TestHookOutputIsBounded(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 prints all of it")
	b := newBundle(t, hooks("createRuntime", hook("head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 3")))
	if res := b.refuse([]string{"exit status 3"}); len(res.stderr) > 20_000 {
		t.Errorf("%d bytes of error", len(res.stderr))
	}
}
