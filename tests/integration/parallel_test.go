package integration

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// together runs the calls at the same time and returns their results.
func together(t testing.TB, b *bundle, lines ...[]string) []result {
	t.Helper()
	var runs []*running
	for _, words := range lines {
		runs = append(runs, call{root: b.root, args: words}.start(t))
	}
	var results []result
	for _, r := range runs {
		results = append(results, r.wait())
	}
	return results
}

func succeeded(results []result) (n int) {
	for _, r := range results {
		if r.code == 0 {
			n++
		}
	}
	return n
}

// calm fails the test for what no race excuses: a crash, an empty error.
func calm(t testing.TB, results []result) {
	t.Helper()
	for _, r := range results {
		if r.code != 0 && (r.code != 1 || strings.TrimSpace(r.stderr) == "" || strings.Contains(r.stderr, "goroutine ")) {
			t.Errorf("%s", r)
		}
	}
}

func TestParallelCreate(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 has no lock: two creates succeed")
	for range repetitions(5) {
		b := newBundle(t, args("sleep", "1000"))
		results := together(t, b, b.line("create"), b.line("create"), b.line("create"), b.line("create"))
		calm(t, results)
		if n := succeeded(results); n != 1 {
			t.Errorf("%d of four creates succeeded, want 1:\n%v", n, results)
		}
		b.pid = *b.status("created").state().Pid
	}
}

func TestParallelStart(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 has no lock")
	for range repetitions(5) {
		b := newBundle(t, sh("echo ran; sleep 1000")).create()
		start := []string{"start", b.id}
		results := together(t, b, start, start, start, start)
		calm(t, results)
		if n := succeeded(results); n != 1 {
			t.Errorf("%d of four starts succeeded, want 1:\n%v", n, results)
		}
		b.waitOutput("ran\n")
	}
}

func TestParallelDelete(t *testing.T) {
	t.Parallel()
	for range repetitions(5) {
		b := newBundle(t, args("sleep", "1000")).create().start()
		force := []string{"delete", "--force", b.id}
		results := together(t, b, force, force, []string{"state", b.id}, []string{"kill", b.id, "9"}, force)
		b.wait()
		calm(t, results)
		if runtimeName == "hutch" { // 1.1 has no lock
			for _, i := range []int{0, 1, 4} {
				if results[i].code != 0 {
					t.Errorf("%s", results[i])
				}
			}
			b.nothingLeft()
		}
		b.delete("--force")
	}
}

// TestParallelMix: any order of commands on one container ends in an order
// that makes sense, and nothing is left after the last.
func TestParallelMix(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 has no lock")
	for range repetitions(8) {
		b := newBundle(t, args("sleep", "1000")).create()
		results := together(t, b, []string{"start", b.id}, []string{"state", b.id}, []string{"kill", b.id, "KILL"}, []string{"ps", "-f", "json", b.id},
			[]string{"list"}, []string{"delete", b.id}, []string{"state", b.id})
		calm(t, results)
		b.delete("--force")
		b.wait()
		b.nothingLeft()
	}
}

// TestParallelContainers: many containers at once, one state directory.
func TestParallelContainers(t *testing.T) {
	t.Parallel()
	first := newBundle(t)
	var wait sync.WaitGroup
	var bundles []*bundle
	for i := range 8 {
		b := newBundle(t, sh(fmt.Sprintf("echo %d", i)))
		b.root = first.root
		bundles = append(bundles, b)
	}
	results := make([]result, len(bundles))
	for i, b := range bundles {
		wait.Add(1)
		r := call{root: b.root, args: b.line("run")}.start(t)
		go func() { defer wait.Done(); results[i] = r.wait() }()
	}
	wait.Wait()
	for i, r := range results {
		if r.code != 0 || r.stdout != fmt.Sprintf("%d\n", i) {
			t.Errorf("%s", r)
		}
	}
}

// TestKilledCreate: a create that is killed at some moment is taken back by
// delete --force.
func TestKilledCreate(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 leaves processes and cgroups")
	moments := repetitions(25)
	for i := range moments {
		b := newBundle(t, args("sleep", "1000"))
		r := b.createCall().start(t)
		after := time.Duration(i*25/moments*slowness) * 400 * time.Microsecond
		time.Sleep(after)
		r.cmd.Process.Kill()
		res := r.wait()
		b.delete("--force")
		eventually(t, "its processes end", func() bool { return len(processesOf(b.id)) == 0 })
		b.nothingLeft()
		if t.Failed() {
			t.Fatalf("killed after %v: %s", after, res)
		}
	}
}
