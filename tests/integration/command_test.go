package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestStateDocument(t *testing.T) {
	t.Parallel()
	began := time.Now().Add(-time.Second)
	b := newBundle(t, args("sleep", "1000")).create()
	s := b.state()
	if s.OCIVersion == "" || s.ID != b.id || s.Pid == nil || *s.Pid != b.pid || s.Status != "created" || s.Bundle != b.dir || s.Rootfs != b.rootfs() {
		t.Errorf("state %+v", s)
	}
	if s.Created.Before(began) || s.Created.After(time.Now()) {
		t.Errorf("created %v", s.Created)
	}
	if s.Owner == nil {
		t.Error("no owner")
	}
	b.start()
	if s := b.state(); s.Status != "running" || *s.Pid != b.pid {
		t.Errorf("state %+v", s)
	}
}

func TestBundleIsTheWorkingDirectory(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("echo here"))
	res := call{root: b.root, args: []string{"run", b.id}, dir: b.dir}.do(t).ok(t)
	if res.stdout != "here\n" {
		t.Errorf("%s", res)
	}
	// A relative bundle and pid file count from there too.
	c := newBundle(t, args("sleep", "1000"))
	call{root: c.root, args: []string{"create", "-b", "bundle", "--pid-file", "tmp/pid", c.id}, dir: filepath.Dir(c.dir)}.do(t).ok(t)
	c.readPid()
	if got := c.state().Bundle; got != c.dir {
		t.Errorf("bundle %q, want %q", got, c.dir)
	}
}

// TestRelativeRoot: --root counts from the working directory, in every command.
func TestRelativeRoot(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("sleep", "1000"))
	top := filepath.Dir(b.dir)
	call{root: "state", dir: top, args: b.line("create", "--pid-file", b.path("pid"))}.do(t).ok(t)
	b.readPid()
	b.status("created")
	call{root: "./state", dir: top, args: []string{"kill", b.id, "9"}}.do(t).ok(t)
	b.wait()
}

func TestCreateTwice(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("sleep", "1000")).create()
	b.rt(b.line("create")...).failed(t, "container with given ID already exists")
	b.rt(b.line("run")...).failed(t, "container with given ID already exists")
	if s := b.status("created").state(); *s.Pid != b.pid {
		t.Errorf("the first container changed: %+v", s)
	}
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("sleep", "1000")).create().start()
	b.rt("start", b.id).failed(t, "cannot start an already running container")
	b.kill("KILL").wait()
	b.rt("start", b.id).failed(t, "cannot start a container that has stopped")
	b.delete()
	b.rt("start", b.id).failed(t, "does not exist")
}

// TestStartPaused: a container that was paused before its start has not been started, and is not
// said to run.
func TestStartPaused(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("sleep", "1000")).create()
	b.rt("pause", b.id).ok(t)
	b.rt("start", b.id).failed(t, "cannot start a container in the paused state")
	b.rt("resume", b.id).ok(t)
	b.start().status("running")
}

func TestKill(t *testing.T) {
	t.Parallel()
	const trap = `for s in HUP INT QUIT USR1 USR2 TERM WINCH; do trap "echo got $s" $s; done; echo ready; while :; do sleep 0.02; done`
	b := newBundle(t, sh(trap)).create().start()
	b.waitOutput("ready\n")
	for _, c := range []struct{ signal, name string }{
		{"", "TERM"}, {"HUP", "HUP"}, {"SIGINT", "INT"}, {"3", "QUIT"}, {"usr1", "USR1"}, {"sigusr2", "USR2"}, {"28", "WINCH"},
	} {
		before := strings.Count(b.output(), "got "+c.name+"\n")
		if c.signal == "" {
			b.kill()
		} else {
			b.kill(c.signal)
		}
		eventually(t, "signal "+c.signal+" arrives", func() bool { return strings.Count(b.output(), "got "+c.name+"\n") == before+1 })
	}
	if runtimeName == "hutch" { // runc takes it for TERM
		b.rt("kill", b.id, "").failed(t, `unknown signal ""`)
	}
	for _, bad := range []string{"FANTASY", "SIGFANTASY", "-9", "1000", "9x"} {
		b.rt("kill", b.id, bad).failed(t)
	}
	b.status("running")
	b.kill("9")
	if code := b.wait(); code != 137 {
		t.Errorf("exit code %d", code)
	}
	b.rt("kill", b.id).failed(t, "container not running")
	b.rt("kill", b.id, "0").failed(t, "container not running")
}

