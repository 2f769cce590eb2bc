package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sample is what go test -json prints of a package with a failing, a passing and a
// skipped test.
const sample = `go build -o bin/box ./tests/box
{"Action":"run","Package":"github.com/hutch-project/hutch/p","Test":"TestBad"}
{"Action":"output","Package":"github.com/hutch-project/hutch/p","Test":"TestBad","Output":"    p_test.go:1: bad words\n"}
{"Action":"fail","Package":"github.com/hutch-project/hutch/p","Test":"TestBad"}
{"Action":"output","Package":"github.com/hutch-project/hutch/p","Test":"TestGood","Output":"    p_test.go:1: good words\n"}
{"Action":"pass","Package":"github.com/hutch-project/hutch/p","Test":"TestGood"}
{"Action":"output","Package":"github.com/hutch-project/hutch/p","Test":"TestSkip","Output":"    p_test.go:1: needs a thing\n"}
{"Action":"skip","Package":"github.com/hutch-project/hutch/p","Test":"TestSkip"}
{"Action":"output","Package":"github.com/hutch-project/hutch/p","Test":"TestHang","Output":"hanging words\n"}
{"Action":"output","Package":"github.com/hutch-project/hutch/p","Output":"FAIL\thutch/p\t0.1s\n"}
{"Action":"fail","Package":"github.com/hutch-project/hutch/p"}`

func TestOutput(t *testing.T) {
	o := newOutput()
	for _, half := range []string{sample[:100], sample[100:]} {
		o.Write([]byte(half))
	}
	o.end()
	if got, want := o.brief.String(), "go build -o bin/box ./tests/box\nFAIL\thutch/p\t0.1s\n"; got != want {
		t.Errorf("brief: %q, want %q", got, want)
	}
	if got, want := o.failures(), "    p_test.go:1: bad words\nhanging words\n"; got != want {
		t.Errorf("failures: %q, want %q", got, want)
	}
	if got := o.full.String(); !strings.Contains(got, "good words") {
		t.Errorf("full: %q", got)
	}
	if len(o.tests) != 4 || o.tests[2].action != "skip" || o.tests[2].reason != "needs a thing" || o.tests[2].pkg != "p" {
		t.Errorf("tests: %+v", o.tests)
	}
}

