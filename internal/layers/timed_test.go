package layers

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// timed are the test files that use a clock or a sleep, each for the reason given. None
// of these decides by how fast the machine is.
func timed() map[string]string {
	const least = "what is told to last so long at least does not end before: no bound from above"
	return map[string]string{
		"internal/trace/trace_test.go":          "durations are what is tested; " + least,
		"internal/host/hook/hook_test.go":       least,
		"tests/integration/hook_test.go":        least,
		"tests/engines/life_test.go":            least,
		"internal/host/systemd/real_test.go":    "times are logged, not compared",
		"internal/verify/fuzz_test.go":          "times are logged, not compared",
		"internal/dbus/conn_test.go":            "a pause between the parts of a line, of any length",
		"internal/part/seccomp/kernel_test.go":  "a child polls; its parent's test has the bound",
		"internal/host/cgroup/threads_test.go":  "a child polls; its parent's test has the bound",
		"internal/host/state/state_test.go":     "a time of today is not one of 1970",
		"tests/integration/parallel_test.go":    "a create is killed at moments that may be any",
		"tests/integration/call_test.go":        "the bound of testwait, with the command's output",
		"tests/tutorial/shell_test.go":          "the bound of testwait, without a test at hand",
		"tests/conformance/conformance_test.go": "orphans are reaped now and then",
		"tests/testwait/testwait_test.go":       "the wait itself",
	}
}

// clock are the calls that tie a test to a time.
func clock() map[string]bool {
	return map[string]bool{
		"time.Sleep": true, "time.After": true, "time.AfterFunc": true, "time.Since": true, "time.Until": true, "time.Tick": true, "time.NewTimer": true, "time.NewTicker": true,
		"context.WithTimeout": true, "context.WithDeadline": true, "unix.Alarm": true, "unix.Nanosleep": true,
	}
}

// TestNoTimedTest: tests wait by tests/testwait, for the event itself.
func TestNoTimedTest(t *testing.T) {
	reasons, calls, used := timed(), clock(), map[string]bool{}
	walk(t, func(rel string) {
		if !strings.HasSuffix(rel, "_test.go") || strings.HasPrefix(rel, "bench/") {
			return
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, filepath.Join(top(t), rel), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			return
		}
		for _, at := range timedCalls(file, calls) {
			if reasons[rel] != "" {
				used[rel] = true
				continue
			}
			t.Errorf("%s:%d: wait for the event by tests/testwait, or give the reason in timed", rel, set.Position(at.Pos()).Line)
		}
	})
	for rel := range reasons {
		if !used[rel] {
			t.Errorf("timed has %s, which needs no exception", rel)
		}
	}
}

// timedCalls are the uses of calls in a file, and the polls of descriptors that end by
// themselves after a time.
func timedCalls(file *ast.File, calls map[string]bool) (list []ast.Node) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch e := n.(type) {
		case *ast.SelectorExpr:
			if pkg, ok := e.X.(*ast.Ident); ok && calls[pkg.Name+"."+e.Sel.Name] {
				list = append(list, e)
			}
		case *ast.CallExpr:
			f, ok := e.Fun.(*ast.SelectorExpr)
			if !ok || f.Sel.Name != "Poll" || len(e.Args) != 2 {
				return true
			}
			if pkg, ok := f.X.(*ast.Ident); !ok || pkg.Name != "unix" {
				return true
			}
			if number, ok := e.Args[1].(*ast.BasicLit); ok && number.Value != "0" {
				list = append(list, e)
			}
		}
		return true
	})
	return list
}

func TestTimedCallsFindsThem(t *testing.T) {
	const text = `package p
func f() { time.Sleep(1); <-time.After(2); unix.Poll(p, 100); unix.Poll(p, 0); unix.Poll(p, -1); time.Now() }`
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := timedCalls(file, clock()); len(got) != 3 {
		t.Errorf("%d found, want 3", len(got))
	}
}
