package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// resources edits linux.resources.
func resources(change func(*specs.LinuxResources)) edit {
	return func(s *specs.Spec) {
		if s.Linux.Resources == nil {
			s.Linux.Resources = &specs.LinuxResources{}
		}
		change(s.Linux.Resources)
	}
}

func memoryLimit(bytes int64) edit {
	return resources(func(r *specs.LinuxResources) { r.Memory = &specs.LinuxMemory{Limit: &bytes, Swap: &bytes} })
}

func pidsLimit(n int64) edit {
	return resources(func(r *specs.LinuxResources) { r.Pids = &specs.LinuxPids{Limit: &n} })
}

// onV2 reports whether the host has cgroup v2 alone.
func onV2(t testing.TB) bool {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(cgroupRoot, &st); err != nil {
		t.Fatal(err)
	}
	return st.Type == unix.CGROUP2_SUPER_MAGIC
}

// cgroupDir is the host's directory of init's cgroup that has the controller.
func (b *bundle) cgroupDir(controller string) string {
	b.t.Helper()
	v2 := onV2(b.t)
	for _, line := range strings.Split(readText(b.t, fmt.Sprintf("/proc/%d/cgroup", b.pid)), "\n") {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(f) < 3:
		case v2 && f[0] == "0":
			return cgroupRoot + f[2]
		case !v2 && slices.Contains(strings.Split(f[1], ","), controller):
			return filepath.Join(cgroupRoot, controller, f[2])
		}
	}
	b.t.Fatalf("no cgroup has the controller %s", controller)
	return ""
}

// limit reads a limit of the container, by its name on v1 and on v2.
func (b *bundle) limit(controller, v1, v2 string) string {
	b.t.Helper()
	name := v1
	if onV2(b.t) {
		name = v2
	}
	return strings.TrimSpace(readText(b.t, filepath.Join(b.cgroupDir(controller), name)))
}

// stats is what events --stats says.
func (b *bundle) stats() (data struct {
	CPU struct {
		Throttling struct{ Periods, ThrottledPeriods, ThrottledTime uint64 }
	}
	Memory struct {
		Usage struct{ Limit, Usage uint64 }
	}
	Pids struct{ Current, Limit uint64 }
}) {
	b.t.Helper()
	var event struct {
		Type, ID string
		Data     json.RawMessage
	}
	text := b.rt("events", "--stats", b.id).ok(b.t).stdout
	if err := json.Unmarshal([]byte(text), &event); err != nil || event.Type != "stats" || event.ID != b.id {
		b.t.Fatalf("%v in %s", err, text)
	}
	if err := json.Unmarshal(event.Data, &data); err != nil {
		b.t.Fatalf("%v in %s", err, text)
	}
	return data
}

// TestResourceMemoryLimit: a process over the limit is killed, and events tells of
// it.
func TestResourceMemoryLimit(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("read go; dd if=/dev/zero of=/dev/null bs=64M count=1; echo status $?; sleep 1000"), memoryLimit(16<<20))
	in := b.path("in")
	if err := mkfifo(in); err != nil {
		t.Fatal(err)
	}
	keep, err := os.OpenFile(in, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer keep.Close()
	c := b.createCall()
	c.stdin = keep
	c.do(t).ok(t)
	b.readPid()
	b.start()
	if got := b.stats().Memory.Usage.Limit; got != 16<<20 {
		t.Errorf("events --stats: limit %d", got)
	}
	events := call{root: b.root, args: []string{"events", "--interval", "1h", b.id}}.start(t)
	eventually(t, "events has told the first statistics", func() bool { return strings.Contains(events.result(0).stdout, `"stats"`) })
	fmt.Fprintln(keep, "go")
	b.waitOutput("status 137")
	eventually(t, "events tells of the OOM killer", func() bool {
		return strings.Contains(events.result(0).stdout, `{"type":"oom","id":"`+b.id+`"`)
	})
	b.delete("--force")
	events.wait()
}

