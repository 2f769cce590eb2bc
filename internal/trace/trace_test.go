package trace

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/spawn"
)

type event struct {
	Name, Cat, Ph string
	Ts, Dur       float64
	Pid, Tid      int
	Args          map[string]any
}

// written writes tr and decodes the file.
func written(t *testing.T, tr *Trace) []event {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trace.json")
	if err := tr.Write(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ TraceEvents []event }
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return doc.TraceEvents
}

func spans(events []event, cat string) []event {
	return slices.DeleteFunc(slices.Clone(events), func(e event) bool { return e.Ph != "X" || e.Cat != cat })
}

func TestPhasesFollowOneAnother(t *testing.T) {
	tr := New()
	var seen []string
	tr.OnPhase = func(name string) { seen = append(seen, name) }
	names := []string{"load", `say "hi"`, "clone"}
	for _, n := range names {
		tr.Phase(n)
		time.Sleep(time.Millisecond)
	}
	got := spans(written(t, tr), "phase")
	if len(got) != len(names) {
		t.Fatalf("%d phases, want %d", len(got), len(names))
	}
	if !slices.Equal(seen, names) {
		t.Errorf("OnPhase saw %q, want %q", seen, names)
	}
	for i, e := range got {
		if e.Name != names[i] || e.Pid != os.Getpid() || e.Tid != e.Pid {
			t.Errorf("phase %d is %+v, want %s of process %d", i, e, names[i], os.Getpid())
		}
		if e.Dur < 999 { // microseconds; how much longer is the machine's
			t.Errorf("%s lasted %v us, want 1000 at least", e.Name, e.Dur)
		}
		if end := got[max(i-1, 0)].Ts + got[max(i-1, 0)].Dur; i > 0 && (end-e.Ts > 0.01 || e.Ts-end > 0.01) {
			t.Errorf("%s begins at %v, the phase before ends at %v", e.Name, e.Ts, end)
		}
	}
}

func TestEndLeavesAGap(t *testing.T) {
	tr := New()
	tr.End()
	tr.Phase("a")
	tr.End()
	time.Sleep(2 * time.Millisecond)
	tr.Phase("b")
	got := spans(written(t, tr), "phase")
	if len(got) != 2 || got[1].Ts-(got[0].Ts+got[0].Dur) < 1900 {
		t.Errorf("%+v: want a gap of 2 ms between a and b", got)
	}
}

func TestInstructionsOfAChildLastUntilTheNext(t *testing.T) {
	note := program.Note{Element: program.N("mounts[%d]", 1), Doing: program.T("mount %s", "/proc"), Step: program.T("attach")}
	tr := New()
	tr.AddChild([]spawn.Stamp{
		{PC: 0, Call: "openat2", At: 1000 * time.Nanosecond, Note: note},
		{PC: 1, At: 5500 * time.Nanosecond}, // jumped back to 2: later than it
		{PC: 2, Call: "read", At: 2250 * time.Nanosecond},
		{PC: 3, Note: note, At: 5500 * time.Nanosecond},
	}, 42, 4*time.Microsecond) // an end before the last: no negative time
	events := written(t, tr)
	got := spans(events, "instruction")
	want := []event{
		{Name: "openat2", Ts: 1, Dur: 1.25},
		{Name: "read", Ts: 2.25, Dur: 3.25},
		{Name: "instruction 1", Ts: 5.5, Dur: 0},
		{Name: "attach", Ts: 5.5, Dur: 0},
	}
	if len(got) != len(want) {
		t.Fatalf("%d events %+v, want %d", len(got), got, len(want))
	}
	for i, w := range want {
		if g := got[i]; g.Name != w.Name || g.Ts != w.Ts || g.Dur != w.Dur || g.Pid != 42 {
			t.Errorf("event %d is %+v, want %+v", i, g, w)
		}
	}
	a := got[0].Args
	if a["element"] != "mounts[1]" || a["doing"] != "mount /proc" || a["step"] != "attach" || a["pc"] != 0.0 {
		t.Errorf("arguments %v", a)
	}
}

func TestProcessesHaveNames(t *testing.T) {
	tr := New()
	tr.Phase("x")
	tr.AddChild([]spawn.Stamp{{At: 1}}, 42, 0)
	got := map[int]string{}
	for _, e := range written(t, tr) {
		if e.Ph == "M" && e.Name == "process_name" {
			got[e.Pid], _ = e.Args["name"].(string)
		}
	}
	if got[os.Getpid()] != "hutch" || got[42] != "container init" {
		t.Errorf("names %v", got)
	}
}

func TestAChildThatRanIsTraced(t *testing.T) {
	b := program.New()
	b = b.Element(program.T("process.args"))
	step := b.Step(program.T("wait a little"))
	step.Sys(unix.SYS_NANOSLEEP, program.Struct(b, &unix.Timespec{Nsec: 2e6}).Arg(), program.Imm(0))
	step.Tell(1, 0)
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	tr := New()
	tr.Phase("clone")
	c, err := spawn.Spawn(p, &spawn.Options{Cgroup: -1, Trace: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	defer c.Kill()
	if _, err := c.Expect(1); err != nil {
		t.Fatal(err)
	}
	tr.AddChild(c.Stamps(), c.Pid, 0)
	events := written(t, tr)
	phase, ins := spans(events, "phase"), spans(events, "instruction")
	if len(phase) != 1 || len(ins) != 2 {
		t.Fatalf("%d phases and %d instructions, want 1 and 2: %+v", len(phase), len(ins), events)
	}
	if ins[0].Name != program.CallName(unix.SYS_NANOSLEEP) || ins[0].Dur < 2000 {
		t.Errorf("%+v: want a nanosleep of 2 ms", ins[0])
	}
	// One clock for both: the child's time lies within the parent's phase.
	if ins[0].Ts < phase[0].Ts || ins[1].Ts+ins[1].Dur > phase[0].Ts+phase[0].Dur {
		t.Errorf("instructions %+v outside the phase %+v", ins, phase[0])
	}
}

func TestNilIsFree(t *testing.T) {
	var tr *Trace
	if n := testing.AllocsPerRun(100, func() {
		tr.Phase("x")
		tr.End()
		tr.AddChild(nil, 1, 0)
		if err := tr.Write("/no/such/directory/file"); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations on a nil trace", n)
	}
}

func TestWriteNamesThePathAndEmptyIsNone(t *testing.T) {
	if err := New().Write(""); err != nil {
		t.Errorf("empty path: %v", err)
	}
	err := New().Write("/no/such/directory/file")
	if want := "trace: open /no/such/directory/file: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestWriteReplacesALink: whoever has the directory may have put it there.
func TestWriteReplacesALink(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.WriteFile(dir+"/kept", []byte("kept"), 0o600), os.Symlink("kept", dir+"/trace"), New().Write(dir+"/trace")); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(dir + "/kept"); string(text) != "kept" {
		t.Errorf("the file has %q, %v", text, err)
	}
	if info, err := os.Lstat(dir + "/trace"); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the trace: %v, %v", info, err)
	}
}
