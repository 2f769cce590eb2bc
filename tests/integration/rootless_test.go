package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testpty"
)

// seat is where a caller without the host's root stands.
type seat struct {
	name string
	take func(*guest)
	maps string // uid_map of its containers whose configuration has no mapping, without white space
}

func seats() []seat {
	alone := fmt.Sprintf("0 %d 1", plainUser)
	return []seat{
		{"user", func(*guest) {}, alone},
		{"user with ranges", takeRanges, alone + " 1 200000 65536"},
		{"unshare -Ur", func(g *guest) { g.unshare("-Ur") }, ""},
		{"unshare -Urm", func(g *guest) { g.unshare("-Urm") }, ""},
	}
}

// holder starts a command that keeps namespaces open until the test ends: it prints a line
// when they are as they should be.
func (g *guest) holder(attr *syscall.SysProcAttr, words ...string) string {
	g.t.Helper()
	cmd := exec.Command(words[0], words[1:]...)
	cmd.SysProcAttr, cmd.Dir, cmd.Stderr = attr, "/", os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.release = append(g.release, func() {
		stdin.Close()
		cmd.Wait()
	})
	if _, err := stdout.Read(make([]byte, 1)); err != nil {
		g.t.Fatalf("%q: %v", words, err)
	}
	return strconv.Itoa(cmd.Process.Pid)
}

const hold = "echo; read line"

// unshare makes the caller root of a user namespace of its own.
func (g *guest) unshare(flags string) {
	g.t.Helper()
	pid := g.holder(g.credential(), "unshare", flags, "sh", "-c", hold)
	g.enter = []string{"nsenter", "--preserve-credentials", "-t", pid, "-U"}
	if strings.HasSuffix(flags, "m") {
		g.enter = append(g.enter, "-m")
	}
}

// takeRanges gives the user a name and subordinate ids, in a mount namespace of its own.
func takeRanges(g *guest) {
	g.t.Helper()
	needs(g.t, "newuidmap", exec.Command("sh", "-c", "command -v newuidmap newgidmap").Run() == nil)
	etc := g.path("etc") // /etc itself is not written
	if err := layEtc(etc, "/"); err != nil {
		g.t.Fatal(err)
	}
	pid := g.holder(nil, "unshare", "-m", "sh", "-c", "mount --make-rprivate / && mount --bind "+etc+" /etc && "+hold)
	user := strconv.Itoa(plainUser)
	g.enter = []string{"nsenter", "-t", pid, "-m", "setpriv", "--reuid", user, "--regid", user, "--clear-groups"}
	g.asRoot = true
}

// seated lays out a container whose configuration the runtime has written itself: with
// spec's flags, as the caller or for --rootless not given as root.
func (s seat) seated(t *testing.T, rootless bool) *guest {
	t.Helper()
	g := standing{uid: plainUser}.guest(t)
	s.take(g)
	os.Remove(filepath.Join(g.dir, "config.json"))
	write := call{args: []string{"spec", "--bundle", g.dir}}
	if rootless {
		write.args = append(write.args, "--rootless")
		write = g.as(write)
	}
	write.do(t).ok(t)
	g.spec = &specs.Spec{}
	if err := json.Unmarshal([]byte(readText(t, filepath.Join(g.dir, "config.json"))), g.spec); err != nil {
		t.Fatal(err)
	}
	g.spec.Process.Terminal = false
	return g
}

// saysNothingBut fails the test for a command that fails or warns of more than that there
// are no subordinate ids.
func saysNothingBut(t *testing.T, res result, stdout string) {
	t.Helper()
	warned := strings.Contains(res.stderr, "the container has the caller's own user and group alone") && strings.Count(res.stderr, "\n") == 1
	if res.code != 0 || res.stdout != stdout || res.stderr != "" && !warned {
		t.Errorf("want %q and success:\n%s", stdout, res)
	}
}

// TestUnprivileged: whoever the caller is, what spec writes is a container that lives: with
// --rootless, and without, which is a configuration for root.
func TestUnprivileged(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "a configuration for root is run by others as it is")
	for _, s := range seats() {
		for _, rootless := range []bool{true, false} {
			name := s.name + ", configuration for root"
			if rootless {
				name = s.name + ", spec --rootless"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				t.Run("run", func(t *testing.T) { s.seated(t, rootless).unprivilegedRun(s, rootless) })
				t.Run("life", func(t *testing.T) { s.seated(t, rootless).unprivilegedLife() })
				t.Run("hooks", func(t *testing.T) { s.seated(t, rootless).unprivilegedHooks() })
			})
		}
	}
}

