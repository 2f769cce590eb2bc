package spawn

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/proc"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/tests/testneed"
	"github.com/hutch-project/hutch/tests/testplain"
	"github.com/hutch-project/hutch/tests/testwait"
)

// helperEnv makes the test binary the process that dies in
// TestAChildThatWaitsEndsWithItsParent.
const helperEnv = "HUTCH_PROGRAM_HELPER"

func TestMain(m *testing.M) {
	if os.Getenv(helperEnv) != "" {
		os.Exit(helper())
	}
	testplain.Main(m)
}

// openFds returns this process's descriptors.
func openFds(t testing.TB) map[string]string {
	t.Helper()
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range dir {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && !strings.HasSuffix(to, "/fd") {
			out[e.Name()] = to
		}
	}
	return out
}

// noNewFds fails the test when at its end more descriptors are open than now.
func noNewFds(t *testing.T) {
	t.Helper()
	// What Go opens with the first pipe stays open, whichever test that is in.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	w.Close()
	before := openFds(t)
	t.Cleanup(func() {
		after := openFds(t)
		for fd, to := range after {
			if _, ok := before[fd]; !ok {
				t.Errorf("descriptor %s (%s) was left open", fd, to)
			}
		}
	})
}

// spawnOf is spawn with options.
func spawnOf(t *testing.T, b *program.Builder, o *Options) *Child {
	t.Helper()
	c, err := Spawn(linked(t, b), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Kill(); c.Close() })
	return c
}

// tellAndExit spawns a child that tells v and ends with the status code.
func tellAndExit(v int64, code int) error {
	b := program.New()
	b.Tell(7, b.RegOf(v))
	b.Exit(code)
	p, err := b.Program()
	if err != nil {
		return err
	}
	c, err := Spawn(p, &Options{Cgroup: -1})
	if err != nil {
		return err
	}
	defer c.Close()
	got, err := c.Expect(7)
	if err == nil && got != v {
		err = fmt.Errorf("told %d, want %d", got, v)
	}
	if err == nil {
		if _, err = c.Next(); errors.Is(err, ErrEnded) {
			err = nil
		} else {
			err = fmt.Errorf("after the last message: %v", err)
		}
	}
	ws, werr := c.Wait()
	if werr == nil && (!ws.Exited() || ws.ExitStatus() != code) {
		werr = fmt.Errorf("wait status %#x, want exit %d", uint32(ws), code)
	}
	return errors.Join(err, werr)
}

func TestManySpawnsWhileMemoryIsCollected(t *testing.T) {
	noNewFds(t)
	n := 2000
	if testing.Short() {
		n = 200
	}
	stop := make(chan struct{})
	var busy sync.WaitGroup
	var sink atomic.Pointer[[]*[64]int]
	for range 2 {
		busy.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				s := make([]*[64]int, 0, 64)
				for range 64 {
					s = append(s, new([64]int))
				}
				sink.Store(&s)
			}
		})
	}
	busy.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	})
	var next atomic.Int64
	var spawners sync.WaitGroup
	for range 4 {
		spawners.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := deep(int(i)%64, func() error { return tellAndExit(i<<33|i, int(i%120)) }); err != nil {
					t.Errorf("spawn %d: %v", i, err)
					return
				}
			}
		})
	}
	spawners.Wait()
	close(stop)
	busy.Wait()
}

// deep calls f at various depths of the stack, so that it grows at various places.
func deep(n int, f func() error) error {
	var pad [256]byte
	if n == 0 {
		return f()
	}
	err := deep(n-1, f)
	runtime.KeepAlive(&pad)
	return err
}

func TestChildIsBornInNewNamespaces(t *testing.T) {
	for _, old := range []bool{false, true} {
		t.Run(cloningOf(&Options{OldClone: old}).name(), func(t *testing.T) { bornInNewNamespaces(t, old) })
	}
}

