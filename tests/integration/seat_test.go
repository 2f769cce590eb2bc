package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestStateDirectory: without --root each caller has a place for its containers, which a
// command with the same variables finds.
func TestStateDirectory(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "the folder is Hutch's")
	private := "/tmp/hutch-" + strconv.Itoa(plainUser)
	if _, err := os.Stat("/run/user/" + strconv.Itoa(plainUser)); err == nil {
		private = "/run/user/" + strconv.Itoa(plainUser) + "/hutch"
	}
	for _, c := range []struct {
		seat, name string
		env        []string
		want       string // XDG stands for the directory of XDG_RUNTIME_DIR
	}{
		{"user", "XDG_RUNTIME_DIR", []string{"XDG_RUNTIME_DIR=XDG"}, "XDG/hutch"},
		{"user", "nothing", nil, private},
		{"unshare -Ur", "XDG_RUNTIME_DIR", []string{"XDG_RUNTIME_DIR=XDG"}, "XDG/hutch"},
		{"unshare -Ur", "a user's name", []string{"XDG_RUNTIME_DIR=XDG", "USER=somebody"}, "XDG/hutch"},
		{"unshare -Ur", "root's name", []string{"XDG_RUNTIME_DIR=XDG", "USER=root"}, private},
		{"unshare -Urm", "nothing", nil, private},
	} {
		t.Run(c.seat+", "+c.name, func(t *testing.T) {
			s := seats()[slices.IndexFunc(seats(), func(s seat) bool { return s.name == c.seat })]
			g := s.seated(t, false)
			xdg := g.path("xdg")
			if err := os.Mkdir(xdg, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chown(xdg, plainUser, plainUser); err != nil {
				t.Fatal(err)
			}
			env := []string{"PATH=" + os.Getenv("PATH")}
			for _, e := range c.env {
				env = append(env, strings.ReplaceAll(e, "=XDG", "="+xdg))
			}
			do := func(words ...string) result {
				call := g.as(call{args: words, env: env, stdout: g.path("out"), stderr: g.path("err")})
				return call.do(t)
			}
			g.configure(program{args: []string{"sleep", "1000"}})
			saysNothingBut(t, do(g.line("create", "--pid-file", g.path("pid"))...), "")
			g.readPid()
			dir := strings.Replace(c.want, "XDG", xdg, 1)
			if _, err := os.Stat(filepath.Join(dir, g.id, "state.json")); err != nil {
				t.Error(err)
			}
			if res := do("delete", "--force", g.id); res.code != 0 {
				t.Errorf("%s", res)
			}
			g.wait()
			os.Remove(dir) // unless another test's container is there
		})
	}
}

// TestKeepOriginalGroups: the annotation keeps the caller's groups, by every way.
func TestKeepOriginalGroups(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no such annotation")
	show := []string{"/bin/sh", "-c", "sed -n s/Groups://p /proc/self/status >/tmp/groups"}
	for _, w := range ways() {
		for _, keep := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, %v", w.name, keep), func(t *testing.T) {
				t.Parallel()
				g := standings()[2].guest(t)
				if keep {
					g.spec.Annotations = map[string]string{"run.oci.keep_original_groups": "1"}
				}
				g.groups = []uint32{4242, 4243}
				if res := w.run(g, program{args: show}); res.code != 0 {
					t.Fatalf("%s", res)
				}
				// The user may not drop groups, and those that are not mapped are shown so.
				if got := strings.Fields(readText(t, g.rootfs("tmp/groups"))); !slices.Equal(got, []string{"65534", "65534"}) {
					t.Errorf("groups %q", got)
				}
			})
		}
	}
	asCaller := func(c call) call {
		c.wrap = []string{"setpriv", "--groups", "4242,4243"}
		return c
	}
	for keep, want := range map[string]string{"1": "4242 4243", "": "4242 4243", "0": "", "none": ""} {
		b := newBundle(t, args("sleep", "1000"))
		if keep != "none" {
			b.spec.Annotations = map[string]string{"run.oci.keep_original_groups": keep}
			b.writeSpec()
		}
		asCaller(b.createCall()).do(t).ok(t)
		b.readPid()
		b.start()
		status := "/proc/" + strconv.Itoa(b.pid) + "/status"
		groups := func(text string) string {
			_, rest, _ := strings.Cut(text, "Groups:")
			line, _, _ := strings.Cut(rest, "\n")
			return strings.TrimSpace(line)
		}
		if got := groups(readText(t, status)); got != want {
			t.Errorf("keep %v: init has the groups %q, want %q", keep, got, want)
		}
		res := asCaller(call{root: b.root, args: []string{"exec", b.id, "cat", "/proc/self/status"}}).do(t).ok(t)
		if got := groups(res.stdout); got != want {
			t.Errorf("keep %v: exec has the groups %q, want %q", keep, got, want)
		}
	}
}

// TestSeccompNotifyWithoutPtrace: the listener reaches the agent of a caller who has no
// right to take descriptors from the container's processes.
func TestSeccompNotifyWithoutPtrace(t *testing.T) {
	t.Parallel()
	needs(t, "setpriv", exec.Command("setpriv", "--version").Run() == nil)
	b := newBundle(t, args("sleep", "1000"))
	a := newAgent(t, b, b.path("agent"))
	notifies(a.path, specs.ActAllow, "mkdir", "mkdirat")(b.spec)
	noNewPrivileges(true)(b.spec)
	b.writeSpec()
	without := func(c call) call {
		c.wrap = []string{"setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"}
		return c
	}
	without(b.createCall()).do(t).ok(t)
	b.readPid()
	if s := a.seen(0); s.Pid != b.pid {
		t.Errorf("the agent got %+v", s)
	}
	b.start()
	res := without(call{root: b.root, args: []string{"exec", b.id, "sh", "-c", "mkdir /tmp/y 2>&1; echo done"}}).do(t)
	if !strings.Contains(res.stdout, "Too many users") || !strings.Contains(res.stdout, "done") {
		t.Errorf("exec: %s", res)
	}
}

