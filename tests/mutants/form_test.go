package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/tests/testplain"
	"github.com/hutch-project/hutch/tests/testwait"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == jailWord {
		os.Exit(jail(os.Args[2:]))
	}
	testplain.Main(m)
}

const example = `# A comment.
== Chapter

[first]
threat: something
  bad
cve: CVE-1
defence: a check
test: a TestA TestB
  TestC
test: b TestD
quick: yes
file: a.go
- 	if bad {
- 		return
+ 	if false {
+ 		return

- other
file: b.go
- third
+ 3

[second]
defence: another
equivalent: no reason
vm: --append x
file: c.go
- x
`

func TestParseRegister(t *testing.T) {
	chapters, err := parseRegister(example)
	if err != nil {
		t.Fatal(err)
	}
	list := all(chapters)
	if len(list) != 2 || chapters[0].title != "Chapter" {
		t.Fatalf("%d records", len(list))
	}
	first, second := list[0], list[1]
	if first.threat != "something bad" || second.threat != first.threat || second.cve != "CVE-1" || !first.quick || second.quick || !second.vm || first.vm {
		t.Errorf("%+v, %+v", first, second)
	}
	if len(first.tests) != 2 || strings.Join(first.tests[0].names, " ") != "TestA TestB TestC" || first.tests[1].pkg != "b" {
		t.Errorf("%+v", first.tests)
	}
	want := []edit{{"a.go", "\tif bad {\n\t\treturn", "\tif false {\n\t\treturn\n"}, {"a.go", "other", ""}, {"b.go", "third", "3\n"}}
	if len(first.edits) != len(want) {
		t.Fatalf("%q", first.edits)
	}
	for i, e := range first.edits {
		if e != want[i] {
			t.Errorf("edit %d: %q, want %q", i, e, want[i])
		}
	}
}

func TestParseRegisterRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"threat: x":                             "outside",
		"[x]":                                   "no chapter",
		"== A\n[x":                              "brackets",
		"== A\n[x]\n[x]":                        "twice",
		"== A\n[x]\nthreat: a\nthreat: b":       "twice",
		"== A\n[x]\ncolour: a":                  "means nothing",
		"== A\n[x]\nquick: no":                  "means nothing",
		"== A\n[x]\n- a":                        "no file",
		"== A\n[x]\nfile: a\n+ a":               "without old",
		"== A\n[x]\ntest: TestA":                "a package and its tests",
		"== A\n[x]\n  more":                     "continues nothing",
		"== A\n[x]\nfile: a\n  b":               "one line",
		"== A\n[x]\nwords":                      "neither",
		"== A\n[x]\ndefence: a\nfile: a\n- x\n": "no threat",
	} {
		if _, err := parseRegister(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestApply(t *testing.T) {
	const text = "func f() {\n\t\tif bad {\n\t\t\treturn\n\t\t}\n}\n"
	got, err := edit{old: "if bad {\n\treturn", new: "if false {\nreturn\n"}.apply(text)
	if want := "func f() {\n\t\tif false {\nreturn\n\t\t}\n}\n"; err != nil || got != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	for _, old := range []string{"bad {\n\tbreak", "}", "nothing"} {
		if got, err := (edit{old: old}).apply(text); err == nil {
			t.Errorf("%q applies: %q", old, got)
		}
	}
}

func TestFillPage(t *testing.T) {
	chapters, err := parseRegister(example)
	if err != nil {
		t.Fatal(err)
	}
	const page = "Head\n<!-- register: Chapter -->\nold\n<!-- end of register -->\nFoot\n"
	got, err := fillPage(page, chapters)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Head\n", "\nFoot\n", "| something bad (CVE-1) | a check | `a.go`, `b.go` | a `TestA`, `TestB`, `TestC`, b `TestD` |", "* another (`c.go`): no reason"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if again, err := fillPage(got, chapters); err != nil || again != got {
		t.Errorf("the second time gives %q, %v", again, err)
	}
	if _, err := fillPage("Head\n", chapters); err == nil {
		t.Error("a page without the chapter is taken")
	}
	if _, err := fillPage(page+page, chapters); err == nil {
		t.Error("a page with the chapter twice is taken")
	}
}

func TestVerdicts(t *testing.T) {
	const output = "=== RUN   TestA\nhalf a line\x16--- PASS: TestA (0.50s)\n\x16--- FAIL: TestB (1.00s)\n    --- FAIL: TestB/sub (0.00s)\n--- SKIP: TestC (0.00s)\n"
	got := verdicts(output)
	if len(got) != 3 || got["TestA"] != "PASS" || got["TestB"] != "FAIL" || got["TestC"] != "SKIP" {
		t.Errorf("%v", got)
	}
}

// TestJailEndsAll: what a test leaves behind, in a session of its own and without a
// parent, has ended when the jail does.
func TestJailEndsAll(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		rule, script string
		code         int
	}{
		{"the exit code is the command's", "exit 7", 7},
		{"orphans end", "sleep 1000 & sleep 1000 & exit 0", 0},
		{"so does a session of its own", "setsid sh -c 'sleep 1000 & sleep 1000' & exit 0", 0},
		{"a command that does not end is stopped", "exec sleep 1000", timeUp},
		{"and one that has too many processes", "for i in $(seq 1000); do sleep 1000 & done; wait", timeUp},
	} {
		t.Run(c.rule, func(t *testing.T) {
			// Whoever descends from the command holds the pipe open.
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			cmd := exec.Command(self, jailWord, "2", "sh", "-c", c.script)
			cmd.Stdout = w
			_ = cmd.Run()
			w.Close()
			if code := cmd.ProcessState.ExitCode(); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if err := r.SetReadDeadline(testwait.Deadline()); err != nil {
				t.Fatal(err)
			}
			for buf := make([]byte, 4096); err == nil; {
				_, err = r.Read(buf)
			}
			if os.IsTimeout(err) {
				t.Error("a process is left")
			}
		})
	}
}
