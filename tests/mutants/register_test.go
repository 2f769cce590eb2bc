package main

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/tests/testtree"
)

var update = flag.Bool("update", false, "write the register's tables to "+pageFile)

const top = "../.."

func register(t *testing.T) []*chapter {
	t.Helper()
	chapters, err := readRegister(top, registerFile)
	if err != nil {
		t.Fatal(err)
	}
	if len(all(chapters)) < 50 {
		t.Fatalf("only %d defences; the test would prove nothing", len(all(chapters)))
	}
	return chapters
}

func TestEditsApply(t *testing.T) {
	for _, d := range all(register(t)) {
		if fault := d.fault(); fault != "" {
			t.Errorf("%s:%d: [%s] has %s", registerFile, d.line, d.name, fault)
		}
		if _, err := d.mutated(top); err != nil {
			t.Errorf("%s:%d: [%s]: %v", registerFile, d.line, d.name, err)
		}
		for _, file := range d.files() {
			if strings.HasSuffix(file, "_test.go") {
				t.Errorf("%s:%d: [%s] edits a test", registerFile, d.line, d.name)
			}
		}
	}
}

func TestNamedTestsExist(t *testing.T) {
	there := testNames(t)
	for _, d := range all(register(t)) {
		for _, of := range d.tests {
			for _, name := range of.names {
				if strings.HasSuffix(name, "Listing") || strings.HasSuffix(name, "Listings") {
					t.Errorf("%s:%d: [%s]: %s compares with a golden file, which follows every change by -update: name a test of the effect", registerFile, d.line, d.name, name)
				}
				if !slices.Contains(there[of.pkg], name) {
					t.Errorf("%s:%d: [%s]: %s has no test %s", registerFile, d.line, d.name, of.pkg, name)
				}
			}
		}
	}
}

// TestQuickIsRepresentative: the part that make test-all runs has of each chapter,
// and needs no VM and no built binary.
func TestQuickIsRepresentative(t *testing.T) {
	total := 0
	for _, c := range register(t) {
		quick := 0
		for _, d := range c.defences {
			if !d.quick {
				continue
			}
			quick++
			for _, of := range d.tests {
				if d.vm || strings.HasPrefix(of.pkg, "tests/") {
					t.Errorf("%s:%d: [%s] is not quick", registerFile, d.line, d.name)
				}
			}
		}
		if quick == 0 {
			t.Errorf("no quick mutant in %q", c.title)
		}
		total += quick
	}
	t.Logf("%d quick mutants", total)
}

// TestPageIsTheRegister: run with -update after a change of the register.
func TestPageIsTheRegister(t *testing.T) {
	path := filepath.Join(top, pageFile)
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := fillPage(string(page), register(t))
	if err != nil {
		t.Fatal(err)
	}
	if want == string(page) {
		return
	}
	if !*update {
		t.Fatalf("%s differs from %s; go test ./tests/mutants -update", pageFile, registerFile)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDocsNameTestsThatExist: a page that says which test shows something is held
// to it. What docs/security.md names outside the tables has no mutant.
func TestDocsNameTestsThatExist(t *testing.T) {
	var there []string
	for _, names := range testNames(t) {
		there = append(there, names...)
	}
	pages, err := filepath.Glob(filepath.Join(top, "docs", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	named := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(string(text), -1) {
			if named++; !slices.Contains(there, m[1]) {
				t.Errorf("%s names %s, which is no test", filepath.Base(page), m[1])
			}
		}
	}
	text, err := os.ReadFile(filepath.Join(top, "tests", "integration", "not-as-user.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`Test\w+`).FindAllString(string(text), -1) {
		if !slices.Contains(there, name) {
			t.Errorf("not-as-user.txt excepts %s, which is no test", name)
		}
	}
	if named < 50 {
		t.Errorf("only %d tests are named", named)
	}
	page, err := os.ReadFile(filepath.Join(top, pageFile))
	if err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile("`Test\\w+`").FindString(tablePlace.ReplaceAllString(string(page), "")); m != "" {
		t.Errorf("%s names %s outside the register's tables", pageFile, m)
	}
}

// testNames parses the tests of all packages, by folder from the top.
func testNames(t *testing.T) map[string][]string {
	t.Helper()
	names := map[string][]string{}
	testtree.Sources(t, top, func(rel string) {
		if !strings.HasSuffix(rel, "_test.go") {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(top, rel), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				names[filepath.Dir(rel)] = append(names[filepath.Dir(rel)], f.Name.Name)
			}
		}
	})
	return names
}