// TestResourcePidsLimit: a fork bomb stops at the limit.
func TestResourcePidsLimit(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("i=0; while [ $i -lt 40 ]; do (sleep 1000 &) || echo refused; i=$((i+1)); done 2>&1; echo done; sleep 1000"), pidsLimit(12))
	b.create()
	b.start()
	b.waitOutput("fork")
	if s := b.stats(); s.Pids.Limit != 12 || s.Pids.Current > 12 {
		t.Errorf("%+v", s.Pids)
	}
	var pids []int
	if err := json.Unmarshal([]byte(b.rt("ps", "-f", "json", b.id).ok(t).stdout), &pids); err != nil || len(pids) > 12 || len(pids) < 2 {
		t.Errorf("%v, processes %v", err, pids)
	}
	b.delete("--force")
	b.nothingLeft()
}

// TestResourceCPUQuota: a busy loop is throttled.
func TestResourceCPUQuota(t *testing.T) {
	t.Parallel()
	quota, period := int64(5000), uint64(100000)
	b := newBundle(t, sh("while :; do :; done"), resources(func(r *specs.LinuxResources) {
		r.CPU = &specs.LinuxCPU{Quota: &quota, Period: &period}
	}))
	b.create()
	b.start()
	eventually(t, "the loop is throttled", func() bool { return b.stats().CPU.Throttling.ThrottledPeriods > 2 })
	b.delete("--force")
}

func TestResourceCPUShares(t *testing.T) {
	t.Parallel()
	shares := uint64(2048)
	b := newBundle(t, args("sleep", "1000"), resources(func(r *specs.LinuxResources) { r.CPU = &specs.LinuxCPU{Shares: &shares} }))
	b.create()
	want := "2048"
	if onV2(t) {
		want = "174"
	}
	if got := b.limit("cpu", "cpu.shares", "cpu.weight"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestResourceCpuset(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("grep Cpus_allowed_list /proc/self/status; grep Mems_allowed_list /proc/self/status; sleep 1000"),
		resources(func(r *specs.LinuxResources) { r.CPU = &specs.LinuxCPU{Cpus: "1", Mems: "0"} }))
	b.create()
	b.start()
	if got := b.waitOutput("Mems"); !strings.Contains(got, "Cpus_allowed_list:\t1\n") || !strings.Contains(got, "Mems_allowed_list:\t0\n") {
		t.Errorf("%q", got)
	}
	if got := b.exec(nil, "grep", "Cpus_allowed_list", "/proc/self/status").ok(t).stdout; got != "Cpus_allowed_list:\t1\n" {
		t.Errorf("exec: %q", got)
	}
}

// TestResourceDevices: the kernel's log is read where a rule allows it and refused
// where none does, for init and for exec'd processes; default devices work.
func TestResourceDevices(t *testing.T) {
	t.Parallel()
	major, minor := int64(1), int64(11)
	for _, c := range []struct {
		name, want string
		rules      []specs.LinuxDeviceCgroup
	}{
		{"denied", "Operation not permitted", []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}},
		{"allowed", "0+1 records in", []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}, {Allow: true, Type: "c", Major: &major, Minor: &minor, Access: "r"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			look := "dd if=/dev/kmsg of=/dev/null bs=8192 count=1 2>&1; echo x >/dev/null && head -c 1 /dev/zero | wc -c; echo y >/dev/kmsg; true"
			b := newBundle(t, sh("("+look+") 2>&1; sleep 1000"), device(specs.LinuxDevice{Path: "/dev/kmsg", Type: "c", Major: 1, Minor: 11}),
				func(s *specs.Spec) {
					for _, set := range []*[]string{&s.Process.Capabilities.Bounding, &s.Process.Capabilities.Effective, &s.Process.Capabilities.Permitted} {
						*set = append(*set, "CAP_SYSLOG") // what reading the log needs besides
					}
				},
				resources(func(r *specs.LinuxResources) { r.Devices = c.rules }))
			b.create()
			b.start()
			check := func(who, got string) {
				t.Helper()
				// Reading is as the rules say, writing is denied in both.
				if !strings.Contains(got, c.want) || !strings.Contains(got, "\n1\n") || !strings.Contains(got, "create /dev/kmsg: Operation not permitted") {
					t.Errorf("%s: %q, want %s", who, got, c.want)
				}
			}
			check("init", b.waitOutput("create /dev/kmsg"))
			check("exec", b.exec(nil, "sh", "-c", "("+look+") 2>&1").ok(t).stdout)
		})
	}
}

