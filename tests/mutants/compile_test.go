package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// goPackage is what `go list` knows of one.
type goPackage struct {
	Dir, ImportPath, Export string
	GoFiles                 []string
}

// house is the module's packages, and the types of all that they import.
type house struct {
	byFolder map[string]*goPackage // from the module's top
	exports  map[string]string     // file by import path
}

// TestEveryMutantCompiles type-checks what each row of the register makes of its packages: a
// row that does not compile any more proves nothing, and only the whole run would tell.
func TestEveryMutantCompiles(t *testing.T) {
	h := load(t)
	var mutex sync.Mutex // of t
	defences := make(chan *defence)
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			c := h.checker()
			for d := range defences {
				if err := c.compiles(d); err != nil {
					mutex.Lock()
					t.Errorf("%s:%d: [%s]: %v", registerFile, d.line, d.name, err)
					mutex.Unlock()
				}
			}
		})
	}
	for _, chapter := range register(t) {
		for _, d := range chapter.defences {
			defences <- d
		}
	}
	close(defences)
	all.Wait()
}

// TestCheckerSeesFaults: what the compiler refuses.
func TestCheckerSeesFaults(t *testing.T) {
	c := load(t).checker()
	const file, home = "internal/host/state/take.go", "internal/part/user/home.go"
	for name, e := range map[string]edit{
		"a variable is not used": {file, "return d.Record()", "x := 1; return d.Record()"},
		"a name is unknown":      {file, "return d.Record()", "return d.None()"},
		"an import is not used":  {home, "strings.IndexByte(dir, 0) >= 0", "false"},
		"no Go":                  {file, "return d.Record()", "return :"},
	} {
		if err := c.compiles(&defence{edits: []edit{e}}); err == nil {
			t.Errorf("%s: it compiles", name)
		}
	}
}

func load(t *testing.T) *house {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-export", "-tags", buildTags, "-json=Dir,ImportPath,Export,GoFiles", "./...")
	cmd.Dir, cmd.Env = top, append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	root, err := filepath.Abs(top)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{map[string]*goPackage{}, map[string]string{}}
	for list := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := list.Decode(&p); errors.Is(err, io.EOF) {
			return h
		} else if err != nil {
			t.Fatal(err)
		}
		h.exports[p.ImportPath] = p.Export
		if rel, err := filepath.Rel(root, p.Dir); err == nil {
			h.byFolder[rel] = &p
		}
	}
}

// checker type-checks packages one after the other.
type checker struct {
	*house
	files *token.FileSet
	types types.Importer
}

func (h *house) checker() *checker {
	c := &checker{house: h, files: token.NewFileSet()}
	c.types = importer.ForCompiler(c.files, "gc", func(path string) (io.ReadCloser, error) {
		if h.exports[path] == "" {
			return nil, fmt.Errorf("%s is not among the dependencies", path)
		}
		return os.Open(h.exports[path])
	})
	return c
}

// compiles returns the first fault of a package that the defence's edits change.
func (c *checker) compiles(d *defence) error {
	changed, err := d.mutated(top)
	if err != nil {
		return err
	}
	for file := range changed {
		if !strings.HasSuffix(file, ".go") {
			continue
		}
		p := c.byFolder[filepath.Dir(file)]
		if p == nil {
			return fmt.Errorf("%s is in no package of this machine's", file)
		}
		if err := c.check(p, changed); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) check(p *goPackage, changed map[string]string) error {
	root, err := filepath.Abs(top)
	if err != nil {
		return err
	}
	var parsed []*ast.File
	for _, name := range p.GoFiles {
		path := filepath.Join(p.Dir, name)
		var text any // the file's own
		if rel, err := filepath.Rel(root, path); err == nil && changed[rel] != "" {
			text = changed[rel]
		}
		f, err := parser.ParseFile(c.files, path, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		parsed = append(parsed, f)
	}
	conf := types.Config{Importer: c.types}
	_, err = conf.Check(p.ImportPath, c.files, parsed, nil)
	return err
}
