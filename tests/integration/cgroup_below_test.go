package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// cgroupOf is where process pid is: on v2 in the one hierarchy, else in that of controller.
func (b *bundle) cgroupOf(pid int, controller string) string {
	b.t.Helper()
	v2 := onV2(b.t)
	for line := range strings.Lines(readText(b.t, "/proc/"+strconv.Itoa(pid)+"/cgroup")) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if v2 && f[0] == "0" || !v2 && slices.Contains(strings.Split(f[1], ","), controller) {
			return f[2]
		}
	}
	b.t.Fatalf("process %d is in no cgroup of %s", pid, controller)
	return ""
}

// scopesNamed are the directories of a scope, in whichever hierarchy, the system's or a user's.
func scopesNamed(t *testing.T, name string) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"/*/" + name, "/*/*/" + name, "/*/*/*/*/" + name} {
		some, err := filepath.Glob(cgroupRoot + pattern)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, some...)
	}
	return found
}

// TestCgroupBelowTheScope: under systemd the container's processes and limits are in a group below
// that of the scope, on v2 as in each hierarchy of v1, which goes with it. The scope's own has no
// processes.
//
// Source: crun(1), "run.oci.systemd.subgroup".
func TestCgroupBelowTheScope(t *testing.T) {
	hutchOnly(t, "runc has no such annotation")
	if !systemdCgroup() { // another driver has none
		b := newBundle(t, sh("cat /proc/self/cgroup"), annotation("run.oci.systemd.subgroup", "payload"))
		if out := b.run().ok(t).stdout; strings.Contains(out, "payload") {
			t.Errorf("cgroups: %q", out)
		}
		return
	}
	refused(t, []string{"annotations[run.oci.systemd.subgroup]: \"../x\" is no name of a control group"}, annotation("run.oci.systemd.subgroup", "../x"))
	root := cgroupRoot
	if !onV2(t) {
		root += "/pids"
	}
	for _, hosts := range []bool{true, false} { // cgroup namespace
		edits := []edit{namespace(specs.CgroupNamespace, "")}
		if hosts {
			edits = []edit{withoutNamespace(specs.CgroupNamespace)}
		}
		b := newBundle(t, append(edits, args("sleep", "1000"), pidsLimit(44), annotation("run.oci.systemd.subgroup", "payload"))...).create().start()
		place := b.cgroupOf(b.pid, "pids")
		scope, is := strings.CutSuffix(place, ".scope/payload")
		if !is {
			t.Fatalf("init is in %q", place)
		}
		if !onV2(t) {
			for line := range strings.Lines(readText(t, "/proc/"+strconv.Itoa(b.pid)+"/cgroup")) {
				if !strings.HasSuffix(line, ".scope/payload\n") {
					t.Errorf("init is in %q", line)
				}
			}
		}
		unit := filepath.Base(scope) + ".scope"
		scope = root + scope + ".scope"
		if got := readText(t, scope+"/payload/pids.max"); got != "44\n" {
			t.Errorf("pids.max of the group: %q", got)
		}
		if got := readText(t, scope+"/cgroup.procs"); got != "" {
			t.Errorf("in the scope itself: %q", got)
		}
		c := b.exec(nil, "cat", "/proc/self/cgroup").ok(t).stdout
		want := map[bool]string{true: place, false: "/"}[hosts]
		if !strings.Contains(c, ":"+want+"\n") {
			t.Errorf("exec is in %q, want %q", c, want)
		}
		b.rt("update", "--pids-limit", "55", b.id).ok(t)
		if got := readText(t, scope+"/payload/pids.max"); got != "55\n" {
			t.Errorf("pids.max after update: %q", got)
		}
		b.rt("pause", b.id).ok(t)
		b.rt("resume", b.id).ok(t)
		if len(scopesNamed(t, unit)) == 0 {
			t.Error("the test does not find the scope") // else the next cannot fail
		}
		b.delete("--force")
		if left := scopesNamed(t, unit); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	}
}

