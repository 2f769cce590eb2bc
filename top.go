package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/internal/host/cgroup/stats"
	"github.com/hutch-project/hutch/internal/life"
	"github.com/hutch-project/hutch/internal/screen"
)

var topCommand = cli.Command{
	Name:      "top",
	Usage:     "show what containers use at present",
	Arguments: "[ID...]", Wants: "the ids of containers, or none for all", Max: cli.Many,
	Words: []cli.Word{cli.ID}, States: []string{"running", "created", "paused"},
	Flags: []cli.Flag{
		{Name: "interval", Kind: cli.Duration, Default: "2s", Usage: "time between two looks"},
		{Name: "once", Kind: cli.Bool, Usage: "print the table once and leave"},
	},
	Help: "Shows a line for each container, with what it uses: processor time in percent of one " +
		"processor, memory, processes, and bytes read and written a second. On a terminal the table is " +
		"renewed at each interval until the key q; c, m, p and i sort it by processor time, memory, " +
		"processes and id. Elsewhere, or with --once, it is printed once, after an interval.",
	Examples: []cli.Example{
		{Line: "hutch top", Does: "all containers, until q"},
		{Line: "hutch top --once --interval 500ms web1", Does: "web1, over half a second"},
	},
	Do: top,
}

func top(line *cli.Line) error {
	r, err := newRuntime(line)
	if err != nil {
		return err
	}
	interval := line.Duration("interval")
	if interval <= 0 {
		return fmt.Errorf("top: --interval %s: give a time above zero, as 2s", interval)
	}
	v := &topView{r: r, ids: line.Words, interval: interval, by: 'c'}
	if err := v.look(); err != nil {
		return err
	}
	if line.Bool("once") {
		return v.once()
	}
	s, err := screen.Open(os.Stdin, os.Stdout)
	if errors.Is(err, screen.ErrNoTerminal) {
		return v.once()
	}
	if err != nil {
		return err
	}
	return errors.Join(v.show(s), s.Close())
}

// topView is a table that is renewed.
type topView struct {
	r        *life.Runtime
	ids      []string
	interval time.Duration
	by       byte // the key of the column to sort by
	before   []life.Usage
	now      []life.Usage
}

func (v *topView) look() error {
	u, err := v.r.Usages(v.ids)
	if err != nil {
		return err
	}
	v.before, v.now = v.now, u
	return nil
}

// once prints the table after an interval.
func (v *topView) once() error {
	time.Sleep(v.interval)
	if err := v.look(); err != nil {
		return err
	}
	_, err := os.Stdout.WriteString(topTable(v.before, v.now, v.by, 0))
	return err
}

// show renews the table until the key q.
func (v *topView) show(s *screen.Screen) error {
	for next := time.Now().Add(v.interval); ; {
		columns, _ := s.Size()
		if err := s.Show(topTable(v.before, v.now, v.by, columns)); err != nil {
			return err
		}
		key, err := s.Key(next)
		switch {
		case err != nil || key == screen.Quit || key == 'Q':
			return err
		case key != 0 && strings.IndexByte("cmpi", key) >= 0:
			v.by = key
		}
		if time.Now().Before(next) {
			continue
		}
		if err := v.look(); err != nil {
			return err
		}
		next = time.Now().Add(v.interval)
	}
}

// topRow is what a container uses at present.
type topRow struct {
	id, status            string
	cpu                   float64 // in percent of one processor
	memory, limit         uint64  // in bytes; a limit of 0 is none
	tasks                 uint64
	readRate, writtenRate float64 // in bytes a second
	measured              bool    // whether there was a look before, for the rates
}

// topTable returns the table, each line of columns characters at most; with 0 it is for
// programs, and nothing is cut.
func topTable(before, now []life.Usage, by byte, columns int) string {
	rows := topRows(before, now)
	slices.SortStableFunc(rows, func(a, b topRow) int {
		switch by {
		case 'c':
			return cmp.Compare(b.cpu, a.cpu)
		case 'm':
			return cmp.Compare(b.memory, a.memory)
		case 'p':
			return cmp.Compare(b.tasks, a.tasks)
		}
		return strings.Compare(a.id, b.id)
	})
	table := [][]string{{"ID", "STATUS", "CPU %", "MEMORY", "LIMIT", "PIDS", "READ/S", "WRITTEN/S"}}
	for _, r := range rows {
		table = append(table, r.cells())
	}
	if columns == 0 {
		return aligned(table, 0)
	}
	if over := widest(aligned(table, 0)) - columns; over > 0 {
		const id = 0
		shorten(table, id, over)
	}
	var b strings.Builder
	head := fmt.Sprintf("%d containers", len(rows))
	if len(rows) == 1 {
		head = "1 container"
	}
	b.WriteString(cutAt(head+"; q quits; c, m, p, i sort by CPU, memory, pids, id", columns) + "\n")
	for line := range strings.Lines(aligned(table, 0)) {
		b.WriteString(cutAt(strings.TrimRight(line, " \n"), columns) + "\n")
	}
	return b.String()
}

func (r *topRow) cells() []string {
	out := []string{r.id, r.status, "-", sizeText(float64(r.memory)), "-",
		strconv.FormatUint(r.tasks, 10), "-", "-"}
	if r.limit > 0 {
		out[4] = sizeText(float64(r.limit))
	}
	if r.measured {
		out[2], out[6], out[7] = strconv.FormatFloat(r.cpu, 'f', 1,
			64), sizeText(r.readRate), sizeText(r.writtenRate)
	}
	return out
}

// topRows measures what was used between two looks.
func topRows(before, now []life.Usage) []topRow {
	var rows []topRow
	for i := range now {
		u := &now[i]
		r := topRow{id: u.ID, status: string(u.Status)}
		if s := u.Stats; s != nil {
			r.memory, r.tasks = s.Memory.Usage.Usage, s.Pids.Current
			const none = 1 << 60 // on v1 the kernel has a number near the largest for none
			if limit := s.Memory.Usage.Limit; limit < none {
				r.limit = limit
			}
			if j := slices.IndexFunc(before,
				func(b life.Usage) bool { return b.ID == u.ID && b.Stats != nil }); j >= 0 {
				r.measure(&before[j], u)
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// measure sets the rates. A container that was deleted and made again has used less than
// before: it has none then.
func (r *topRow) measure(before, now *life.Usage) {
	seconds := now.At.Sub(before.At).Seconds()
	old, used := before.Stats, now.Stats
	oldRead, oldWritten := transferred(old)
	read, written := transferred(used)
	if seconds <= 0 || used.CPU.Total < old.CPU.Total || read < oldRead || written < oldWritten {
		return
	}
	r.measured = true
	r.cpu = float64(used.CPU.Total-old.CPU.Total) / 1e9 / seconds * 100
	r.readRate, r.writtenRate = float64(read-oldRead)/seconds, float64(written-oldWritten)/seconds
}

// transferred returns the bytes that were read from and written to all devices.
func transferred(s *stats.Stats) (read, written uint64) {
	const bytes = 0 // the first table
	for _, e := range s.BlockIO.Tables[bytes] {
		switch e.Op {
		case "Read":
			read += e.Value
		case "Write":
			written += e.Value
		}
	}
	return read, written
}

// sizeText returns a number of bytes with three digits or so, and its unit.
func sizeText(n float64) string {
	units := [...]string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	i := 0
	for n >= 1000 && i < len(units)-1 {
		n, i = n/1024, i+1
	}
	digits := 0
	if i > 0 && n < 100 {
		digits = 1
	}
	return strconv.FormatFloat(n, 'f', digits, 64) + " " + units[i]
}
