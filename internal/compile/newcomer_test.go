package compile

import (
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/list"
)

// child returns the instructions of p's child section.
func child(p *program.Program) []list.Line {
	return slices.DeleteFunc(list.Lines(p, &list.Options{TagName: TagName}), func(l list.Line) bool { return l.Section != "child" })
}

// text returns the call with its arguments.
func text(l list.Line) string { return l.Call + "(" + strings.Join(l.Args, ", ") + ")" }

// indexOf returns the index of the last line of the call before the index end, -1 for none.
func indexOf(lines []list.Line, call string, end int) int {
	for i := end - 1; i >= 0; i-- {
		if lines[i].Call == call {
			return i
		}
	}
	return -1
}

// lastClosing returns the index of the last line that closes descriptors, -1 for none.
func lastClosing(lines []list.Line) int {
	return max(indexOf(lines, "close_range", len(lines)), indexOf(lines, "close each", len(lines)))
}

// Whoever is in the pid namespace already, and has CAP_SYS_PTRACE, can take from the
// process that is cloned into it what that has. So nothing of the host is left by then: it
// is listed what may come between the closing of descriptors and the clone, and after it.
const (
	beforeClone = " openat2 fchdir prctl setgroups setresgid setresuid capset umask statx fstatfs read close prlimit64 if jump seccomp rt_sigaction rt_sigprocmask "
	afterClone  = " close setsid ioctl sched_setattr prlimit64 openat2 fchdir getcwd statx statfs faccessat2 faccessat seccomp capset rt_sigprocmask execve dup3 read if jump fail exit "
)

func TestTheCloneIntoThePidNamespaceHasNothingOfTheHost(t *testing.T) {
	programs := map[string]*program.Program{}
	for name, in := range execInputs() {
		if !in.Init.Clones() || in.Names { // which stays outside
			continue
		}
		p, _, err := Exec(in)
		if err != nil {
			t.Fatal(err)
		}
		programs[name] = p
	}
	out, err := Compile(inputs()["joined"])
	if err != nil {
		t.Fatal(err)
	}
	programs["joined"] = out.Program
	// The container's own capabilities; of exec-held those that the last steps need
	// as well, which are dropped after them.
	const own = "CAP_KILL|CAP_NET_BIND_SERVICE|CAP_AUDIT_WRITE"
	caps := map[string]string{"exec": own, "exec-denied": own, "exec-filtered": own, "joined": own, "exec-held": "CAP_KILL|CAP_NET_BIND_SERVICE|CAP_SYS_ADMIN|CAP_SYS_NICE|CAP_AUDIT_WRITE"}
	for name, p := range programs {
		t.Run(name, func(t *testing.T) {
			lines := child(p)
			clone := max(indexOf(lines, "clone3", len(lines)), indexOf(lines, "clone", len(lines)))
			closed := lastClosing(lines[:max(clone, 0)])
			if clone < 0 || closed < 0 || indexOf(lines, "clone3", clone) >= 0 {
				t.Fatalf("the last clone is at %d, the closing at %d; want both, and no other clone", clone, closed)
			}
			for _, l := range lines[closed+1 : clone] {
				if !strings.Contains(beforeClone, " "+l.Call+" ") && !(strings.HasSuffix(l.Call, " parent") && l.Args[0] == `"home directory"`) {
					t.Errorf("between the closing and the clone: %d %s", l.PC, text(l))
				}
				if l.Call == "openat2" && l.Args[0] != "AT_FDCWD" {
					t.Errorf("opened after the closing: %d %s", l.PC, text(l))
				}
			}
			for _, l := range lines[clone+1:] {
				if !strings.Contains(afterClone, " "+l.Call+" ") && !strings.HasSuffix(l.Call, " parent") {
					t.Errorf("after the clone: %d %s", l.PC, text(l))
				}
			}
			set, ids := indexOf(lines, "capset", clone), indexOf(lines, "setresuid", clone)
			if ids < closed || set < ids {
				t.Fatalf("ids are set at %d, capabilities at %d; want both between %d and %d", ids, set, closed, clone)
			}
			for kind, list := range map[string]string{"effective ": caps[name], "permitted ": caps[name], "inheritable ": "none"} {
				_, rest, _ := strings.Cut(text(lines[set]), kind)
				if got := strings.FieldsFunc(rest, func(r rune) bool { return r == ',' || r == '}' })[0]; got != list {
					t.Errorf("%sat the clone: %s, want %s", kind, got, list)
				}
			}
			last := indexOf(lines, "capset", len(lines))
			if held := caps[name] != own; held != (last > clone) || held && !strings.Contains(text(lines[last]), "{effective "+own+", permitted "+own+",") {
				t.Errorf("the last capset is %d %s; want the container's own", last, text(lines[last]))
			}
		})
	}
}

