package life

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/list"
	"github.com/hutch-project/hutch/internal/template"
	"github.com/hutch-project/hutch/tests/testneed"
)

// planned is the plan of the default configuration with a change. The process's standard
// descriptors are of files of root: who the test's own belong to depends on the tests before,
// whose processes take them.
func planned(t *testing.T, manager CgroupManager, change func(*specs.Spec)) *Plan {
	t.Helper()
	dir := t.TempDir()
	s := template.Spec()
	s.Process.Terminal = false
	change(s)
	text, err := json.Marshal(s)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "config.json"), text, 0o644))
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	defer w.Close()
	streams := [3]int{int(r.Fd()), int(w.Fd()), int(w.Fd())}
	p, err := (&Runtime{CgroupManager: manager}).Plan(&CreateOptions{Bundle: dir, Embed: &Embedder{Streams: streams}})
	must(t, err)
	return p
}

// waitsAt reports whether init waits for the runtime at the barrier tag.
func waitsAt(p *Plan, tag uint32) bool {
	return slices.ContainsFunc(p.out.Program.Child, func(in program.Instr) bool {
		return in.Op == program.OpWait && in.NR == tag
	})
}

// TestInitWaitsForTheRuntimesWork: each element that the runtime alone can see to is work at
// a barrier, at which init waits; without such an element it does not.
func TestInitWaitsForTheRuntimesWork(t *testing.T) {
	testneed.Root(t, "a user's container has a user namespace, whatever else it has")
	zero, limit := 0, int64(1)
	ids := []specs.LinuxIDMapping{{Size: 65536}}
	userns := func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings, s.Linux.GIDMappings = ids, ids
	}
	for _, c := range []struct {
		name    string
		manager CgroupManager
		change  func(*specs.Spec)
		want    []string
	}{
		{"the default", Cgroupfs, func(*specs.Spec) {}, nil},
		{"a score that init sets itself", Cgroupfs, func(s *specs.Spec) { s.Process.OOMScoreAdj = &zero }, nil},
		{"resctrl", Cgroupfs, func(s *specs.Spec) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{ClosID: "gold"} }, []string{"linux.intelRdt"}},
		{"systemd", Systemd, func(s *specs.Spec) { s.Linux.CgroupsPath = "system.slice:hutch:x" }, []string{"linux.cgroupsPath"}},
		{"one task, where its clone is counted", Cgroupfs, func(s *specs.Spec) { s.Linux.Resources.Pids = &specs.LinuxPids{Limit: &limit} }, []string{"linux.resources"}},
		{"a user namespace", Cgroupfs, userns, []string{"linux.uidMappings", "process.rlimits"}},
		{"a score in a user namespace", Cgroupfs, func(s *specs.Spec) { userns(s); s.Process.OOMScoreAdj = &zero }, []string{"linux.uidMappings", "process.rlimits", "process.oomScoreAdj"}},
		{"a file of a user who is not mapped", Cgroupfs, func(s *specs.Spec) {
			userns(s)
			s.Linux.UIDMappings = []specs.LinuxIDMapping{{HostID: 100000, Size: 65536}}
		}, []string{"linux.uidMappings", "process.rlimits", "process.user.uid"}},
		{"time", Cgroupfs, func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
			s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 5}}
		}, []string{"linux.timeOffsets"}},
		{"hooks", Cgroupfs, func(s *specs.Spec) {
			hooks := []specs.Hook{{Path: "/bin/true"}}
			s.Hooks = &specs.Hooks{CreateRuntime: hooks, CreateContainer: hooks, StartContainer: hooks, Poststop: hooks}
		}, []string{"hooks.createRuntime", "hooks.createContainer"}},
		{"devices", Cgroupfs, func(s *specs.Spec) { s.Linux.NetDevices = map[string]specs.LinuxNetDevice{"eth9": {}} }, []string{"linux.netDevices"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := planned(t, c.manager, c.change)
			if c.want != nil && c.want[0] == "linux.resources" && p.cgroup.Mode() == cgroup.V2 {
				t.Skip("needs cgroup v1, where the process that clones is a member")
			}
			var got []string
			for _, w := range p.work {
				got = append(got, w.element)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("the work is for %q, want %q", got, c.want)
			}
			for _, tag := range [...]uint32{compile.Born, compile.TimeOffsets, compile.Hooks} {
				if waits, work := waitsAt(p, tag), p.work.at(tag); waits != (len(work) > 0) {
					t.Errorf("init waits at %q: %v, for %d things", compile.TagName(tag), waits, len(work))
				}
			}
		})
	}
}

