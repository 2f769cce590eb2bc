package cli

import (
	"strings"
	"testing"
)

func TestWriteHelp(t *testing.T) {
	table := example()
	var program, command strings.Builder
	if err := WriteHelp(&program, table, nil); err != nil {
		t.Fatal(err)
	}
	if err := WriteHelp(&command, table, table.Find("make")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"NAME:\n   prog - do things", "\n   make     ", "--format value ", "(default: text)", "--help, -h "} {
		if !strings.Contains(program.String(), want) {
			t.Errorf("no %q in:\n%s", want, program.String())
		}
	}
	for _, want := range []string{
		"USAGE:\n   prog [global options] make [options] ID\n", "   --bundle DIR, -b DIR    DIR of it\n", "   --fds N                 N of them\n",
		"(default: 5s)", "EXAMPLES:\n   prog make a\n       make a\n", "EXIT STATUS:\n   0   ", "   1   ", "   N                       its own\n", "--help, -h",
	} {
		if !strings.Contains(command.String(), want) {
			t.Errorf("no %q in:\n%s", want, command.String())
		}
	}
	for _, bad := range []string{"--old", "default: false", "default: 0"} {
		if strings.Contains(command.String(), bad) {
			t.Errorf("%q in:\n%s", bad, command.String())
		}
	}
}

func TestFill(t *testing.T) {
	got := Fill(strings.Repeat("word ", 40), 3, 5)
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	for i, line := range lines {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if len(line) > width || i == 0 && indent != 3 || i > 0 && indent != 5 {
			t.Errorf("line %d: %q", i, line)
		}
	}
	if strings.Join(strings.Fields(got), " ") != strings.TrimSpace(strings.Repeat("word ", 40)) {
		t.Errorf("got %q", got)
	}
}