func TestKillCreated(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("sleep", "1000")).create().kill("KILL")
	if code := b.wait(); code != 137 {
		t.Errorf("exit code %d", code)
	}
	b.status("stopped").delete()
}

func TestDelete(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("sleep", "1000")).create().start()
	b.rt("delete", b.id).failed(t, "not stopped")
	b.status("running")
	b.delete("--force")
	if code := b.wait(); code != 137 {
		t.Errorf("exit code %d", code)
	}
	b.nothingLeft()
	b.rt("delete", b.id).failed(t, "does not exist")
	b.delete("-f")
}

// TestDeleteForceKillsAll: processes beside init, in a shared pid namespace.
func TestDeleteForceKillsAll(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("sleep 1000 & sleep 1000 & setsid sleep 1000 & echo up; wait"), withoutNamespace(specs.PIDNamespace)).create().start()
	b.waitOutput("up\n")
	b.delete("--force")
	b.wait()
	reapOrphans(t, b.id)
	b.nothingLeft()
}

// reapOrphans waits until processes of the container that became children of
// this process, the subreaper, are dead, and reaps them.
func reapOrphans(t testing.TB, id string) {
	t.Helper()
	eventually(t, "the orphans are dead", func() bool { return len(processesOf(id)) == 0 })
}

func TestRunExitStatus(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]int{"exit 0": 0, "exit 7": 7, "exit 255": 255, "exit 126": 126, "kill -9 $$; sleep 5": 137} {
		edits := []edit{sh(script)}
		if strings.HasPrefix(script, "kill") {
			edits = append(edits, withoutNamespace(specs.PIDNamespace)) // 1 cannot kill itself
		}
		b := newBundle(t, edits...)
		if res := b.run(); res.code != want {
			t.Errorf("%s: want %d:\n%s", script, want, res)
		}
		b.nothingLeft()
	}
}

func TestRunDetach(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("echo up; sleep 1000"))
	call{root: b.root, args: b.line("run", "--detach", "--pid-file", b.path("pid")), stdout: b.path("out"), stderr: b.path("err")}.do(t).ok(t)
	b.readPid()
	b.waitOutput("up\n")
	b.status("running").kill("KILL")
	b.wait()
	b.status("stopped")
}

func TestRunKeep(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 keeps the state, not the cgroup")
	b := newBundle(t, sh("exit 3"))
	if res := b.run("--keep"); res.code != 3 {
		t.Errorf("%s", res)
	}
	b.status("stopped")
	// A scope without processes ends.
	if len(cgroupsNamed(b.id)) == 0 && !systemdCgroup() {
		t.Error("no cgroup is left")
	}
	b.delete()
	b.nothingLeft()
}

func TestRunForwardsSignals(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh(`for s in HUP INT QUIT USR1 USR2 WINCH CONT; do trap "echo got $s" $s; done; trap "echo got TERM; exit 9" TERM; echo ready; while :; do sleep 0.02; done`))
	r := call{root: b.root, args: b.line("run"), stdout: b.path("out"), stderr: b.path("err")}.start(t)
	b.waitOutput("ready\n")
	for name, sig := range map[string]unix.Signal{
		"HUP": unix.SIGHUP, "INT": unix.SIGINT, "QUIT": unix.SIGQUIT, "USR1": unix.SIGUSR1, "USR2": unix.SIGUSR2, "TERM": unix.SIGTERM,
	} {
		if name == "TERM" {
			continue
		}
		r.cmd.Process.Signal(sig)
		b.waitOutput("got " + name + "\n")
	}
	r.cmd.Process.Signal(unix.SIGTERM)
	if res := r.wait(); res.code != 9 || !strings.Contains(res.stdout, "got TERM") {
		t.Errorf("%s", res)
	}
}

// TestRunKilledFromOutside: 128+n for a process that a signal ends.
func TestRunKilledFromOutside(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("echo ready; sleep 1000"))
	r := call{root: b.root, args: b.line("run"), stdout: b.path("out"), stderr: b.path("err")}.start(t)
	b.waitOutput("ready\n")
	b.kill("KILL")
	if res := r.wait(); res.code != 137 {
		t.Errorf("want 137: %s", res)
	}
	b.nothingLeft()
}

// TestRunEndsWithInit: a grandchild that lives on does not hold run up, and
// dies with the pid namespace.
func TestRunEndsWithInit(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("(sleep 1000 >/dev/null 2>&1 </dev/null &); exit 6"))
	if res := b.run(); res.code != 6 { // long before the grandchild would end by itself
		t.Errorf("%s", res)
	}
	b.nothingLeft()
}

