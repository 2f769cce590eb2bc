package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// The program of a startContainer hook is the image's, so it may do no more than
// the container's process.

// hookWays are the commands that run startContainer hooks, with any process.
func hookWays() map[string]func(*guest, program) result {
	return map[string]func(*guest, program) result{"run": (*guest).runAsIs, "create and start": (*guest).life}
}

func (g *guest) runAsIs(p program) result {
	g.t.Helper()
	return g.standard(g.as(call{root: g.root, args: g.line("run", p.flags...), files: p.files})).do(g.t)
}

// everyHook runs a subtest for each standing and command.
func everyHook(t *testing.T, f func(*testing.T, *guest, func(*guest, program) result)) {
	for _, s := range standings() {
		for name, run := range hookWays() {
			if (slowness > 1 || testing.Short()) && (s.name == "user namespace") == (name == "run") {
				continue
			}
			t.Run(s.name+", "+name, func(t *testing.T) {
				t.Parallel()
				f(t, s.guest(t), run)
			})
		}
	}
}

// needsRootsHooks skips what a createContainer hook is tried by in the standing of a
// user without privilege. The kernel gives that user neither the root directory nor
// the namespaces of an init that is not dumpable, so such a hook is an error there:
// nothing runs that could be attacked.
func needsRootsHooks(t testing.TB, s standing) {
	needs(t, "a caller whose createContainer hooks run: root", s.uid == 0)
}

// powers tells what the kernel lets the shell that runs it do.
const powers = `
look() {
	grep -E '^(Uid|Gid|Groups|Cap[A-Z][a-z]*|NoNewPrivs|Seccomp|SigIgn|SigBlk|Cpus_allowed):' /proc/$$/status
	umask; pwd; ulimit -a; cat /proc/$$/oom_score_adj /proc/$$/cgroup /proc/$$/attr/current 2>&1
	for n in cgroup ipc mnt net pid user uts time; do readlink /proc/$$/ns/$n; done
	readlink /proc/$$/root; mkdir /tmp/made-by-$1 2>&1; [ -e /tmp/made-by-$1 ] && echo made
}
look x 2>&1 | sed 's/^mkdir: .*: /mkdir: /' >/tmp/`

func TestHostileHookIsConfined(t *testing.T) {
	t.Parallel()
	for _, nnp := range []bool{false, true} {
		t.Run(fmt.Sprintf("noNewPrivileges=%v", nnp), func(t *testing.T) {
			everyHook(t, func(t *testing.T, g *guest, run func(*guest, program) result) {
				s := g.spec
				denies(s)
				umask := uint32(0o027)
				s.Process.NoNewPrivileges, s.Process.Cwd, s.Process.User.Umask = nnp, "/home", &umask
				s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 99, Hard: 100}}
				s.Process.OOMScoreAdj = ptr(700)
				if g.uid == 0 {
					s.Process.User.UID, s.Process.User.GID, s.Process.User.AdditionalGids = 1000, 1001, []uint32{7, 8}
				}
				s.Process.Args = []string{"/bin/sh", "-c", powers + "process"}
				s.Process.Env = program{}.environment(g.id)
				hooks("startContainer", hook(powers+"hook"))(s)
				g.writeSpec()
				if res := run(g, program{}); res.code != 0 {
					t.Fatalf("%s", res)
				}
				hooked, process := readText(t, g.rootfs("tmp/hook")), readText(t, g.rootfs("tmp/process"))
				if strings.Contains(hooked, "made\n") {
					t.Errorf("the hook made a folder, which linux.seccomp forbids")
				}
				if hooked != process {
					t.Errorf("the hook has\n%s\nthe process has\n%s", hooked, process)
				}
				if !strings.Contains(process, "Seccomp:\t2") || !strings.Contains(process, "/home\n") {
					t.Errorf("the process itself is not what it should be:\n%s", process)
				}
			})
		})
	}
}

// TestHostileHookReachesNoHost: with the capabilities of the runtime a hook of
// the image mounts a proc of its own, whose sysctls are the host's.
func TestHostileHookReachesNoHost(t *testing.T) {
	t.Parallel()
	everyHook(t, func(t *testing.T, g *guest, run func(*guest, program) result) {
		g.spec.Process.Env = program{}.environment(g.id)
		hooks("startContainer", hook(`mkdir -p /tmp/p /tmp/c
mount -t proc p /tmp/p && echo proc >>/tmp/escape
mount -t cgroup c /tmp/c && echo cgroup >>/tmp/escape
mount -t tmpfs t /tmp/c && echo tmpfs >>/tmp/escape
mount --bind / /tmp/c && echo bind >>/tmp/escape
mknod /tmp/disk b 7 0 && (: </tmp/disk) && echo device >>/tmp/escape
(: >>/tmp/p/sys/kernel/core_pattern) && echo core_pattern >>/tmp/escape
(: >>/proc/sys/kernel/core_pattern) && echo own core_pattern >>/tmp/escape
hostname evil && echo hostname >>/tmp/escape
umount /dev/shm && echo umount >>/tmp/escape
ls /proc/$$/root/`+climb(workDir)+` && echo root >>/tmp/escape
exit 0`))(g.spec)
		g.spec.Linux.ReadonlyPaths = []string{"/proc/sys"}
		g.spec.Linux.Resources = &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}}
		if g.uid != 0 {
			g.spec.Linux.Resources = nil
		}
		g.writeSpec()
		if res := run(g, program{}); res.code != 0 {
			t.Errorf("%s", res)
		}
		if did, err := os.ReadFile(g.rootfs("tmp/escape")); err == nil {
			t.Errorf("the hook could do what the container may not: %q", did)
		}
	})
}