// TestResourceUnified: any file of cgroup v2; v1 has none.
func TestResourceUnified(t *testing.T) {
	t.Parallel()
	set := resources(func(r *specs.LinuxResources) { r.Unified = map[string]string{"memory.high": "33554432"} })
	if !onV2(t) {
		refused(t, []string{"linux.resources.unified"}, set)
		return
	}
	b := newBundle(t, args("sleep", "1000"), set)
	b.create()
	if got := b.limit("memory", "", "memory.high"); got != "33554432" {
		t.Errorf("memory.high %s", got)
	}
	refused(t, []string{"linux.resources.unified", "cgroup.procs"}, resources(func(r *specs.LinuxResources) {
		r.Unified = map[string]string{"cgroup.procs": "1"}
	}))
}

// TestResourceTinyLimits: with next to nothing a container still starts. The kernel
// holds up to 64 pages of a limit back for each processor that a process was on, and
// gives them back too late now and then, which kills the program itself (137): so
// most have to succeed, not all.
func TestResourceTinyLimits(t *testing.T) {
	t.Parallel()
	good := 0
	for range 12 {
		switch res := newBundle(t, args("true"), memoryLimit(512<<10), pidsLimit(1)).run(); res.code {
		case 0:
			good++
		case 137:
		default:
			t.Errorf("%s", res)
		}
	}
	t.Logf("%d of 12 ran to their end", good)
	if good < 4 {
		t.Errorf("%d of 12 ran to their end", good)
	}
}

// TestResourceTooLow: less than execve needs is told as such.
func TestResourceTooLow(t *testing.T) {
	t.Parallel()
	low, limits := 0, repetitions(32)
	for i := range limits {
		bytes := int64(16<<10) * int64(1+i*32/limits)
		b := newBundle(t, args("true"), memoryLimit(bytes))
		res := b.run()
		if res.code != 0 && res.code != 137 { // 137: killed when it was the container's program already
			low++
			if !strings.Contains(res.stderr, "linux.resources.memory.limit") {
				t.Errorf("%d bytes: %s", bytes, res)
			}
		}
		b.nothingLeft()
	}
	t.Logf("%d of %d limits were too low", low, limits)
	if low == 0 {
		t.Error("no limit was too low: the test tests nothing")
	}
}

// TestResourceUpdateIsTakenBack: the second of two limits cannot be set; the first
// is as before, and the record too.
func TestResourceUpdateIsTakenBack(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("sleep", "1000"), memoryLimit(32<<20), pidsLimit(20))
	b.create()
	b.start()
	look := func() string {
		return b.limit("memory", "memory.limit_in_bytes", "memory.max") + " " + b.limit("pids", "pids.max", "pids.max")
	}
	b.rt("update", "--memory", "64m", "--memory-swap", "64m", "--pids-limit", "30", "--cpuset-cpus", "4000", b.id).failed(t, "linux.resources.cpu.cpus")
	if got, want := look(), strconv.Itoa(32<<20)+" 20"; got != want {
		t.Errorf("after an update that failed: %s, want %s", got, want)
	}
	b.rt("update", "--pids-limit", "25", b.id).ok(t)
	if got, want := look(), strconv.Itoa(32<<20)+" 25"; got != want {
		t.Errorf("after the next: %s, want %s", got, want)
	}
	b.rt("update", b.id).ok(t) // nothing is a success
	file := writeText(t, b.path("limits.json"), `{"memory":{"limit":50331648,"swap":50331648},"devices":[{"allow":true,"access":"rwm"}]}`)
	b.rt("update", "-r", file, b.id).ok(t)
	if got, want := look(), strconv.Itoa(48<<20)+" 25"; got != want {
		t.Errorf("after -r FILE: %s, want %s", got, want)
	}
}

