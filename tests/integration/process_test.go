package integration

import (
	"os"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestArgs(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100_000)
	words := []string{"sh", "-c", `for a; do echo "${#a} <$a>"; done`, "zero", "", "two words", "a\nb", "é", long}
	want := "0 <>\n9 <two words>\n3 <a\nb>\n"
	out := command(t, words)
	if !strings.HasPrefix(out, want) || !strings.HasSuffix(out, "100000 <"+long+">\n") {
		t.Errorf("arguments arrived as %.300q", out)
	}
	if out := command(t, []string{"cat", "/proc/self/cmdline"}); out != "cat\x00/proc/self/cmdline\x00" {
		t.Errorf("cmdline %q: the first argument is as given", out)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("cat", "/proc/self/environ"), env("A=1", "EMPTY=", "WITH=a=b", "SPACE=a b"))
	res := call{root: b.root, args: b.line("run"), env: []string{"PATH=" + os.Getenv("PATH"), "LEAK=host", "HOME=/host"}}.do(t).ok(t)
	got := strings.Split(strings.TrimSuffix(res.stdout, "\x00"), "\x00")
	want := []string{"PATH=/bin", idVariable + "=" + b.id, "A=1", "EMPTY=", "WITH=a=b", "SPACE=a b", "HOME=/root"}
	if !slices.Equal(got, want) {
		t.Errorf("environment %q, want %q", got, want)
	}
}

func TestHome(t *testing.T) {
	t.Parallel()
	user := func(uid uint32) edit { return func(s *specs.Spec) { s.Process.User.UID = uid } }
	cases := []struct {
		name string
		only string
		want string
		edit edit
	}{
		{"root's, from passwd", "", "/root", user(0)},
		{"a user's, from passwd", "", "/home/user", user(1000)},
		{"of nobody in passwd", "", "/", user(4242)},
		{"given", "", "/given", env("HOME=/given")},
		{"given empty", "1.1 keeps it empty", "/root", env("HOME=")},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.only != "" {
				hutchOnly(t, c.only)
			}
			if out := script(t, `echo "$HOME"`, c.edit); out != c.want+"\n" {
				t.Errorf("HOME %q, want %q", out, c.want)
			}
		})
	}
	t.Run("no passwd", func(t *testing.T) {
		t.Parallel()
		b := newBundle(t, sh(`echo "$HOME"`))
		if err := os.Remove(b.rootfs("etc/passwd")); err != nil {
			t.Fatal(err)
		}
		if out := b.run().ok(t).stdout; out != "/\n" && out != "/root\n" {
			t.Errorf("HOME %q", out)
		}
	})
}

func TestCwd(t *testing.T) {
	t.Parallel()
	cwd := func(dir string) edit { return func(s *specs.Spec) { s.Process.Cwd = dir } }
	if out := script(t, "pwd", cwd("/home/user")); out != "/home/user\n" {
		t.Errorf("pwd %q", out)
	}
	if out := script(t, "pwd; probe stat /made/now", cwd("/made/now")); !strings.HasPrefix(out, "/made/now\n/made/now dir 0755 0:0") {
		t.Errorf("a missing directory is not made: %q", out)
	}
	if out := script(t, "pwd", cwd("/bin/..")); out != "/\n" {
		t.Errorf("pwd %q", out)
	}
	t.Run("relative", func(t *testing.T) { refused(t, []string{"wd"}, cwd("home")) })
	t.Run("empty", func(t *testing.T) { refused(t, []string{"wd"}, cwd("")) })
	t.Run("a file", func(t *testing.T) { refused(t, []string{"not a directory"}, cwd("/etc/passwd")) })
}

