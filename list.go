package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cli"
	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/jsontext"
	"github.com/hutch-project/hutch/internal/life"
)

var listCommand = cli.Command{
	Name:  "list",
	Usage: "list the containers of the state directory",
	Flags: []cli.Flag{
		{Name: "format", Alias: "f", Default: "table", Choices: []string{"table", "json"}, Usage: "table or json"},
		{Name: "quiet", Alias: "q", Kind: cli.Bool, Usage: "print ids only"},
	},
	Help: "Lists the containers of the state directory: id, process id, status, bundle, time of " +
		"creation and owner of each. On a terminal the table is cut to its width, and shows how long " +
		"ago each was created.",
	Examples: []cli.Example{
		{Line: "hutch list", Does: "a table"},
		{Line: "hutch --root /run/user/1000/hutch list --quiet", Does: "the ids of another state directory"},
	},
	Do: list,
}

func list(line *cli.Line) error {
	r, err := newRuntime(line)
	if err != nil {
		return err
	}
	// A mistyped directory must not look like one without containers.
	if line.Global.IsSet("root") {
		if _, err := os.Stat(r.Root); err != nil {
			return fmt.Errorf("list: --root: %w", err)
		}
	}
	all, err := r.List()
	if err != nil {
		return err
	}
	switch {
	case line.Bool("quiet"):
		for _, s := range all {
			fmt.Println(s.ID)
		}
		return nil
	case line.String("format") == "json":
		return json.NewEncoder(jsontext.Printable(os.Stdout)).Encode(all)
	}
	columns := 0
	if ws, err := unix.IoctlGetWinsize(int(os.Stdout.Fd()), unix.TIOCGWINSZ); err == nil {
		columns = int(ws.Col)
	}
	_, err = os.Stdout.WriteString(listTable(all, columns, time.Now()))
	return err
}

// listTable returns the table of containers. On a terminal of so many columns it is for
// people: ages in place of times, and no line longer than the terminal is wide. With none,
// where a program reads it, nothing is left out.
func listTable(all []life.State, columns int, now time.Time) string {
	rows := [][]string{{"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"}}
	for _, s := range all {
		created := s.Created.Format(time.RFC3339Nano)
		if columns > 0 {
			created = age(now.Sub(s.Created))
		}
		rows = append(rows, []string{s.ID, strconv.Itoa(s.Pid), string(s.Status), fault.Name(s.Bundle), created, s.Owner})
	}
	if columns == 0 {
		return aligned(rows, 12)
	}
	const id, bundle = 0, 3
	for _, column := range [...]int{bundle, id} { // in the order in which they can be done without
		if over := widest(aligned(rows, 0)) - columns; over > 0 {
			shorten(rows, column, over)
		}
	}
	var b strings.Builder
	for line := range strings.Lines(aligned(rows, 0)) {
		b.WriteString(strings.TrimRight(cutAt(strings.TrimSuffix(line, "\n"), columns), " ") + "\n")
	}
	return b.String()
}

// aligned returns rows as a table, whose columns are so wide at least.
func aligned(rows [][]string, least int) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, least, 1, 3, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	w.Flush()
	return b.String()
}

func widest(text string) int {
	most := 0
	for line := range strings.Lines(text) {
		most = max(most, utf8.RuneCountInString(strings.TrimRight(line, " \n")))
	}
	return most
}

// shorten makes a column of all rows narrower, by so many characters if it has them. The
// end of a text, by which paths and ids differ, is kept.
func shorten(rows [][]string, column, by int) {
	most := 0
	for _, row := range rows {
		most = max(most, utf8.RuneCountInString(row[column]))
	}
	const least = 8
	limit := max(most-by, least)
	for _, row := range rows[1:] {
		if text := []rune(row[column]); len(text) > limit {
			row[column] = "…" + string(text[len(text)-limit+1:])
		}
	}
}

// cutAt returns the first characters of a line.
func cutAt(line string, columns int) string {
	if text := []rune(line); len(text) > columns {
		return string(text[:columns])
	}
	return line
}

// age returns a time span in the largest unit that it has one of.
func age(d time.Duration) string {
	for _, unit := range [...]struct {
		span time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		switch n := int(d / unit.span); {
		case n == 1:
			return "1 " + unit.name + " ago"
		case n > 1:
			return strconv.Itoa(n) + " " + unit.name + "s ago"
		}
	}
	return "now"
}
