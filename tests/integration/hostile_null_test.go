package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// The null device that masks files and that engines give as standard input is an
// inode of the host. Who may change its mode from inside cuts off every program
// of the host. The tests have a /dev of their own to lose.

// devices of the stand-in for /dev, with their numbers.
var standIns = map[string][2]uint32{
	"null": {1, 3}, "zero": {1, 5}, "full": {1, 7}, "random": {1, 8}, "urandom": {1, 9}, "tty": {5, 0},
}

// standInDev has the guest's commands run where /dev is a folder of new device
// nodes, and returns that folder. They are root's, as on any host: a caller that
// owns them may change them without any container.
func (g *guest) standInDev() string {
	g.t.Helper()
	// Of its own, since the machine's /tmp may be mounted without devices.
	dir := hostTmpfs(g.t, g.path("dev"), "mode=755")
	for name, n := range standIns {
		if err := unix.Mknod(filepath.Join(dir, name), unix.S_IFCHR, int(unix.Mkdev(n[0], n[1]))); err != nil {
			g.t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), 0o666); err != nil {
			g.t.Fatal(err)
		}
	}
	g.dev = dir
	return dir
}

// inDev lets a call run with the stand-in as /dev. It is root that mounts.
func (g *guest) inDev(c call) call {
	who := ""
	if g.uid != 0 {
		who = fmt.Sprintf("setpriv --reuid=%d --regid=%d --clear-groups ", g.uid, g.uid)
		c.attr = nil
	}
	c.wrap = append([]string{"unshare", "--mount", "--propagation", "private", "/bin/sh", "-c",
		`mount --bind "$1" /dev && shift && exec ` + who + `"$@"`, "sh", g.dev}, c.wrap...)
	return c
}

// inodes describes the stand-ins: all that can be changed of them. The times are left
// out for a user without privilege, who may set those of what he may write to now, on
// any host.
func inodes(t testing.TB, dir string, uid int) []string {
	t.Helper()
	var list []string
	for name := range standIns {
		path := filepath.Join(dir, name)
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		names := make([]byte, 1024)
		n, _ := unix.Listxattr(path, names)
		line := fmt.Sprintf("%s mode %o owner %d:%d attributes %q", name, st.Mode, st.Uid, st.Gid, names[:max(n, 0)])
		if uid == 0 {
			line += fmt.Sprintf(" accessed %d modified %d changed %d.%09d", st.Atim.Sec, st.Mtim.Sec, st.Ctim.Sec, st.Ctim.Nsec)
		}
		list = append(list, line)
	}
	slices.Sort(list)
	return list
}

// hostsRoot maps the host's root into a user namespace, in which it owns then
// what is bound from the host.
func hostsRoot(s *specs.Spec) {
	userNamespace(s)
	s.Linux.UIDMappings[0].HostID, s.Linux.GIDMappings[0].HostID = 0, 0
}

// noFilePowers leaves the container no capability: who owns an inode needs none.
func noFilePowers(s *specs.Spec) { s.Process.Capabilities = &specs.LinuxCapabilities{} }

func TestHostileNullDevice(t *testing.T) {
	t.Parallel()
	for i, s := range []standing{
		{name: "root"},
		{name: "root without capabilities", edits: []edit{noFilePowers}},
		{name: "root with capabilities", edits: []edit{withCapabilities("CAP_SYS_ADMIN", "CAP_LINUX_IMMUTABLE")}},
		{name: "host's root in a user namespace", edits: []edit{hostsRoot}},
		{name: "user namespace", edits: []edit{userNamespace}},
		{name: "unprivileged", edits: []edit{ownIDOnly}, uid: plainUser},
	} {
		for _, w := range ways() {
			if !tried(t, i, s.name, w.name) {
				continue
			}
			t.Run(s.name+", "+w.name, func(t *testing.T) {
				t.Parallel()
				defaceDevices(t, s, w)
			})
		}
	}
}

