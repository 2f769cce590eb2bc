package spawn

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// inChild are the files whose functions run in the child; those of the others run
// in the thread that forks too.
var inChild = []string{interpreter, forking, "clone.go"}

// forking is the file of the functions that fork, of this build: that of the bare thread where
// the type forker is one.
var forking = func() string {
	start := reflect.ValueOf((*forker).start).Pointer()
	if file, _ := runtime.FuncForPC(start).FileLine(start); filepath.Base(file) == "forker_plain.go" {
		return "fork_plain.go"
	}
	return "thread.go"
}()

const interpreter = "../interp.go"

// childFuncs returns the functions of those files that have a body, by file.
func childFuncs(t *testing.T) map[string][]*ast.FuncDecl {
	t.Helper()
	out := map[string][]*ast.FuncDecl{}
	for _, file := range inChild {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				out[file] = append(out[file], fn)
			}
		}
		if len(out[file]) == 0 {
			t.Fatalf("%s has no functions", file)
		}
	}
	return out
}

func childFuncNames(t *testing.T) []string {
	var names []string
	for _, fns := range childFuncs(t) {
		for _, fn := range fns {
			names = append(names, fn.Name.Name)
		}
	}
	return names
}

func TestChildFunctionsDoNotSplitNorRace(t *testing.T) {
	for file, fns := range childFuncs(t) {
		for _, fn := range fns {
			for _, want := range []string{"//go:nosplit", "//go:norace"} {
				if fn.Doc == nil || !slices.ContainsFunc(fn.Doc.List, func(c *ast.Comment) bool { return c.Text == want }) {
					t.Errorf("%s: func %s has no %s", file, fn.Name.Name, want)
				}
			}
			if fn.Recv != nil {
				t.Errorf("%s: %s is a method: a func says all", file, fn.Name.Name)
			}
		}
	}
}

// forbidden says what of the language n is that may allocate, lock, panic or call
// the runtime, empty for what is fine.
func forbidden(n ast.Node) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "go"
	case *ast.DeferStmt:
		return "defer"
	case *ast.FuncLit:
		return "a closure"
	case *ast.ChanType, *ast.SendStmt, *ast.SelectStmt:
		return "a channel"
	case *ast.MapType:
		return "a map"
	case *ast.InterfaceType, *ast.TypeAssertExpr, *ast.TypeSwitchStmt:
		return "an interface"
	case *ast.RangeStmt:
		return "range"
	case *ast.SliceExpr:
		return "a slice"
	case *ast.IndexExpr:
		if _, ok := n.Index.(*ast.BasicLit); !ok { // a constant one is checked by the compiler
			return "an index: its bounds check may panic"
		}
	case *ast.BasicLit:
		if n.Kind == token.STRING {
			return "a string"
		}
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			return "a channel"
		}
	case *ast.BinaryExpr:
		if n.Op == token.QUO || n.Op == token.REM || n.Op == token.SHL || n.Op == token.SHR {
			return n.Op.String() + ", which may panic"
		}
	case *ast.CompositeLit:
		return "a composite literal"
	}
	return ""
}

// calledOut says whom the call c calls that it must not, empty for none.
func calledOut(c *ast.CallExpr, own []string, inFork bool) string {
	types := []string{"uintptr", "int", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}
	switch f := c.Fun.(type) {
	case *ast.Ident:
		if slices.Contains(own, f.Name) || slices.Contains(types, f.Name) {
			return ""
		}
		if inFork && slices.Contains([]string{"runtimeBeforeFork", "runtimeAfterFork", "loadAcquire", "storeRelease"}, f.Name) {
			return ""
		}
		return f.Name
	case *ast.SelectorExpr:
		pkg, _ := f.X.(*ast.Ident)
		if pkg != nil && (pkg.Name == "unsafe" || pkg.Name == "syscall" && f.Sel.Name == "RawSyscall6" ||
			inFork && pkg.Name == "program" && f.Sel.Name == "Interpret") {
			return ""
		}
		return "something of another package: " + f.Sel.Name
	case *ast.ParenExpr:
		if _, ok := f.X.(*ast.StarExpr); ok {
			return "" // a conversion to a pointer type
		}
	}
	return "what is no plain function"
}

// rulesBroken returns the broken rules of one function.
func rulesBroken(fn *ast.FuncDecl, own []string, inFork bool) []string {
	var out []string
	ast.Inspect(fn, func(n ast.Node) bool {
		if what := forbidden(n); what != "" {
			out = append(out, fn.Name.Name+" has "+what)
		}
		c, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if who := calledOut(c, own, inFork); who != "" {
			out = append(out, fn.Name.Name+" calls "+who)
		}
		// The operand of Sizeof is never made.
		s, ok := c.Fun.(*ast.SelectorExpr)
		return !ok || s.Sel.Name != "Sizeof"
	})
	return out
}

func TestChildFunctionsUseOnlyWhatIsAllowed(t *testing.T) {
	own := childFuncNames(t)
	for file, fns := range childFuncs(t) {
		for _, fn := range fns {
			for _, what := range rulesBroken(fn, own, file == forking) {
				t.Errorf("%s: %s", file, what)
			}
		}
	}
}

