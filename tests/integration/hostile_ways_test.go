package integration

import (
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// The hostile tests try each attack by every way in which a program of the
// image comes to run, and in every standing that a caller can have: what is
// shown of create alone says nothing of exec and of hooks.

// standing is what the runtime's caller is on the host, and what the
// container's root is with it.
type standing struct {
	name  string
	edits []edit
	uid   int // of the caller; 0 is root
}

// plainUser is a user of the host without any privilege: the session's, where CALLER=user has
// systemd make the cgroups.
var plainUser = 51718

func standings() []standing {
	return []standing{
		{name: "root"},
		{name: "user namespace", edits: []edit{userNamespace}},
		{name: "unprivileged", edits: []edit{ownIDOnly}, uid: plainUser},
	}
}

// ownIDOnly is the container that a user without privilege can have: its root
// is that user, and there is nobody else.
func ownIDOnly(s *specs.Spec) {
	namespace(specs.UserNamespace, "")(s)
	s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: uint32(plainUser), Size: 1}}
	s.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: uint32(plainUser), Size: 1}}
	for i := range s.Mounts {
		s.Mounts[i].Options = slices.DeleteFunc(s.Mounts[i].Options, func(o string) bool { return o == "gid=5" })
	}
}

// guest is a container with the standing of its caller.
type guest struct {
	*bundle
	standing
	sleeps bool     // the container is there, for exec
	init   []string // what its init runs meanwhile; sleep when empty

	enter  []string // command line that brings the caller to its seat
	asRoot bool     // enter begins as root
	groups []uint32 // of the caller
	secret string   // more in the caller's environment
	dev    string   // folder that is /dev for the commands, see standInDev
	stdio  string   // file that is 0, 1 and 2 of the commands
	closed string   // shell redirections for the commands

	watched bool   // commands run under the eyes of the probe, see sights
	hold    string // folder of the hunter's fifos, for each look
	looks   int
}

// guest lays out a container for a caller of that standing.
func (s standing) guest(t testing.TB, edits ...edit) *guest {
	t.Helper()
	g := &guest{bundle: newBundle(t, append(slices.Clone(s.edits), edits...)...), standing: s}
	if s.uid != 0 {
		g.own(filepath.Dir(g.dir))
		t.Cleanup(g.leave)
	}
	return g
}

// own gives the tree to the caller, but for the programs, whose inodes all
// containers share.
func (g *guest) own(dir string) {
	g.t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() == "busybox" || d.Name() == "probe" {
			return err
		}
		return os.Lchown(path, g.uid, g.uid)
	})
	if err != nil {
		g.t.Fatal(err)
	}
}

// leave deletes the container as its owner, before the bundle's own clean-up
// looks for what is left as root.
func (g *guest) leave() {
	g.do("delete", "--force", g.id)
	if g.pid != 0 {
		g.wait()
	}
	os.RemoveAll(g.root)
}

var publicRuntime = sync.OnceValues(func() (string, error) {
	path := filepath.Join(workDir, "assets", "runtime")
	out, err := exec.Command("cp", runtimePath, path).CombinedOutput()
	if err == nil {
		err = os.Chmod(path, 0o755)
	}
	if err != nil {
		return "", fmt.Errorf("copy the runtime: %w %s", err, out)
	}
	return path, nil
})

// as lets the guest's caller make a call. A copy of the runtime serves a user
// who may not be able to reach the one under test.
func (g *guest) as(c call) call {
	g.t.Helper()
	if g.watched {
		return g.underWatch(c)
	}
	if g.uid != 0 {
		path, err := publicRuntime()
		if err != nil {
			g.t.Fatal(err)
		}
		if !g.asRoot {
			c.attr = g.credential()
		}
		c.wrap = append(slices.Clone(g.enter), "/bin/sh", "-c", `runtime=$1; shift 2; exec "$runtime" "$@"`, "sh", path)
	}
	if g.dev != "" {
		c = g.inDev(c)
	}
	return c
}

