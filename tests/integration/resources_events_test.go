package integration

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// TestEventsStatsDocument: the members that readers of runc's events --stats know
// are there, with the container's own numbers in them.
func TestEventsStatsDocument(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo up; sleep 1000"), memoryLimit(64<<20), pidsLimit(9)).create().start()
	b.waitOutput("up\n")
	text := b.rt("events", "--stats", b.id).ok(t).stdout
	if strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") {
		t.Errorf("not one line: %q", text)
	}
	var event struct {
		Type, ID string
		Data     map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(text), &event); err != nil || event.Type != "stats" || event.ID != b.id {
		t.Fatalf("%v in %s", err, text)
	}
	for _, name := range []string{"cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt", "network_interfaces"} {
		if _, ok := event.Data[name]; !ok {
			t.Errorf("no %q in %s", name, text)
		}
	}
	var data struct {
		CPU struct {
			Usage      struct{ Total, Kernel, User uint64 }
			Throttling *struct{ Periods, ThrottledPeriods, ThrottledTime uint64 }
		}
		Memory struct {
			Usage, Swap, Kernel, KernelTCP *struct{ Limit, Usage, Max, Failcnt uint64 }
			Raw                            map[string]uint64
		}
		Pids struct{ Current, Limit uint64 }
	}
	whole, err := json.Marshal(event.Data)
	if err == nil {
		err = json.Unmarshal(whole, &data)
	}
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	// cgroup v2 tells no limit and no count of refusals for the parts of memory, but the
	// objects stay.
	if m := data.Memory; m.Usage == nil || m.Swap == nil || m.Kernel == nil || m.KernelTCP == nil || len(m.Raw) == 0 {
		t.Errorf("memory: %s", event.Data["memory"])
	} else if m.Usage.Limit != 64<<20 || m.Usage.Usage == 0 || m.Usage.Usage > 64<<20 {
		t.Errorf("memory.usage: %+v", *m.Usage)
	}
	if c := data.CPU; c.Throttling == nil || c.Usage.Total == 0 || c.Usage.Total > 60e9 {
		t.Errorf("cpu: %s (total in nanoseconds)", event.Data["cpu"])
	}
	if p := data.Pids; p.Limit != 9 || p.Current == 0 || p.Current > 9 {
		t.Errorf("pids: %+v", p)
	}
}

// TestEventsStream: statistics come at the interval, and the command ends with the
// container; a stopped container has none.
func TestEventsStream(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("sleep", "1000")).create().start()
	// The second one asks for more than any machine can give.
	var all []*running
	for _, interval := range []string{"50ms", "1ns"} {
		events := call{root: b.root, args: []string{"events", "--interval", interval, b.id}}.start(t)
		eventually(t, "three statistics", func() bool { return strings.Count(events.result(0).stdout, `{"type":"stats"`) >= 3 })
		all = append(all, events)
	}
	b.kill("KILL").wait()
	for _, events := range all {
		events.wait().ok(t)
	}
	b.rt("events", "--stats", b.id).failed(t)
	b.rt("events", "--interval", "0s", b.id).failed(t, "--interval")
}

// TestPsOptions: a table keeps the container's lines only, whatever the columns;
// without a PID column it says what to do. It works on created and paused ones.
func TestPsOptions(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("sleep", "1000")).create()
	var pids []int
	if err := json.Unmarshal([]byte(b.rt("ps", "-f", "json", b.id).ok(t).stdout), &pids); err != nil || !slices.Equal(pids, []int{b.pid}) {
		t.Errorf("created: %v, %v, want %d", err, pids, b.pid)
	}
	b.start()
	b.rt("pause", b.id).ok(t)
	for _, options := range [][]string{nil, {"-e", "-o", "comm,pid"}, {"aux"}} {
		out := b.rt(append([]string{"ps", b.id}, options...)...).ok(t).stdout
		if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 2 || !strings.Contains(lines[1], "sleep") {
			t.Errorf("ps %q:\n%s", options, out)
		}
	}
	b.rt("ps", b.id, "-e", "-o", "comm").failed(t, "PID")
	b.rt("ps", "-f", "xml", b.id).failed(t, "xml")
	b.rt("resume", b.id).ok(t)
}
