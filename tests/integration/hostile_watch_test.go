package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// The probe's watch stands at each system call of a process of the runtime that
// is in the container's pid namespace, and at its execve: these tests judge what
// it saw. It is no model of the runtime, but what the kernel says it has.

// sight is one look at a process, as the probe writes it.
type sight struct {
	Pid   int
	Call  uint64
	Exec  bool
	Alone bool // it is the first of its pid namespace
	Files []struct {
		Fd     int
		Target string
		Host   bool
	}
	Caps string

	Dumpable int // -1 for unknown
}

// underWatch lets the probe, as root, run the runtime as the guest's caller.
func (g *guest) underWatch(c call) call {
	g.t.Helper()
	if userCaller && g.uid == 0 {
		g.t.Skip("not as a user: newuidmap has no rights when it is traced")
	}
	path, err := publicRuntime()
	if err != nil {
		g.t.Fatal(err)
	}
	g.looks++
	who := strconv.Itoa(g.uid)
	if g.hold != "" {
		who += ":" + g.hold
	}
	c.wrap = []string{"/bin/sh", "-c", `probe=$1 seen=$2 who=$3 runtime=$4; shift 5; exec "$probe" watch "$seen" "$who" "$runtime" "$@"`, "sh",
		filepath.Join(workDir, "assets", "probe"), g.path(fmt.Sprintf("seen-%d", g.looks)), who, path}
	return c
}

// watchedLife is life with a create that ends when init has executed its
// program, since it is the probe that waits.
func (g *guest) watchedLife(create call) result {
	g.t.Helper()
	os.Remove(g.path("pid"))
	running := create.start(g.t)
	eventually(g.t, "create writes the pid file", func() bool {
		data, err := os.ReadFile(g.path("pid"))
		return err == nil && len(data) > 0
	})
	g.readPid()
	started := g.do("start", g.id)
	res := running.wait()
	g.watched = false
	if started.code != 0 {
		g.do("delete", "--force", g.id)
		g.wait()
		return started
	}
	res.code = g.wait()
	g.do("delete", "--force", g.id).ok(g.t)
	return res
}

// sights are all that the probe has seen so far.
func (g *guest) sights() []sight {
	g.t.Helper()
	var list []sight
	for n := 1; n <= g.looks; n++ {
		f, err := os.Open(g.path(fmt.Sprintf("seen-%d", n)))
		if err != nil {
			g.t.Fatal(err)
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var s sight
			if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
				g.t.Fatal(err)
			}
			list = append(list, s)
		}
		f.Close()
	}
	return list
}

// reach lists the descriptors that lead out of the container, or to what is the
// runtime's own. Of those that the engine hands on, the first may be used; more may
// be there that this test was itself started with.
func (g *guest) reach(s sight, preserved int) []string {
	sockets := 0
	var bad []string
	for _, f := range s.Files {
		switch {
		case f.Fd < 3+preserved, preserved > 0 && ofTheCaller(f.Fd):
		case strings.HasPrefix(f.Target, "socket:["):
			if sockets++; sockets > 1 {
				bad = append(bad, fmt.Sprintf("%d %s, the second one", f.Fd, f.Target))
			}
		case g.startsFifo(strings.TrimSuffix(f.Target, " (deleted)")):
			// start's way to init, which nothing is beneath
		case g.startHooks() && (f.Target == "/memfd:state (deleted)" || f.Target == "/memfd:output (deleted)"):
			// what init's hooks read and write, which the container itself has made
		case f.Host, s.Exec, strings.HasPrefix(f.Target, "pipe:["), strings.HasPrefix(f.Target, "/memfd:"),
			strings.HasPrefix(f.Target, "anon_inode:[pidfd]"), strings.Contains(f.Target, ":["), strings.HasPrefix(f.Target, "anon_inode:[event"):
			bad = append(bad, fmt.Sprintf("%d %s", f.Fd, f.Target))
		}
	}
	return bad
}

// startsFifo reports whether the target is one of the two fifos between start and init, by
// its path on the host or from the container's directory on.
func (b *bundle) startsFifo(target string) bool {
	dir, name := filepath.Split(target)
	return (name == "exec.fifo" || name == "result.fifo") && (dir == "/" || dir == filepath.Join(b.root, b.id)+"/")
}

// startHooks reports whether init has hooks to run.
func (g *guest) startHooks() bool { return g.spec.Hooks != nil && len(g.spec.Hooks.StartContainer) > 0 }

// judge fails the test for a process that could be seen from inside, or executed
// a program, with descriptors that it should not have had, or that others could look
// into: one that is dumpable.
func (g *guest) judge(preserved int) {
	g.t.Helper()
	executed, asked := 0, 0
	for _, s := range g.sights() {
		if s.Exec {
			executed++
		}
		// The init of a user without privilege has to be, since the user writes its
		// mappings; nobody else is there before its execve.
		if s.Dumpable >= 0 {
			asked++
		}
		if s.Dumpable > 0 && !(g.uid != 0 && s.Alone) {
			g.t.Errorf("process %d at system call %d (execve: %v) is dumpable", s.Pid, s.Call, s.Exec)
			return
		}
		if s.Alone && !s.Exec {
			continue // nobody else is there
		}
		if bad := g.reach(s, preserved); bad != nil {
			g.t.Errorf("process %d at system call %d (execve: %v) had open: %s", s.Pid, s.Call, s.Exec, strings.Join(bad, ", "))
			return
		}
	}
	if executed == 0 {
		g.t.Error("no execve was seen")
	}
	if asked == 0 && runtime.GOARCH == "amd64" {
		g.t.Error("no process said whether it is dumpable")
	}
}

