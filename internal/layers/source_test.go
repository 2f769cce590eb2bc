package layers

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/tests/testtree"
)

// source is one parsed file of ours that goes into the binary.
type source struct {
	rel   string // from the module's top
	floor int
	file  *ast.File
	set   *token.FileSet
}

func (s source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.rel, s.set.Position(n.Pos()).Line)
}

// rawFiles may use unsafe or raw system calls above floor 1, each for the
// reason given.
func rawFiles() map[string]string {
	return map[string]string{}
}

func TestUnsafeStaysBelow(t *testing.T) {
	exceptions := rawFiles()
	used := map[string]bool{}
	for _, s := range sources(t) {
		if s.floor <= 1 {
			continue
		}
		for _, what := range raw(s) {
			if exceptions[s.rel] != "" {
				used[s.rel] = true
				continue
			}
			t.Errorf("%s on floor %d; move the call to internal/ or give the reason in rawFiles", what, s.floor)
		}
	}
	for rel := range exceptions {
		if !used[rel] {
			t.Errorf("rawFiles has %s, which needs no exception", rel)
		}
	}
}

// raw lists the uses of unsafe, linkname and raw system calls in a file.
func raw(s source) []string {
	var list []string
	for _, imp := range s.file.Imports {
		if imp.Path.Value == `"unsafe"` {
			list = append(list, s.at(imp)+": imports unsafe")
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := sel.X.(*ast.Ident)
		if !ok || pkg.Name != "unix" && pkg.Name != "syscall" {
			return true
		}
		name := strings.TrimPrefix(sel.Sel.Name, "Raw")
		if number, ok := strings.CutPrefix(name, "Syscall"); ok && (number == "" || number == "6" || number == "NoError") {
			list = append(list, s.at(sel)+": "+pkg.Name+"."+sel.Sel.Name)
		}
		return true
	})
	return list
}

// mayEmitByNumber reports whether a file may append a system call by its number: those of
// package call, whose functions the others use, and of the package that has Builder.Sys.
func mayEmitByNumber(rel string) bool {
	dir := filepath.Dir(rel)
	return dir == "internal/program/call" || dir == "internal/program"
}

// TestCallsAreTyped fails for a system call that is appended by its number: its arguments
// would be in any order.
func TestCallsAreTyped(t *testing.T) {
	found := 0
	for _, s := range sources(t) {
		for _, what := range byNumber(s) {
			if mayEmitByNumber(s.rel) {
				found++
				continue
			}
			t.Errorf("%s; use a function of internal/program/call, or add one", what)
		}
	}
	if found < 50 {
		t.Errorf("only %d calls of Builder.Sys found; the test would prove nothing", found)
	}
}

// byNumber lists the places of a file that call, or take as a value, a method Sys: that
// of os.ProcessState and its like, which has no arguments, is left out where it is called.
func byNumber(s source) []string {
	var list []string
	others := map[ast.Expr]bool{}
	ast.Inspect(s.file, func(n ast.Node) bool {
		if c, ok := n.(*ast.CallExpr); ok && len(c.Args) == 0 {
			others[c.Fun] = true
		}
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sys" && !others[sel] {
			list = append(list, s.at(sel)+": Sys")
		}
		return true
	})
	return list
}

// TestNothingAtInit fails for what would run before main: init functions other
// than the top package's one, and package-level maps, slices from make, and
// compiled patterns.
func TestNothingAtInit(t *testing.T) {
	mainInits := 0
	for _, s := range sources(t) {
		for _, decl := range s.file.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv != nil || d.Name.Name != "init" {
					continue
				}
				if s.floor != 5 {
					t.Errorf("%s: func init", s.at(d))
				} else if mainInits++; mainInits > 1 {
					t.Errorf("%s: a second func init in the top package", s.at(d))
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok {
						for _, value := range v.Values {
							if what := costly(value); what != "" {
								t.Errorf("%s: package-level %s is built at start-up; build it in the function or by sync.OnceValue", s.at(v), what)
							}
						}
					}
				}
			}
		}
	}
}

// costly names what an initialiser builds before main, or is empty.
func costly(value ast.Expr) string {
	switch v := value.(type) {
	case *ast.CompositeLit:
		if _, ok := v.Type.(*ast.MapType); ok {
			return "map"
		}
	case *ast.CallExpr:
		switch f := v.Fun.(type) {
		case *ast.Ident:
			if f.Name == "make" {
				return "make"
			}
		case *ast.SelectorExpr:
			if pkg, ok := f.X.(*ast.Ident); ok {
				switch pkg.Name + "." + f.Sel.Name {
				case "regexp.MustCompile", "template.Must", "strings.NewReplacer", "os.Getenv", "os.Open":
					return pkg.Name + "." + f.Sel.Name
				}
			}
		}
	}
	return ""
}