// defaceDevices lets a program change masks, default devices and the standard
// descriptors, which are the caller's /dev/null.
func defaceDevices(t *testing.T, s standing, w way) {
	g := s.guest(t, func(s *specs.Spec) {
		s.Linux.MaskedPaths = []string{"/proc/keys", "/proc/timer_list", "/proc/latency_stats", "/proc/sched_debug", "/etc/secret"}
	})
	writeText(t, g.rootfs("etc/secret"), "secret\n")
	if g.uid != 0 {
		g.own(g.rootfs("etc"))
	}
	dir := g.standInDev()
	words := []string{"/bin/probe", "deface", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", "/proc/keys", "/proc/timer_list", "/etc/secret"}
	for name := range standIns {
		words = append(words, "/dev/"+name)
	}
	g.stdio = filepath.Join(dir, "null")
	g.asleepFor(w)
	g.defaceOutside(dir)
	before := inodes(t, dir, g.uid)
	res := w.run(g, program{args: words})
	if res.code != 0 {
		t.Errorf("%s", res)
	}
	if after := inodes(t, dir, g.uid); !slices.Equal(before, after) {
		t.Errorf("the host's devices were changed from inside:\n%s\nwere\n%s", strings.Join(after, "\n"), strings.Join(before, "\n"))
	}
}

// defaceOutside lets a user without privilege do to the stand-ins what that user can do
// without any container: some kernels (Linux 6.1 with LSMs that have no say in it) let
// everybody set attributes of security modules. What is left to show is that a container
// adds nothing.
func (g *guest) defaceOutside(dir string) {
	g.t.Helper()
	if g.uid == 0 {
		return
	}
	words := []string{"deface"}
	for name := range standIns {
		words = append(words, filepath.Join(dir, name))
	}
	cmd := exec.Command(filepath.Join(workDir, "assets", "probe"), words...)
	cmd.SysProcAttr = g.credential()
	if out, err := cmd.CombinedOutput(); err != nil {
		g.t.Fatalf("%v: %s", err, out)
	}
}

// TestHostileNullStillWorks: what is masked reads as empty, and what is written
// to standard output, or to a null device, goes nowhere.
func TestHostileNullStillWorks(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, s standing, w way) {
		g := s.guest(t, func(s *specs.Spec) { s.Linux.MaskedPaths = []string{"/etc/secret"} })
		writeText(t, g.rootfs("etc/secret"), "secret\n")
		dir := g.standInDev()
		g.stdio = filepath.Join(dir, "null")
		text := `[ -z "$(cat /etc/secret)" ] && echo x >/dev/null && cat /dev/null && echo out && echo err >&2 && exec probe leak /tmp/leak`
		if !w.hook { // whose standard input is the state
			text = `[ -z "$(cat)" ] && ` + text
		}
		if res := w.run(g, program{args: []string{"/bin/sh", "-c", text}}); res.code != 0 {
			t.Fatalf("%s", res)
		}
		if got := readText(t, g.rootfs("tmp/leak")); strings.Count(got, "null\n") != 3 && !w.hook {
			t.Errorf("descriptors %q, want a null device three times", got)
		}
	})
}

// closings are all ways to leave standard descriptors closed.
func closings() map[string][]int {
	list := map[string][]int{}
	for bits := 1; bits < 8; bits++ {
		var closed []int
		text := ""
		for fd := range 3 {
			if bits>>fd&1 == 1 {
				closed = append(closed, fd)
				text += map[int]string{0: " 0<&-", 1: " 1>&-", 2: " 2>&-"}[fd]
			}
		}
		list[strings.TrimSpace(text)] = closed
	}
	return list
}

// stdioOfOurs reports whether a program that w starts may have the target as a standard
// descriptor: the null device, by its path or at the top of the runtime's own
// read-only mount, the test's files, and a hook's input and output, which lie in
// memory.
func (g *guest) stdioOfOurs(w way, fd int, target string) bool {
	if w.hook {
		return fd == 0 && target == "/memfd:state" || fd != 0 && target == "/memfd:output" || strings.HasPrefix(target, "pipe:[")
	}
	return target == "/dev/null" || target == "/null" || strings.HasPrefix(target, workDir+"/out-") || target == g.path("out") || target == g.path("err")
}

