package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// hostFolders opens a host folder n times, as descriptors that an engine
// forgot to close.
func (c *canary) hostFolders(n int) []*os.File {
	c.b.t.Helper()
	var files []*os.File
	for range n {
		f, err := os.Open(c.dir)
		if err != nil {
			c.b.t.Fatal(err)
		}
		c.b.t.Cleanup(func() { f.Close() })
		files = append(files, f)
	}
	return files
}

func TestCVE2024_21626_CwdIsDescriptor(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("pwd; ls; exit 77"))
	c := b.newCanary()
	folders := c.hostFolders(30)
	last := 64
	if runtimeName != "hutch" {
		last = 20 // at a tenth of a second each
	}
	for _, form := range []string{"/proc/self/fd/%d", "/proc/1/fd/%d", "/link%d", "/proc/self/fd/%d/../inner", "/proc/thread-self/fd/%d"} {
		for n := 0; n <= last; n++ {
			if n%8 != 0 && form != "/proc/self/fd/%d" {
				continue
			}
			b.spec.Process.Cwd = fmt.Sprintf(form, n)
			if form == "/link%d" {
				os.Symlink(fmt.Sprintf("/proc/self/fd/%d", n), b.rootfs(fmt.Sprintf("link%d", n)))
			}
			b.writeSpec()
			res := call{root: b.root, args: b.line("run"), files: folders}.do(t)
			if res.code != 1 || res.stdout != "" {
				t.Errorf("cwd %s: want a refusal:\n%s", b.spec.Process.Cwd, res)
			}
			res.failed(t)
			b.nothingLeft()
			c.check(b.spec.Process.Cwd)
			if t.Failed() {
				return
			}
		}
	}
}

func TestCVE2024_21626_CwdThroughMagicLinks(t *testing.T) {
	t.Parallel()
	for _, cwd := range []string{"/proc/self/root", "/proc/1/root", "/proc/self/cwd", "/proc/1/cwd", "/proc/self/root/../../tmp", "/proc/self/task/1/cwd"} {
		t.Run(cwd, func(t *testing.T) {
			// Refused, or inside: the root is the container's.
			b := newBundle(t, sh(`case "$(pwd -P)" in "(unreachable)"*) exit 77;; esac; cd .. && [ -e /mark ] || exit 77; ls / | grep -q mark || exit 77`),
				func(s *specs.Spec) { s.Process.Cwd = cwd })
			c := b.newCanary()
			writeText(t, b.rootfs("mark"), "")
			create := b.createCall()
			create.files = c.hostFolders(8)
			create.dir = c.dir
			c.attemptBy(create)
		})
	}
}