// A scheduler that a clone does not hand on is set after it, with the capability for it;
// the others before, with those of the runtime.
func TestTheSchedulerOutlivesTheClone(t *testing.T) {
	for _, c := range []struct {
		rule  string
		s     specs.Scheduler
		after bool
	}{
		{"batch", specs.Scheduler{Policy: specs.SchedBatch, Nice: 5}, false},
		{"first in, first out", specs.Scheduler{Policy: specs.SchedFIFO, Priority: 5}, false},
		{"deadline", specs.Scheduler{Policy: specs.SchedDeadline, Runtime: 1e6, Deadline: 1e7, Period: 1e7}, true},
		{"reset on fork", specs.Scheduler{Policy: specs.SchedFIFO, Priority: 5, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork}}, true},
	} {
		t.Run(c.rule, func(t *testing.T) {
			in := execInputs()["exec"]
			in.Process.Scheduler, in.Linux.Seccomp = &c.s, nil
			p, _, err := Exec(in)
			if err != nil {
				t.Fatal(err)
			}
			lines := child(p)
			clone, set := indexOf(lines, "clone3", len(lines)), indexOf(lines, "sched_setattr", len(lines))
			if (set > clone) != c.after || set < 0 {
				t.Errorf("the scheduler is set at %d, the clone at %d", set, clone)
			}
			if first := indexOf(lines, "sched_setattr", set); first >= 0 {
				t.Errorf("it is set at %d too", first)
			}
			ids, end := indexOf(lines, "setresuid", clone), indexOf(lines, "capset", len(lines))
			if !c.after && set > ids {
				t.Errorf("it is set at %d, after the ids at %d", set, ids)
			}
			held := text(lines[indexOf(lines, "capset", clone)])
			if strings.Contains(held, "CAP_SYS_NICE") != c.after || c.after != (end > clone) || strings.Contains(text(lines[end]), "CAP_SYS_NICE") {
				t.Errorf("capabilities at the clone: %s\nand at the end, %d: %s", held, end, text(lines[end]))
			}
		})
	}
}

// Before the runtime's descriptors are closed nothing resolves a name that the image
// chose for a program: not its search, nor its execution, nor its working directory.
func TestDescriptorsAreClosedBeforeNamesOfTheImage(t *testing.T) {
	programs := map[string]*program.Program{}
	for name, in := range execInputs() {
		p, _, err := Exec(in)
		if err != nil {
			t.Fatal(err)
		}
		programs[name] = p
	}
	for name, in := range inputs() {
		out, err := Compile(in)
		if err != nil {
			t.Fatal(err)
		}
		programs[name] = out.Program
	}
	for name, p := range programs {
		t.Run(name, func(t *testing.T) {
			lines := child(p)
			closed := lastClosing(lines)
			if closed < 0 {
				t.Fatal("nothing is closed")
			}
			for _, l := range lines[:closed] {
				if l.Call == "execve" || l.Call == "faccessat2" || l.Call == "openat2" && strings.Contains(text(l), "/etc/passwd") || l.Element == "process.cwd" && l.Call == "fchdir" && !strings.HasPrefix(l.Doing, "make") {
					t.Errorf("before the closing, at %d: %d %s (%s %s)", closed, l.PC, text(l), l.Element, l.Doing)
				}
			}
			for _, l := range lines[closed+1:] {
				for _, a := range l.Args {
					if strings.Contains(a, "CLOSE_RANGE_CLOEXEC") {
						t.Errorf("close-on-exec: %s", text(l))
					}
				}
			}
		})
	}
}
