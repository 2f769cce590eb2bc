package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

// printTable writes the rows for people.
func (b *bench) printTable(to io.Writer) {
	w := tabwriter.NewWriter(to, 0, 1, 2, ' ', 0)
	fmt.Fprintln(w, "WORK\tN\tSUBJECT\tPEER\tRATIO\tP10\tP90\tP50\tP99\tPEER P50\tUNIT")
	for _, r := range b.rows {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%s\n", r.work, r.n, r.subject, r.peer, r.ratio[1], r.ratio[0], r.ratio[2], r.p50, r.p99, r.peer50, r.unit)
	}
	w.Flush()
}

// writeTSV writes the rows for programs. Values that are no times have their unit
// in the column work.
func (b *bench) writeTSV(path string) error {
	var t strings.Builder
	t.WriteString("work\tn\tsubject\tpeer\tratio_median\tratio_p10\tratio_p90\tsubject_p50_ms\tsubject_p99_ms\tpeer_p50_ms\n")
	for _, r := range b.rows {
		name := r.work
		if r.unit != "ms" {
			name += " (" + r.unit + ")"
		}
		fmt.Fprintf(&t, "%s\t%d\t%s\t%s\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\n", name, r.n, r.subject, r.peer, r.ratio[1], r.ratio[0], r.ratio[2], r.p50, r.p99, r.peer50)
	}
	return os.WriteFile(path, []byte(t.String()), 0o644)
}

// writeChart draws the ratios of times against runc and crun as bars: one is as
// fast, shorter is faster.
func (b *bench) writeChart(path string) error {
	const left, width, line = 250, 420, 22
	var rows []row
	for _, r := range b.rows {
		if r.unit == "ms" && (r.peer == "runc" || r.peer == "crun") {
			rows = append(rows, r)
		}
	}
	height := 50 + line*len(rows)
	var t strings.Builder
	fmt.Fprintf(&t, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", left+width+60, height)
	t.WriteString(`<style>text{fill:#333}.runc{fill:#2a7}.crun{fill:#37c}.one{stroke:#999;stroke-dasharray:3 3}@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>` + "\n")
	t.WriteString(`<text x="8" y="18" font-size="13">Time of Hutch, as a part of that of runc (green) and crun (blue): medians of one run</text>` + "\n")
	scale := func(v float64) float64 { return min(v, 1.5) / 1.5 * width }
	for i, r := range rows {
		y := 34 + i*line
		fmt.Fprintf(&t, `<text x="%d" y="%d" text-anchor="end">%s, %s</text><rect class="%s" x="%d" y="%d" width="%.0f" height="14"/><text x="%.0f" y="%d">%.2f</text>`+"\n",
			left-8, y+11, r.work, r.peer, r.peer, left, y, scale(r.ratio[1]), left+scale(r.ratio[1])+6, y+11, r.ratio[1])
	}
	x := left + scale(1)
	fmt.Fprintf(&t, `<line class="one" x1="%.0f" y1="28" x2="%.0f" y2="%d"/>`+"\n</svg>\n", x, x, height-10)
	return os.WriteFile(path, []byte(t.String()), 0o644)
}

// deleteAll deletes every container of the run.
func (b *bench) deleteAll() error {
	var errs []error
	for _, x := range b.subjects {
		state := x.prefix[len(x.prefix)-1]
		entries, err := os.ReadDir(state)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		for _, e := range entries {
			if e.IsDir() {
				if _, err := b.once(x.call("delete", "--force", e.Name())); err != nil {
					errs = append(errs, err)
				}
			}
		}
	}
	return errors.Join(errs...)
}

// cleanup takes back what an interrupted run has left.
func (b *bench) cleanup() {
	b.stopped.Store(false)
	if err := b.deleteAll(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	left, _ := filepath.Glob("/sys/fs/cgroup/bench-*")
	for _, dir := range left {
		_ = os.Remove(dir)
	}
	reap()
}