// TestOwnImports fails for packages that ours do without: they are slow to
// start or to call.
func TestOwnImports(t *testing.T) {
	bad := map[string]bool{
		"net": true, "net/http": true, "regexp": true, "text/template": true, "html/template": true, "log": true, "log/slog": true, "reflect": true,
	}
	for _, s := range sources(t) {
		if strings.HasPrefix(s.rel, "internal/gen/") {
			continue
		}
		for _, imp := range s.file.Imports {
			path := strings.Trim(imp.Path.Value, `"`)
			// The flag --regex is rarely given, and urfave/cli links the package anyway.
			if bad[path] && s.rel+" "+path != "regex.go regexp" {
				t.Errorf("%s: imports %s", s.at(imp), imp.Path.Value)
			}
		}
	}
}

// TestOnlyTheTopSpeaks keeps arguments, environment, standard output and exit
// to the highest floor.
func TestOnlyTheTopSpeaks(t *testing.T) {
	bad := map[string]bool{
		"os.Args": true, "os.Exit": true, "os.Getenv": true, "os.LookupEnv": true, "os.Environ": true,
		"os.Stdout": true, "fmt.Print": true, "fmt.Println": true, "fmt.Printf": true,
	}
	for _, s := range sources(t) {
		if s.floor == commands || strings.HasPrefix(s.rel, "internal/gen/") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Obj == nil && bad[pkg.Name+"."+sel.Sel.Name] {
					t.Errorf("%s: %s.%s below the commands", s.at(sel), pkg.Name, sel.Sel.Name)
				}
			}
			return true
		})
	}
}

// TestFileNames: the project is Linux only, so no file says so.
func TestFileNames(t *testing.T) {
	walk(t, func(rel string) {
		if strings.HasSuffix(rel, "_linux.go") || strings.HasSuffix(rel, "_linux_test.go") {
			t.Errorf("%s: no _linux suffix, the project is Linux only", rel)
		}
		for _, name := range []string{"utils", "common", "helpers", "util"} {
			if filepath.Base(filepath.Dir(rel)) == name {
				t.Errorf("%s: no package called %s; name it for what it gives", rel, name)
			}
		}
	})
}

// sources parses every file of ours that goes into the binary.
func sources(t *testing.T) []source {
	t.Helper()
	var list []source
	walk(t, func(rel string) {
		if strings.HasSuffix(rel, "_test.go") {
			return
		}
		dir := filepath.Dir(rel)
		path := module
		if dir != "." {
			path += "/" + dir
		}
		floor, known, outside := floorOf(path)
		if !known || outside {
			return
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, filepath.Join(top(t), rel), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			return
		}
		list = append(list, source{rel, floor, file, set})
	})
	if len(list) < 10 {
		t.Fatalf("only %d files found; the test would prove nothing", len(list))
	}
	return list
}

// walk calls visit for every Go file of the tree, by its path from the top.
func walk(t *testing.T, visit func(rel string)) {
	t.Helper()
	testtree.Sources(t, top(t), visit)
}

func TestByNumberFindsThem(t *testing.T) {
	const text = `package p
func f() { b.Sys(1); c.b.Sys(nr, args...); g := b.Sys; _ = cmd.ProcessState.Sys().(int); g(2) }`
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "p.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := byNumber(source{rel: "p.go", file: file, set: set}); len(got) != 3 {
		t.Errorf("byNumber found %s, want 3 places", strconv.Quote(strings.Join(got, "; ")))
	}
}

func TestRawFindsThem(t *testing.T) {
	const text = `package p
import ("unsafe"; "golang.org/x/sys/unix")
func f() { unix.RawSyscall6(1, 0, 0, 0, 0, 0, 0); unix.Syscall(1, 0, 0, 0); _ = unsafe.Pointer(nil); unix.Open("", 0, 0) }`
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, "p.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := raw(source{rel: "p.go", file: file, set: set})
	if want := 3; len(got) != want {
		t.Errorf("raw found %s, want %d places", strconv.Quote(strings.Join(got, "; ")), want)
	}
}

// TestOneOfAKind: sys.Openat2 tries again where the kernel asks for that, unix.Openat2 does not;
// sys.Apart leaves the process's first thread as it is, and ends with the work and no sooner. The
// thread that forks is the forker's own.
func TestOneOfAKind(t *testing.T) {
	kinds := map[string]string{"unix.Openat2": "sys.Openat2", "runtime.LockOSThread": "sys.Apart"}
	for _, s := range sources(t) {
		if strings.HasPrefix(s.rel, "internal/sys/") || s.rel == "internal/program/spawn/forker_plain.go" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if pkg, ok := sel.X.(*ast.Ident); ok {
					if name := pkg.Name + "." + sel.Sel.Name; kinds[name] != "" {
						t.Errorf("%s: %s; call %s", s.at(sel), name, kinds[name])
					}
				}
			}
			return true
		})
	}
}