// TestCwdOfTheUserOnly: a directory that only the user may enter, not root
// without capabilities.
func TestCwdOfTheUserOnly(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("pwd"), func(s *specs.Spec) {
		s.Process.Cwd, s.Process.User = "/private", specs.User{UID: 1000, GID: 1000}
		s.Process.Capabilities = &specs.LinuxCapabilities{}
	})
	if err := os.Mkdir(b.rootfs("private"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(b.rootfs("private"), 1000, 1000); err != nil {
		t.Fatal(err)
	}
	if out := b.run().ok(t).stdout; out != "/private\n" {
		t.Errorf("pwd %q", out)
	}
}

func TestUser(t *testing.T) {
	t.Parallel()
	status := func(t *testing.T, u specs.User) string {
		out := script(t, "grep -E '^(Uid|Gid|Groups):' /proc/self/status", func(s *specs.Spec) { s.Process.User = u })
		return strings.Join(strings.Fields(out), " ")
	}
	if got, want := status(t, specs.User{UID: 1000, GID: 1001, AdditionalGids: []uint32{5, 2000}}),
		"Uid: 1000 1000 1000 1000 Gid: 1001 1001 1001 1001 Groups: 5 2000"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	// No additional group of the caller stays.
	b := newBundle(t, sh("grep -E '^Groups:' /proc/self/status"))
	res := call{root: b.root, args: b.line("run"), wrap: []string{"setpriv", "--groups", "44,45", "--"}}.do(t).ok(t)
	if got := strings.TrimSpace(strings.TrimPrefix(res.stdout, "Groups:")); got != "" && got != "0" {
		t.Errorf("groups %q, want none", got)
	}
	if runtimeName != "hutch" {
		return // 1.1 stops at 2147483647
	}
	if got := status(t, specs.User{UID: 4294967294, GID: 4294967294}); !strings.Contains(got, "Uid: 4294967294 ") {
		t.Errorf("%q: want the largest id", got)
	}
}

func TestUmask(t *testing.T) {
	t.Parallel()
	// umask through /proc, which no shell's start-up changes.
	const ask = "grep Umask: /proc/self/status"
	if out := script(t, ask, func(s *specs.Spec) { s.Process.User.Umask = ptr(uint32(0o037)) }); out != "Umask:\t0037\n" {
		t.Errorf("%q", out)
	}
	if out := script(t, ask, func(s *specs.Spec) { s.Process.User.Umask = ptr(uint32(0)) }); out != "Umask:\t0000\n" {
		t.Errorf("%q", out)
	}
	t.Run("absent is unchanged", func(t *testing.T) {
		hutchOnly(t, "1.1 sets 0022; the specification says unchanged")
		b := newBundle(t, sh(ask))
		res := call{root: b.root, args: b.line("run"), wrap: []string{"sh", "-c", `umask 027; exec "$@"`, "sh"}}.do(t).ok(t)
		if res.stdout != "Umask:\t0027\n" {
			t.Errorf("%q, want the caller's 0027", res.stdout)
		}
	})
}

// TestPathLookup: a missing or unusable program fails create, with the text
// that engines turn into the statuses 126 and 127.
//
// Source: engines' sources: moby daemon/errors.go, podman oci_util.go.
func TestPathLookup(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		texts []string
		args  []string
	}{
		{"not in PATH", []string{`exec: "nosuchprogram": executable file not found in $PATH`}, []string{"nosuchprogram"}},
		{"absolute, missing", []string{`exec: "/no/such/program"`, "no such file or directory"}, []string{"/no/such/program"}},
		{"relative, missing", []string{`exec: "./missing"`, "no such file or directory"}, []string{"./missing"}},
		{"not executable", []string{`exec: "/etc/passwd": permission denied`}, []string{"/etc/passwd"}},
		{"a directory", []string{`exec: "/etc": `}, []string{"/etc"}},
		{"empty", nil, []string{""}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			refused(t, c.texts, args(c.args...))
		})
	}
	t.Run("a directory, hutch", func(t *testing.T) {
		t.Parallel()
		hutchOnly(t, `1.1 says "is a directory" alone, which podman shows as 255`)
		refused(t, []string{`exec: "/etc": is a directory: permission denied`}, args("/etc"))
	})
	t.Run("run fails in the same way", func(t *testing.T) {
		t.Parallel()
		newBundle(t, args("nosuchprogram")).run().failed(t, `exec: "nosuchprogram": executable file not found in $PATH`)
	})
	t.Run("no args", func(t *testing.T) {
		t.Parallel()
		refused(t, []string{"rgs"}, func(s *specs.Spec) { s.Process.Args = nil })
	})
}

