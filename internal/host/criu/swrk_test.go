package criu

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/mountinfo"
	"github.com/hutch-project/hutch/tests/criutest"
	"github.com/hutch-project/hutch/tests/testneed"
)

func find(t *testing.T, b *criutest.Behaviour) (*Program, string) {
	t.Helper()
	testneed.Root(t)
	dir := criutest.Install(t, b)
	p, err := Find(dir)
	must(t, err)
	return p, dir
}

func TestProbe(t *testing.T) {
	p, dir := find(t, &criutest.Behaviour{Version: [3]int{3, 17, 1}})
	must(t, p.Probe())
	if p.Version != 31701 || p.Version.String() != "3.17.1" {
		t.Errorf("got %d, %s", p.Version, p.Version)
	}
	if err := p.Need("--new", 40100); err == nil || !strings.HasPrefix(err.Error(), "--new needs CRIU 4.1 or newer, and "+dir+"/criu is 3.17.1") {
		t.Errorf("got %v", err)
	}
	criutest.Change(t, dir, &criutest.Behaviour{Version: [3]int{3, 14, 0}})
	if err := (&Program{Path: p.Path}).Probe(); err == nil || !strings.Contains(err.Error(), "needs CRIU 3.15") {
		t.Errorf("got %v", err)
	}
	criutest.Change(t, dir, &criutest.Behaviour{NoFeatures: true})
	if err := p.Require(Features{MemoryTracking: true}); err == nil || !strings.Contains(err.Error(), "CONFIG_MEM_SOFT_DIRTY") {
		t.Errorf("got %v", err)
	}
	criutest.Change(t, dir, &criutest.Behaviour{})
	must(t, p.Require(Features{MemoryTracking: true, LazyPages: true}))
	logs, err := unix.Open(t.TempDir(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(logs)
	must(t, p.Check(logs, "/logs"))
}

// TestProbeOfALiar: what is no CRIU at all is an error, and nothing waits for ever.
func TestProbeOfALiar(t *testing.T) {
	for _, do := range []string{"die", "garbage", "short", "fail"} {
		p, _ := find(t, &criutest.Behaviour{At: "start", Do: do})
		if err := p.Probe(); err == nil || !strings.HasPrefix(err.Error(), "ask "+p.Path+" for its version: ") {
			t.Errorf("%s: got %v", do, err)
		}
	}
}

// TestRequest: what is asked for is what another reader of the protocol finds.
func TestRequest(t *testing.T) {
	p, dir := find(t, &criutest.Behaviour{})
	images, err := unix.Open(t.TempDir(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(images)
	t.Setenv("LD_PRELOAD", "/none")
	var asked []string
	do := func(kind Kind, o *Options) (int, error) {
		t.Helper()
		w, err := p.Start(&StartOptions{Stdio: [3]int{-1, -1, -1}})
		must(t, err)
		defer w.Close()
		asked = nil
		return w.Do(kind, o, func(n Notification) error { asked = append(asked, n.Script); return nil })
	}
	o := &Options{
		Images: images, Work: -1, Log: "dump.log", Pid: 1 << 30, LeaveRunning: true, EmptyNS: unix.CLONE_NEWNET,
		Cgroups: CgroupSoft, External: []string{"mnt[/a]:hutch0", "net[1]:hutch1"}, Freezer: "/sys/fs/cgroup/x",
	}
	if _, err := do(Dump, o); err != nil {
		t.Fatal(err)
	}
	if want := []string{"pre-dump", "network-lock", "post-dump"}; !slices.Equal(asked, want) {
		t.Errorf("it asked at %q, want %q", asked, want)
	}
	restore := &Options{
		Images: images, Work: images, Log: "restore.log", Root: "/r",
		Inherit:     []InheritedFd{{"pipe:[7]", 5}},
		Join:        []JoinedNS{{"ipc", "/proc/1/ns/ipc"}},
		CgroupRoots: []CgroupRoot{{"cpu,cpuacct", "/x"}},
	}
	_ = os.Remove(dir + "/" + criutest.Child)
	pid, err := do(Restore, restore)
	must(t, err)
	defer func() { _ = unix.Kill(pid, unix.SIGKILL); _, _ = unix.Wait4(pid, nil, 0, nil) }()
	if len(asked) != 6 || asked[1] != "setup-namespaces" {
		t.Errorf("it asked at %q", asked)
	}
	got := criutest.Requests(t, dir)
	if len(got) != 2 {
		t.Fatalf("got %d requests", len(got))
	}
	d, r := &got[0], &got[1]
	for field, want := range map[int]uint64{1: uint64(images), 2: 1 << 30, 3: 1, 9: 4, 12: 1, 24: 1, 34: 3, 38: unix.CLONE_NEWNET, 50: 1} {
		if !slices.Equal(d.Numbers[field], []uint64{want}) {
			t.Errorf("dump, field %d: got %d, want %d", field, d.Numbers[field], want)
		}
	}
	for _, field := range []int{4, 5, 6, 17, 26} {
		if d.Numbers[field] != nil {
			t.Errorf("dump, field %d is %d", field, d.Numbers[field])
		}
	}
	if !slices.Equal(d.Strings[criutest.External], o.External) || d.Strings[criutest.Freezer][0] != o.Freezer || d.Strings[10][0] != "dump.log" {
		t.Errorf("dump: %v", d.Strings)
	}
	for _, env := range d.Env {
		if name, _, _ := strings.Cut(env, "="); name == "LD_PRELOAD" {
			t.Errorf("CRIU has %s", env)
		}
	}
	for field, want := range map[int][2]string{criutest.InheritFd: {"pipe:[7]", "5"}, criutest.JoinNS: {"ipc", "/proc/1/ns/ipc"}, criutest.Ctrl: {"cpu,cpuacct", "/x"}} {
		if a, b := criutest.Pair(r.Strings[field][0]); a != want[0] || b != want[1] {
			t.Errorf("restore, field %d: got %q, %q, want %q", field, a, b, want)
		}
	}
	if r.Numbers[26] == nil || r.Numbers[6] == nil || r.Numbers[17] == nil || r.Strings[criutest.Root][0] != "/r" {
		t.Errorf("restore: %v %v", r.Numbers, r.Strings)
	}
}

// TestRefusedNotification: the error of the runtime's own work is the one that is returned,
// and CRIU is told.
func TestRefusedNotification(t *testing.T) {
	p, dir := find(t, &criutest.Behaviour{})
	w, err := p.Start(&StartOptions{Stdio: [3]int{-1, -1, -1}})
	must(t, err)
	defer w.Close()
	mine := errors.New("mine")
	_, err = w.Do(Restore, &Options{Images: 0, Work: -1}, func(n Notification) error {
		if n.Script == "setup-namespaces" {
			return mine
		}
		return nil
	})
	if !errors.Is(err, mine) {
		t.Errorf("got %v", err)
	}
	text, err := os.ReadFile(dir + "/" + criutest.Child)
	must(t, err)
	child, err := strconv.Atoi(string(text))
	must(t, err)
	var ws unix.WaitStatus
	if _, err := unix.Wait4(child, &ws, 0, nil); err != nil || ws.Signal() != unix.SIGKILL {
		t.Errorf("the restored process %s is %v, %v", text, ws, err)
	}
}

func TestFailures(t *testing.T) {
	for _, c := range []struct{ at, do, want string }{
		{"request", "die", "CRIU's dump failed: it ended with status 7"},
		{"network-lock", "die", "CRIU's dump failed: it ended with status 7"},
		{"request", "garbage", errWire.Error()},
		{"pre-dump", "short", errWire.Error()},
		{"end", "other", errWire.Error() + ": it answers a dump with a notification"},
		{"end", "fail", "CRIU's dump failed: bad file descriptor"},
	} {
		p, _ := find(t, &criutest.Behaviour{At: c.at, Do: c.do})
		w, err := p.Start(&StartOptions{Stdio: [3]int{-1, -1, -1}})
		must(t, err)
		_, err = w.Do(Dump, &Options{Images: 0, Work: -1, Pid: 1 << 30}, func(Notification) error { return nil })
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s at %s: got %v, want %s", c.do, c.at, err, c.want)
		}
		w.Close()
	}
}

// TestPrepare: what is mounted for CRIU is in its mount namespace alone.
func TestPrepare(t *testing.T) {
	p, dir := find(t, &criutest.Behaviour{})
	before, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	root, file := t.TempDir(), t.TempDir()+"/file"
	must(t, os.WriteFile(file, []byte("x"), 0o600))
	s := &Stage{Dir: "/tmp"}
	w, err := p.Start(&StartOptions{Stdio: [3]int{-1, -1, -1}, Prepare: func() error {
		defer s.Close()
		fd, err := unix.Open(root, unix.O_PATH|unix.O_CLOEXEC, 0)
		must(t, err)
		defer unix.Close(fd)
		source, err := unix.Open(file, unix.O_PATH|unix.O_CLOEXEC, 0)
		must(t, err)
		defer unix.Close(source)
		must(t, s.Open(fd))
		must(t, s.Source(0, source, false))
		return s.Node(1, unix.S_IFCHR|0o666, unix.Mkdev(1, 3), 0, 0)
	}})
	must(t, err)
	defer w.Close()
	_, err = w.Do(Dump, &Options{Images: 0, Work: -1, Pid: 1 << 30}, func(Notification) error { return nil })
	must(t, err)
	mounts := mountinfo.Parse(criutest.Requests(t, dir)[0].Mounts)
	for _, point := range []string{"/tmp", s.RootPath(), s.SourcePath(0), s.SourcePath(1)} {
		if !slices.ContainsFunc(mounts, func(m mountinfo.Mount) bool { return m.Point == point }) {
			t.Errorf("CRIU has nothing mounted at %s", point)
		}
	}
	after, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	if string(before) != string(after) {
		t.Errorf("the caller's mounts are %s, were %s", after, before)
	}
}
