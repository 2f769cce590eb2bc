package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// sessionUser is the user who has a session in a VM of tests/vm with --session.
const sessionUser = 4711

const sessionDir = "/run/user/4711"

// sessionSlice is the cgroup of all sessions of that user, which is the system manager's.
const sessionSlice = cgroupRoot + "/user.slice/user-4711.slice"

// inSession lays out a container whose caller is the session's user; the caller's own
// cgroup is the system's, as that of an ssh login is, or with a scope one of the user's
// service manager.
func inSession(t *testing.T, scope bool, edits ...edit) *guest {
	t.Helper()
	_, err := os.Stat(sessionDir + "/systemd/private")
	needs(t, "session", err == nil && systemdCgroup() && onV2(t))
	own := func(s *specs.Spec) {
		ownIDOnly(s)
		s.Linux.UIDMappings[0].HostID, s.Linux.GIDMappings[0].HostID = sessionUser, sessionUser
		s.Linux.CgroupsPath = ""
	}
	g := standing{uid: sessionUser}.guest(t, append([]edit{own}, edits...)...)
	user := fmt.Sprint(sessionUser)
	g.enter = []string{"setpriv", "--reuid", user, "--regid", user, "--clear-groups", "env", "XDG_RUNTIME_DIR=" + sessionDir}
	if scope {
		g.enter = append(g.enter, "systemd-run", "--user", "--scope", "--quiet", "--collect")
	}
	g.asRoot = true
	return g
}

func cpuLimits(r *specs.LinuxResources) {
	quota, period := int64(50000), uint64(100000)
	r.CPU = &specs.LinuxCPU{Quota: &quota, Period: &period, Cpus: "0"}
}

