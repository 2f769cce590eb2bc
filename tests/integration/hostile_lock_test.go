package integration

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Whatever a command waits for, delete --force brings about its end, and no other
// command waits for it: see "State" in ARCHITECTURE.md.

// deleteBeside deletes the container while r waits, which it does for ever, and gives
// what r ended with.
func (b *bundle) deleteBeside(r *running) result {
	b.t.Helper()
	select {
	case err := <-r.done:
		r.done <- err
		b.t.Fatalf("it does not wait: %s", r.wait())
	default:
	}
	b.rt("delete", "--force", b.id).ok(b.t)
	b.rt("state", b.id).failed(b.t, "does not exist")
	res := r.wait()
	b.pid = 0 // reaped below, or by the command
	eventually(b.t, "the container's processes are gone", func() bool { return len(processesOf(b.id)) == 0 })
	b.nothingLeft()
	return res
}

// looks runs every command that only looks, or signals, and must not wait.
func (b *bundle) looks() {
	b.t.Helper()
	for _, words := range [][]string{{"state", b.id}, {"list"}, {"ps", b.id}, {"kill", b.id, "URG"}} {
		b.rt(words...).ok(b.t)
	}
}

// fullSocket listens at path with a full backlog and accepts nothing.
func fullSocket(t testing.TB, path string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		t.Cleanup(func() { unix.Close(fd) })
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
	}
	if err == nil {
		err = unix.Listen(fd, 0)
	}
	for err == nil {
		var s int
		if s, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err == nil {
			t.Cleanup(func() { unix.Close(s) })
			err = unix.Connect(s, &unix.SockaddrUnix{Name: path})
		}
	}
	if err != unix.EAGAIN {
		t.Fatal(err)
	}
}

// waitsWith waits until the container has the status.
func (b *bundle) waitsWith(status string) {
	b.t.Helper()
	eventually(b.t, "the container is "+status, func() bool {
		res := b.rt("state", b.id)
		return res.code == 0 && strings.Contains(res.stdout, `"status": "`+status+`"`)
	})
}

// TestDeleteForceBesideFullSocket: the console socket, the pidfd socket and the seccomp
// agent's socket have a full backlog and are never accepted, for create, run and exec.
func TestDeleteForceBesideFullSocket(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 waits in connect with nothing that ends it")
	for name, c := range map[string]struct {
		flag string
		edit edit
	}{
		"console": {"--console-socket", func(s *specs.Spec) { s.Process.Terminal = true }},
		"pidfd":   {"--pidfd-socket", func(*specs.Spec) {}},
		"agent":   {"", nil},
	} {
		for _, command := range []string{"create", "run"} {
			t.Run(name+" "+command, func(t *testing.T) {
				t.Parallel()
				b := newBundle(t, args("sleep", "1000"))
				path := b.path("socket")
				fullSocket(t, path)
				flags := []string{"--detach"}
				if command == "create" {
					flags = nil
				}
				if c.flag != "" {
					flags = append(flags, c.flag, path)
					c.edit(b.spec)
				} else {
					notifies(path, specs.ActAllow, "mkdir")(b.spec)
				}
				b.writeSpec()
				r := call{root: b.root, args: b.line(command, flags...)}.start(t)
				b.waitsFor(r)
				b.looks()
				b.deleteBeside(r).failed(t, path)
			})
		}
	}
	t.Run("exec", func(t *testing.T) {
		t.Parallel()
		b := asleep(t)
		path := b.path("socket")
		fullSocket(t, path)
		r := call{root: b.root, args: []string{"exec", "--detach", "--tty", "--console-socket", path, b.id, "sleep", "1000"}}.start(t)
		eventually(t, "exec waits", func() bool { return len(threadsIn(r, "poll")) > 0 })
		b.looks()
		if res := b.deleteBeside(r); res.code != 255 || !strings.Contains(res.stderr, path) {
			t.Errorf("%s", res)
		}
	})
}

// waitsFor waits until r has made the container's process, and sleeps in poll.
func (b *bundle) waitsFor(r *running) {
	b.t.Helper()
	eventually(b.t, "the container is there", func() bool {
		res := b.rt("state", b.id)
		return res.code == 0 && !strings.Contains(res.stdout, `"pid": 0`)
	})
	eventually(b.t, "the command waits", func() bool { return len(threadsIn(r, "poll")) > 0 })
}

