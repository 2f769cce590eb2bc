package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hutch-project/hutch/internal/host/cgroup/stats"
	"github.com/hutch-project/hutch/internal/life"
)

func usage(id string, at time.Time, cpu, memory, pids, read uint64) life.Usage {
	s := &stats.Stats{}
	s.CPU.Total, s.Memory.Usage.Usage, s.Memory.Usage.Limit, s.Pids.Current = cpu, memory, 1<<63, pids
	s.BlockIO.Tables[0] = []stats.BlockIOEntry{{Op: "Read", Value: read}, {Op: "Write", Value: 2 * read}, {Op: "Total", Value: 3 * read}}
	return life.Usage{ID: id, Status: life.Running, At: at, Stats: s}
}

func TestTopTable(t *testing.T) {
	then := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	now := then.Add(2 * time.Second)
	before := []life.Usage{usage("a", then, 1e9, 0, 0, 0), usage("b", then, 0, 0, 0, 0), usage("again", then, 9e9, 0, 0, 0)}
	b := usage("b", now, 3e9, 1<<20, 7, 4096)
	b.Stats.Memory.Usage.Limit = 512 << 20
	after := []life.Usage{usage("a", now, 2e9, 5<<30, 3, 0), b, usage("again", now, 1, 1, 9, 0), usage("new", now, 5e9, 2, 1, 0), {ID: "gone", Status: life.Stopped, At: now}}
	got := topTable(before, after, 'c', 0)
	want := []string{
		"ID STATUS CPU % MEMORY LIMIT PIDS READ/S WRITTEN/S",
		"b running 150.0 1.0 MiB 512 MiB 7 2.0 KiB 4.0 KiB",
		"a running 50.0 5.0 GiB - 3 0 B 0 B",
		"again running - 1 B - 9 - -", "new running - 2 B - 1 - -", "gone stopped - 0 B - 0 - -",
	}
	for i, line := range strings.Split(strings.TrimSuffix(got, "\n"), "\n") {
		if fields := strings.Join(strings.Fields(line), " "); i >= len(want) || fields != want[i] {
			t.Errorf("line %d: got %q", i, fields)
		}
	}
	for by, first := range map[byte]string{'m': "a ", 'p': "again ", 'i': "a ", 'c': "b "} {
		if lines := strings.Split(topTable(before, after, by, 0), "\n"); !strings.HasPrefix(lines[1], first) {
			t.Errorf("by %c: %q", by, lines[1])
		}
	}
	for _, columns := range []int{1, 20, 60, 80} {
		for line := range strings.Lines(topTable(before, after, 'c', columns)) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > columns {
				t.Errorf("%d columns of %d: %q", n, columns, line)
			}
		}
	}
}

func TestSizeText(t *testing.T) {
	for n, want := range map[float64]string{0: "0 B", 999: "999 B", 1000: "1.0 KiB", 1024: "1.0 KiB", 150 << 10: "150 KiB", 3 << 30: "3.0 GiB", 1 << 60: "1.0 EiB"} {
		if got := sizeText(n); got != want {
			t.Errorf("%v: got %q, want %q", n, got, want)
		}
	}
}