// TestPathLookupFinds: the container's PATH counts, first hit wins, what is
// not executable is passed over; without PATH a default serves.
func TestPathLookupFinds(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("tool"), func(s *specs.Spec) { s.Process.Env[0] = "PATH=/a:/b::/c" })
	for dir, text := range map[string]string{"a": "not executable", "b": "#!/bin/sh\necho from b\n", "c": "#!/bin/sh\necho from c\n"} {
		writeText(t, b.rootfs(dir, "tool"), text)
		if dir != "a" {
			if err := os.Chmod(b.rootfs(dir, "tool"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	if out := b.run().ok(t).stdout; out != "from b\n" {
		t.Errorf("ran %q", out)
	}
	if out := command(t, []string{"bin/echo", "relative to cwd"}); out != "relative to cwd\n" {
		t.Errorf("output %q", out)
	}
}

// TestExecErrorAtStart: what only execve can find out reaches start's caller.
func TestExecErrorAtStart(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1's start knows nothing of it")
	cases := []struct{ name, text, want string }{
		{"missing interpreter", "#!/no/such/interpreter\n", "no such file or directory"},
		{"no format", "\x7fELF garbage", "exec format error"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, args("/tool"))
			writeText(t, b.rootfs("tool"), c.text)
			if err := os.Chmod(b.rootfs("tool"), 0o755); err != nil {
				t.Fatal(err)
			}
			b.create()
			b.rt("start", b.id).failed(t, c.want, "/tool")
			if code := b.wait(); code == 0 {
				t.Error("init ended well")
			}
			b.status("stopped")
		})
	}
}

func TestProcessAbsent(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 refuses create; the specification lets start fail")
	b := newBundle(t, func(s *specs.Spec) { s.Process = nil })
	b.create().status("created")
	b.rt("start", b.id).failed(t, "process")
	b.kill("KILL")
	b.wait()
	b.status("stopped").delete()
}

func TestAffinityIsReset(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 keeps the caller's affinity")
	all := command(t, []string{"probe", "affinity"})
	if !strings.Contains(all, ",") {
		t.Skip("needs two CPUs")
	}
	b := newBundle(t, args("probe", "affinity"))
	res := call{root: b.root, args: b.line("run"), wrap: []string{"taskset", "-c", "0"}}.do(t).ok(t)
	if res.stdout != all {
		t.Errorf("affinity %q, want %q", res.stdout, all)
	}
}

func TestAnnotationsInState(t *testing.T) {
	t.Parallel()
	want := map[string]string{"org.example.a": "1", "empty": "", "quote\"d": "back\\slash\n\u00e9"}
	b := newBundle(t, func(s *specs.Spec) { s.Annotations = want }).create()
	got := b.state().Annotations
	for k, v := range want {
		if got[k] != v {
			t.Errorf("annotation %q is %q, want %q", k, got[k], v)
		}
	}
}

// TestSession: init leads a session of its own; engines kill its group.
func TestSession(t *testing.T) {
	t.Parallel()
	if out := command(t, []string{"probe", "session"}); out != "pid 1 group 1 session 1\n" {
		t.Errorf("%q", out)
	}
	if out := command(t, []string{"probe", "session"}, withoutNamespace(specs.PIDNamespace)); strings.Count(out, strings.Fields(out)[1]) != 3 {
		t.Errorf("%q: want the pid as group and session", out)
	}
}