// The checker itself must see what it is there for.
func TestTheRulesAreSeenToBeBroken(t *testing.T) {
	for _, body := range []string{
		"go own()", "defer own()", "func() {}()", "_ = make([]int, 1)", "_ = append(s, 1)", "_ = new(int)", "panic(1)", "print(1)",
		"_ = map[int]int{}", "ch <- 1", "<-ch", "select {}", "_ = x.(int)", "for range s {}", "_ = s[i]", "_ = s[1:]", `_ = a + "b"`,
		"_ = i / j", "_ = i % j", "_ = 1 << i", "_ = &T{}", "_ = any(i)", "_ = string(s)", "fmt.Println()", "syscall.Read(1, nil)", "f()", "m.close()",
		"runtimeBeforeFork()", "_ = len(s)",
	} {
		f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nfunc own() {\n"+body+"\n}", 0)
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if got := rulesBroken(f.Decls[0].(*ast.FuncDecl), []string{"own"}, false); len(got) == 0 {
			t.Errorf("%s is allowed", body)
		}
	}
}

// tags returns the build tags that this test was built with, as far as they count here.
func tags() string {
	if forking == "fork_plain.go" {
		return "plain"
	}
	return ""
}

// goTool runs the go command and returns all that it prints.
func goTool(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("needs the go command")
	}
	out, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestNothingInTheChildEscapes(t *testing.T) {
	seen := 0
	for line := range strings.Lines(goTool(t, "build", "-tags", tags(), "-gcflags=-m", ".", "..")) {
		line = strings.TrimSpace(line)
		if !slices.ContainsFunc(inChild, func(file string) bool {
			return strings.HasPrefix(line, "./"+file+":") || strings.HasPrefix(line, file+":")
		}) {
			continue
		}
		seen++
		for _, bad := range []string{"escapes to heap", "moved to heap", "leaking param"} {
			if strings.Contains(line, bad) {
				t.Error(line)
			}
		}
	}
	if seen < 10 {
		t.Errorf("the compiler says only %d things of %v", seen, inChild)
	}
}

// The machine code has the last word: no call to grow the stack, to a write
// barrier, to a panic, to the race detector.
func TestCodeOfTheChildCallsNothingOfTheRuntime(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "spawn.test")
	goTool(t, "test", "-tags", tags(), "-c", "-o", bin, ".")
	own := childFuncNames(t)
	dump := goTool(t, "tool", "objdump", "-s", `/(program|spawn)\.(`+strings.Join(own, "|")+`)$`, bin)
	text := regexp.MustCompile(`^TEXT .*/(?:program|spawn)\.(\w+)(?:\.abi\w+)?\(SB\)`)
	call := regexp.MustCompile(`\t(CALL|BL|JMP) (\S+)\(SB\)`)
	indirect := regexp.MustCompile(`\tCALL (?:[^ (]|0\()[^ ]*\s*$`)
	fn, calls := "", map[string]int{}
	for line := range strings.Lines(dump) {
		line = strings.TrimRight(line, " \t\n")
		if m := text.FindStringSubmatch(line); m != nil {
			fn = m[1]
			continue
		}
		if m := call.FindStringSubmatch(line); m != nil {
			calls[fn]++
			name := strings.TrimSuffix(m[2][strings.LastIndex(m[2], "/")+1:], ".abi0")
			ok := name == "syscall.RawSyscall6" || slices.Contains(own, strings.TrimPrefix(strings.TrimPrefix(name, "spawn."), "program."))
			switch fn {
			case "threadMain":
				ok = ok || name == "spawn.loadAcquire" || name == "spawn.storeRelease"
			case "fork":
				ok = ok || name == "syscall.runtime_BeforeFork" || name == "syscall.runtime_AfterFork"
			}
			if !ok {
				t.Errorf("%s calls %s:%s", fn, m[2], line)
			}
		} else if indirect.MatchString(line) {
			t.Errorf("%s calls through a pointer: %s", fn, line)
		}
	}
	if calls["Interpret"] < 5 || calls["fork"] < 4 && calls["threadMain"]+calls["threadFork"] < 8 {
		t.Errorf("calls seen: %v; want 5 of Interpret, and 4 of fork or 8 of threadMain and threadFork", calls)
	}
}

// TestOneConstraintForTheThread: the files of the bare thread are built together, on each
// architecture that has assembly for it, and the others where those are not.
func TestOneConstraintForTheThread(t *testing.T) {
	const rest = "!plain && !race"
	var arches []string
	for _, file := range glob(t, "thread_*.s") {
		arches = append(arches, strings.TrimSuffix(strings.TrimPrefix(file, "thread_"), ".s"))
	}
	one := strings.Join(arches, " || ")
	want := map[string][]string{
		"//go:build " + rest:                              glob(t, "thread_*.s"),
		"//go:build (" + one + ") && " + rest:             {"forker_thread.go", "memory.go", "memory_test.go", "thread.go"},
		"//go:build !(" + one + ") || " + "plain || race": {"fork_plain.go", "forker_plain.go"},
	}
	got := map[string][]string{}
	for _, file := range append(glob(t, "*.go"), glob(t, "*.s")...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if line, _, _ := strings.Cut(string(text), "\n"); strings.HasPrefix(line, "//go:build ") {
			got[line] = append(got[line], file)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// glob returns the files of the package that match.
func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %q, %v", pattern, files, err)
	}
	return files
}

// The interpreter is to be read in one sitting.
func TestInterpreterIsShort(t *testing.T) {
	src, err := os.ReadFile(interpreter)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range bytes.Lines(src) {
		if line = bytes.TrimSpace(line); len(line) > 0 && !bytes.HasPrefix(line, []byte("//")) {
			n++
		}
	}
	if n > 185 {
		t.Errorf("interp.go has %d lines of code; think again about what it took", n)
	}
}
