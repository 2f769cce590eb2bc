package integration

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// passwdKinds are what an image can have for /etc/passwd, none of which tells a
// home directory.
func passwdKinds(t testing.TB) map[string]func(path string) error {
	t.Helper()
	text := func(text string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(text), 0o644) }
	}
	link := func(target string) func(string) error {
		return func(path string) error { return os.Symlink(target, path) }
	}
	return map[string]func(string) error{
		"kernel log":      link("/proc/kmsg"),
		"own log":         link("/dev/kmsg"),
		"loop":            link("passwd"),
		"standard input":  link("/proc/self/fd/0"),
		"descriptor":      link("/proc/self/fd/5"),
		"terminal":        link("/dev/ptmx"),
		"pagemap":         link("/proc/self/pagemap"),
		"memory":          link("/proc/self/mem"),
		"sysfs":           link("/sys/kernel/notes"),
		"out":             link(climb(filepath.Join(workDir, "passwd"))),
		"fifo":            mkfifo,
		"folder":          func(path string) error { return os.Mkdir(path, 0o755) },
		"endless":         func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) },
		"console":         func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(5, 0))) },
		"socket":          func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o666, 0) },
		"sparse terabyte": func(path string) error { sparse(t, path, 1<<40); return nil },
		"one line":        text(strings.Repeat("a", 50<<20/int(slowness))),
		"nothing":         text(""),
		"nonsense":        text("root\nroot:x:zero:0:::\n:::::::\nroot:x:-0:0:r:/wrong\nroot:x:4294967296:0:r:/wrong\n"),
	}
}

// TestHostilePasswd: HOME is asked of a file of the image. Whatever that is, the
// command ends, and nothing of the host is read by it.
func TestHostilePasswd(t *testing.T) {
	t.Parallel()
	writeText(t, filepath.Join(workDir, "passwd"), "root:x:0:0:root:/of-the-host:/bin/sh\n")
	kinds := passwdKinds(t)
	for k, kind := range slices.Sorted(maps.Keys(kinds)) {
		lay := kinds[kind]
		for i, s := range standings()[:2] {
			if slowness > 1 && !onSlow(s.name, "run") || testing.Short() && (i+k)%2 == 0 {
				continue
			}
			t.Run(s.name+", "+kind, func(t *testing.T) {
				t.Parallel()
				g := s.guest(t, env("PATH=/bin"))
				g.spec.Process.Args = []string{"/bin/sh", "-c", `echo "home $HOME"`}
				g.writeSpec()
				path := g.rootfs("etc/passwd")
				os.Remove(path)
				if err := lay(path); err != nil {
					t.Fatal(err)
				}
				expect := func(res result) {
					t.Helper()
					if strings.Contains(res.stderr, "goroutine ") || res.code != 0 && strings.TrimSpace(res.stderr) == "" {
						t.Errorf("%s", res)
					}
					if res.code == 0 && res.stdout != "home /\n" {
						t.Errorf("want HOME=/, or an error:\n%s", res)
					}
				}
				expect(g.runAsIs(program{}))
				expect(g.life(program{}))
				os.Rename(path, path+".odd")
				writeText(t, path, "")
				g.asleep()
				os.Remove(path)
				os.Rename(path+".odd", path)
				expect(g.execCallOf("/bin/sh", "-c", `echo "home $HOME"`).do(t))
			})
		}
	}
}

// execCallOf is an exec without any HOME.
func (g *guest) execCallOf(words ...string) call {
	c := g.execCall(program{}, "--env", "HOME=")
	c.args = append(c.args, words...)
	return c
}

// TestHomeOfOrdinaryPasswd: the file of an ordinary image tells HOME, to any
// caller.
func TestHomeOfOrdinaryPasswd(t *testing.T) {
	t.Parallel()
	for _, s := range standings() {
		for text, want := range map[string]string{
			"root:x:0:0:root:/root:/bin/sh\n":                            "/root",
			"other:x:5:5::/other:\nroot:x:0:0:root:/somewhere:/bin/sh":   "/somewhere",
			"other:x:5:5::/other:\n":                                     "/",
			strings.Repeat("#", 3000) + "\nroot:x:0:0::/after:/bin/sh\n": "/after",
		} {
			g := s.guest(t)
			g.spec.Process.Args = []string{"/bin/sh", "-c", `echo "$HOME"`}
			writeText(t, g.rootfs("etc/passwd"), text)
			g.writeSpec()
			if res := g.runAsIs(program{}); res.stdout != want+"\n" {
				t.Errorf("%s: passwd %.60q: want HOME %s:\n%s", s.name, text, want, res)
			}
		}
	}
}