// threadsIn lists the threads of r that sleep in a kernel function with text in its name.
func threadsIn(r *running, text string) (found []string) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/wchan", r.cmd.Process.Pid))
	for _, file := range tasks {
		if name, err := os.ReadFile(file); err == nil && strings.Contains(string(name), text) {
			found = append(found, file)
		}
	}
	return found
}

// TestDeleteForceBesideReady: a container that never says that it is ready, for start and
// run --detach.
func TestDeleteForceBesideReady(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "the tests of the lock are for what Hutch does")
	for _, command := range []string{"start", "run"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, sh("sleep 1000"))
			host := b.path("manager")
			manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: host, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			defer manager.Close()
			env := append(os.Environ(), "NOTIFY_SOCKET="+host)
			c := call{root: b.root, env: env, args: b.line("run", "--detach")}
			if command == "start" {
				create := b.createCall()
				create.env = env
				create.do(t).ok(t)
				c.args = []string{"start", b.id}
			}
			r := c.start(t)
			b.waitsWith("running")
			b.looks()
			b.rt("exec", b.id, "true").ok(t)
			b.rt("pause", b.id).ok(t) // needs the lock
			b.rt("resume", b.id).ok(t)
			b.deleteBeside(r)
		})
	}
}

// endless is a hook without a timeout that never ends, and leaves word that it runs.
func endless(dir string) specs.Hook {
	return hook("echo $$ >" + dir + "/new; mv " + dir + "/new " + dir + "/runs; sleep 1000 & wait")
}

// TestDeleteForceEndsHooks: hooks of each kind that never end, for create, start and run.
// Where the container dies of it, the poststop hooks run, once.
func TestDeleteForceEndsHooks(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 waits for the hook")
	for _, kind := range hookKinds()[:5] {
		for _, command := range []string{"create", "run", "run without cgroups"} {
			t.Run(kind+" "+command, func(t *testing.T) {
				t.Parallel()
				b, dir := hooked(t, kind)
				before := kind != "startContainer" && kind != "poststart"
				words := b.line(command)
				if command != "create" {
					words = b.line("run", "--detach")
				} else if !before {
					b.create()
					words = []string{"start", b.id}
				}
				c := call{root: b.root, args: words}
				if strings.HasSuffix(command, "cgroups") {
					needs(t, "a caller that may go without systemd", !systemdCgroup())
					c.global = []string{"--cgroup-manager", "disabled"} // nothing but init can be killed
				}
				r := c.start(t)
				eventually(t, "the hook runs", func() bool { _, err := os.Stat(dir + "/runs"); return err == nil })
				b.looks()
				if before {
					b.refusesExec()
				} else { // it is started, whatever it waits for
					b.rt("start", b.id).failed(t, "cannot start an already running container")
				}
				b.deleteBeside(r).failed(t)
				if pid := hookPid(t, dir); kind != "startContainer" && kind != "createContainer" { // which see another number
					eventually(t, "the hook's group is gone", func() bool {
						_, _ = unix.Wait4(-pid, nil, unix.WNOHANG, nil) // of orphans
						return unix.Kill(-pid, 0) == unix.ESRCH
					})
				}
				if got := readText(t, dir+"/poststop"); got != "x\n" {
					t.Errorf("the poststop hooks ran %d times, want once", len(got)/2)
				}
			})
		}
	}
}

// refusesExec fails the test unless the container is not yet ready for exec.
func (b *bundle) refusesExec() {
	b.t.Helper()
	b.status("creating")
	if res := b.rt("exec", b.id, "true"); res.code != 255 || !strings.Contains(res.stderr, "being created") {
		b.t.Errorf("%s", res)
	}
}

// hooked is a bundle with an endless hook of the kind.
func hooked(t *testing.T, kind string) (b *bundle, dir string) {
	b = newBundle(t, args("sleep", "1000"))
	dir = b.path("hooks")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	bindMount(dir, "/hooks")(b.spec)
	at := dir
	if kind == "startContainer" {
		at = "/hooks"
	}
	hooks("poststop", hook("echo x >>"+dir+"/poststop"))(b.spec)
	hooks(kind, endless(at))(b.spec)
	b.writeSpec()
	return b, dir
}