func bornInNewNamespaces(t *testing.T, old bool) {
	testneed.Root(t)
	b := program.New()
	pid := b.Reg()
	b.Sys(unix.SYS_GETPID).To(pid)
	b.Sys(unix.SYS_SETHOSTNAME, b.Str("inside"), program.Imm(6))
	b.Barrier(1, pid)
	c := spawnOf(t, b, &Options{Cgroup: -1, OldClone: old, Flags: unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNS |
		unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP})
	if v, err := c.Expect(1); err != nil || v != 1 {
		t.Fatalf("getpid told %d, %v; want 1", v, err)
	}
	if pid, err := proc.PidOf(c.Pidfd); err != nil || pid != c.Pid {
		t.Errorf("the pidfd is that of process %d, %v; want %d", pid, err, c.Pid)
	}
	for _, ns := range []string{"user", "pid", "mnt", "net", "ipc", "uts", "cgroup"} {
		own, err := os.Readlink("/proc/self/ns/" + ns)
		if err != nil {
			t.Fatal(err)
		}
		childs, err := os.Readlink("/proc/" + strconv.Itoa(c.Pid) + "/ns/" + ns)
		if err != nil || childs == own {
			t.Errorf("%s namespace: %s, %v; the parent's is %s", ns, childs, err, own)
		}
	}
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Next(); !errors.Is(err, ErrEnded) {
		t.Errorf("at the end: %v", err)
	}
}

// mountOf returns where a cgroup hierarchy is mounted whose type and options have what
// is asked, empty for none.
func mountOf(t *testing.T, fstype, option string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) > 3 && f[2] == fstype && (option == "" || strings.Contains(","+f[3]+",", ","+option+",")) {
			return f[1]
		}
	}
	return ""
}

// tempCgroup makes a cgroup below the hierarchy at mount and removes it at the
// end of the test.
func tempCgroup(t *testing.T, mount string) (dir, name string) {
	t.Helper()
	name = testplain.Unique("hutch-program-test")
	dir = mount + "/" + name
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// A member that was killed may still be on its way out.
		var err error
		testwait.Until(t, "nobody is in "+dir, func() bool {
			err = os.Remove(dir)
			return !errors.Is(err, unix.EBUSY)
		})
		if err != nil {
			t.Error(err)
		}
	})
	return dir, name
}

