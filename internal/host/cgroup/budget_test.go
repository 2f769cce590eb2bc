package cgroup_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/cgroup/resource"
)

// The bounds of system calls of Create, Apply and Entry with typical limits, the
// device rules included.
const (
	budgetV1 = 130 // 82 with 10 hierarchies, 14 of them for the device rules; hosts have up to 14
	budgetV2 = 33
)

// TestSystemCallBudget counts the calls of one thread between two marks with strace.
func TestSystemCallBudget(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace")
	}
	for mode := range roots(t) {
		if l, err := cgroup.Detect(roots(t)[mode]); err != nil || mode == cgroup.V2 && !has(t, l, "memory") {
			continue
		}
		out := filepath.Join(t.TempDir(), "trace")
		cmd := exec.Command(strace, "-f", "-o", out, os.Args[0], "-test.run=^TestHotPath$", "-test.count=1")
		cmd.Env = append(os.Environ(), "HUTCH_TEST_HOT_PATH="+mode.String())
		if text, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(text), "PASS") {
			t.Skipf("strace cannot trace here: %v: %s", err, text)
		}
		trace, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		calls := between(t, string(trace))
		bound := budgetV1
		if mode == cgroup.V2 {
			bound = budgetV2
		}
		t.Logf("%s: %d system calls", mode, len(calls))
		if len(calls) > bound {
			t.Errorf("%s: %d system calls, want %d at most:\n%s", mode, len(calls), bound, strings.Join(calls, "\n"))
		}
	}
}

// between returns the calls of the marks' thread, but for the Go runtime's own.
func between(t *testing.T, trace string) (calls []string) {
	t.Helper()
	thread, on := "", false
	for line := range strings.Lines(trace) {
		pid, call, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case strings.Contains(call, "hutch-mark-begin"):
			thread, on = pid, true
		case strings.Contains(call, "hutch-mark-end"):
			return calls
		case on && pid == thread && !ofRuntime(strings.TrimSpace(call)):
			calls = append(calls, strings.TrimSpace(call))
			if n := len(calls); n > 1 && calls[n-1] == calls[n-2] && strings.HasPrefix(calls[n-1], "bpf(BPF_PROG_LOAD") {
				calls = calls[:n-1] // a signal of the Go runtime has interrupted the first: EAGAIN
			}
		}
	}
	t.Fatal("the trace has no marks")
	return nil
}

func ofRuntime(call string) bool {
	for _, p := range []string{"futex", "madvise", "mmap", "munmap", "rt_sig", "sched_yield", "nanosleep", "---", "<...", "tgkill", "getpid", "epoll", "clone", "clock_gettime"} {
		if strings.HasPrefix(call, p) {
			return true
		}
	}
	return false
}

// TestHotPath is what TestSystemCallBudget traces.
func TestHotPath(t *testing.T) {
	name := os.Getenv("HUTCH_TEST_HOT_PATH")
	if name == "" {
		t.Skip("is run by TestSystemCallBudget")
	}
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		if l.Mode.String() != name {
			t.Skip("not now")
		}
		runtime.LockOSThread()
		planned(t, l, "/"+unique()) // the first create enables controllers
		s := settings(t, typical(), l.Mode)
		first, _ := planned(t, l, "/"+unique())
		if err := s.Apply(first); err != nil {
			t.Fatal(err)
		}
		p, err := l.Plan("/"+unique(), "")
		if err != nil {
			t.Fatal(err)
		}
		_ = unix.Access("/hutch-mark-begin", 0)
		err = p.Create()
		if err == nil {
			err = s.Apply(p)
		}
		var e *cgroup.Entry
		if err == nil {
			e, err = p.Entry(true)
		}
		_ = unix.Access("/hutch-mark-end", 0)
		if err != nil {
			t.Fatal(err)
		}
		e.Close()
		if err := p.Undo(); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkCreateApplyRemove(b *testing.B) {
	for _, root := range []string{cgroup.Root, cgroup.Root + "/unified"} {
		l, err := cgroup.Detect(root)
		if err != nil {
			b.Fatal(err)
		}
		if l.Mode == cgroup.None || os.Getuid() != 0 {
			continue
		}
		r := typical()
		if root != cgroup.Root { // the v2 part of a hybrid host has no controllers
			r.Memory, r.CPU, r.Pids = nil, nil, nil
		}
		b.Run(l.Mode.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p, err := l.Plan("/"+unique(), "")
				if err != nil {
					b.Fatal(err)
				}
				s, err := resource.New(r, l.Mode)
				if err == nil {
					err = p.Create()
				}
				if err == nil {
					err = s.Apply(p)
				}
				if err := errors.Join(err, p.Undo()); err != nil {
					b.Fatal(err)
				}
			}
		})
		l.Close()
	}
}