// TestCgroupDelegated: on v2 init is in a further cgroup below the one that has the limits, and is
// its owner. The cgroup namespace's root is the one with the limits.
//
// Source: crun(1), "run.oci.delegate-cgroup"; crun 1.8.1, run on v2 with both drivers.
func TestCgroupDelegated(t *testing.T) {
	hutchOnly(t, "runc has no such annotation")
	delegated := annotation("run.oci.delegate-cgroup", "/own/payload")
	if !onV2(t) {
		refused(t, []string{"annotations[run.oci.delegate-cgroup]: the host's cgroups are ", "on v2 alone; remove the annotation"}, delegated)
		// An empty one is none.
		newBundle(t, args("true"), annotation("run.oci.delegate-cgroup", "")).run().ok(t)
		return
	}
	refused(t, []string{"annotations[run.oci.delegate-cgroup]: \"a/../..\": \"..\" is not allowed"}, annotation("run.oci.delegate-cgroup", "a/../.."))
	if !systemdCgroup() {
		b := newBundle(t, args("true"), delegated, func(s *specs.Spec) { s.Linux.CgroupsPath = "" })
		res := b.rt(append([]string{"--cgroup-manager", "disabled"}, b.line("run")...)...)
		if res.code == 0 || !strings.Contains(res.stderr, "with --cgroup-manager disabled the container has no cgroup") {
			t.Errorf("%s", res)
		}
	}
	caller := uint32(0)
	if userCaller {
		caller = uint32(plainUser)
	}
	for name, c := range map[string]struct {
		edits []edit
		owner uint32
	}{
		"root":           {nil, caller},
		"user namespace": {[]edit{userNamespace}, mappedRoot},
		"within a group": {[]edit{userNamespace, annotation("run.oci.systemd.subgroup", "sub")}, mappedRoot},
		"listener":       {nil, caller}, // where init tells otherwise that it is ready
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t, append(c.edits, cgroupMount("rw"), pidsLimit(44), delegated,
				sh("cat /proc/self/cgroup; cd /sys/fs/cgroup/own/payload && mkdir a b && echo 0 >a/cgroup.procs && echo +pids >cgroup.subtree_control && echo 7 >b/pids.max && cat b/pids.max; exec sleep 1000"))...)
			if name == "listener" {
				notifies(newAgent(t, b, b.path("agent")).path, specs.ActAllow, "sethostname")(b.spec)
				b.writeSpec()
			}
			if out := b.rt("plan", "--bundle", b.dir).ok(t).stdout; !strings.Contains(out, "# move init to the cgroup that is the container's to manage\n") {
				t.Errorf("plan has no line for the move:\n%s", out)
			}
			b.create()
			place := b.cgroupOf(b.pid, "")
			group, is := strings.CutSuffix(place, "/own/payload")
			if !is || systemdCgroup() && name == "within a group" && !strings.HasSuffix(group, ".scope/sub") {
				t.Fatalf("init is in %q", place)
			}
			group = cgroupRoot + group
			if got := readText(t, group+"/pids.max"); got != "44\n" {
				t.Errorf("pids.max of the group: %q", got)
			}
			if got := readText(t, group+"/cgroup.procs"); got != "" {
				t.Errorf("in the group itself: %q", got)
			}
			for file, want := range map[string]uint32{"": c.owner, "/cgroup.procs": c.owner, "/cgroup.subtree_control": c.owner, "/pids.max": caller} {
				var st syscall.Stat_t
				if err := syscall.Stat(group+"/own/payload"+file, &st); err != nil || st.Uid != want || st.Gid != want {
					t.Errorf("own/payload%s is %d:%d's, want %d: %v", file, st.Uid, st.Gid, want, err)
				}
			}
			// Limits of its own, and the controllers to set them by.
			b.start().waitOutput("0::/own/payload\n7\n")
			// With init, which has gone on.
			if got := b.exec(nil, "cat", "/proc/self/cgroup").ok(t).stdout; got != "0::/own/payload/a\n" {
				t.Errorf("exec is in %q", got)
			}
			if got := b.exec([]string{"--cgroup", "own/payload/b"}, "cat", "/proc/self/cgroup").ok(t).stdout; got != "0::/own/payload/b\n" {
				t.Errorf("exec --cgroup is in %q", got)
			}
			b.rt("update", "--pids-limit", "55", b.id).ok(t)
			if got := readText(t, group+"/pids.max"); got != "55\n" {
				t.Errorf("pids.max after update: %q", got)
			}
			if pids := b.rt("ps", "--format", "json", b.id).ok(t).stdout; !strings.Contains(pids, strconv.Itoa(b.pid)) {
				t.Errorf("ps: %q", pids)
			}
			b.rt("pause", b.id).ok(t)
			b.rt("resume", b.id).ok(t)
			b.delete("--force")
			if _, err := os.Stat(group); err == nil {
				t.Errorf("left: %s", group)
			}
			b.nothingLeft()
		})
	}
}
