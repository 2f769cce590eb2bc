package compile

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/hutch-project/hutch/internal/calls"
)

// unlisted returns the calls that no golden program has, each with the reason.
func unlisted() map[string]string {
	return map[string]string{
		"mmap":    "it is emitted where the runtime's executable is not proven unwritable, with the addresses of its segments (selfexe)",
		"setpgid": "it is of the program of a createContainer hook, which is not made here (libcontainer, nshook.go)",
	}
}

// Each row of the table is of a call that some golden program makes: a function that
// nobody emits would be decoded, verified and kept for nothing.
func TestGoldenProgramsHaveEachCall(t *testing.T) {
	files, err := filepath.Glob("testdata/*.golden")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d golden files, %v", len(files), err)
	}
	line := regexp.MustCompile(`(?m)^  ([a-z_0-9]+)\(`)
	there := map[string]bool{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range line.FindAllSubmatch(text, -1) {
			there[string(m[1])] = true
		}
	}
	reasons := unlisted()
	for nr := range calls.Limit() {
		c := calls.Of(nr)
		if c == nil {
			continue
		}
		switch reason := reasons[c.Name]; {
		case there[c.Name] && reason != "":
			t.Errorf("%s is in a golden program and in the list of those that are not", c.Name)
		case !there[c.Name] && reason == "":
			t.Errorf("no golden program has %s: add one that does, or the reason", c.Name)
		}
		delete(reasons, c.Name)
		delete(there, c.Name)
	}
	for name := range reasons {
		t.Errorf("%s has a reason and no row", name)
	}
	for name := range there {
		t.Errorf("%s is in a golden program and not in the table", name)
	}
}