// TestHostileHookEnvironment: without one of its own the hook has the process's,
// with HOME.
func TestHostileHookEnvironment(t *testing.T) {
	t.Parallel()
	const tell = `tr '\0' '\n' </proc/$$/environ | grep -v ^_= | sort >/tmp/`
	everyHook(t, func(t *testing.T, g *guest, run func(*guest, program) result) {
		g.spec.Process.Env = []string{"PATH=/bin", "ONE=two", idVariable + "=" + g.id}
		g.spec.Process.Args = []string{"/bin/sh", "-c", tell + "process"}
		own := hook(tell + "own")
		own.Env = []string{"PATH=/bin", "ONLY=this one"}
		hooks("startContainer", hook(tell+"none"), own)(g.spec)
		g.writeSpec()
		create := program{}
		if res := run(g, create); res.code != 0 {
			t.Fatalf("%s", res)
		}
		process := readText(t, g.rootfs("tmp/process"))
		if !strings.Contains(process, "HOME=/root\n") || !strings.Contains(process, "ONE=two\n") {
			t.Errorf("the process has %q", process)
		}
		if got := readText(t, g.rootfs("tmp/none")); got != process {
			t.Errorf("a hook without env has %q, the process %q", got, process)
		}
		if got := readText(t, g.rootfs("tmp/own")); got != "ONLY=this one\nPATH=/bin\n" {
			t.Errorf("a hook with env has %q", got)
		}
	})
}

// TestHostileHookState: it gets the state, whose pid is init's as the container
// sees it.
func TestHostileHookState(t *testing.T) {
	t.Parallel()
	everyHook(t, func(t *testing.T, g *guest, run func(*guest, program) result) {
		g.spec.Process.Env = program{}.environment(g.id)
		g.spec.Annotations = map[string]string{"key": "value"}
		hooks("startContainer", hook("cat >/tmp/first"), hook("cat >/tmp/second"))(g.spec)
		g.writeSpec()
		if res := run(g, program{}); res.code != 0 {
			t.Fatalf("%s", res)
		}
		for _, name := range []string{"first", "second"} {
			var s state
			if err := json.Unmarshal([]byte(readText(t, g.rootfs("tmp", name))), &s); err != nil {
				t.Fatal(err)
			}
			if s.ID != g.id || s.Status != "created" || s.Pid == nil || *s.Pid != 1 || s.Bundle != g.dir || s.Annotations["key"] != "value" {
				t.Errorf("the %s hook got %s, want created and pid 1", name, readText(t, g.rootfs("tmp", name)))
			}
		}
	})
}

// TestHostileHookStateInJoinedPids: 1 is somebody else then.
func TestHostileHookStateInJoinedPids(t *testing.T) {
	t.Parallel()
	first := standings()[0].guest(t)
	first.asleep()
	g := standings()[0].guest(t, joinPids(first.bundle), args("sleep", "1000"), hooks("startContainer", hook("cat >/tmp/state")))
	g.create()
	inside := pidInside(t, g.pid)
	g.start()
	var s state
	if err := json.Unmarshal([]byte(readText(t, g.rootfs("tmp/state"))), &s); err != nil {
		t.Fatal(err)
	}
	if s.Pid == nil || strconv.Itoa(*s.Pid) != inside {
		t.Errorf("want pid %s: %s", inside, readText(t, g.rootfs("tmp/state")))
	}
}