// standard gives a call that starts the program its standard descriptors.
func (g *guest) standard(c call) call {
	if g.secret != "" {
		c.env = append(os.Environ(), g.secret)
	}
	if g.closed != "" {
		c.wrap = append([]string{"/bin/sh", "-c", `exec "$@" ` + g.closed, "sh"}, c.wrap...)
	}
	if g.stdio != "" {
		c.stdout, c.stderr = g.stdio, g.stdio
		f, err := os.OpenFile(g.stdio, os.O_RDWR, 0)
		if err != nil {
			g.t.Fatal(err)
		}
		g.t.Cleanup(func() { f.Close() })
		c.stdin = f
	}
	return c
}

// asleepFor has the container wait if the way is an exec.
func (g *guest) asleepFor(w way) {
	g.t.Helper()
	if strings.HasPrefix(w.name, "exec") {
		g.asleep()
	}
}

// do runs a command of the runtime as the guest's caller.
func (g *guest) do(words ...string) result {
	g.t.Helper()
	return g.as(call{root: g.root, args: words}).do(g.t)
}

// program is what an image has run.
type program struct {
	args  []string
	env   []string   // PATH=/bin when there is none
	files []*os.File // the caller's open descriptors from 3 on
	flags []string   // of the command that starts it
}

func (p program) environment(id string) []string {
	env := p.env
	if env == nil {
		env = []string{"PATH=/bin"}
	}
	return append(slices.Clone(env), "HOME=/", idVariable+"="+id)
}

// way is a way in which a program of the image comes to run. It returns what
// the command said that failed, or the program's own output and exit code.
type way struct {
	name string
	run  func(*guest, program) result
	hook bool
}

func ways() []way {
	return []way{
		{name: "run", run: (*guest).byRun},
		{name: "create and start", run: (*guest).byStart},
		{name: "exec", run: (*guest).byExec},
		{name: "exec process", run: (*guest).byProcessFile},
		{name: "exec detached", run: (*guest).byDetachedExec},
		{name: "startContainer hook of run", run: (*guest).byHookOfRun, hook: true},
		{name: "startContainer hook of start", run: (*guest).byHookOfStart, hook: true},
	}
}

// onSlow are the subtests that a slow machine, which is there for its kernel and
// its cgroups, is given of all.
func onSlow(standing, way string) bool {
	return slices.Contains([]string{"root, run", "root, exec", "root, startContainer hook of start", "user namespace, create and start", "unprivileged, exec"},
		standing+", "+way)
}

// needsSpeed skips a test that makes thousands of stops of each command.
func needsSpeed(t testing.TB) { needs(t, "a faster machine", slowness == 1) }

// tried reports whether a test tries a way in the standing with that index: all, but for a slow
// machine, and with -short, which takes turns.
func tried(t testing.TB, index int, standing, name string) bool {
	if slowness > 1 {
		return onSlow(standing, name)
	}
	return takesTurn(t, index, slices.IndexFunc(ways(), func(w way) bool { return w.name == name }))
}

// takesTurn reports whether a test tries the case that is at an index of one list and an index of
// another. With -short that is a third of them, with each index of both lists once at least where
// these are as long as three; the tests begin at different ones, so that all is tried by some.
func takesTurn(t testing.TB, one, other int) bool {
	if !testing.Short() {
		return true
	}
	begin := crc32.ChecksumIEEE([]byte(t.Name()))
	return (uint(begin)+uint(one)+uint(other))%3 == 0
}

// everyWay runs a subtest for each way and standing.
func everyWay(t *testing.T, f func(*testing.T, standing, way)) {
	for i, s := range standings() {
		for _, w := range ways() {
			if !tried(t, i, s.name, w.name) {
				continue
			}
			t.Run(s.name+", "+w.name, func(t *testing.T) {
				t.Parallel()
				f(t, s, w)
			})
		}
	}
}

func (g *guest) configure(p program) {
	g.t.Helper()
	g.spec.Process.Args, g.spec.Process.Env = p.args, p.environment(g.id)
	g.writeSpec()
}

func (g *guest) byRun(p program) result {
	g.t.Helper()
	g.configure(p)
	return g.standard(g.as(call{root: g.root, args: g.line("run", p.flags...), files: p.files})).do(g.t)
}

func (g *guest) byStart(p program) result {
	g.t.Helper()
	g.configure(p)
	return g.life(p)
}