// TestPoststopHookHoldsNothing: a poststop hook that never ends keeps the delete that runs
// it, and nobody else: the container is gone, and its id free.
func TestPoststopHookHoldsNothing(t *testing.T) {
	t.Parallel()
	b, dir := hooked(t, "poststop")
	b.create()
	r := call{root: b.root, args: []string{"delete", "--force", b.id}}.start(t)
	eventually(t, "the hook runs", func() bool { _, err := os.Stat(dir + "/runs"); return err == nil })
	b.wait()
	b.rt("state", b.id).failed(t, "does not exist")
	b.delete("--force")
	b.spec.Hooks = nil
	b.writeSpec()
	b.create().start().delete("--force")
	b.wait()
	if err := unix.Kill(-hookPid(t, dir), unix.SIGKILL); err != nil { // it leads a group
		t.Error(err)
	}
	if res := r.wait(); res.code != 0 || !strings.Contains(res.stderr, "warning: hooks.poststop[0]") {
		t.Errorf("%s", res)
	}
}

// hookPid is the process of the endless hook, as it sees itself.
func hookPid(t testing.TB, dir string) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(readText(t, dir+"/runs")))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// TestDeleteForceBesideStoppedCreator: the creator itself is stopped, with the container
// locked. The container is taken away from it; when it goes on it fails and leaves nothing.
func TestDeleteForceBesideStoppedCreator(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 has no lock")
	b, dir := hooked(t, "createRuntime")
	r := call{root: b.root, args: b.line("create")}.start(t)
	eventually(t, "the hook runs", func() bool { _, err := os.Stat(dir + "/runs"); return err == nil })
	if err := r.cmd.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	b.looks()
	b.refusesExec()
	res := b.rt("delete", "--force", b.id)
	if want := fmt.Sprintf("by process %d (", r.cmd.Process.Pid); res.code != 0 || !strings.Contains(res.stderr, want) {
		t.Errorf("want a warning with %q: %s", want, res)
	}
	if got := readText(t, dir+"/poststop"); got != "x\n" {
		t.Errorf("the poststop hooks ran %d times, want once", len(got)/2)
	}
	b.spec.Hooks = nil
	b.writeSpec()
	b.create().start() // the id is free, and what the old creator takes back is not the new one's
	if err := r.cmd.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	r.wait().failed(t, "hooks.createRuntime[0]")
	b.status("running")
	b.rt("exec", b.id, "true").ok(t) // in its cgroups
	b.delete("--force").wait()
	if got := readText(t, dir+"/poststop"); got != "x\n" {
		t.Errorf("the poststop hooks ran %d times in all, want once", len(got)/2)
	}
	b.nothingLeft()
}

// TestPoststartOfAShortContainer: a hook after start runs to its end, though the container
// has ended.
func TestPoststartOfAShortContainer(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 runs poststart at create")
	b := newBundle(t, args("true"))
	hooks("poststart", hook("read state; pid=$(echo \"$state\" | sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/'); "+
		"while ! grep -q '^State:.Z' /proc/$pid/status && [ -d /proc/$pid ]; do :; done; echo x >"+b.path("done")))(b.spec)
	b.writeSpec()
	b.create().start().wait()
	if got := readText(t, b.path("done")); got != "x\n" {
		t.Errorf("got %q", got)
	}
}

// TestPoststartFailureDestroys: start fails, the container is gone, and the poststop hooks
// have run, once.
//
// Source: runtime-spec runtime.md "Lifecycle", steps 9, 12 and 13.
func TestPoststartFailureDestroys(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 runs poststart at create")
	for _, kind := range []string{"startContainer", "poststart"} {
		b := newBundle(t, args("sleep", "1000"))
		hooks("poststop", hook("echo x >>"+b.path("poststop")))(b.spec)
		hooks(kind, hook("exit 3"))(b.spec)
		b.writeSpec()
		b.create()
		b.rt("start", b.id).failed(t, "hooks."+kind+"[0]")
		b.wait()
		b.rt("state", b.id).failed(t, "does not exist")
		b.nothingLeft()
		if got := readText(t, b.path("poststop")); got != "x\n" {
			t.Errorf("%s: the poststop hooks ran %d times, want once", kind, len(got)/2)
		}
	}
}