func (g *guest) unprivilegedRun(s seat, rootless bool) {
	t := g.t.(*testing.T)
	t.Helper()
	text := `id -u; echo x >/dev/null && echo null; echo $(cat /proc/self/uid_map); hostname; for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $d/x 2>/dev/null && echo writable $d; done; ls /sys >/dev/null && test -c /dev/tty && echo there`
	res := g.byRun(program{args: []string{"/bin/sh", "-c", text}})
	maps := s.maps
	switch {
	case maps == "" && rootless:
		maps = "0 0 1"
	case maps == "":
		maps = fmt.Sprintf("0 %d 1", plainUser)
	case rootless:
		maps = fmt.Sprintf("0 %d 1", plainUser)
	}
	saysNothingBut(t, res, "0\nnull\n"+maps+"\nhutch\nthere\n")
}

func (g *guest) unprivilegedLife() {
	t := g.t.(*testing.T)
	t.Helper()
	g.configure(program{args: []string{"sleep", "1000"}})
	saysNothingBut(t, g.as(g.createCall()).do(t), "")
	g.readPid()
	execs := func(when string, flags ...string) {
		t.Helper()
		c := g.execCall(program{}, append(flags, "--env", idVariable+"="+g.id)...)
		c.args = append(c.args, "/bin/sh", "-c", "id -u; hostname")
		if res := c.do(t); res.code != 0 || res.stdout != "0\nhutch\n" {
			t.Errorf("exec %s: %s", when, res)
		}
	}
	execs("before start")
	g.do("start", g.id).ok(t)
	execs("")
	file := g.processFile(&specs.Process{Args: []string{"/bin/sh", "-c", "id -g"}, Cwd: "/", Env: program{}.environment(g.id)})
	if res := g.execCall(program{}, "--process", file).do(t); res.code != 0 || res.stdout != "0\n" {
		t.Errorf("exec --process: %s", res)
	}
	master, slave := testpty.Open(t)
	screen := watch(master)
	c := g.execCall(program{}, "--tty", "--env", idVariable+"="+g.id)
	c.args = append(c.args, "tty")
	c.stdin, c.stdout, c.stderr = slave, slave.Name(), slave.Name()
	if res := c.do(t); res.code != 0 {
		t.Errorf("exec --tty: %s%s", res, screen)
	}
	screen.wait(t, "/dev/pts/0")
	if res := g.do("list", "--quiet"); res.code != 0 || res.stdout != g.id+"\n" {
		t.Errorf("%s", res)
	}
	if res := g.do("state", g.id); !strings.Contains(res.stdout, `"status": "running"`) {
		t.Errorf("%s", res)
	}
	if res := g.do("ps", "--format", "json", g.id); res.code != 0 || !strings.Contains(res.stdout, strconv.Itoa(g.pid)) {
		t.Errorf("init is %d: %s", g.pid, res)
	}
	g.do("kill", g.id, "KILL").ok(t)
	if code := g.wait(); code != 128+int(unix.SIGKILL) {
		t.Errorf("init ended with %d", code)
	}
	g.do("delete", g.id).ok(t)
}

// TestUnprivilegedScore: further processes have the container's score for the OOM killer, or one
// of their own, of whoever calls; and the caller of exec keeps its own.
func TestUnprivilegedScore(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 leaves out the score of a process file")
	for _, s := range seats() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			g := s.seated(t, true)
			g.spec.Process.OOMScoreAdj = ptr(400)
			g.configure(program{args: []string{"sleep", "1000"}})
			saysNothingBut(t, g.as(g.createCall()).do(t), "")
			g.readPid()
			g.do("start", g.id).ok(t)
			if text := readText(t, fmt.Sprintf("/proc/%d/oom_score_adj", g.pid)); text != "400\n" {
				t.Errorf("init's score is %q", text)
			}
			c := g.execCall(program{}, "--env", idVariable+"="+g.id)
			c.args = append(c.args, "cat", "/proc/self/oom_score_adj")
			saysNothingBut(t, c.do(t), "400\n")
			file := g.processFile(&specs.Process{Args: []string{"cat", "/proc/self/oom_score_adj"}, Cwd: "/", Env: program{}.environment(g.id), OOMScoreAdj: ptr(450)})
			saysNothingBut(t, g.execCall(program{}, "--process", file).do(t), "450\n")
			if !strings.HasPrefix(s.name, "user") {
				return // of another container's user namespace, which has no rights there
			}
			other := s.seated(t, true)
			other.spec.Process.OOMScoreAdj = ptr(500)
			other.spec.Linux.UIDMappings, other.spec.Linux.GIDMappings = nil, nil
			for i := range other.spec.Linux.Namespaces {
				if n := &other.spec.Linux.Namespaces[i]; n.Type == specs.UserNamespace {
					n.Path = fmt.Sprintf("/proc/%d/ns/user", g.pid)
				}
			}
			saysNothingBut(t, other.byRun(program{args: []string{"cat", "/proc/self/oom_score_adj"}}), "500\n")
		})
	}
}

