package integration

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// goRuntime are the calls that Go's own runtime makes as its threads come and go, and of the time,
// which is none where the clock can be read without one.
const goRuntime = " arch_prctl brk clock_gettime clone epoll_create1 epoll_ctl epoll_pwait eventfd2 exit exit_group fcntl futex getpid gettid madvise mincore mmap munmap nanosleep " +
	"prlimit64 restart_syscall rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity sched_yield set_robust_list sigaltstack tgkill "

// callsOf counts the system calls of a command, those of the child's program and of
// all threads included, by strace. meanwhile ends what would go on for ever.
func callsOf(t *testing.T, b *bundle, meanwhile func(), words ...string) int {
	t.Helper()
	summary := b.path("calls")
	line := append([]string{"-f", "-c", "-o", summary, runtimePath, "--cgroup-manager", "disabled", "--root", b.root}, words...)
	cmd := exec.Command("strace", line...)
	errors, err := os.Create(b.path("strace-errors"))
	if err != nil {
		t.Fatal(err)
	}
	defer errors.Close()
	cmd.Stderr = errors
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	meanwhile()
	if err := cmd.Wait(); err != nil && !strings.Contains(err.Error(), "signal: killed") {
		t.Fatalf("%q: %v\n%s", line, err, readText(t, b.path("strace-errors")))
	}
	n := 0
	for _, l := range strings.Split(readText(t, summary), "\n") {
		f := strings.Fields(l) // % time, seconds, usecs/call, calls, [errors], syscall
		if len(f) < 5 || f[0] == "%" || f[len(f)-1] == "total" || strings.HasPrefix(f[0], "-") || strings.Contains(goRuntime, " "+f[len(f)-1]+" ") {
			continue
		}
		calls, err := strconv.Atoi(f[3])
		if err != nil {
			t.Fatalf("%v in %q", err, l)
		}
		n += calls
	}
	return n
}

// TestSystemCallBudget holds each command to a number of system calls, Go's own left
// out: those of the child's program, which the configuration decides, are most of
// them. A number that falls is a reason to lower the bound. Two of run and create came with
// the serial number of the keyring, which exec compares, and the read-only mount of the text,
// three more of create with that of the fifos. One call a directory above the state's says that
// nobody else puts another one there, one that "/" is a mount; one for the state's directory, and
// one a device above, that no FUSE of another user is there.
func TestSystemCallBudget(t *testing.T) {
	hutchOnly(t, "the numbers are Hutch's")
	b := newBundle(t, args("sleep", "1000"))
	short := newBundle(t, args("true"))
	none := func() {}
	check := func(name string, n, bound int) {
		t.Helper()
		t.Logf("%s: %d system calls of at most %d", name, n, bound)
		if n > bound {
			t.Errorf("%s makes %d system calls, %d is the bound", name, n, bound)
		}
	}
	check("run", callsOf(t, short, none, "run", "--bundle", short.dir, short.id), 273)
	check("create", callsOf(t, b, func() {
		eventually(t, "the container is created", func() bool { return strings.Contains(b.rt("state", b.id).stdout, `"created"`) })
		b.rt("delete", b.id).ok(t) // waits for the end of create, which with --force it would end
	}, "create", "--bundle", b.dir, b.id), 254)
	c := b.createCall()
	c.args = append([]string{"--cgroup-manager", "disabled"}, c.args...)
	c.do(t).ok(t)
	b.readPid()
	check("start", callsOf(t, b, none, "start", b.id), 69)
	check("state", callsOf(t, b, none, "state", b.id), 40)
	check("exec", callsOf(t, b, none, "exec", b.id, "true"), 170)
	check("kill", callsOf(t, b, none, "kill", b.id, "KILL"), 41)
	b.wait()
	check("delete", callsOf(t, b, none, "delete", b.id), 49)
}

// TestPageFaultBudget holds the page faults of short commands, which are a fifth of
// their time: a package too many that is initialised before main shows here, or a
// stack that grows while the program runs.
func TestPageFaultBudget(t *testing.T) {
	b := newBundle(t, func(s *specs.Spec) { s.Process.Args = []string{"true"} })
	faults := func(words ...string) int {
		t.Helper()
		var all []int
		for range 9 {
			cmd := exec.Command(runtimePath, append([]string{"--root", b.root}, words...)...)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%q: %v\n%s", words, err, out)
			}
			all = append(all, int(cmd.ProcessState.SysUsage().(*syscall.Rusage).Minflt))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	for _, c := range []struct {
		words []string
		bound int
	}{
		{[]string{"run", "--bundle", b.dir, b.id}, 560},
		{[]string{"--version"}, 400},
	} {
		n := faults(c.words...)
		t.Logf("%s: %d page faults of at most %d", c.words[0], n, c.bound)
		if n > c.bound {
			t.Errorf("%s makes %d page faults, %d is the bound", c.words[0], n, c.bound)
		}
	}
}
