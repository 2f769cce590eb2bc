// Package layers holds the test that keeps the project's imports pointing down.
// It has no code to import.
//
// Source: ARCHITECTURE.md, "Floors".
package layers

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/tests/testruntime"
)

// module is the prefix of every import path of ours.
const module = "github.com/hutch-project/hutch"

// commands is the floor of the top package, which may read arguments and print.
const commands = 6

// parts is the floor of the packages that hold one kernel facility each, or
// one of the parent's effects. They do not import each other.
const parts = 2

// helpers is the package that runs in a child, for the tests of the parts, what they emit.
const helpers = "internal/part/parttest"

// floors maps the packages that do not stand in a folder of one floor to theirs.
// Change it together with ARCHITECTURE.md.
func floors() map[string]int {
	return map[string]int{
		"":              commands,
		"libcontainer":  5,
		"internal/life": 4,

		"internal/life/inspect": 4, // on top of life

		"internal/compile":  3,
		"internal/config":   parts,
		"internal/features": 3,
		"internal/info":     3,
		"internal/template": parts,
		"internal/trace":    parts,
		"internal/validate": 3,
		"internal/verify":   parts,
		"internal/program":  1,

		"internal/program/call":       1, // on top of program, see onTop
		"internal/program/call/idiom": 1,

		"internal/host/cgroup/device": 1, // below cgroup/resource, which drives it
		"internal/program/list":       1,
		"internal/program/spawn":      1,
	}
}

// floorOf returns the floor that a package of ours stands on: of internal's, those that
// the table does not name are the lowest. outside is true for what stands beside the
// house: tests, examples, the benchmark and the packages.
func floorOf(path string) (floor int, known, outside bool) {
	rel := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
	if floor, known = floors()[rel]; known {
		return floor, true, false
	}
	top, below, _ := strings.Cut(rel, "/")
	switch room, _, _ := strings.Cut(below, "/"); {
	case rel == helpers:
		return 0, true, true
	case top == "internal" && (room == "part" || room == "host"):
		return parts, true, false
	case top == "internal":
		return 0, true, false
	case top == "tests" || top == "examples" || top == "bench" || top == "dist":
		return 0, true, true
	}
	return 0, false, false
}

// onTop reports whether a package is a folder of another one on the same floor, which it
// may import, and not the other way round.
func onTop(path, of string) bool { return strings.HasPrefix(path, of+"/") }

// ours reports whether an import path is of this module.
func ours(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

func TestImportsGoDown(t *testing.T) {
	for _, line := range goList(t, "{{.ImportPath}} {{join .Imports \" \"}}", "./...") {
		f := strings.Fields(line)
		own, known, outside := floorOf(f[0])
		switch {
		case !known:
			t.Errorf("%s has no floor in the table", f[0])
			continue
		case outside:
			continue
		}
		for _, imp := range f[1:] {
			if !ours(imp) {
				continue
			}
			n, _, outside := floorOf(imp)
			if outside || n > own || n == own && own > 0 && !onTop(f[0], imp) {
				t.Errorf("%s (floor %d) imports %s (floor %d)", f[0], own, imp, n)
			}
		}
	}
}

// TestTheVerifierSharesNothing keeps the verifier from what emits the programs that it
// proves: a mistake there must not be one here. The table of the kernel's calls, which
// is neither's, both read.
func TestTheVerifierSharesNothing(t *testing.T) {
	for _, line := range goList(t, "{{.ImportPath}} {{join .Deps \" \"}}", "./internal/verify", "./internal/program") {
		f := strings.Fields(line)
		for _, dep := range f[1:] {
			rel := strings.TrimPrefix(dep, module+"/")
			if n, _, _ := floorOf(dep); ours(dep) && n > 0 && rel != "internal/program" {
				t.Errorf("%s needs %s (floor %d)", f[0], dep, n)
			}
		}
	}
}

// embedder is the example that shows the library's use.
const embedder = module + "/examples/embed"

// TestTestsImportNothingOfOurs keeps the outside tests honest: they know the
// binary as its users do.
func TestTestsImportNothingOfOurs(t *testing.T) {
	const format = "{{.ImportPath}} {{join .Imports \" \"}} {{join .TestImports \" \"}} {{join .XTestImports \" \"}}"
	for _, line := range goList(t, format, "./...") {
		f := strings.Fields(line)
		if _, _, outside := floorOf(f[0]); !outside || f[0] == embedder || f[0] == module+"/"+helpers {
			continue
		}
		for _, imp := range f[1:] {
			if _, _, outside := floorOf(imp); ours(imp) && !outside {
				t.Errorf("%s imports %s; it may only drive the binary", f[0], imp)
			}
		}
	}
}

// TestTableHasNoGhosts fails for a floor whose package is gone.
func TestTableHasNoGhosts(t *testing.T) {
	there := map[string]bool{}
	for _, line := range goList(t, "{{.ImportPath}}", "./...") {
		there[strings.TrimPrefix(strings.TrimPrefix(line, module), "/")] = true
	}
	for rel := range floors() {
		if !there[rel] {
			t.Errorf("the table has %q, which is no package", rel)
		}
	}
}

// TestBinaryLinksNothingCostly fails when the binary links a package that
// costs start-up time or pulls in half the standard library.
func TestBinaryLinksNothingCostly(t *testing.T) {
	reasons := map[string]string{
		"net":        "its start-up reads the environment and it brings the resolver; sockets are made by internal/linux",
		"net/http":   "400 KB and a thousand allocations at start-up",
		"crypto/tls": "tables built at start-up",
		"log/slog":   "a default logger built at start-up",
	}
	for _, dep := range goList(t, "{{.ImportPath}}", "-deps", ".") {
		if reason, bad := reasons[dep]; bad {
			t.Errorf("the binary links %s: %s", dep, reason)
		}
		if strings.HasPrefix(dep, "google.golang.org/protobuf") {
			t.Errorf("the binary links %s: its registry is built at start-up", dep)
		}
	}
}

// TestOwnPackagesInitNothing runs the binary with the runtime's own account of
// what each package does before main.
//
// Source: package runtime, "Environment Variables", GODEBUG inittrace.
func TestOwnPackagesInitNothing(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "hutch")
	if err := testruntime.Build(binary, top(t), "-tags", testruntime.Tags); err != nil {
		t.Fatal(err)
	}
	run := exec.Command(binary, "--version")
	run.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	var trace bytes.Buffer
	run.Stderr = &trace
	if err := run.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", run, err, trace.Bytes())
	}
	lines := strings.Split(trace.String(), "\n")
	if len(lines) < 5 {
		t.Fatalf("no trace: %q", lines)
	}
	for _, line := range lines {
		if f := strings.Fields(line); len(f) > 1 && ours(f[1]) && !strings.HasSuffix(line, " 0 bytes, 0 allocs") {
			t.Errorf("allocates before main: %s", line)
		}
	}
}

// goList runs go list at the module's top and returns the lines of its answer.
func goList(t *testing.T, format string, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-tags", testruntime.Tags, "-f", format}, args...)...)
	cmd.Dir = top(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.Bytes())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) < 2 {
		t.Fatalf("%s: only %q; the test would prove nothing", cmd, lines)
	}
	return lines
}

// top is the module's top folder.
func top(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
