package compile

import (
	"slices"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/list"
	"github.com/hutch-project/hutch/internal/seat"
	"github.com/hutch-project/hutch/internal/template"
)

// deniedPrograms are those of a caller who may make neither clone3 nor fsopen.
func deniedPrograms(t *testing.T) map[string]*program.Program {
	t.Helper()
	programs := map[string]*program.Program{}
	for name, in := range inputs() {
		in.Host.Denied = seat.Denied{Clone3: true, CloseRange: true, Fsopen: true}
		out, err := Compile(in)
		if err != nil {
			t.Fatal(err)
		}
		programs[name] = out.Program
	}
	for name, in := range execInputs() {
		in.Host.Denied = seat.Denied{Clone3: true, CloseRange: true, Fsopen: true}
		p, _, err := Exec(in)
		if err != nil {
			t.Fatal(err)
		}
		programs[name] = p
	}
	return programs
}

// TestDeniedCallsAreNotMade: what is done otherwise is done so everywhere. In a mount
// namespace of others there is no other way to make a file system.
func TestDeniedCallsAreNotMade(t *testing.T) {
	for name, p := range deniedPrograms(t) {
		denied := []string{"clone3", "fsopen", "fsconfig", "fsmount"}
		if name == "shared-mounts" {
			denied = denied[:1]
		}
		for _, l := range child(p) {
			if slices.Contains(denied, l.Call) {
				t.Errorf("%s: %d %s", name, l.PC, text(l))
			}
		}
	}
}

// TestCloneLeavesNoHandler: clone does not clear the handlers of signals, which must not run
// in the child when signals are unblocked.
func TestCloneLeavesNoHandler(t *testing.T) {
	for name, p := range deniedPrograms(t) {
		lines := child(p)
		unblocked := slices.IndexFunc(lines, func(l list.Line) bool { return l.Call == "rt_sigprocmask" })
		if unblocked < 0 {
			continue // it executes nothing
		}
		reset := 0
		for _, l := range lines[:unblocked] {
			if l.Call == "rt_sigaction" && l.Args[1] == "{SIG_DFL}" {
				reset++
			}
		}
		if reset != 62 { // all but SIGKILL and SIGSTOP
			t.Errorf("%s resets the actions of %d signals, want 62", name, reset)
		}
	}
}

// TestOldMountsLeaveSuperblocksAlone: a read-only procfs is so for its mount, and not for all
// that show the same processes.
func TestOldMountsLeaveSuperblocksAlone(t *testing.T) {
	s := template.Spec()
	for i := range s.Mounts {
		if m := &s.Mounts[i]; m.Type == "proc" || m.Type == "sysfs" {
			m.Options = append(m.Options, "ro", "rslave")
		}
	}
	in := inputs()["default"]
	in.Spec, in.Host.Denied = s, seat.Denied{Fsopen: true}
	out, err := Compile(in)
	if err != nil {
		t.Fatal(err)
	}
	made := 0
	for _, l := range child(out.Program) {
		line := text(l)
		if l.Call == "mount" && (strings.Contains(line, `"proc", "/", `) || strings.Contains(line, `"sysfs", "/", `)) {
			made++
			if strings.Contains(line, "MS_RDONLY") {
				t.Errorf("%d %s", l.PC, line)
			}
		}
	}
	if made < 2 {
		t.Errorf("%d file systems are made for a moment; the test proves nothing", made)
	}
}
