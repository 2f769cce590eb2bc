package limit

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/user"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/spawn"
	"github.com/hutch-project/hutch/tests/testneed"
)

// limitLine returns one line of /proc/self/limits of a process made by emit.
func limitLine(t *testing.T, name string, emit func(*program.Builder)) string {
	t.Helper()
	out := must(t, []string{busybox, "cat", "/proc/self/limits"}, emit)
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strings.Join(strings.Fields(rest), " ")
		}
	}
	t.Fatalf("no %s in %s", name, out)
	return ""
}

// setLimits emits all that sets limits, in the order of a program.
func setLimits(b *program.Builder, p *specs.Process) {
	Rlimits(b, p)
	LastRlimits(b, p)
}

// TestInheritOOMScoreAdj: the caller has the score until it is taken back.
func TestInheritOOMScoreAdj(t *testing.T) {
	read := func() string {
		text, err := os.ReadFile("/proc/self/oom_score_adj")
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(text))
	}
	own, want := read(), 900
	takeBack, err := InheritOOMScoreAdj(&specs.Process{OOMScoreAdj: &want})
	if err != nil {
		t.Fatal(err)
	}
	if got := read(); got != "900" {
		t.Errorf("the score is %s, want 900", got)
	}
	takeBack()
	if got := read(); got != own {
		t.Errorf("the score is %s, want %s again", got, own)
	}
}

func TestRlimitsHaveTheNamesAndNumbersOfTheKernel(t *testing.T) {
	for i, c := range []struct{ typ, line string }{
		{"RLIMIT_CPU", "Max cpu time"}, {"RLIMIT_FSIZE", "Max file size"}, {"RLIMIT_DATA", "Max data size"}, {"RLIMIT_STACK", "Max stack size"},
		{"RLIMIT_CORE", "Max core file size"}, {"RLIMIT_RSS", "Max resident set"}, {"RLIMIT_NPROC", "Max processes"}, {"RLIMIT_NOFILE", "Max open files"},
		{"RLIMIT_MEMLOCK", "Max locked memory"}, {"RLIMIT_AS", "Max address space"}, {"RLIMIT_LOCKS", "Max file locks"},
		{"RLIMIT_SIGPENDING", "Max pending signals"}, {"RLIMIT_MSGQUEUE", "Max msgqueue size"}, {"RLIMIT_NICE", "Max nice priority"},
		{"RLIMIT_RTPRIO", "Max realtime priority"}, {"RLIMIT_RTTIME", "Max realtime timeout"},
	} {
		t.Run(c.typ, func(t *testing.T) {
			var now unix.Rlimit
			if err := unix.Getrlimit(i, &now); err != nil {
				t.Fatal(err)
			}
			hard := min(now.Max, uint64(1<<30+100+i)) // raising it takes a capability
			if c.typ == "RLIMIT_NOFILE" {
				hard = 88
			}
			soft := hard - hard/10
			p := &specs.Process{Rlimits: []specs.POSIXRlimit{{Type: c.typ, Soft: soft, Hard: hard}}}
			got := limitLine(t, c.line, func(b *program.Builder) { setLimits(b, p) })
			if want := fmt.Sprint(soft, " ", hard); !strings.HasPrefix(got+" ", want+" ") {
				t.Errorf("%s: %s, want %s", c.line, got, want)
			}
		})
	}
}

func TestRlimitsErrorNamesElementAndValue(t *testing.T) {
	p := &specs.Process{Rlimits: []specs.POSIXRlimit{{Type: "RLIMIT_CORE"}, {Type: "RLIMIT_NOFILE", Soft: 2, Hard: 1}}}
	out, err := run(t, 0, []string{busybox, "true"}, func(b *program.Builder) { setLimits(b, p) }, nil)
	if err == nil || !strings.HasPrefix(err.Error(), "process.rlimits[1]: set RLIMIT_NOFILE to 2:1: ") || !errors.Is(err, unix.EINVAL) {
		t.Errorf("%v, output %q", err, out)
	}
	p.Rlimits[0].Type = "RLIMIT_X"
	b := program.New()
	setLimits(b, p)
	if _, err := b.Program(); err == nil || !strings.Contains(err.Error(), `process.rlimits[0].type: "RLIMIT_X" is no limit`) {
		t.Error(err)
	}
}