func TestList(t *testing.T) {
	t.Parallel()
	a := newBundle(t, args("sleep", "1000"))
	if res := a.rt("list"); runtimeName == "hutch" && (res.code == 0 || !strings.Contains(res.stderr, "no such file or directory")) {
		t.Errorf("of a directory that is not there: %s", res)
	}
	if err := os.MkdirAll(a.root, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"table", "json"} {
		res := a.rt("list", "-f", format).ok(t)
		if text := strings.TrimSpace(res.stdout); format == "json" && text != "null" && text != "[]" || format == "table" && strings.Fields(text)[0] != "ID" {
			t.Errorf("%s of none: %q", format, res.stdout)
		}
	}
	b := newBundle(t, args("sleep", "1000"))
	b.root = a.root
	a.create()
	b.create().start()
	var list []state
	if err := json.Unmarshal([]byte(a.rt("list", "--format", "json").ok(t).stdout), &list); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range list {
		got[s.ID] = s.Status
		if s.Bundle == "" || s.Pid == nil || s.Rootfs == "" && runtimeName == "hutch" || s.Created.IsZero() || s.Owner == nil {
			t.Errorf("incomplete: %+v", s)
		}
	}
	if len(got) != 2 || got[a.id] != "created" || got[b.id] != "running" {
		t.Errorf("list %v", got)
	}
	ids := strings.Fields(a.rt("list", "-q").ok(t).stdout)
	if want := []string{a.id, b.id}; !slices.Equal(ids, want) {
		t.Errorf("ids %q, want %q", ids, want)
	}
	lines := strings.Split(strings.TrimSpace(a.rt("list").ok(t).stdout), "\n")
	if strings.Join(strings.Fields(lines[0]), " ") != "ID PID STATUS BUNDLE CREATED OWNER" || len(lines) != 3 {
		t.Errorf("table:\n%s", strings.Join(lines, "\n"))
	}
	if f := strings.Fields(lines[1]); f[0] != a.id || f[1] != fmt.Sprint(a.pid) || f[2] != "created" || f[3] != a.dir || f[5] != "root" {
		t.Errorf("line %q", f)
	}
	a.rt("list", "-f", "xml").failed(t)
	a.delete("-f")
	b.delete("-f")
}

func TestPs(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("sleep 1000 & echo up; sleep 1000; true")).create().start()
	b.waitOutput("up\n")
	var pids []int
	eventually(t, "three processes", func() bool {
		if err := json.Unmarshal([]byte(b.rt("ps", "--format", "json", b.id).ok(t).stdout), &pids); err != nil {
			t.Fatal(err)
		}
		return len(pids) == 3
	})
	if !slices.Contains(pids, b.pid) {
		t.Errorf("pids %v without init's %d", pids, b.pid)
	}
	table := b.rt("ps", b.id).ok(t).stdout
	lines := strings.Split(strings.TrimSpace(table), "\n")
	if len(lines) != 4 || !slices.Contains(strings.Fields(lines[0]), "PID") || !strings.Contains(table, "sleep 1000") {
		t.Errorf("table:\n%s", table)
	}
	if out := b.rt("ps", b.id, "-o", "pid,comm").ok(t).stdout; !strings.Contains(out, "PID COMMAND") {
		t.Errorf("ps -o pid,comm:\n%s", out)
	}
	b.kill("KILL").wait()
	if out := strings.TrimSpace(b.rt("ps", "--format", "json", b.id).ok(t).stdout); out != "null" && out != "[]" {
		t.Errorf("ps of a stopped container: %q", out)
	}
}

func TestSpecCommand(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(workDir, uniqueID())
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	call{args: []string{"spec", "--bundle", dir}}.do(t).ok(t)
	var s specs.Spec
	if err := json.Unmarshal([]byte(readText(t, dir+"/config.json")), &s); err != nil {
		t.Fatal(err)
	}
	if s.Root.Path != "rootfs" || len(s.Process.Args) == 0 || !s.Process.Terminal || len(s.Mounts) < 6 || len(s.Linux.MaskedPaths) == 0 {
		t.Errorf("spec %+v", s)
	}
	call{args: []string{"spec", "--bundle", dir}}.do(t).failed(t, "exists")
	os.Remove(dir + "/config.json")
	call{args: []string{"spec", "--rootless"}, dir: dir}.do(t).ok(t)
	var r specs.Spec
	if err := json.Unmarshal([]byte(readText(t, dir+"/config.json")), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Linux.UIDMappings) != 1 || !slices.ContainsFunc(r.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.UserNamespace }) {
		t.Errorf("rootless spec %+v", r.Linux)
	}
}