func TestCVE2024_21626_DescriptorsOfInit(t *testing.T) {
	t.Parallel()
	for _, tty := range []bool{false, true} {
		t.Run(fmt.Sprintf("terminal=%v", tty), func(t *testing.T) {
			b := newBundle(t, sh(`for f in /proc/self/fd/*; do [ -d $f/ ] && exit 77; done; /bin/probe fds >/tmp/fds`), func(s *specs.Spec) { s.Process.Terminal = tty })
			c := b.newCanary()
			var flags []string
			if tty {
				flags = b.terminals()
			}
			create := b.createCall(flags...)
			create.files = c.hostFolders(12)
			create.do(t).ok(t)
			b.readPid()
			// The fifos that start opens, and pipes, sockets and the like that
			// have no name, may be open; nothing else that has a name on the host. The
			// fifos and the null device are on mounts of their own, which are nowhere
			// attached.
			for fd, target := range descriptors(t, b.pid) {
				anonymous := strings.Contains(target, ":[") || strings.HasPrefix(target, "anon_inode:")
				standard := fd <= 2 && (target == "/null" || target == b.path("out") || target == b.path("err") || strings.HasPrefix(target, "/dev/pts/"))
				if !anonymous && !standard && !b.isFifo(fd) {
					t.Errorf("descriptor %d of a created container's init is %s", fd, target)
				}
			}
			b.start()
			if code := b.wait(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if got := strings.TrimSpace(readText(t, b.rootfs("tmp/fds"))); got != "0 1 2" {
				t.Errorf("descriptors of the process: %s", got)
			}
			c.check("the life")
		})
	}
}

// isFifo reports whether the descriptor of init is one of the two fifos in the container's
// state directory.
func (b *bundle) isFifo(fd int) bool {
	open, err := os.Stat(fmt.Sprintf("/proc/%d/fd/%d", b.pid, fd))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, name := range [...]string{"exec.fifo", "result.fifo"} {
		if fifo, err := os.Stat(b.root + "/" + b.id + "/" + name); err == nil && os.SameFile(open, fifo) {
			return true
		}
	}
	return false
}

// descriptors are the open files of a process.
func descriptors(t testing.TB, pid int) map[int]string {
	t.Helper()
	found := map[int]string{}
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	for _, name := range dirNames(t, dir) {
		target, err := os.Readlink(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		var fd int
		fmt.Sscan(name, &fd)
		found[fd] = target
	}
	if len(found) < 3 {
		t.Fatalf("descriptors of %d: %v", pid, found)
	}
	return found
}

// pidInside is a process's id in its innermost pid namespace.
func pidInside(t testing.TB, pid int) string {
	t.Helper()
	for _, line := range strings.Split(readText(t, fmt.Sprintf("/proc/%d/status", pid)), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "NSpid:" {
			return f[len(f)-1]
		}
	}
	t.Fatalf("no NSpid of %d", pid)
	return ""
}

func TestCVE2016_9962_InitIsClosedToOthers(t *testing.T) {
	t.Parallel()
	// The spy stays when it is done: as init of the pid namespace it could not
	// end before the prey.
	const spy = `
until [ -s /tmp/prey ]; do sleep 0.01; done
(
p=/proc/$(cat /tmp/prey)
[ -d $p ] || { echo no prey; exit 78; }
# The numbers of its descriptors may be seen, not what they are.
for fd in 0 1 2 3 4 5 6 7 8 9 $(ls $p/fd 2>/dev/null); do
	readlink $p/fd/$fd 2>/dev/null && { echo fd $fd; exit 77; }
	(exec 9<$p/fd/$fd) 2>/dev/null && { echo opened fd $fd; exit 77; }
done
cat $p/environ 2>/dev/null | grep -q . && { echo environ; exit 77; }
readlink $p/exe 2>/dev/null && { echo exe; exit 77; }
readlink $p/cwd 2>/dev/null && { echo cwd; exit 77; }
readlink $p/root 2>/dev/null && { echo root; exit 77; }
cat $p/maps 2>/dev/null | grep -q . && { echo maps; exit 77; }
(exec 3<$p/mem) 2>/dev/null && { echo mem; exit 77; }
(exec 3<>$p/mem) 2>/dev/null && { echo mem; exit 77; }
exit 0)
echo verdict $?
exec sleep 1000`
	for name, edits := range map[string][]edit{
		"same capabilities":                    nil,
		"all capabilities of a user namespace": {userNamespace, withCapabilities("CAP_SYS_PTRACE", "CAP_SYS_ADMIN")},
	} {
		t.Run(name, func(t *testing.T) {
			hunter := newBundle(t, append(slices.Clone(edits), sh(spy))...)
			if edits != nil {
				os.Chmod(hunter.rootfs("tmp"), os.ModeSticky|0o777)
			}
			hunter.create().start()
			prey := newBundle(t, append(slices.Clone(edits), joinPids(hunter), func(s *specs.Spec) {
				if edits != nil {
					namespace(specs.UserNamespace, fmt.Sprintf("/proc/%d/ns/user", hunter.pid))(s)
					s.Linux.UIDMappings, s.Linux.GIDMappings = nil, nil
				}
			})...)
			prey.create()
			if err := os.WriteFile(hunter.rootfs("tmp/prey"), []byte(pidInside(t, prey.pid)), 0o644); err != nil {
				t.Fatal(err)
			}
			if got := hunter.waitOutput("verdict "); got != "verdict 0\n" {
				t.Errorf("open to another process: %s", got)
			}
			if ran := readText(t, fmt.Sprintf("/proc/%d/stat", prey.pid)); strings.Contains(ran, ") Z ") {
				t.Errorf("the prey was gone: %s", ran)
			}
		})
	}
}

// joinPids lets a container share the pid namespace of a created one.
func joinPids(b *bundle) edit {
	return namespace(specs.PIDNamespace, fmt.Sprintf("/proc/%d/ns/pid", b.pid))
}

func TestCVE2022_29162_InheritableCapabilities(t *testing.T) {
	t.Parallel()
	inheritable := func(edits ...edit) string {
		t.Helper()
		return strings.TrimSpace(command(t, []string{"grep", "^Cap[IA]", "/proc/self/status"}, edits...))
	}
	const none = "0000000000000000"
	if got := inheritable(); got != "CapInh:\t"+none+"\nCapAmb:\t"+none {
		t.Errorf("unasked: %s", got)
	}
	if got := inheritable(withCapabilities("CAP_SYS_ADMIN", "CAP_NET_ADMIN")); got != "CapInh:\t"+none+"\nCapAmb:\t"+none {
		t.Errorf("unasked, with more in the other sets: %s", got)
	}
	asked := inheritable(func(s *specs.Spec) { s.Process.Capabilities.Inheritable = []string{"CAP_CHOWN"} })
	if asked != "CapInh:\t0000000000000001\nCapAmb:\t"+none {
		t.Errorf("asked: %s", asked)
	}
	if got := inheritable(func(s *specs.Spec) { s.Process.Capabilities = nil }); !strings.Contains(got, "CapInh:\t"+none) {
		t.Errorf("without capabilities: %s", got)
	}
}

func TestCVE2026_30892_ContainerIDs(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	c := b.newCanary()
	top := filepath.Dir(b.dir)
	before := dirNames(t, top)
	for _, id := range []string{
		"", ".", "..", "../out", "../../out", "a/b", "/out", c.path("empty/out"), "a/../../out", "a b", "a\nb", "\x1b[2J",
		"a:b", "a]b", "a\\b", "ä", "a\xff", "*", "~", "a;b", "$(a)", strings.Repeat("x", 1025), strings.Repeat("x", 300000/4),
	} {
		res := call{root: b.root, args: []string{"create", "--bundle", b.dir, "--", id}}.do(t)
		if res.code != 1 || strings.TrimSpace(res.stderr) == "" || strings.Contains(res.stderr, "goroutine ") {
			res.line = ""
			t.Errorf("id %.40q: want a refusal with exit code 1:\n%s", id, res)
			if res.code == 0 {
				call{root: b.root, args: []string{"delete", "--force", "--", id}}.do(t)
			}
		}
		if strings.ContainsRune(res.stderr, '\x1b') {
			t.Errorf("id %q: its control characters are on stderr: %q", id, res.stderr)
		}
		for _, command := range []string{"state", "start", "kill", "delete"} {
			if res := (call{root: b.root, args: []string{command, "--", id}}).do(t); res.code != 1 {
				t.Errorf("%s of id %.40q: exit code %d", command, id, res.code)
			}
		}
		b.nothingLeft()
	}
	c.check("the creates")
	for _, name := range dirNames(t, top) {
		if !slices.Contains(before, name) && name != "state" {
			t.Errorf("made beside the bundle: %s", name)
		}
	}
}

func TestCVE2026_30892_UserIDs(t *testing.T) {
	t.Parallel()
	for _, uid := range []string{"-1", "4294967295", "4294967296", "18446744073709551616", "1.5", `"1"`, `"root"`, "1e3x", "[1]", "0x1"} {
		t.Run(uid, func(t *testing.T) {
			b := newBundle(t, sh("id -u"))
			data, err := json.Marshal(b.spec)
			if err != nil {
				t.Fatal(err)
			}
			text := strings.Replace(string(data), `"uid":0`, `"uid":`+uid, 1)
			if text == string(data) {
				t.Fatal("no uid in the configuration")
			}
			b.writeConfig([]byte(text))
			b.refuse(nil)
		})
	}
	for _, uid := range []uint32{1, 1000, 65535, 65536, 2147483648, 4294967294} {
		got := script(t, "grep ^Uid: /proc/self/status", func(s *specs.Spec) { s.Process.User = specs.User{UID: uid, GID: 5} })
		if want := fmt.Sprintf("Uid:\t%d\t%d\t%d\t%d\n", uid, uid, uid, uid); got != want {
			t.Errorf("uid %d: got %q", uid, got)
		}
	}
}

func TestCVE2025_23266_HookEnvironment(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"createRuntime", "createContainer", "poststart", "poststop"} {
		for _, own := range [][]string{nil, {"ONLY=this"}} {
			t.Run(fmt.Sprintf("%s env=%v", point, own), func(t *testing.T) {
				b := newBundle(t, sh("true"), env("LD_PRELOAD=/evil.so", "FROM_IMAGE=1"))
				c := b.newCanary()
				seen := b.path("seen")
				busybox := filepath.Join(workDir, "assets", "busybox")
				hook := specs.Hook{Path: busybox, Env: own,
					Args: []string{"sh", "-c", fmt.Sprintf("%[1]s tr '\\0' '\\n' </proc/self/environ >%[2]s; { [ -e in-the-root ] && echo root || pwd -P; } >%[2]s.cwd", busybox, seen)}}
				writeText(t, b.rootfs("in-the-root"), "")
				b.spec.Hooks = map[string]*specs.Hooks{
					"createRuntime":   {CreateRuntime: []specs.Hook{hook}},
					"createContainer": {CreateContainer: []specs.Hook{hook}},
					"poststart":       {Poststart: []specs.Hook{hook}},
					"poststop":        {Poststop: []specs.Hook{hook}},
				}[point]
				b.writeSpec()
				create := b.createCall()
				create.env = append(os.Environ(), "FROM_ENGINE=1")
				// "poststop" runs in the delete.
				if res, ran := c.attemptBy(create); !ran || res.code != 0 {
					t.Fatalf("%s", res)
				}
				got := strings.Fields(readText(t, seen))
				if slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "LD_") || strings.HasPrefix(s, "FROM_IMAGE") }) {
					t.Errorf("the hook has the container's environment: %q", got)
				}
				if own != nil && !slices.Equal(got, own) {
					t.Errorf("environment %q, want %q", got, own)
				}
				if own == nil && strings.HasPrefix(point, "create") && !slices.Contains(got, "FROM_ENGINE=1") {
					t.Errorf("environment %q, want the runtime's", got)
				}
				// That of createContainer is the root, as runc has it. An LD_PRELOAD
				// would be looked for there, which is why there must be none.
				cwd, want := strings.TrimSpace(readText(t, seen+".cwd")), b.dir
				if point == "createContainer" {
					want = "root"
				}
				if cwd != want && (runtimeName == "hutch" || cwd == "root") {
					t.Errorf("the hook's working directory is %s, want %s", cwd, want)
				}
			})
		}
	}
}

func TestCVE2026_84042_NoProgramsOfTheImage(t *testing.T) {
	t.Parallel()
	b := newBundle(t, userNamespace, env("PATH=/evil"), args("/bin/true"))
	c := b.newCanary()
	for _, name := range []string{"newuidmap", "newgidmap", "criu", "passt", "sh", "mount", "ip", "nsenter", "systemd-run", "udevadm", "modprobe", "hutch", "runc"} {
		path := writeText(t, b.rootfs("evil", name), "#!"+filepath.Join(workDir, "assets", "busybox")+" sh\n: >"+c.path("empty/ran-"+name)+"\n")
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	create := b.createCall()
	create.dir = b.rootfs("evil")
	create.env = []string{"PATH=" + b.rootfs("evil") + ":."}
	if res, ran := c.attemptBy(create); !ran || res.code != 0 {
		t.Errorf("%s", res)
	}
}