// TestPoststopFailureIsTold: on standard error, where there is no log.
func TestPoststopFailureIsTold(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 fails")
	b := newBundle(t, args("true"), hooks("poststop", hook("exit 3")))
	for command, res := range map[string]result{"run": b.run(), "delete": b.create().kill("KILL").rt("delete", b.id)} {
		if res.code != 0 || !strings.Contains(res.stderr, "warning: hooks.poststop[0]") {
			t.Errorf("%s: %s", command, res)
		}
	}
	b.wait()
}

// TestKillOfCreated: signals that are there to end a program end a container that has none
// yet; others have no effect.
func TestKillOfCreated(t *testing.T) {
	t.Parallel()
	for _, signal := range []string{"TERM", "INT", "HUP", "QUIT"} {
		b := newBundle(t, args("sleep", "1000")).create()
		b.kill("URG").status("created")
		b.kill(signal)
		b.wait()
		b.status("stopped").delete()
	}
}

// TestKillOfWhatIsLeft: the processes of a container without a pid namespace live on when
// its init has died, and KILL reaches them.
func TestKillOfWhatIsLeft(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("sleep 1000 & echo up; wait"), withoutNamespace(specs.PIDNamespace)).create().start()
	b.waitOutput("up\n")
	if err := unix.Kill(b.pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.wait()
	b.status("stopped")
	b.rt("kill", b.id, "TERM").failed(t, "container not running")
	b.kill("KILL")
	reapOrphans(t, b.id)
	if runtimeName == "hutch" {
		// A process that is ending is one of its cgroup's for a moment longer than it has a name.
		eventually(t, "none is left to kill", func() bool { return b.rt("kill", b.id, "KILL").code != 0 })
		b.rt("kill", b.id, "KILL").failed(t, "container not running")
	}
	b.delete()
}

// TestForeignState: a state directory, or a container's, that another user owns or may
// write is refused by all commands; nothing of the record is run or killed.
func TestForeignState(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 trusts what is there")
	const somebody = 1718
	for name, c := range map[string]struct {
		of   func(*bundle) string
		take func(path string) error
		back os.FileMode
	}{
		"root of another":          {func(b *bundle) string { return b.root }, func(p string) error { return os.Chown(p, somebody, somebody) }, 0o700},
		"root that all may write":  {func(b *bundle) string { return b.root }, func(p string) error { return os.Chmod(p, 0o777) }, 0o700},
		"container of another":     {func(b *bundle) string { return b.root + "/" + b.id }, func(p string) error { return os.Chown(p, somebody, somebody) }, 0o711},
		"record of another":        {func(b *bundle) string { return b.root + "/" + b.id + "/state.json" }, func(p string) error { return os.Chown(p, somebody, somebody) }, 0o600},
		"record that all may edit": {func(b *bundle) string { return b.root + "/" + b.id + "/state.json" }, func(p string) error { return os.Chmod(p, 0o666) }, 0o600},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, args("sleep", "1000"))
			hooks("poststop", hook("echo x >>"+b.path("poststop")))(b.spec)
			b.writeSpec()
			b.create().start()
			path := c.of(b)
			st, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.take(path); err != nil {
				t.Fatal(err)
			}
			for _, words := range [][]string{{"state", b.id}, {"start", b.id}, {"kill", b.id, "KILL"}, {"ps", b.id}, {"pause", b.id},
				{"delete", b.id}, {"delete", "--force", b.id}, {"events", "--stats", b.id}, {"update", "--pids-limit", "9", b.id}} {
				b.rt(words...).failed(t, "is not trusted", path)
			}
			if res := b.rt("exec", b.id, "true"); res.code != 255 || !strings.Contains(res.stderr, "is not trusted") {
				t.Errorf("%s", res)
			}
			if res := b.rt("list"); path == b.root && res.code == 0 || !strings.Contains(res.stderr, "is not trusted") || strings.Contains(res.stdout, b.id) {
				t.Errorf("%s", res)
			}
			if path == b.root {
				b.rt(b.line("create")...).failed(t, "is not trusted", path)
			}
			if err := unix.Kill(b.pid, 0); err != nil {
				t.Errorf("init: %v", err)
			}
			if _, err := os.Stat(b.path("poststop")); err == nil {
				t.Error("the poststop hook ran")
			}
			if err := os.Chown(path, 0, 0); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.back|st.Mode()&os.ModeSticky); err != nil {
				t.Fatal(err)
			}
			b.status("running")
		})
	}
}
