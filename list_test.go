package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hutch-project/hutch/internal/life"
)

func TestListTable(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	all := []life.State{
		{ID: "web1", Pid: 4711, Status: "running", Bundle: "/srv/bundles/of/some/depth/web1", Created: now.Add(-90 * time.Second), Owner: "root"},
		{ID: strings.Repeat("0123456789abcdef", 4), Status: "stopped", Bundle: "/b", Created: now.Add(-50 * time.Hour), Owner: "root"},
	}
	// For programs: nothing is left out, and each column is one word.
	plain := strings.Split(listTable(all, 0, now), "\n")
	if f := strings.Fields(plain[1]); len(f) != 6 || f[3] != all[0].Bundle || f[4] != "2026-01-02T03:02:35.000000006Z" || len(plain) != 4 {
		t.Errorf("got %q", plain)
	}
	for _, columns := range []int{1, 20, 60, 80, 100, 300} {
		text := listTable(all, columns, now)
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > columns {
				t.Errorf("%d columns of %d: %q", n, columns, line)
			}
		}
		if columns < 80 {
			continue
		}
		for _, want := range []string{"ID ", "4711 ", "running ", "1 minute ago ", "2 days ago ", " root\n", "89abcdef "} {
			if !strings.Contains(text, want) {
				t.Errorf("%d columns: no %q in\n%s", columns, want, text)
			}
		}
		if whole := strings.Contains(text, all[0].Bundle) && strings.Contains(text, all[1].ID); whole != (columns == 300) {
			t.Errorf("%d columns: whole is %v:\n%s", columns, whole, text)
		}
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "now", 0: "now", 999 * time.Millisecond: "now", time.Second: "1 second ago", 59 * time.Second: "59 seconds ago",
		time.Minute: "1 minute ago", 119 * time.Minute: "1 hour ago", 23 * time.Hour: "23 hours ago", 24 * time.Hour: "1 day ago", 1000 * time.Hour: "41 days ago",
	} {
		if got := age(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

// TestListTableIsPlain: the name of a directory forges no line, and controls no terminal.
func TestListTableIsPlain(t *testing.T) {
	all := []life.State{{ID: "web1", Pid: 4711, Status: "running", Bundle: "/b\x1b[2J\nweb2\t1", Owner: "root"}}
	for _, columns := range []int{0, 300} {
		text := listTable(all, columns, time.Now())
		if strings.ContainsAny(text, "\x1b\t") || strings.Count(text, "\n") != 2 || !strings.Contains(text, `"/b\x1b[2J\nweb2\t1"`) {
			t.Errorf("got %q", text)
		}
	}
}