func (g *guest) unprivilegedHooks() {
	t := g.t.(*testing.T)
	t.Helper()
	log := writeText(t, g.path("hooks"), "")
	if err := os.Chown(log, g.uid, g.uid); err != nil {
		t.Fatal(err)
	}
	say := func(text string) specs.Hook {
		return specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", "cat >/dev/null; " + text}, Env: []string{"PATH=/usr/bin:/bin"}}
	}
	append_ := " >>" + log
	g.spec.Hooks = &specs.Hooks{
		CreateRuntime:   []specs.Hook{say("echo createRuntime" + append_)},
		CreateContainer: []specs.Hook{say("echo createContainer $(id -u) $(cat /proc/self/uid_map | wc -l)" + append_)},
		StartContainer:  []specs.Hook{say("echo in >/tmp/hook")},
		Poststart:       []specs.Hook{say("echo poststart" + append_)},
		Poststop:        []specs.Hook{say("echo poststop" + append_)},
	}
	g.spec.Root.Readonly = false
	saysNothingBut(t, g.byRun(program{args: []string{"cat", "/tmp/hook"}}), "in\n")
	lines := strings.Split(strings.TrimSpace(readText(t, log)), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[1], "createContainer 0 ") || !slices.Equal([]string{lines[0], lines[2], lines[3]}, []string{"createRuntime", "poststart", "poststop"}) {
		t.Errorf("hooks: %q", lines)
	}
}

// TestInContainer: the runtime runs a container in one that it has made itself, whose root
// is that of a user namespace.
func TestInContainer(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "a configuration for root is run by others as it is")
	path, err := publicRuntime()
	if err != nil {
		t.Fatal(err)
	}
	outer := newBundle(t, userNamespace)
	outer.spec.Root.Readonly = false
	all := []string{"CAP_SYS_ADMIN", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_KILL", "CAP_NET_ADMIN", "CAP_SYS_CHROOT", "CAP_AUDIT_WRITE", "CAP_NET_BIND_SERVICE"}
	outer.spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all}
	outer.spec.Process.NoNewPrivileges = false
	inner := outer.rootfs("inner")
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := layRootfs(filepath.Join(inner, "rootfs")); err != nil {
		t.Fatal(err)
	}
	if err := copyProgram(path, outer.rootfs("bin/runtime")); err != nil {
		t.Fatal(err)
	}
	call{args: []string{"spec", "--bundle", inner}}.do(t).ok(t)
	s := &specs.Spec{}
	if err := json.Unmarshal([]byte(readText(t, filepath.Join(inner, "config.json"))), s); err != nil {
		t.Fatal(err)
	}
	s.Process.Terminal, s.Process.Args, s.Process.Env = false, []string{"/bin/sh", "-c", "id -u; echo x >/dev/null && echo null; [ -n \"$WAIT\" ] && sleep 1000"}, program{}.environment(outer.id)
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	writeText(t, filepath.Join(inner, "config.json"), string(data))
	if out, err := exec.Command("chown", "-R", fmt.Sprintf("%d:%d", mappedRoot, mappedRoot), inner).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	if err := os.Chown(outer.rootfs(), mappedRoot, mappedRoot); err != nil {
		t.Fatal(err)
	}
	sh("mkdir -p /run && cd /inner && runtime --root /tmp/state run one; sed -i 's/\"PATH=/\"WAIT=1\",&/' config.json && runtime --root /tmp/state run --detach two >/dev/null && runtime --root /tmp/state exec two /bin/id -u && runtime --root /tmp/state delete --force two; runtime --root /tmp/state list --quiet")(outer.spec)
	outer.writeSpec()
	if res := outer.run(); res.code != 0 || res.stdout != "0\nnull\n0\n" {
		t.Errorf("%s", res)
	}
}

// TestCallersCgroupsAreReadOnly: a container without cgroups, and without a cgroup namespace,
// sees those of its caller, and gets none of them to write, whatever the mount's options are.
func TestCallersCgroupsAreReadOnly(t *testing.T) {
	t.Parallel()
	for _, s := range seats() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			g := s.seated(t, false)
			withoutNamespace(specs.CgroupNamespace)(g.spec)
			for i := range g.spec.Mounts {
				if m := &g.spec.Mounts[i]; m.Type == "cgroup" {
					m.Options = []string{"nosuid", "noexec", "nodev"}
				}
			}
			res := g.byRun(program{args: []string{"/bin/sh", "-c", "grep -E '^[^ ]+ [^ ]+ cgroup2? ' /proc/self/mounts"}})
			if res.code != 0 {
				t.Fatalf("%s", res)
			}
			for line := range strings.Lines(res.stdout) {
				if f := strings.Fields(line); len(f) < 4 || !slices.Contains(strings.Split(f[3], ","), "ro") {
					t.Errorf("writable: %s", line)
				}
			}
		})
	}
}