// TestHostileHookFails: start fails with the last words of a hook that has ended, the container
// ends, its process has not run, nor has the next hook.
func TestHostileHookFails(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]specs.Hook{
		"exit status": hook("echo last words; echo of it >&2; exit 3"),
		"signal":      hook("echo last words; echo of it >&2; kill -9 $$"),
		"timeout":     {Path: "/bin/sh", Args: []string{"sh", "-c", "echo last words; echo of it >&2; exec sleep 1000"}, Timeout: ptr(1)},
		"missing":     {Path: "/bin/none"},
	} {
		t.Run(name, func(t *testing.T) {
			everyHook(t, func(t *testing.T, g *guest, run func(*guest, program) result) {
				g.spec.Process.Env = program{}.environment(g.id)
				g.spec.Process.Args = []string{"/bin/sh", "-c", "echo ran >/tmp/process"}
				hooks("startContainer", first, hook("echo ran >/tmp/second"))(g.spec)
				g.writeSpec()
				res := run(g, program{})
				want := map[string][]string{
					"exit status": {"last words", "of it", "exit status 3"},
					"signal":      {"last words", "of it"},
					"timeout":     {"/bin/sh", "timeout"}, // its output ends with init, which is killed
					"missing":     {"/bin/none"},
				}[name]
				want = append(want, "hooks.startContainer[0]")
				for _, text := range want {
					if !strings.Contains(res.stderr, text) || res.code == 0 {
						t.Errorf("want a failure with %q:\n%s", text, res)
					}
				}
				for _, name := range []string{"process", "second"} {
					if _, err := os.Stat(g.rootfs("tmp", name)); err == nil {
						t.Errorf("the %s ran after the failed hook", name)
					}
				}
				eventually(t, "all processes have ended", func() bool { return len(processesOf(g.id)) == 0 })
			})
		})
	}
}

// TestHostileHookOfTheHost: a createContainer hook is a program of the host, in
// the container's mount namespace, with the container's root as working
// directory. The image's files of the same names are not executed.
func TestHostileHookOfTheHost(t *testing.T) {
	t.Parallel()
	everyHook(t, func(t *testing.T, g *guest, run func(*guest, program) result) {
		needsRootsHooks(t, g.standing)
		program0 := writeText(t, g.path("hooks/prog"), "#!/bin/sh\n[ -e ./this-is-the-root ] || { pwd; exit 9; }\necho injected >./tmp/injected\ncat >"+g.path("hooks/state")+"\nls -l /proc/self/fd >"+g.path("hooks/fds")+"\n")
		for path, mode := range map[string]os.FileMode{program0: 0o755, g.path("hooks"): 0o777} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		evil := writeText(t, g.rootfs(program0), "#!/bin/sh\necho evil >/tmp/evil\n")
		if err := os.Chmod(evil, 0o755); err != nil {
			t.Fatal(err)
		}
		writeText(t, g.rootfs("this-is-the-root"), "")
		g.spec.Process.Env = program{}.environment(g.id)
		g.spec.Process.Args = []string{"cat", "/tmp/injected"}
		hooks("createContainer", specs.Hook{Path: program0})(g.spec)
		g.writeSpec()
		c := g.newCanary()
		if res := run(g, program{files: c.hostFolders(3)}); res.code != 0 || res.stdout != "injected\n" {
			t.Errorf("%s", res)
			return
		}
		if _, err := os.Stat(g.rootfs("tmp/evil")); err == nil {
			t.Error("the image's program ran")
		}
		listed := 0
		for line := range strings.Lines(readText(t, g.path("hooks/fds"))) {
			_, target, ok := strings.Cut(strings.TrimSpace(line), " -> ")
			if !ok {
				continue
			}
			listed++
			// What ls itself has open is the list.
			own := strings.HasPrefix(target, "/proc/") && strings.HasSuffix(target, "/fd")
			if !own && !strings.HasPrefix(target, "pipe:") && target != g.path("hooks/fds") {
				t.Errorf("the hook has %s", line)
			}
		}
		if listed < 4 {
			t.Errorf("%d descriptors were seen, want those of ls at least: %q", listed, readText(t, g.path("hooks/fds")))
		}
	})
}

// TestHostileNoPivotHidesProc: whoever can see a proc without masks may mount
// another in a user namespace of his own; the host's is below a chroot.
func TestHostileNoPivotHidesProc(t *testing.T) {
	t.Parallel()
	for _, flags := range [][]string{nil, {"--no-pivot"}} {
		for _, kind := range []string{"proc", "sysfs"} {
			t.Run(kind+strings.Join(flags, ""), func(t *testing.T) {
				t.Parallel()
				b := newBundle(t, args("busybox", "unshare", "-mrpfn", "sh", "-c", "echo unshared; mount -t "+kind+" none /mnt && echo mounted"), func(s *specs.Spec) {
					s.Linux.MaskedPaths = []string{"/proc/keys", "/proc/timer_list", "/sys/firmware"}
					s.Linux.ReadonlyPaths = []string{"/proc/sys"}
				})
				if err := os.Mkdir(b.rootfs("mnt"), 0o755); err != nil {
					t.Fatal(err)
				}
				res := b.run(flags...)
				if !strings.Contains(res.stdout, "unshared") {
					t.Fatalf("no user namespace inside:\n%s", res)
				}
				if strings.Contains(res.stdout, "mounted") {
					t.Errorf("a %s without masks can be mounted:\n%s", kind, res)
				}
			})
		}
	}
}