// cgroupsOf returns /proc/PID/cgroup.
func cgroupsOf(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// tasksFile is the file tasks of a cgroup v1.
type tasksFile struct {
	path string
	fd   int    // for writing
	line string // the end of the cgroup's line in /proc/PID/cgroup
}

// members returns the threads in the cgroup. The kernel keeps the list with an open file, so
// each look opens it.
func (f *tasksFile) members(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// openTasks opens the file tasks of a new cgroup in each of some cgroup v1 hierarchies.
func openTasks(t *testing.T) (tasks []tasksFile) {
	t.Helper()
	for _, controller := range []string{"pids", "freezer"} {
		mount := mountOf(t, "cgroup", controller)
		if mount == "" {
			continue
		}
		dir, name := tempCgroup(t, mount)
		fd, err := unix.Open(dir+"/tasks", unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		tasks = append(tasks, tasksFile{dir + "/tasks", fd, ":" + controller + ":/" + name + "\n"})
	}
	if len(tasks) == 0 {
		t.Skip("needs cgroup v1 with the controller pids or freezer")
	}
	return tasks
}

// The child writes itself into tasks, in one thread; none of the caller's is ever there,
// where a freezer could stop it or a kill hit it. That is looked at while the thread
// forks, when Spawn returns, and in the files, whose only member is the child.
func TestTheChildEntersItsCgroupsV1Alone(t *testing.T) {
	noNewFds(t)
	testneed.Root(t)
	tasks := openTasks(t)
	empty := func(when string) {
		t.Helper()
		for i := range tasks {
			if got := tasks[i].members(t); got != "" {
				t.Errorf("%s %s is in the cgroup%s", when, got, tasks[i].line)
			}
		}
	}
	before := cgroupsOf(t, os.Getpid())
	for range 20 {
		b := program.New()
		b.Wait(1, b.Zero(1))
		for _, f := range tasks {
			b.Sys(unix.SYS_WRITE, program.Imm(f.fd), b.Str("0"), program.Imm(1))
		}
		b.Barrier(2, 0)
		c, err := Spawn(linked(t, b), &Options{Cgroup: -1, WhileForking: func() { empty("while the thread forks") }})
		if err != nil {
			t.Fatal(err)
		}
		empty("when Spawn returns")
		if err := c.Release(); err != nil {
			t.Error(err)
		}
		if _, err := c.Expect(2); err != nil {
			t.Error(err)
		}
		for i := range tasks {
			f := &tasks[i]
			if got := cgroupsOf(t, c.Pid); !strings.Contains(got, f.line) {
				t.Errorf("the child is in\n%swant%s", got, f.line)
			}
			if got := f.members(t); got != strconv.Itoa(c.Pid) {
				t.Errorf("in the cgroup%s is %q, want the child, %d, alone", f.line, got, c.Pid)
			}
		}
		c.Kill()
		c.Close()
	}
	if after := cgroupsOf(t, os.Getpid()); after != before {
		t.Errorf("the parent went from\n%sto\n%s", before, after)
	}
}

func TestChildIsBornInItsCgroupV2(t *testing.T) {
	noNewFds(t)
	testneed.Root(t)
	mount := mountOf(t, "cgroup2", "")
	if mount == "" {
		t.Skip("needs a mounted cgroup v2")
	}
	dir, name := tempCgroup(t, mount)
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	b := program.New()
	b.Barrier(1, 0)
	c, err := Spawn(linked(t, b), &Options{Cgroup: fd})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	defer c.Kill()
	if got := cgroupsOf(t, c.Pid); !strings.Contains(got, "0::/"+name+"\n") {
		t.Errorf("the child is in\n%swant 0::/%s", got, name)
	}
}

func TestStampsAreInTheOrderOfTime(t *testing.T) {
	b := program.New()
	b = b.Element(program.T("mounts"))
	for range 5 {
		b.Sys(unix.SYS_GETPID)
		b.Sys(unix.SYS_NANOSLEEP, program.Struct(b, &unix.Timespec{Nsec: 1e6}).Arg(), program.Imm(0))
	}
	over := b.Label()
	b.Jump(over)
	b.Fail(unix.EIO) // never run: no stamp
	b.Bind(over)
	b.Tell(1, 0)
	before := monotonic(t)
	c := spawnOf(t, b, &Options{Cgroup: -1, Trace: true})
	if _, err := c.Expect(1); err != nil {
		t.Fatal(err)
	}
	after := monotonic(t)
	stamps := c.Stamps()
	if len(stamps) != 12 {
		t.Fatalf("%d stamps, want 12: %v", len(stamps), stamps)
	}
	last := before
	for i, s := range stamps {
		if s.At < last || s.At > after {
			t.Errorf("stamp %d at %v, the one before at %v, the end at %v", i, s.At, last, after)
		}
		last = s.At
		if s.PC == 11 || s.Note.Element.F != "mounts" {
			t.Errorf("stamp %d is of %d, for %s", i, s.PC, s.Note)
		}
	}
	if d := stamps[2].At - stamps[1].At; stamps[1].Call != program.CallName(unix.SYS_NANOSLEEP) || d < time.Millisecond {
		t.Errorf("%s took %v, want nanosleep and 1 ms", stamps[1].Call, d)
	}
	if (&Child{}).Stamps() != nil {
		t.Error("an untraced child has stamps")
	}
}

func monotonic(t *testing.T) time.Duration {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		t.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// helper spawns a child that waits, says its number, and waits to be killed.
func helper() int {
	b := program.New()
	b.Tell(1, 0)
	b.Wait(2, b.Zero(1))
	p, err := b.Program()
	if err != nil {
		return 2
	}
	c, err := Spawn(p, &Options{Cgroup: -1})
	if err != nil {
		return 3
	}
	if _, err := c.Expect(1); err != nil {
		return 4
	}
	fmt.Println(c.Pid)
	_, _ = os.Stdin.Read(make([]byte, 1))
	return 5
}

func TestAChildThatWaitsEndsWithItsParent(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	pid, aerr := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || aerr != nil {
		_ = cmd.Process.Kill()
		t.Fatalf("%q, %v, %v", line, err, cmd.Wait())
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	testwait.EndOf(t, "the end of a child that waits, after its parent's", pidfd)
}

func BenchmarkSpawnEmptyChild(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		p, err := program.New().Program()
		if err != nil {
			b.Fatal(err)
		}
		c, err := Spawn(p, &Options{Cgroup: -1})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Wait(); err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}