// moveOut moves the processes of the container's cgroups to the hierarchies' roots
// and removes the cgroups.
func moveOut(t *testing.T, b *bundle) {
	t.Helper()
	for _, dir := range cgroupsNamed(b.id) {
		root := cgroupRoot
		if rest := strings.TrimPrefix(dir, cgroupRoot+"/"); !onV2(t) {
			root = filepath.Join(cgroupRoot, strings.Split(rest, "/")[0])
		}
		if err := os.WriteFile(root+"/cgroup.procs", []byte(strconv.Itoa(b.pid)), 0o644); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the cgroup "+dir+" is removed", func() bool {
			err := unix.Rmdir(dir)
			return err == nil || err == unix.ENOENT
		})
	}
}

// TestDeleteForceFromEveryState: also when the cgroup is gone, or has others inside.
func TestDeleteForceFromEveryState(t *testing.T) {
	t.Parallel()
	states := map[string]func(*bundle){
		"created": func(*bundle) {},
		"running": func(b *bundle) { b.start() },
		"paused":  func(b *bundle) { b.start(); b.rt("pause", b.id).ok(t); b.status("paused") },
		"stopped": func(b *bundle) { b.start(); b.kill("KILL"); b.wait() },
	}
	for name, enter := range states {
		for _, c := range []struct {
			name string
			do   func(*bundle)
		}{
			{"", func(*bundle) {}},
			{", nested cgroups", func(b *bundle) {
				for _, dir := range cgroupsNamed(b.id) {
					// Not MkdirAll: systemd removes those of a stopped container meanwhile, and
					// what would be made in their place is not the container's.
					err := os.Mkdir(dir+"/a", 0o755)
					if err == nil {
						err = os.Mkdir(dir+"/a/b", 0o755)
					}
					if err != nil && !os.IsNotExist(err) {
						b.t.Error(err)
					}
				}
			}},
			{", cgroup removed by hand", func(b *bundle) {
				if name != "paused" && name != "stopped" {
					moveOut(t, b)
				}
			}},
		} {
			t.Run(name+c.name, func(t *testing.T) {
				t.Parallel()
				b := newBundle(t, args("sleep", "1000"))
				b.create()
				enter(b)
				c.do(b)
				b.delete("--force")
				b.nothingLeft()
			})
		}
	}
}

// TestPausedDies: signal 9 ends a paused container, by kill and by kill --all.
func TestPausedDies(t *testing.T) {
	t.Parallel()
	for _, words := range [][]string{{"kill", "ID", "KILL"}, {"kill", "--all", "ID", "9"}} {
		b := newBundle(t, sh("sleep 1000 & sleep 1000"))
		b.create()
		b.start()
		b.rt("pause", b.id).ok(t)
		for i := range words {
			if words[i] == "ID" {
				words[i] = b.id
			}
		}
		b.rt(words...).ok(t)
		if code := b.wait(); code != 137 {
			t.Errorf("%q: status %d", words, code)
		}
		b.delete()
		b.nothingLeft()
	}
}

// TestManyContainers: 200 in a row and 50 at once; nothing stays, and the last ones are
// no more work than the first ones.
func TestManyContainers(t *testing.T) {
	rows, atOnce := 200, 50
	if slowness > 1 || testing.Short() {
		rows, atOnce = 40, 20
	}
	b := newBundle(t, args("true"), memoryLimit(64<<20), pidsLimit(50))
	work := func() int {
		if runtimeName != "hutch" {
			return 0
		}
		return callsOf(t, b, func() {}, "run", "--bundle", b.dir, b.id)
	}
	first := work()
	for range rows {
		b.rt("create", "--bundle", b.dir, b.id).ok(t)
		b.rt("delete", "--force", b.id).ok(t)
	}
	if last := work(); last > first+first/10 {
		t.Errorf("run makes %d system calls after %d containers, %d before", last, rows, first)
	}
	b.nothingLeft()
	var lines [][]string
	ids := make([]string, atOnce)
	for i := range ids {
		ids[i] = uniqueID()
		lines = append(lines, []string{"run", "--bundle", b.dir, ids[i]})
	}
	if n := succeeded(together(t, b, lines...)); n != atOnce {
		t.Errorf("%d of %d at once succeeded", n, atOnce)
	}
	for _, id := range ids {
		if left := cgroupsNamed(id); len(left) > 0 {
			t.Errorf("left: %q", left)
		}
	}
}