func TestSkipsMustBeAllowed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "skips.txt")
	if err := os.WriteFile(file, []byte("# a note\np Test[AB]\t^needs a\twhy not\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	list, err := readAllowed(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		tests []*test
		want  bool
	}{
		"allowed":          {[]*test{{pkg: "p", name: "TestA", action: "skip", reason: "needs a thing"}}, true},
		"allowed in two":   {[]*test{{pkg: "p", name: "TestA", action: "skip", reason: "needs a thing"}, {pkg: "p", name: "TestA", action: "skip", reason: "needs a lot"}}, true},
		"another test":     {[]*test{{pkg: "p", name: "TestC", action: "skip", reason: "needs a thing"}}, false},
		"longer name":      {[]*test{{pkg: "p", name: "TestA/sub", action: "skip", reason: "needs a thing"}}, false},
		"another reason":   {[]*test{{pkg: "p", name: "TestA", action: "skip", reason: "is lazy"}}, false},
		"passes elsewhere": {[]*test{{pkg: "p", name: "TestC", action: "skip"}, {pkg: "p", name: "TestC", action: "pass"}}, true},
	} {
		if a := (tests{"p TestC": {skipped: map[string]string{"unit": "is lazy"}}}); !a.printSkips(list, false) {
			t.Error("judged before all has run")
		}
		a := tests{}
		for i, one := range c.tests {
			a.add([]string{"unit", "vm"}[i], []*test{one})
		}
		if got := a.printSkips(list, true); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAllowedListIsRead(t *testing.T) {
	list, err := readAllowed("skips.txt")
	if err != nil || len(list) == 0 {
		t.Errorf("%d lines, %v", len(list), err)
	}
	bad := filepath.Join(t.TempDir(), "skips.txt")
	for _, text := range []string{"p\tneeds\n", "p\tneeds\t\n", "(\tneeds\twhy\n", "p\t(\twhy\n"} {
		if err := os.WriteFile(bad, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := readAllowed(bad); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// TestVMLogs: what a VM has run counts, of the package that it has named, and with the
// reasons of its skips; a list of skips allows them or does not.
func TestVMLogs(t *testing.T) {
	dir := t.TempDir()
	log := `=== PACKAGE tests/integration
=== RUN   TestA/v2
--- PASS: TestA/v2 (0.00s)
=== PACKAGE internal/host/cgroup
=== RUN   TestA
=== RUN   TestA/v2
    a_test.go:1: needs v1
--- PASS: TestA (0.00s)
    --- SKIP: TestA/v2 (0.00s)
=== RUN   TestB
--- PASS: TestB (0.00s)
`
	lists := map[string]bool{"internal/host/cgroup TestA/.*\t^needs v1$\tbecause": true, "tests/integration .*\t^needs v1$\tbecause": false}
	if err := os.WriteFile(filepath.Join(dir, "v2.log"), []byte(log), 0o644); err != nil {
		t.Fatal(err)
	}
	for text, want := range lists {
		list := filepath.Join(dir, "skips.txt")
		if err := os.WriteFile(list, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := judgeLogs(list, []string{filepath.Join(dir, "v2.log")}); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	if judgeLogs("/dev/null", []string{filepath.Join(dir, "none.log")}) {
		t.Error("a machine that has run nothing is good")
	}
	a := tests{}
	a.addLog(filepath.Join(dir, "v2.log"))
	if o := a["internal/host/cgroup TestA/v2"]; o == nil || o.skipped["vm v2"] != "needs v1" {
		t.Errorf("TestA/v2: %+v", o)
	}
	if o := a["internal/host/cgroup TestB"]; o == nil || len(o.passed) != 1 {
		t.Errorf("TestB: %+v", o)
	}
}

// TestMachinesArePhases: the machines of each phase of virtual ones are known, and skips are
// judged when all of these have run, not before.
func TestMachinesArePhases(t *testing.T) {
	for _, short := range []bool{false, true} {
		all := &report{short: short}
		for _, name := range slices.Concat(phases(short)...) {
			all.done = append(all.done, phase{name: name})
		}
		if !all.ranMachines() {
			t.Error("skips are never judged")
		}
		for i, p := range all.done {
			if !strings.HasPrefix(p.name, "vm-") || p.name == "vm-build" {
				continue
			}
			if machines[p.name] == nil {
				t.Errorf("no machines of %s are known", p.name)
			}
			if others := (&report{short: short, done: slices.Delete(slices.Clone(all.done), i, i+1)}); others.ranMachines() {
				t.Errorf("skips are judged before %s has run", p.name)
			}
		}
	}
	if (&report{short: true, done: []phase{{name: "unit"}, {name: "vm-v2"}}}).ranMachines() {
		t.Error("skips are judged where some phases were asked for")
	}
	for _, name := range slices.Concat(usual...) {
		if !slices.Contains(slices.Concat(whole...), name) {
			t.Errorf("make test-all leaves out %s", name)
		}
	}
}

// inProject changes to a directory with a Makefile and no skips that are allowed.
func inProject(t *testing.T, makefile string) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("tests/all", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"Makefile": makefile, "tests/all/skips.txt": ""} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestShortIsHandedOn: phases of make test are asked for their short form, others are not.
func TestShortIsHandedOn(t *testing.T) {
	inProject(t, "form:\n\t@echo '$(SHORT)' >said\n")
	for short, want := range map[bool]string{true: "-short\n", false: "\n"} {
		if !all(context.Background(), lanes{{"form"}}, short) {
			t.Error("the phase fails")
		}
		if got, _ := os.ReadFile("said"); string(got) != want {
			t.Errorf("short %v: %q", short, got)
		}
	}
}

// TestFirstFailureStopsAll: the phases of the other lane are ended, and those to come
// are not begun.
func TestFirstFailureStopsAll(t *testing.T) {
	inProject(t, "good:\n\t@echo fine\nbad: \n\t@while ! [ -e slow-runs ]; do sleep 0.01; done; echo words; exit 3\n"+
		"never:\n\t@touch never-ran\nslow:\n\t@touch slow-runs; sleep 1000\n")
	if !all(context.Background(), lanes{{"good"}}, false) {
		t.Error("a good phase fails")
	}
	if all(context.Background(), lanes{{"good", "bad", "never"}, {"slow"}}, false) {
		t.Error("a bad phase does not fail")
	}
	if _, err := os.Stat("never-ran"); err == nil {
		t.Error("a phase is begun after one that failed")
	}
}