// TestOpenFilesAreAsTheCallerHadThem starts this program with a soft limit below
// the hard one: Go raises it, and the child has the former one again.
func TestOpenFilesAreAsTheCallerHadThem(t *testing.T) {
	cmd := exec.Command("/bin/sh", "-c", "ulimit -Sn 123 && ulimit -Hn 1000 && exec "+self(t)+" -test.run=^TestOpenFilesInner$ -test.v")
	cmd.Env = append(os.Environ(), "HUTCH_TEST_INNER=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestOpenFilesInner") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestOpenFilesInner(t *testing.T) {
	if os.Getenv("HUTCH_TEST_INNER") == "" {
		t.Skip("runs inside TestOpenFilesAreAsTheCallerHadThem")
	}
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil || now.Cur <= 123 { // by one less than the hard limit since Go 1.26
		t.Fatalf("Go has not raised the limit: %+v, %v", now, err)
	}
	if got := limitLine(t, "Max open files", func(b *program.Builder) { setLimits(b, &specs.Process{}) }); got != "123 1000 files" {
		t.Errorf("without rlimits: %s, want 123 1000", got)
	}
	p := &specs.Process{Rlimits: []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 5, Hard: 6}}}
	if got := limitLine(t, "Max open files", func(b *program.Builder) { setLimits(b, p) }); got != "5 6 files" {
		t.Errorf("with RLIMIT_NOFILE: %s, want 5 6", got)
	}
	// A child of the child inherits what it was given, not what Go makes of it.
	out, err := runEnv(t, 0, []string{self(t)}, func(b *program.Builder) program.Mem {
		setLimits(b, &specs.Process{})
		return b.Strv([]string{"HUTCH_TEST_PRINT=nofile"})
	}, nil)
	if !strings.HasPrefix(out, "123 1000 ") || err != nil {
		t.Errorf("Go in the child: %q, %v", out, err)
	}
}

func TestApplyFromOutside(t *testing.T) {
	testneed.Root(t)
	cmd := exec.Command(busybox, "sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	adj := 321
	p := &specs.Process{OOMScoreAdj: &adj, Rlimits: []specs.POSIXRlimit{
		{Type: "RLIMIT_SIGPENDING", Soft: 11, Hard: 12}, {Type: "RLIMIT_NPROC", Soft: 13, Hard: 14}, {Type: "RLIMIT_NOFILE", Soft: 15, Hard: 16},
	}}
	if err := ApplyRlimits(cmd.Process.Pid, p); err != nil {
		t.Fatal(err)
	}
	if err := ApplyOOMScoreAdj(cmd.Process.Pid, p); err != nil {
		t.Fatal(err)
	}
	dir := fmt.Sprintf("/proc/%d/", cmd.Process.Pid)
	if s, err := os.ReadFile(dir + "oom_score_adj"); string(s) != "321\n" {
		t.Errorf("oom_score_adj is %q, %v", s, err)
	}
	// The process itself sets the last two, when it needs no more descriptors or processes.
	s, err := os.ReadFile(dir + "limits")
	limits := strings.Join(strings.Fields(string(s)), " ")
	if err != nil || !strings.Contains(limits, "Max pending signals 11 12 signals") || strings.Contains(limits, "Max processes 13 ") || strings.Contains(limits, "Max open files 15 ") {
		t.Errorf("limits are %s, %v", s, err)
	}
	adj = 1001
	if err := ApplyOOMScoreAdj(cmd.Process.Pid, p); !errors.Is(err, unix.EINVAL) || err.Error() != "process.oomScoreAdj: set it to 1001: invalid argument" {
		t.Error(err)
	}
	p.Rlimits[0].Soft = 13
	if err := ApplyRlimits(cmd.Process.Pid, p); !errors.Is(err, unix.EINVAL) || !strings.HasPrefix(err.Error(), "process.rlimits[0]: set RLIMIT_SIGPENDING to 13:12: ") {
		t.Error(err)
	}
}

// Limits under which no second process, and no descriptor of one, could be made are those
// of the process all the same, with a second clone (exec) and without.
func TestLimitsLeaveRoomUntilTheEnd(t *testing.T) {
	testneed.Root(t)
	const adoptTag = 7
	p := &specs.Process{
		User:    specs.User{UID: 77881, GID: 77881}, // nobody else is
		Rlimits: []specs.POSIXRlimit{{Type: "RLIMIT_NPROC", Soft: 1, Hard: 1}, {Type: "RLIMIT_NOFILE", Soft: 3, Hard: 3}},
	}
	for name, clone := range map[string]bool{"with a clone": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			adopted := false
			out, err := run(t, 0, []string{busybox, "sh", "-c", "ulimit -u; ulimit -Hu; ulimit -n; ulimit -Hn"}, func(b *program.Builder) {
				Rlimits(b, p)
				user.Groups(b, p)
				user.IDs(b, p)
				if clone {
					b.Clone(0, adoptTag)
				}
				LastRlimits(b, p)
			}, func(c *spawn.Child, e spawn.Event) {
				adopted = e.Tag == adoptTag
				if err := errors.Join(c.Adopt(e), c.Release()); err != nil {
					t.Error(err)
				}
			})
			if err != nil || out != "1\n1\n3\n3\n" || adopted != clone {
				t.Errorf("limits %q, %v, adopted %v; want 1 1 3 3", out, err, adopted)
			}
		})
	}
}