// TestWithoutCgroups: who may make no cgroup has a container without, unless that is ruled
// out; what that costs is told where nothing else holds the processes together.
func TestWithoutCgroups(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "the words are Hutch's")
	for _, c := range []struct {
		name     string
		rootless string
		edit     edit
		code     int
		text     string // on stderr; empty for none about cgroups
	}{
		{"auto", "auto", nil, 0, ""},
		{"true", "true", nil, 0, ""},
		{"false", "false", nil, 1, "--rootless false needs a cgroup: "},
		{"false, with a limit", "false", func(s *specs.Spec) {
			limit := int64(100)
			s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &limit}}
		}, 1, "linux.resources.pids.limit needs a cgroup: "},
		{"host's processes", "auto", hostProcesses, 0, "Such configuration is strongly discouraged"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := seats()[0].seated(t, true)
			if c.edit != nil {
				c.edit(g.spec)
			}
			g.configure(program{args: []string{"/bin/true"}})
			res := g.as(call{root: g.root, global: []string{"--rootless", c.rootless}, args: g.line("run")}).do(t)
			if res.code != c.code || !strings.Contains(res.stderr, c.text) || c.text == "" && strings.Contains(res.stderr, "cgroup") {
				t.Errorf("%s", res)
			}
			g.nothingLeft()
		})
	}
}

// hostProcesses leaves the pid namespace out, whose procfs a user could then not mount.
func hostProcesses(s *specs.Spec) {
	withoutNamespace(specs.PIDNamespace)(s)
	for i := range s.Mounts {
		if s.Mounts[i].Type == "proc" {
			s.Mounts[i] = specs.Mount{Destination: "/proc", Type: "none", Source: "/proc", Options: []string{"rbind", "nosuid", "nodev", "noexec"}}
		}
	}
}

// TestTimeOffsetsOfUsers: whoever the caller is writes those of a new time namespace.
func TestTimeOffsetsOfUsers(t *testing.T) {
	t.Parallel()
	_, err := os.Stat("/proc/self/timens_offsets")
	needs(t, "time namespaces", err == nil)
	for _, s := range seats() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			g := s.seated(t, true)
			namespace(specs.TimeNamespace, "")(g.spec)
			g.spec.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 7881}}
			res := g.byRun(program{args: []string{"grep", "boottime", "/proc/self/timens_offsets"}})
			if res.code != 0 || strings.Join(strings.Fields(res.stdout), " ") != "boottime 7881 0" {
				t.Errorf("%s", res)
			}
		})
	}
}

// TestLockedFlagsAreNamed: a user may not take back what the host has set for a mount, and
// is told so; what the options do not name stays.
func TestLockedFlagsAreNamed(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "the words are Hutch's")
	for option, want := range map[string]string{"ro": "", "rw": "cannot be taken back in a user namespace", "suid": "cannot be taken back in a user namespace"} {
		g := seats()[0].seated(t, true)
		source := g.path("source")
		hostTmpfs(t, source, "ro,nosuid,nodev")
		mount(specs.Mount{Destination: "/tmp", Type: "bind", Source: source, Options: []string{"bind", option}})(g.spec)
		res := g.byRun(program{args: []string{"grep", " /tmp ", "/proc/self/mounts"}})
		if want == "" && (res.code != 0 || !strings.Contains(res.stdout, "ro,nosuid,nodev")) ||
			want != "" && (res.code == 0 || !strings.Contains(res.stderr, want)) {
			t.Errorf("%s: %s", option, res)
		}
	}
}

// TestExecNamesUnmappedIDs: ids that the container's user namespace has not are named as
// such, not by the kernel's errno alone.
func TestExecNamesUnmappedIDs(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "the words are Hutch's")
	g := seats()[0].seated(t, true)
	g.configure(program{args: []string{"sleep", "1000"}})
	g.as(g.createCall()).do(t)
	g.readPid()
	g.do("start", g.id).ok(t)
	for flag, want := range map[string]string{"--user=1000": "is not mapped", "--user=0:1000": "is not mapped", "--additional-gids=5": "can set none"} {
		c := g.execCall(program{}, flag)
		c.args = append(c.args, "/bin/true")
		if res := c.do(t); res.code == 0 || !strings.Contains(res.stderr, want) {
			t.Errorf("%s: no %q in %s", flag, want, res)
		}
	}
}
