package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/internal/cli"
)

// TestManualPage holds man/hutch.8 against the program: it describes each
// command and each flag, and none that is not there.
func TestManualPage(t *testing.T) {
	page, err := os.ReadFile("man/hutch.8")
	if err != nil {
		t.Fatal(err)
	}
	got, want := inPage(string(page)), inProgram()
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("man/hutch.8 lacks %s", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("man/hutch.8 has %s, the program has not", line)
		}
	}
	if len(want) < 60 {
		t.Errorf("only %d flags are compared", len(want))
	}
}

// inProgram lists the flags, a line each: the command (empty for global ones)
// and all names in order. Hidden ones, which do nothing, are left out.
func inProgram() []string {
	out := flagLines("", table.Globals)
	for _, c := range table.Commands {
		out = append(out, "command "+c.Name)
		if c.Name != "help" {
			out = append(out, flagLines(c.Name, c.AllFlags())...)
		}
	}
	return out
}

func flagLines(command string, flags []cli.Flag) []string {
	out := []string{command + ": --help -h"}
	for _, f := range flags {
		line := command + ": " + dashes(f.Name)
		if f.Alias != "" {
			line += " " + dashes(f.Alias)
		}
		if !f.Hidden {
			out = append(out, line)
		}
	}
	return out
}

func dashes(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// inPage lists the same of the page's source: commands are ".Ss" sections,
// flags are items, ".It Fl -bundle Ar DIR , Fl b Ar DIR".
func inPage(page string) []string {
	var out []string
	command := ""
	for line := range strings.Lines(page) {
		f := strings.Fields(line)
		switch {
		case len(f) == 2 && f[0] == ".Ss":
			command = f[1]
			out = append(out, "command "+command)
		case len(f) > 2 && f[0] == ".It" && f[1] == "Fl":
			item := command + ":"
			for i, word := range f[:len(f)-1] {
				if word == "Fl" {
					item += fmt.Sprintf(" -%s", f[i+1])
				}
			}
			out = append(out, item)
		}
	}
	return out
}
