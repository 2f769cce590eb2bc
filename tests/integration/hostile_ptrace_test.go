package integration

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// A container with CAP_SYS_PTRACE may do to a process that enters it whatever
// ptrace(2) and pidfd_getfd(2) give. The probe's watch holds that process at each
// system call while the probe's hunt, inside, takes what it can.

// hunter makes the guest's init hunt; the words are the kind of the hunt and its
// arguments.
func (g *guest) hunter(words ...string) {
	g.t.Helper()
	dir := g.rootfs("hunt")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		g.t.Fatal(err)
	}
	for _, name := range []string{"prey", "done"} {
		if err := unix.Mkfifo(dir+"/"+name, 0); err != nil {
			g.t.Fatal(err)
		}
		if err := os.Chmod(dir+"/"+name, 0o666); err != nil {
			g.t.Fatal(err)
		}
	}
	g.init = append([]string{"probe", "hunt", "/hunt"}, words...)
	g.asleep()
	g.waitOutput("hunting\n")
}

// hunts has the guest's commands held for a hunter.
func (g *guest) hunts(by *guest) {
	g.watched, g.hold = true, by.rootfs("hunt")
	g.t.Cleanup(g.reapSeen)
}

// reapSeen ends what a runtime has left that was told lies: the pid namespace
// would not end before.
func (g *guest) reapSeen() {
	for _, s := range g.sights() {
		if pid, _ := unix.Wait4(s.Pid, nil, unix.WNOHANG, nil); pid == 0 && s.Pid != g.pid {
			unix.Kill(s.Pid, unix.SIGKILL)
			unix.Wait4(s.Pid, nil, 0, nil)
		}
	}
}

// prized are the standings and the power that the hunters have.
func prized() []standing {
	all := withCapabilities("CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_DAC_READ_SEARCH")
	list := []standing{
		{name: "root", edits: []edit{withCapabilities("CAP_SYS_PTRACE")}},
		{name: "root with more", edits: []edit{all}},
	}
	for _, s := range standings()[1:] {
		list = append(list, standing{name: s.name, uid: s.uid, edits: append(slices.Clone(s.edits), all)})
	}
	return list
}

// loot fails the test for what a hunter has got that leads to the host. In a user
// namespace of its own it gets nothing: the process is closed to it.
// With strict, all that is not the container's own counts.
func loot(t testing.TB, said string, closed, strict bool) {
	t.Helper()
	if !strings.Contains(said, "looked\n") {
		t.Errorf("the hunter saw nothing: %q", said)
	}
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		var fd int
		var kind string
		switch n, _ := fmt.Sscanf(line, "took %d %s", &fd, &kind); {
		case strings.HasPrefix(line, "ESCAPED"):
			t.Errorf("the hunter is on the host: %s", line)
		case n == 2 && closed:
			t.Errorf("the hunter of a user namespace: %s", line)
		case n == 2 && strict && fd > 2 && kind != "socket" && kind != "own":
			t.Errorf("the hunter: %s", line)
		case strings.HasPrefix(line, "opened") && closed:
			t.Errorf("the hunter of a user namespace: %s", line)
		}
	}
}

// TestHostilePtraceTakesDescriptors lets the hunter take all of every process
// that enters its container.
func TestHostilePtraceTakesDescriptors(t *testing.T) {
	t.Parallel()
	for i, s := range prized() {
		for _, w := range ways() {
			if !strings.HasPrefix(w.name, "exec") || !tried(t, i, s.name, w.name) {
				continue
			}
			t.Run(s.name+", "+w.name, func(t *testing.T) {
				t.Parallel()
				g := s.guest(t)
				c := g.newCanary()
				g.hunter("steal", c.path("file"))
				g.hunts(g)
				if res := w.run(g, program{args: []string{"/bin/true"}}); res.code != 0 {
					t.Errorf("%s", res)
				}
				loot(t, g.output(), len(s.edits) > 1, true)
			})
		}
	}
}

