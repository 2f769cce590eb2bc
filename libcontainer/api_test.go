package libcontainer_test

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/api.txt")

// TestAPI holds the exported names against the list of them: whoever takes one away breaks
// a promise. Each has a comment.
func TestAPI(t *testing.T) {
	got := strings.Join(exported(t), "\n") + "\n"
	file := filepath.Join("testdata", "api.txt")
	if *update {
		must(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if got != string(want) {
		t.Errorf("the exported names are\n%s\nand not\n%s\n(go test ./libcontainer -run API -update writes them)", got, want)
	}
}

// exported lists the exported names, fields and methods of the package.
func exported(t *testing.T) []string {
	t.Helper()
	set := token.NewFileSet()
	files, err := filepath.Glob("*.go")
	must(t, err)
	var out []string
	add := func(name string, at ast.Node, comment ...*ast.CommentGroup) {
		if !ast.IsExported(name[strings.LastIndexByte(name, '.')+1:]) {
			return
		}
		out = append(out, name)
		if !slices.ContainsFunc(comment, func(c *ast.CommentGroup) bool { return c != nil }) {
			t.Errorf("%s: %s has no comment", set.Position(at.Pos()), name)
		}
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		must(t, err)
		for _, decl := range file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				name := d.Name.Name
				if d.Recv != nil {
					of := d.Recv.List[0].Type
					if star, ok := of.(*ast.StarExpr); ok {
						of = star.X
					}
					if !ast.IsExported(of.(*ast.Ident).Name) {
						continue
					}
					name = of.(*ast.Ident).Name + "." + name
				}
				add(name, d, d.Doc)
			case *ast.GenDecl:
				for _, s := range d.Specs {
					addSpec(add, s, d.Doc)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

func addSpec(add func(string, ast.Node, ...*ast.CommentGroup), spec ast.Spec, doc *ast.CommentGroup) {
	switch s := spec.(type) {
	case *ast.ValueSpec:
		for _, n := range s.Names {
			add(n.Name, n, s.Doc, s.Comment, doc)
		}
	case *ast.TypeSpec:
		add(s.Name.Name, s, s.Doc, doc)
		fields, ok := s.Type.(*ast.StructType)
		if !ok || !ast.IsExported(s.Name.Name) {
			return
		}
		// One comment may be for a run of fields without a blank line.
		for _, f := range fields.Fields.List {
			for _, n := range f.Names {
				add(s.Name.Name+"."+n.Name, n, f.Doc, f.Comment, s.Doc)
			}
		}
	}
}

// TestEmbedBuildsOutside builds examples/embed as a program of another module, which gets
// at nothing below internal.
func TestEmbedBuildsOutside(t *testing.T) {
	top, err := filepath.Abs("..")
	must(t, err)
	dir := t.TempDir()
	source, err := os.ReadFile(filepath.Join(top, "examples", "embed", "main.go"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "main.go"), source, 0o644))
	sums, err := os.ReadFile(filepath.Join(top, "go.sum"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o644))
	const module = "github.com/hutch-project/hutch"
	must(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.org/embedder\n\ngo 1.26.0\n\n"+
		"require "+module+" v0.0.0\n\nreplace "+module+" => "+top+"\n"), 0o644))
	build := func() (string, error) {
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "embed"), ".")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := build(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	must(t, os.WriteFile(filepath.Join(dir, "inner.go"), []byte("package main\n\nimport _ \""+module+"/internal/life\"\n"), 0o644))
	if out, err := build(); err == nil || !strings.Contains(out, "use of internal package") {
		t.Errorf("an import of an internal package: %v\n%s", err, out)
	}
}