// TestHostileClosedStdio: a caller with closed standard descriptors must not make
// the runtime's own files the container's.
func TestHostileClosedStdio(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, s standing, w way) {
		g := s.guest(t)
		g.asleepFor(w)
		for text := range closings() {
			os.Remove(g.rootfs("tmp/leak"))
			g.closed = text
			res := w.run(g, program{args: []string{"/bin/probe", "leak", "/tmp/leak"}})
			data, err := os.ReadFile(g.rootfs("tmp/leak"))
			if err != nil {
				t.Errorf("%s: the program did not run: %v\n%s", text, err, res)
				continue
			}
			for line := range strings.Lines(string(data)) {
				var fd int
				var target string
				fmt.Sscanf(line, "%d %s", &fd, &target)
				if fd > 2 || !g.stdioOfOurs(w, fd, target) {
					t.Errorf("%s: the program has %s", text, line)
				}
			}
		}
	})
}

// ofTheCaller reports whether this test has got the descriptor from its own caller,
// and hands it on to the runtime with the same number.
func ofTheCaller(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil && flags&unix.FD_CLOEXEC == 0
}

// TestHostilePreserveFds asks for more descriptors than there are, and for
// numbers that are none.
func TestHostilePreserveFds(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, s standing, w way) {
		if w.hook {
			return
		}
		g := s.guest(t)
		g.asleepFor(w)
		for _, number := range []string{"2", "30", "1000", "-1", "1048576", "2147483644", "2147483647", "2147483648", "4294967296", "99999999999", "x", "0x3", "1e1"} {
			os.Remove(g.rootfs("tmp/leak"))
			res := w.run(g, program{args: []string{"/bin/probe", "leak", "/tmp/leak"}, files: openFiles(t, g.bundle, 2), flags: []string{"--preserve-fds=" + number}})
			if strings.Contains(res.stderr, "goroutine ") || strings.Contains(res.stderr, "panic") {
				t.Errorf("%s: the runtime crashed:\n%s", number, res)
			}
			data, err := os.ReadFile(g.rootfs("tmp/leak"))
			if err != nil {
				if small := len(number) <= 2 && number[0] != '-' && number != "x"; small || res.code == 0 || res.stderr == "" {
					t.Errorf("%s: %v\n%s", number, err, res)
				}
				continue
			}
			if len(number) > 10 {
				t.Errorf("%s is taken for something else:\n%s", number, res)
			}
			for line := range strings.Lines(string(data)) {
				var fd int
				var target string
				fmt.Sscanf(line, "%d %s", &fd, &target)
				if fd > 2 && target != g.path(fmt.Sprintf("fd%d", fd)) && !ofTheCaller(fd) {
					t.Errorf("%s: the program has %s", number, line)
				}
			}
		}
	})
}

// TestHostileListenFds: the environment asks for more than is open.
func TestHostileListenFds(t *testing.T) {
	t.Parallel()
	for _, number := range []string{"3", "2147483647", "99999999999", "-1"} {
		b := newBundle(t, args("probe", "leak", "/tmp/leak"))
		res := call{root: b.root, args: b.line("run"), files: openFiles(t, b, 2),
			wrap: []string{"sh", "-c", "LISTEN_FDS=" + number + ` LISTEN_PID=$$ exec "$@"`, "sh"}}.do(t)
		if strings.Contains(res.stderr, "goroutine ") || strings.Contains(res.stderr, "panic") {
			t.Errorf("%s: the runtime crashed:\n%s", number, res)
		}
		data, err := os.ReadFile(b.rootfs("tmp/leak"))
		if err != nil && (res.code == 0 || res.stderr == "") {
			t.Errorf("%s: %v\n%s", number, err, res)
		}
		for line := range strings.Lines(string(data)) {
			var fd int
			fmt.Sscanf(line, "%d", &fd)
			if fd > 2 && !strings.HasSuffix(line, b.path(fmt.Sprintf("fd%d\n", fd))) && !ofTheCaller(fd) {
				t.Errorf("%s: the program has %s", number, line)
			}
		}
	}
}