// TestHostileLeaksOfUnprivileged: nothing of the caller's environment and open
// files gets into the container, by any way.
func TestHostileLeaksOfUnprivileged(t *testing.T) {
	t.Parallel()
	for _, w := range ways() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			g := standings()[2].guest(t)
			g.asleepFor(w)
			secret, err := os.Open(writeText(t, g.path("secret"), "secret\n"))
			if err != nil {
				t.Fatal(err)
			}
			defer secret.Close()
			g.groups = []uint32{4, 24, 27}
			g.secret = "SECRET=of-the-caller"
			p := program{args: []string{"/bin/sh", "-c", "{ probe leak /tmp/leak; tr '\\0' '\\n' </proc/$$/environ; cat /proc/$$/status; } >/tmp/seen"},
				files: []*os.File{secret, nil, nil, secret}}
			if res := w.run(g, p); res.code != 0 {
				t.Fatalf("%s", res)
			}
			seen := readText(t, g.rootfs("tmp/seen"))
			if strings.Contains(seen, "of-the-caller") {
				t.Errorf("the caller's environment is inside:\n%s", seen)
			}
			for line := range strings.Lines(readText(t, g.rootfs("tmp/leak"))) {
				if fd, _, _ := strings.Cut(line, " "); fd != "0" && fd != "1" && fd != "2" {
					t.Errorf("descriptor %s", line)
				}
			}
			if !strings.Contains(seen, "CapBnd:\t00000000a80425fb") {
				t.Errorf("the bounding set is not the configuration's:\n%s", seen)
			}
		})
	}
}

// TestHostileRootIsLink: the root that the configuration names is a link, which
// another may have laid.
func TestHostileRootIsLink(t *testing.T) {
	t.Parallel()
	for name, lay := range map[string]func(b *bundle) string{
		"to the host's root": func(b *bundle) string { b.replace("", "/"); return "rootfs" },
		"to a folder": func(b *bundle) string {
			os.Rename(b.rootfs(), b.path("real"))
			b.replace("", b.path("real"))
			return "rootfs"
		},
		"absolute":        func(b *bundle) string { b.replace("", "/"); return b.rootfs() },
		"of procfs":       func(b *bundle) string { return "/proc/self/root" },
		"of a descriptor": func(b *bundle) string { return "/proc/self/cwd" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, args("/bin/cat", "/etc/hostname"))
			b.spec.Root.Path = lay(b)
			b.writeSpec()
			b.refuse([]string{"root"})
		})
	}
}

// TestHostileSysctlNames: no spelling of a name leads to a value of the host.
func TestHostileSysctlNames(t *testing.T) {
	t.Parallel()
	names := []string{"kernel/core_pattern", "vm/swappiness", "kernel/panic", "net/core/bpf_jit_enable", "user/max_user_namespaces"}
	values := func() map[string]string {
		list := map[string]string{}
		for _, name := range names {
			if data, err := os.ReadFile("/proc/sys/" + name); err == nil {
				list[name] = string(data)
			}
		}
		return list
	}
	before := values()
	// What a runtime without the defence has changed is put back at once.
	restore := func() {
		for name, value := range values() {
			if value != before[name] {
				if err := os.WriteFile("/proc/sys/"+name, []byte(before[name]), 0o644); err != nil {
					t.Errorf("put back %s %q: %v", name, before[name], err)
				}
			}
		}
	}
	t.Cleanup(restore)
	for _, key := range []string{
		"net/../kernel/core_pattern", "net.ipv4/../../kernel/core_pattern", "net/ipv4/../../kernel/panic", "kernel/msgmax/../panic",
		"kernel.shm_rmid_forced/../panic", "net..kernel.panic", "net//../vm/swappiness", "net/./../vm/swappiness", "./kernel/panic", "/kernel/panic",
		"kernel/panic", "kernel.core_pattern", "fs.mqueue/../../vm/swappiness", "kernel.domainname/../panic",
		"kernel/sem/../../vm/swappiness", "user.max_user_namespaces", "net", "net.", "", ".", "..", "net/ipv4", "kernel.msgmax\x00", "net/ipv4/..", "kernel.ns_last_pid",
	} {
		g := standings()[0].guest(t, sysctl(key, "1"))
		res := g.createCall().do(t)
		if res.code == 0 {
			t.Errorf("sysctl %q is taken:\n%s", key, res)
			g.readPid()
		}
		if after := values(); !maps.Equal(after, before) {
			t.Errorf("sysctl %q changed the host's values: %q, were %q", key, after, before)
			restore()
		}
	}
}