// openProc emits a procfs to write through.
func openProc(b *program.Builder) program.Reg {
	return b.Sys(unix.SYS_OPENAT, program.Imm(unix.AT_FDCWD), b.Str("/proc"), program.Imm(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)).Fd()
}

func TestOOMScoreAdjIsWrittenThroughTheGivenProcfs(t *testing.T) {
	adj := 234
	p := &specs.Process{OOMScoreAdj: &adj}
	out := must(t, []string{busybox, "cat", "/proc/self/oom_score_adj"}, func(b *program.Builder) { OOMScoreAdj(b, openProc(b), p) })
	if out != "234\n" {
		t.Errorf("it is %q", out)
	}
	adj = 2000
	fails(t, `process.oomScoreAdj: set it to 2000: write "2000" to /proc/self/oom_score_adj: invalid argument`, func(b *program.Builder) { OOMScoreAdj(b, openProc(b), p) })
}

// TestWriteProcCrossesNoMount covers a file of the procfs by another: the write
// must not reach it.
func TestWriteProcCrossesNoMount(t *testing.T) {
	testneed.Root(t)
	adj := 100
	out, err := run(t, unix.CLONE_NEWNS|unix.CLONE_NEWPID, []string{busybox, "true"}, func(b *program.Builder) {
		b = b.Element(program.T("test"))
		b.Sys(unix.SYS_MOUNT, b.Str("none"), b.Str("/"), program.Imm(0), program.Imm(unix.MS_REC|unix.MS_PRIVATE), program.Imm(0))
		b.Sys(unix.SYS_MOUNT, b.Str("proc"), b.Str("/proc"), b.Str("proc"), program.Imm(0), program.Imm(0))
		proc := openProc(b)
		b.Sys(unix.SYS_MOUNT, b.Str("/proc/self/comm"), b.Str("/proc/1/oom_score_adj"), program.Imm(0), program.Imm(unix.MS_BIND), program.Imm(0))
		OOMScoreAdj(b, proc, &specs.Process{OOMScoreAdj: &adj})
	}, nil)
	if want := "process.oomScoreAdj: set it to 100: open /proc/self/oom_score_adj: invalid cross-device link"; err == nil || err.Error() != want {
		t.Errorf("%v, %q; want %s", err, out, want)
	}
}