// TestHostileDescriptorsInSight: whatever the number of a descriptor, and
// whenever somebody inside could look.
func TestHostileDescriptorsInSight(t *testing.T) {
	t.Parallel()
	needsSpeed(t)
	everyWay(t, func(t *testing.T, s standing, w way) {
		g := s.guest(t)
		g.watched = true
		if res := w.run(g, program{args: []string{"/bin/true"}, files: openFiles(t, g.bundle, 3)}); res.code != 0 {
			t.Errorf("%s", res)
		}
		g.judge(0)
	})
}

// TestHostileDescriptorsInSightPreserved: what the engine hands on is there, and
// nothing else fills the numbers that it left out.
func TestHostileDescriptorsInSightPreserved(t *testing.T) {
	t.Parallel()
	needsSpeed(t)
	everyWay(t, func(t *testing.T, s standing, w way) {
		if w.hook {
			return
		}
		g := s.guest(t)
		g.watched = true
		files := openFiles(t, g.bundle, 2)
		res := w.run(g, program{args: []string{"/bin/true"}, files: files, flags: []string{"--preserve-fds", "9"}})
		if res.code != 0 {
			t.Errorf("%s", res)
		}
		g.judge(2)
	})
}

// TestHostileDescriptorsInSightOfHooks: createContainer hooks are programs of
// the host in the container's namespaces.
func TestHostileDescriptorsInSightOfHooks(t *testing.T) {
	t.Parallel()
	needsSpeed(t)
	for _, s := range standings() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			needsRootsHooks(t, s)
			g := s.guest(t, hooks("createContainer", hook("exit 0"), hook("exit 0")))
			g.watched = true
			if res := (*guest).byRun(g, program{args: []string{"/bin/true"}}); res.code != 0 {
				t.Errorf("%s", res)
			}
			g.judge(0)
		})
	}
}

// TestHostileDescriptorsInSightOfSibling: two containers share a pid namespace;
// the first sees the second's init from its birth on.
func TestHostileDescriptorsInSightOfSibling(t *testing.T) {
	t.Parallel()
	needsSpeed(t)
	for _, w := range ways() {
		if strings.HasPrefix(w.name, "exec") {
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			first := standings()[0].guest(t)
			first.asleep()
			g := standings()[0].guest(t, joinPids(first.bundle), bindMount(first.path(""), "/vol", "rbind"), tmpfsMount("/scratch"))
			g.watched = true
			if res := w.run(g, program{args: []string{"/bin/true"}}); res.code != 0 {
				t.Errorf("%s", res)
			}
			g.judge(0)
		})
	}
}

// TestHostileDescriptorsOfWhatRan: and the program itself has three.
func TestHostileDescriptorsOfWhatRan(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, s standing, w way) {
		g := s.guest(t)
		p := program{args: []string{"/bin/sh", "-c", "probe fds >/tmp/fds"}, files: openFiles(t, g.bundle, 4)}
		if res := w.run(g, p); res.code != 0 {
			t.Fatalf("%s", res)
		}
		if got := readText(t, g.rootfs("tmp/fds")); got != "0 1 2\n" {
			t.Errorf("descriptors %q", got)
		}
	})
}

// capabilities of a sight: effective, permitted, inheritable, bounding, ambient.
func (s sight) capabilities(t testing.TB) [5]uint64 {
	t.Helper()
	var sets [5]uint64
	for i, text := range strings.Fields(s.Caps) {
		n, err := strconv.ParseUint(text, 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		sets[i] = n
	}
	return sets
}

func capSet(list ...int) (set uint64) {
	for _, c := range list {
		set |= 1 << c
	}
	return set
}

// TestHostileCapabilitiesInSight: a container with CAP_SYS_PTRACE can make the
// process that enters do what it likes. So that has no more power than the
// container has, but for what its last steps need.
func TestHostileCapabilitiesInSight(t *testing.T) {
	t.Parallel()
	needsSpeed(t)
	traces := func(s *specs.Spec) {
		c := []string{"CAP_SYS_PTRACE"}
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: c, Effective: c, Permitted: c}
	}
	filter := func(s *specs.Spec) { denies(s); s.Process.NoNewPrivileges = false }
	own := capSet(unix.CAP_SYS_PTRACE)
	steps := capSet(unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_SETPCAP)
	for name, c := range map[string]struct {
		edits []edit
		most  uint64
	}{
		"root":              {[]edit{traces}, own},
		"other user":        {[]edit{traces, asUser(1000)}, own | steps},
		"filter":            {[]edit{traces, filter}, own | capSet(unix.CAP_SYS_ADMIN)},
		"no new privileges": {[]edit{traces, filter, noNewPrivileges(true)}, own},
	} {
		for _, w := range ways() {
			if !strings.HasPrefix(w.name, "exec") && !w.hook {
				continue
			}
			t.Run(name+", "+w.name, func(t *testing.T) {
				t.Parallel()
				g := standings()[0].guest(t, c.edits...)
				g.watched = true
				if res := w.run(g, program{args: []string{"/bin/true"}}); res.code != 0 {
					t.Errorf("%s", res)
				}
				for _, s := range g.sights() {
					if s.Alone {
						continue
					}
					caps := s.capabilities(t)
					if caps[0]&^c.most != 0 || caps[1]&^c.most != 0 || caps[3]&^(own|c.most) != 0 || caps[2] != 0 || caps[4] != 0 {
						t.Errorf("at system call %d (execve: %v) the process had %s", s.Call, s.Exec, s.Caps)
						return
					}
				}
			})
		}
	}
}