// TestHostilePtraceTakesOfSibling has a second container made in the hunter's pid
// namespace: its init, and its hooks.
func TestHostilePtraceTakesOfSibling(t *testing.T) {
	t.Parallel()
	needsSpeed(t)
	for i, s := range prized()[:3] {
		for _, w := range ways() {
			if strings.HasPrefix(w.name, "exec") || !tried(t, i, s.name, w.name) {
				continue
			}
			t.Run(s.name+", "+w.name, func(t *testing.T) {
				t.Parallel()
				hunter := s.guest(t)
				c := hunter.newCanary()
				hunter.hunter("steal", c.path("file"))
				g := s.guest(t, joinPids(hunter.bundle), hooks("createContainer", hook("exit 0")))
				own := slices.ContainsFunc(g.spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.UserNamespace })
				if own { // a pid namespace is entered from the user namespace that owns it
					namespace(specs.UserNamespace, fmt.Sprintf("/proc/%d/ns/user", hunter.pid))(g.spec)
					g.spec.Linux.UIDMappings, g.spec.Linux.GIDMappings = nil, nil
				}
				g.hunts(hunter)
				if res := w.run(g, program{args: []string{"/bin/true"}}); res.code != 0 {
					t.Errorf("%s", res)
				}
				loot(t, hunter.output(), own, false)
			})
		}
	}
}

// victim is a process of the host that nobody may harm.
func victim(t testing.TB) int {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd.Process.Pid
}

// living reports whether a child of this process has not ended.
func living(t testing.TB, pid int) bool {
	t.Helper()
	fields := strings.Fields(readText(t, fmt.Sprintf("/proc/%d/stat", pid)))
	return len(fields) > 2 && fields[2] != "Z" && fields[2] != "X"
}

// TestHostilePtraceForgesMessages has the hunter tell the runtime lies by the
// socket of the process that enters. exec may fail, or not; it may harm nothing
// that is not the container's.
func TestHostilePtraceForgesMessages(t *testing.T) {
	t.Parallel()
	needsSpeed(t)
	for _, name := range []string{"exec", "startContainer hook of run", "run"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := ways()[slices.IndexFunc(ways(), func(w way) bool { return w.name == name })]
			prey := victim(t)
			hunter := standings()[0].guest(t, withCapabilities("CAP_SYS_PTRACE", "CAP_KILL"))
			seed := hunter.rootfs("seed")
			writeText(t, seed, "0")
			hunter.hunter("forge", strconv.Itoa(prey), "/seed")
			g := hunter
			if name != "exec" {
				g = standings()[0].guest(t, joinPids(hunter.bundle))
			}
			g.hunts(hunter)
			for _, n := range quick(0, 29) {
				n *= 2
				writeText(t, seed, strconv.Itoa(n))
				res := w.run(g, program{args: []string{"/bin/true"}, env: []string{"PATH=/bin"}})
				if strings.Contains(res.stderr, "goroutine ") || strings.Contains(res.stderr, "panic") {
					t.Fatalf("lie %d: the runtime crashed:\n%s", n, res)
				}
				if !living(t, prey) {
					t.Fatalf("lie %d: the runtime killed a process of the host:\n%s", n, res)
				}
				if res.code != 0 && strings.TrimSpace(res.stderr) == "" {
					t.Errorf("lie %d: no reason for the failure:\n%s", n, res)
				}
				if g != hunter {
					g.watched = false
					g.do("delete", "--force", g.id)
					g.watched = true
				}
			}
			if said := hunter.output(); !strings.Contains(said, "lied") {
				t.Errorf("the hunter could not lie: %q", said)
			}
			hunter.watched = false
			if res := hunter.byExec(program{args: []string{"echo", "well"}}); res.stdout != "well\n" {
				t.Errorf("an exec afterwards:\n%s", res)
			}
		})
	}
}