// TestExecWaitsForTheRuntimesWork: as for init.
func TestExecWaitsForTheRuntimesWork(t *testing.T) {
	zero := 0
	for _, c := range []struct {
		name  string
		flags uint64
		full  bool
		score *int
		want  []string // with the tag
	}{
		{"nothing", unix.CLONE_NEWPID, false, nil, nil},
		{"a score", unix.CLONE_NEWPID, false, &zero, []string{"born process.oomScoreAdj"}},
		{"a user namespace", unix.CLONE_NEWUSER, false, nil, []string{"born process.rlimits"}},
		{"no room", 0, true, nil, []string{"born linux.cgroupsPath"}},
		{"no room, and a pid namespace", unix.CLONE_NEWPID, true, nil, []string{"born linux.cgroupsPath", "adopt linux.cgroupsPath"}},
	} {
		e := &execution{init: namespace.Init{Pid: 1, Flags: c.flags}, way: entrance{outside: c.full}, p: &specs.Process{OOMScoreAdj: c.score}}
		var got []string
		for _, w := range e.parentWork() {
			got = append(got, compile.TagName(w.barrier)+" "+w.element)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestPlanListsTheRuntimesHalf: behind the program is what the runtime does, at which
// message, in the order of the messages.
func TestPlanListsTheRuntimesHalf(t *testing.T) {
	p := planned(t, Cgroupfs, func(s *specs.Spec) {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		s.Linux.UIDMappings = []specs.LinuxIDMapping{{Size: 65536}}
		s.Linux.GIDMappings = s.Linux.UIDMappings
		s.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{{Path: "/bin/true"}}, StartContainer: []specs.Hook{{Path: "/bin/true"}}}
	})
	want := []string{"born linux.uidMappings", "hooks hooks.createContainer", "home directory process.env", "ready process",
		"hook begins hooks.startContainer[0]", "executing "}
	var text, listed strings.Builder
	must(t, p.WriteText(&text))
	must(t, p.WriteJSON(&listed))
	var document struct{ Program []list.Line }
	must(t, json.Unmarshal([]byte(listed.String()), &document))
	var got []string
	for i, l := range document.Program {
		if l.Section == "runtime" {
			got = append(got, strings.Trim(l.Args[0], `"`)+" "+l.Element)
		} else if len(got) > 0 {
			t.Errorf("line %d is of section %s", i, l.Section)
		}
	}
	for _, w := range want {
		i := slices.IndexFunc(got, func(g string) bool { return strings.HasPrefix(g, w) })
		if i < 0 {
			t.Fatalf("no %q in its place in %q", w, got)
		}
		got = got[i+1:]
	}
	if _, half, _ := strings.Cut(text.String(), "\nruntime:\n"); !strings.Contains(half, `on("born")`) || !strings.Contains(half, "# write the id mappings") {
		t.Errorf("the text is\n%s", half)
	}
}

// TestPlanIsPure: the same request and the same facts make the same plan, and the same
// program.
func TestPlanIsPure(t *testing.T) {
	p := planned(t, Cgroupfs, func(*specs.Spec) {})
	h, err := usualHost(p.request)
	must(t, err)
	defer h.close()
	var first string
	for range 2 {
		again, err := newPlan(p.request, h)
		must(t, err)
		must(t, again.compile(nil))
		record, err := json.Marshal(again.record)
		must(t, err)
		var text strings.Builder
		text.Write(record)
		must(t, again.WriteText(&text))
		if first == "" {
			first = text.String()
		} else if text.String() != first {
			t.Errorf("the second is\n%s\nthe first\n%s", text.String(), first)
		}
	}
}