// TestSpecRuns: what spec writes is a container that runs.
func TestSpecRuns(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	os.Remove(b.dir + "/config.json")
	call{args: []string{"spec", "-b", b.dir}}.do(t).ok(t)
	var s specs.Spec
	if err := json.Unmarshal([]byte(readText(t, b.dir+"/config.json")), &s); err != nil {
		t.Fatal(err)
	}
	s.Process.Args, s.Process.Terminal = []string{"/bin/echo", "ran"}, false
	b.spec = &s
	b.writeSpec()
	if out := b.run().ok(t).stdout; out != "ran\n" {
		t.Errorf("%q", out)
	}
}

func TestFeatures(t *testing.T) {
	t.Parallel()
	res := call{args: []string{"features"}}.do(t).ok(t)
	var f struct {
		OCIVersionMin, OCIVersionMax string
		Hooks, MountOptions          []string
		Linux                        struct {
			Namespaces, Capabilities []string
			Cgroup                   struct{ V1, V2, Systemd, SystemdUser, Rdma *bool }
			Seccomp                  struct{ Enabled *bool }
			Apparmor, Selinux        struct{ Enabled *bool }
			IntelRdt                 struct{ Enabled *bool }
			MemoryPolicy             struct{ Modes, Flags []string }
			MountExtensions          struct{ Idmap struct{ Enabled *bool } }
			NetDevices               struct{ Enabled *bool }
		}
	}
	if err := json.Unmarshal([]byte(res.stdout), &f); err != nil {
		t.Fatal(err)
	}
	if f.OCIVersionMin == "" || f.OCIVersionMax == "" || !slices.Equal(f.Hooks, hookKinds()) || len(f.Linux.Capabilities) < 41 {
		t.Errorf("features %+v", f)
	}
	if runtimeName != "hutch" {
		return // the rest came with 1.2 and later
	}
	if f.OCIVersionMax != specs.Version || len(f.Linux.Namespaces) != 8 || len(f.Linux.MemoryPolicy.Modes) != 7 || len(f.Linux.MemoryPolicy.Flags) != 3 {
		t.Errorf("features %+v", f)
	}
	for name, on := range map[string]*bool{"idmap": f.Linux.MountExtensions.Idmap.Enabled, "netDevices": f.Linux.NetDevices.Enabled} {
		if on == nil || !*on {
			t.Errorf("%s is not enabled", name)
		}
	}
	for _, option := range []string{"ro", "rro", "sync", "rslave", "idmap"} { // one of each kind
		if !slices.Contains(f.MountOptions, option) {
			t.Errorf("mountOptions lack %s", option)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--version", "-v"} {
		res := call{args: []string{flag}}.do(t).ok(t)
		first, rest, _ := strings.Cut(res.stdout, "\n")
		if !strings.HasPrefix(first, runtimeName+" version ") || !strings.Contains(rest, "commit: ") || !strings.Contains(rest, "spec: ") {
			t.Errorf("%s", res)
		}
		if strings.Contains(rest, "version") { // dockerd takes the last such line
			t.Errorf("a later line says version: %q", rest)
		}
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, words := range [][]string{{"--help"}, {"-h"}, {"help"}, {"create", "--help"}, {"kill", "-h"}, {"run", "--help"}} {
		res := call{args: words}.do(t)
		if res.code != 0 || !strings.Contains(res.stdout, "USAGE") {
			t.Errorf("%s", res)
		}
	}
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words []string
		text  string
	}{
		{[]string{"create", "--no-such-flag", "x"}, "no-such-flag"},
		{[]string{"--no-such-flag", "list"}, "no-such-flag"},
		{[]string{"create"}, "argument"},
		{[]string{"start"}, "argument"},
		{[]string{"state"}, "argument"},
		{[]string{"kill"}, "argument"},
		{[]string{"delete"}, "argument"},
		{[]string{"run"}, "argument"},
		{[]string{"ps"}, "requires"},
		{[]string{"create", "a", "b"}, "argument"},
		{[]string{"state", "a", "b"}, "argument"},
		{[]string{"create", "--bundle"}, "needs an argument"},
		{[]string{"create", "--preserve-fds", "x", "id"}, "preserve-fds"},
	} {
		res := call{root: filepath.Join(workDir, "usage"), args: c.words}.do(t)
		if res.code == 0 || !strings.Contains(res.stderr+res.stdout, c.text) {
			t.Errorf("want a failure that says %q: %s", c.text, res)
		}
	}
	if res := (call{args: []string{"no-such-command"}}).do(t); res.code == 0 && runtimeName == "hutch" { // 1.1 prints its help
		t.Errorf("%s", res)
	}
}

// TestFlagForms: the forms that engines use.
func TestFlagForms(t *testing.T) {
	t.Parallel()
	for _, form := range [][]string{
		{"--bundle=DIR", "--pid-file=PID", "ID"}, {"-bundle", "DIR", "-pid-file=PID", "ID"}, {"-b", "DIR", "--pid-file", "PID", "ID"},
	} {
		b := newBundle(t, args("sleep", "1000"))
		replacer := strings.NewReplacer("DIR", b.dir, "PID", b.path("pid"), "ID", b.id)
		words := []string{"create"}
		for _, w := range form {
			words = append(words, replacer.Replace(w))
		}
		call{global: []string{"-root", b.root, "--root=" + b.root}, args: words}.do(t).ok(t)
		b.readPid()
		b.delete("-f")
		b.wait()
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "only Hutch has plan")
	b := newBundle(t, sh("echo planned"), bindMount("/usr", "/mnt", "ro"))
	text := call{args: []string{"plan", "--bundle", b.dir}}.do(t).ok(t).stdout
	for _, want := range []string{"pivot_root", "execve", "mounts[5]", "move_mount"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the plan", want)
		}
	}
	var document any
	if err := json.Unmarshal([]byte(call{args: []string{"plan", "--format", "json", "--bundle", b.dir}}.do(t).ok(t).stdout), &document); err != nil {
		t.Errorf("JSON: %v", err)
	}
	// Without root, and nothing is run.
	res := call{args: []string{"plan", "--bundle", b.dir}, wrap: []string{"setpriv", "--reuid", "65534", "--clear-groups", "--inh-caps=-all", "--"}}.do(t)
	if res.code != 0 || !strings.Contains(res.stdout, "execve") {
		t.Errorf("without root: %s", res)
	}
	b.nothingLeft()
}