// TestSysctlOfAnAddedUserNamespace: a user namespace that config.json does not have, and the
// runtime adds for a user, is none that parameters could be meant for: they are refused as
// root's are. With one in config.json they are that namespace's own.
func TestSysctlOfAnAddedUserNamespace(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 takes them")
	const key = "user.max_user_namespaces"
	for _, s := range standings() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			value := readText(t, "/proc/sys/user/max_user_namespaces")
			without := func(s *specs.Spec) {
				withoutNamespace(specs.UserNamespace)(s)
				s.Linux.UIDMappings, s.Linux.GIDMappings = nil, nil
			}
			for _, command := range []string{"run", "create"} {
				g := s.guest(t, without, sysctl(key, "77"))
				g.do(g.line(command)...).failed(t, key, "needs a user namespace", "would change the host's")
			}
			refused := s.guest(t, without, sysctl(key, "77"))
			if res := refused.do("check", "--bundle", refused.dir); !strings.Contains(res.stdout, "needs a user namespace") || !strings.Contains(res.stdout, ": 1 error, ") {
				t.Errorf("%s", res)
			}
			if now := readText(t, "/proc/sys/user/max_user_namespaces"); now != value {
				t.Errorf("the host has %q, had %q", now, value)
			}
			if s.name == "root" {
				return
			}
			g := s.guest(t, args("cat", "/proc/sys/user/max_user_namespaces"), sysctl(key, "77"))
			if res := g.do(g.line("run")...); res.code != 0 || res.stdout != "77\n" {
				t.Errorf("its own: %s", res)
			}
		})
	}
}

// TestHostilePidFile: the folder of the pid file is another user's, who lays
// links where the runtime may write.
func TestHostilePidFile(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"create", "run", "exec"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			g := standings()[0].guest(t, args("sleep", "1000"))
			if command == "exec" {
				g.asleep()
			}
			c := g.newCanary()
			dir := g.path("theirs")
			if err := os.Mkdir(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			self := os.Getpid()
			for pid := max(self-50, 1); pid < self+300; pid++ {
				os.Symlink(c.path("file"), fmt.Sprintf("%s/.pid.%d", dir, pid))
			}
			os.Symlink(c.path("file"), dir+"/pid")
			os.Symlink(c.path("file"), dir+"/.pid")
			cmd := g.createCall()
			cmd.args = g.line("create", "--pid-file", dir+"/pid")
			switch command {
			case "run":
				cmd.args = g.line("run", "--detach", "--pid-file", dir+"/pid")
			case "exec":
				cmd.args = []string{"exec", "--detach", "--pid-file", dir + "/pid", g.id, "sleep", "1000"}
			}
			res := cmd.do(t)
			c.check(command)
			var st unix.Stat_t
			if err := unix.Lstat(dir+"/pid", &st); res.code == 0 && (err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG) {
				t.Errorf("the pid file is no regular file (%v):\n%s", err, res)
			}
			if res.code != 0 {
				return
			}
			pid := pidIn(t, dir+"/pid")
			if command == "exec" {
				killAndReap(t, pid)
			} else {
				g.pid = pid
			}
		})
	}
}

// credential is the guest's caller, who may be in groups of the host.
func (g *guest) credential() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(g.uid), Gid: uint32(g.uid), Groups: g.groups}}
}