// TestUnprivilegedRefusals: what a caller without the host's root cannot have is refused by
// its name in config.json, and nothing is left.
func TestUnprivilegedRefusals(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "a configuration for root is run by others as it is")
	limit, high := int64(1<<24), uint64(1<<40)
	for name, c := range map[string]struct {
		edit  edit
		texts []string
	}{
		"limit": {func(s *specs.Spec) {
			s.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}}
		}, []string{"linux.resources.memory.limit", "delegated"}},
		"cgroup": {func(s *specs.Spec) { s.Linux.CgroupsPath = "/hutchtest-of-root" }, []string{"linux.cgroupsPath", "delegated"}},
		"mapping": {func(s *specs.Spec) {
			userNamespace(s)
			s.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: 7, Size: 2}}
		}, []string{"linux.uidMappings", "operation not permitted (it takes CAP_SETUID or CAP_SETGID)"}},
		"user":                           {asUser(1000), []string{"process.user.uid", "1000", "linux.uidMappings"}},
		"group":                          {func(s *specs.Spec) { s.Process.User.AdditionalGids = []uint32{7} }, []string{"process.user.additionalGids[0]", "linux.gidMappings"}},
		"a group, where none may be set": {func(s *specs.Spec) { s.Process.User.AdditionalGids = []uint32{0} }, []string{"process.user.additionalGids", "can set none", "linux.gidMappings"}},
		"rlimit": {func(s *specs.Spec) {
			s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: high, Hard: high}}
		}, []string{"process.rlimits[0]", "RLIMIT_NOFILE"}},
		"ping":    {sysctl("net.ipv4.ping_group_range", "0 5"), []string{"net.ipv4.ping_group_range", "linux.gidMappings"}},
		"network": {func(s *specs.Spec) { s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"lo": {}} }, []string{"linux.netDevices", "root"}},
		"device": {func(s *specs.Spec) {
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/no-such", Type: "c", Major: 1, Minor: 3}}
		}, []string{"linux.devices[0]", "/dev/no-such"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := seats()[0].seated(t, false)
			c.edit(g.spec)
			g.writeSpec()
			res := g.as(g.createCall()).do(t)
			if res.code != 1 || res.stdout != "" {
				t.Errorf("%s", res)
			}
			for _, text := range c.texts {
				if !strings.Contains(res.stderr, text) {
					t.Errorf("want %q in:\n%s", text, res)
				}
			}
			g.nothingLeft()
		})
	}
}

// TestSeatIsTold: info and features say who calls, and which calls are denied, with what is
// done instead.
func TestSeatIsTold(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "the annotations are Hutch's")
	probe := filepath.Join(workDir, "assets", "probe")
	runtime, err := publicRuntime()
	if err != nil {
		t.Fatal(err)
	}
	id := strconv.Itoa(plainUser)
	for _, c := range []struct {
		name   string
		wrap   []string
		exit   int
		info   []string
		denied string
		caller string
	}{
		{"root", nil, 0, []string{"caller/all system calls yes"}, "", "root"},
		{"a second way", []string{probe, "older", "clone3:EPERM,fsmount:ENOSYS"}, 0,
			[]string{"kernel/clone3 partly", "caller/all system calls no", "caller/clone3 partly", "caller/fsmount partly"}, "clone3,fsmount", "root"},
		{"none", []string{probe, "older", "openat2:ENOSYS"}, 2, []string{"kernel/openat2 no", "caller/openat2 no"}, "openat2", "root"},
		{"user", []string{"setpriv", "--reuid", id, "--regid", id, "--clear-groups"}, 0,
			[]string{"caller/mounts no", "caller/device nodes no", "caller/the initial user namespace yes"}, "", "user " + id},
		{"user namespace", []string{"unshare", "-Urm"}, 0,
			[]string{"caller/mounts yes", "caller/device nodes no", "caller/the initial user namespace no"}, "", "root of a user namespace"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			do := func(words ...string) []byte {
				line := slices.Concat(c.wrap, []string{runtime}, words)
				out, err := exec.Command(line[0], line[1:]...).Output()
				if exit := new(exec.ExitError); err != nil && (!errors.As(err, &exit) || words[0] != "info" || exit.ExitCode() != c.exit) {
					t.Fatalf("%q: %v", line, err)
				}
				return out
			}
			var report struct {
				Features []struct{ Group, Name, State string }
			}
			if err := json.Unmarshal(do("info", "--format", "json"), &report); err != nil {
				t.Fatal(err)
			}
			var rows []string
			for _, f := range report.Features {
				rows = append(rows, f.Group+"/"+f.Name+" "+f.State)
			}
			for _, want := range c.info {
				if !slices.Contains(rows, want) {
					t.Errorf("info has no %q:\n%s", want, strings.Join(rows, "\n"))
				}
			}
			var features struct{ Annotations map[string]string }
			if err := json.Unmarshal(do("features"), &features); err != nil {
				t.Fatal(err)
			}
			a := features.Annotations
			denied := strings.Split(a["hutch.seat.deniedCalls"], ",")
			if !kernelHas("6.15") { // behind a filter nobody can tell whose ENOSYS it is
				denied = slices.DeleteFunc(denied, func(name string) bool { return name == "open_tree_attr" })
			}
			if strings.Join(denied, ",") != c.denied || a["hutch.seat.caller"] != c.caller {
				t.Errorf("features: %q", a)
			}
		})
	}
}