func TestTrace(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "only Hutch has --trace")
	b := newBundle(t)
	b.run("--trace", b.path("trace")).ok(t)
	var trace struct {
		TraceEvents []struct{ Name, Ph string }
	}
	text := readText(t, b.path("trace"))
	err := json.Unmarshal([]byte(text), &trace)
	if err != nil {
		err = json.Unmarshal([]byte(text), &trace.TraceEvents)
	}
	if err != nil || len(trace.TraceEvents) < 20 {
		t.Errorf("%d events, %v", len(trace.TraceEvents), err)
	}
}

// TestUnknownConfigProperties are ignored.
func TestUnknownConfigProperties(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("echo ran"))
	var document map[string]any
	if err := json.Unmarshal([]byte(readText(t, b.dir+"/config.json")), &document); err != nil {
		t.Fatal(err)
	}
	document["unknown"] = map[string]any{"deep": []any{1, "two", nil, map[string]any{"x": true}}}
	document["process"].(map[string]any)["unknown"] = 1.5e300
	document["linux"].(map[string]any)["unknown"] = []any{[]any{[]any{}}}
	data, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	b.writeConfig(data)
	if out := b.run().ok(t).stdout; out != "ran\n" {
		t.Errorf("%q", out)
	}
}

func TestOCIVersion(t *testing.T) {
	t.Parallel()
	version := func(v string) edit { return func(s *specs.Spec) { s.Version = v } }
	for _, v := range []string{"1.0.0", "1.0.2-dev", "1.0.2", "1.1.0+dev", "1.2.1", "1.3.0"} {
		newBundle(t, version(v)).run().ok(t)
	}
	t.Run("refused", func(t *testing.T) {
		hutchOnly(t, "1.1 does not look")
		for _, v := range []string{"", "2.0.0", "0.9.0", "1", "one", "1.0", "1.x.0"} {
			refused(t, []string{"ociVersion"}, version(v))
		}
	})
}

// TestPlanOfSpec: what spec writes, with a terminal, can be planned at once.
func TestPlanOfSpec(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 has no plan")
	b := newBundle(t)
	dir := t.TempDir()
	b.rt("spec", "--bundle", dir).ok(t)
	if out := b.rt("plan", "--bundle", dir).ok(t).stdout; !strings.Contains(out, "execve(") {
		t.Errorf("got %q", out)
	}
}
