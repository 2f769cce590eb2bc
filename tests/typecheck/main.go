// Command typecheck type-checks every package of the module and its tests, for the
// architectures that it is given: typecheck -tags TAGS arm s390x. From source and
// without a compiler, it takes seconds where building takes minutes; what packages of
// others do inside their functions it does not look at.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	tags := flag.String("tags", "", "build tags")
	flag.Parse()
	for _, arch := range flag.Args() {
		if err := check(arch, *tags); err != nil {
			fmt.Fprintf(os.Stderr, "typecheck %s: %v\n", arch, err)
			os.Exit(1)
		}
		fmt.Println("typecheck", arch)
	}
}

// listed is what go list tells of a package.
type listed struct {
	ImportPath, Dir, ForTest string
	GoFiles                  []string
	ImportMap                map[string]string
	Module                   *struct{ Main bool }
	Error                    *struct{ Err string }
}

// check takes the packages in the order of go list: each after what it imports.
func check(arch, tags string) error {
	cmd := exec.Command("go", "list", "-e", "-deps", "-test", "-json=ImportPath,Dir,GoFiles,ImportMap,ForTest,Module,Error", "-tags", tags, "./...")
	cmd.Env = append(os.Environ(), "GOARCH="+arch, "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	done := map[string]*types.Package{"unsafe": types.Unsafe}
	files := token.NewFileSet()
	packages := json.NewDecoder(out)
	for {
		p := new(listed)
		if err := packages.Decode(p); err == io.EOF {
			return cmd.Wait()
		} else if err != nil {
			return err
		}
		if p.ImportPath == "unsafe" || strings.HasSuffix(p.ImportPath, ".test") {
			continue // the latter is made by go test
		}
		if p.Error != nil {
			return errors.New(p.Error.Err)
		}
		if done[p.ImportPath], err = p.check(files, arch, done); err != nil {
			return err
		}
	}
}

// importing finds packages that are checked already.
type importing struct {
	done map[string]*types.Package
	as   map[string]string
}

func (i importing) Import(path string) (*types.Package, error) {
	if as, ok := i.as[path]; ok {
		path = as
	}
	if p := i.done[path]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("%s is not listed before what imports it", path)
}

func (p *listed) check(files *token.FileSet, arch string, done map[string]*types.Package) (*types.Package, error) {
	var parsed []*ast.File
	for _, name := range p.GoFiles {
		if !filepath.IsAbs(name) {
			name = filepath.Join(p.Dir, name)
		}
		f, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, f)
	}
	ours := p.Module != nil && p.Module.Main
	var failures []error
	config := types.Config{
		Importer:         importing{done, p.ImportMap},
		Sizes:            types.SizesFor("gc", arch),
		IgnoreFuncBodies: !ours,
		FakeImportC:      true,
		Error: func(err error) {
			if ours {
				failures = append(failures, err)
			}
		},
	}
	path, _, _ := strings.Cut(p.ImportPath, " ")
	checked, _ := config.Check(path, files, parsed, nil)
	return checked, errors.Join(failures...)
}