// life takes the container from create to delete.
func (g *guest) life(p program) result {
	g.t.Helper()
	create := g.standard(g.as(g.createCall(p.flags...)))
	create.files = p.files
	if g.watched {
		return g.watchedLife(create)
	}
	res := create.do(g.t)
	if res.code != 0 {
		return res
	}
	g.readPid()
	if started := g.do("start", g.id); started.code != 0 {
		g.do("delete", "--force", g.id)
		g.wait()
		return started
	}
	res.code = g.wait()
	res.stdout, res.stderr = written(g.path("out")), written(g.path("err"))
	g.do("delete", "--force", g.id).ok(g.t)
	return res
}

// asleep has the container wait for exec.
func (g *guest) asleep() {
	g.t.Helper()
	if g.sleeps {
		return
	}
	watched := g.watched
	g.watched = false
	init := g.init
	if init == nil {
		init = []string{"sleep", "1000"}
	}
	g.configure(program{args: init})
	g.as(g.createCall()).do(g.t).ok(g.t)
	g.readPid()
	g.do("start", g.id).ok(g.t)
	g.sleeps, g.watched = true, watched
}

func (g *guest) execCall(p program, flags ...string) call {
	words := slices.Concat([]string{"exec"}, p.flags, flags, []string{g.id})
	return g.standard(g.as(call{root: g.root, args: words, files: p.files}))
}

func (g *guest) byExec(p program) result {
	g.t.Helper()
	g.asleep()
	var flags []string
	for _, e := range p.environment(g.id) {
		flags = append(flags, "--env", e)
	}
	c := g.execCall(p, flags...)
	c.args = append(c.args, p.args...)
	return c.do(g.t)
}

func (g *guest) byProcessFile(p program) result {
	g.t.Helper()
	g.asleep()
	file := g.processFile(&specs.Process{Args: p.args, Cwd: "/", Env: p.environment(g.id)})
	return g.execCall(p, "--process", file).do(g.t)
}

func (g *guest) byDetachedExec(p program) result {
	g.t.Helper()
	g.asleep()
	file := g.processFile(&specs.Process{Args: p.args, Cwd: "/", Env: p.environment(g.id)})
	pidFile := g.path("exec.pid")
	os.Remove(pidFile)
	res := g.execCall(p, "--process", file, "--detach", "--pid-file", pidFile).do(g.t)
	if res.code != 0 {
		return res
	}
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(pidIn(g.t, pidFile), &ws, 0, nil); err != nil {
		g.t.Fatalf("the detached process: %v", err)
	}
	res.code = ws.ExitStatus()
	return res
}

func (g *guest) hookOf(p program) {
	g.t.Helper()
	g.spec.Process.Args, g.spec.Process.Env = []string{"true"}, program{}.environment(g.id)
	hooks("startContainer", specs.Hook{Path: p.args[0], Args: p.args, Env: p.environment(g.id)})(g.spec)
	g.writeSpec()
}

func (g *guest) byHookOfRun(p program) result {
	g.t.Helper()
	g.hookOf(p)
	return g.standard(g.as(call{root: g.root, args: g.line("run", p.flags...), files: p.files})).do(g.t)
}

func (g *guest) byHookOfStart(p program) result {
	g.t.Helper()
	g.hookOf(p)
	return g.life(p)
}

// notExecuted fails the test unless the command said that execve found nothing
// to execute. Whatever else happens means that something ran.
func (g *guest) notExecuted(w way, res result, attack string) {
	g.t.Helper()
	said := strings.Contains(res.stderr, "exec: ")
	if w.hook {
		said = strings.Contains(res.stderr, "hooks.startContainer[0]") && !strings.Contains(res.stderr, "exit status")
	}
	if res.code == 0 || !said {
		g.t.Errorf("%s: want an error of execve:\n%s", attack, res)
	}
}

// quick is every number from a to b, and fewer of them on a slow machine and with -short.
func quick(a, b int) []int {
	var list []int
	step := 1 + slowness/2
	if testing.Short() {
		step = max(step, 3)
	}
	for n := a; n <= b; n += step {
		list = append(list, n)
	}
	return list
}