// TestUserManager: systemd of a user sets the limits that it has been handed; update, ps,
// events and pause work with them, and exec from wherever the caller is.
func TestUserManager(t *testing.T) {
	for _, scope := range []bool{true, false} {
		t.Run(fmt.Sprintf("scope %v", scope), func(t *testing.T) {
			g := inSession(t, scope, args("sleep", "1000"), memoryLimit(64<<20), pidsLimit(20), resources(cpuLimits))
			g.as(g.createCall()).do(t).ok(t)
			g.readPid()
			g.do("start", g.id).ok(t)
			dir := g.cgroupDir("memory")
			if !strings.HasPrefix(dir, sessionSlice+"/user@4711.service/user.slice/") {
				t.Fatalf("the container is in %s", dir)
			}
			limits := func(memory, tasks, cpu, cpus string) {
				t.Helper()
				for name, want := range map[string]string{"memory.max": memory, "pids.max": tasks, "cpu.max": cpu, "cpuset.cpus": cpus} {
					if got := strings.TrimSpace(readText(t, filepath.Join(dir, name))); got != want {
						t.Errorf("%s %q, want %q", name, got, want)
					}
				}
			}
			limits("67108864", "20", "50000 100000", "0")
			g.do("update", "--memory", "33554432", "--memory-swap", "33554432", "--pids-limit", "30", "--cpu-quota", "25000", "--cpuset-cpus", "0-1", g.id).ok(t)
			limits("33554432", "30", "25000 100000", "0-1")
			if res := g.do("ps", "--format", "json", g.id); res.code != 0 || !strings.Contains(res.stdout, fmt.Sprint(g.pid)) {
				t.Errorf("%s", res)
			}
			if res := g.do("events", "--stats", g.id); res.code != 0 || !strings.Contains(res.stdout, `"limit":33554432`) || res.stderr != "" {
				t.Errorf("%s", res)
			}
			g.do("pause", g.id).ok(t)
			if text := readText(t, dir+"/cgroup.freeze"); text != "1\n" {
				t.Errorf("paused, and cgroup.freeze is %q", text)
			}
			g.do("resume", g.id).ok(t)
			// The process stays until this has looked where it is.
			c := g.execCall(program{}, "--detach", "--pid-file", g.path("further"))
			c.args = append(c.args, "sleep", "1000")
			c.stdout, c.stderr = g.path("out"), g.path("err")
			c.do(t).ok(t)
			further := strings.TrimSpace(readText(t, g.path("further")))
			if now, of := readText(t, "/proc/"+further+"/cgroup"), readText(t, fmt.Sprintf("/proc/%d/cgroup", g.pid)); now != of {
				t.Errorf("the process of exec is in %q, init in %q", now, of)
			}
			// Init ends no sooner than this is reaped.
			pid := pidIn(t, g.path("further"))
			if err := unix.Kill(pid, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			reap(t, pid)
			g.do("delete", "--force", g.id).ok(t)
			g.wait()
			if _, err := os.Stat(dir); err == nil {
				t.Errorf("left: %s", dir)
			}
		})
	}
}

// TestUserManagerBelow: exec finds init below the scope, whoever may move the process there.
func TestUserManagerBelow(t *testing.T) {
	hutchOnly(t, "runc has no such annotations")
	for _, c := range []struct {
		scope    bool
		sub, own string
	}{{true, "sub", ""}, {false, "", "own"}, {false, "sub", "own/payload"}} {
		g := inSession(t, c.scope, args("sleep", "1000"), pidsLimit(20),
			annotation("run.oci.systemd.subgroup", c.sub), annotation("run.oci.delegate-cgroup", c.own))
		g.as(g.createCall()).do(t).ok(t)
		g.readPid()
		g.do("start", g.id).ok(t)
		of := readText(t, fmt.Sprintf("/proc/%d/cgroup", g.pid))
		if below := strings.TrimRight(filepath.Join(".scope", c.sub, c.own), "/"); !strings.HasSuffix(strings.TrimSpace(of), below) {
			t.Errorf("init is in %q", of)
		}
		further := g.execCall(program{}, "--detach", "--pid-file", g.path("further"))
		further.args = append(further.args, "sleep", "1000")
		further.stdout, further.stderr = g.path("out"), g.path("err")
		further.do(t).ok(t)
		pid := pidIn(t, g.path("further"))
		if now := readText(t, fmt.Sprintf("/proc/%d/cgroup", pid)); now != of {
			t.Errorf("%+v: the process of exec is in %q, init in %q", c, now, of)
		}
		if err := unix.Kill(pid, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		reap(t, pid)
		g.do("delete", "--force", g.id).ok(t)
		g.wait()
	}
}

// TestUserManagerLacksController: where systemd of a user has not been handed a controller,
// what needs it says so, and how root hands it on; all else works.
func TestUserManagerLacksController(t *testing.T) {
	hutchOnly(t, "the words are Hutch's")
	g := inSession(t, false, args("sleep", "1000"), pidsLimit(20))
	takeController(t, "cpuset")
	names := func(res result, field string) {
		t.Helper()
		for _, want := range []string{field, "cpuset", "systemctl edit user@.service", "Delegate=cpu cpuset io memory pids"} {
			if res.code == 0 || !strings.Contains(res.stderr, want) {
				t.Errorf("no %q in: %s", want, res)
			}
		}
	}
	g.as(g.createCall()).do(t).ok(t)
	g.readPid()
	g.do("update", "--pids-limit", "30", g.id).ok(t)
	names(g.do("update", "--cpuset-cpus", "0", g.id), "linux.resources.cpu.cpus")
	if got := g.limit("pids", "pids.max", "pids.max"); got != "30" {
		t.Errorf("pids.max %q, want what it was", got)
	}
	g.do("delete", "--force", g.id).ok(t)
	g.wait()
	resources(cpuLimits)(g.spec)
	g.writeSpec()
	names(g.as(g.createCall()).do(t), "linux.resources.cpu.cpus")
	res := g.do("check", "--bundle", g.dir)
	names(result{code: res.code, stderr: res.stdout + res.stderr}, "linux.resources.cpu.cpus")
	if res := g.do("info"); !strings.Contains(res.stdout, "it lacks cpuset") {
		t.Errorf("%s", res)
	}
}

// takeController takes a controller from all sessions of the user, until the test ends.
func takeController(t *testing.T, name string) {
	t.Helper()
	var had []string
	set := func(file, sign string) bool { return os.WriteFile(file, []byte(sign+name), 0) == nil }
	filepath.WalkDir(sessionSlice, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == "cgroup.subtree_control" && slices.Contains(strings.Fields(readText(t, path)), name) {
			had = append(had, path)
		}
		return nil
	})
	for _, file := range slices.Backward(had) { // the lowest first
		if !set(file, "-") {
			t.Fatalf("%s keeps %s", file, name)
		}
	}
	t.Cleanup(func() {
		for _, file := range had {
			set(file, "+")
		}
	})
}

// TestWithoutCgroupSays: who has a container without a cgroup is told what that costs, and
// how to have one.
func TestWithoutCgroupSays(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "the words are Hutch's")
	needs(t, "a caller who may make no cgroup", !systemdCgroup())
	g := seats()[0].seated(t, true)
	g.configure(program{args: []string{"sleep", "1000"}})
	g.as(g.createCall()).do(t)
	g.readPid()
	for _, c := range []struct {
		words []string
		code  int
	}{
		{[]string{"pause", g.id}, 1},
		{[]string{"update", "--memory", "64m", g.id}, 1},
		{[]string{"events", "--stats", g.id}, 0},
		{[]string{"exec", "--cgroup", "x", g.id, "true"}, 255},
	} {
		res := g.do(c.words...)
		if res.code != c.code || !strings.Contains(res.stderr, "no cgroup of its own") ||
			!strings.Contains(res.stderr, "systemd-run --user --scope --property Delegate=yes") {
			t.Errorf("%s", res)
		}
	}
	empty := writeText(t, g.path("limits.json"), `{"memory": {}, "cpu": {}}`)
	for _, flags := range [][]string{nil, {"--resources", empty}} { // nothing is asked for
		saysNothingBut(t, g.do(append(append([]string{"update"}, flags...), g.id)...), "")
	}
	if res := g.do("ps", g.id); res.code != 0 || !strings.Contains(res.stdout, fmt.Sprint(g.pid)) {
		t.Errorf("%s", res)
	}
}

// TestWhichServiceManager: which systemd makes the scope depends on who the caller is, and
// on what there is of a session; the error names where it was looked for.
func TestWhichServiceManager(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "the words are Hutch's")
	session := fmt.Sprintf("/run/user/%d", plainUser)
	for _, c := range []struct {
		name, made string
		want       string
	}{
		{"a session that no variable names", "mkdir -p " + session + "/systemd && : >" + session + "/systemd/private", session + "/bus"},
		{"a system container", "mkdir -p /run/systemd/system", "/run/dbus/system_bus_socket"},
		{"neither", ":", "neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := seats()[3].seated(t, true)
			g.spec.Linux.CgroupsPath = ""
			g.writeSpec()
			g.enter = append(g.enter, "env", "-u", "XDG_RUNTIME_DIR", "-u", "DBUS_SESSION_BUS_ADDRESS",
				"sh", "-c", "mount -t tmpfs none /run && "+c.made+` && exec "$@"`, "sh")
			res := g.as(call{root: g.root, global: []string{"--systemd-cgroup"}, args: g.line("run")}).do(t)
			if res.code == 0 || !strings.Contains(res.stderr, c.want) {
				t.Errorf("no %q in %s", c.want, res)
			}
		})
	}
}
