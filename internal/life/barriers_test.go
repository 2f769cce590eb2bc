package life

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/part/user"
	"github.com/hutch-project/hutch/internal/template"
)

// tagConstants returns the constants that are tags of messages, by name: all those of
// compile/tags.go, and the exported ones of the parts whose name ends in Tag.
func tagConstants(t *testing.T) map[string]uint32 {
	t.Helper()
	tags := map[string]uint32{}
	take := func(path string, named func(string) bool) {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		must(t, err)
		for _, d := range file.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok || decl.Tok != token.CONST {
				continue
			}
			for _, s := range decl.Specs {
				v := s.(*ast.ValueSpec)
				if !named(v.Names[0].Name) {
					continue
				}
				n, err := strconv.ParseUint(v.Values[0].(*ast.BasicLit).Value, 0, 32)
				must(t, err)
				tags[v.Names[0].Name] = uint32(n)
			}
		}
	}
	take("../compile/tags.go", func(string) bool { return true })
	must(t, filepath.WalkDir("../part", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			take(path, func(name string) bool { return ast.IsExported(name) && strings.HasSuffix(name, "Tag") })
		}
		return err
	}))
	return tags
}

// tableTags returns the tags in the first column of the table of barriers.
func tableTags(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	must(t, err)
	_, table, _ := strings.Cut(string(text), "\n| Tag |")
	table, _, _ = strings.Cut(table, "\n\n")
	var tags []string
	for _, row := range strings.Split(table, "\n")[2:] {
		cell := strings.Split(row, "|")[1]
		for name := range strings.SplitSeq(strings.ReplaceAll(cell, "*", ""), ",") {
			tags = append(tags, strings.TrimSuffix(strings.TrimSpace(name), "+i"))
		}
	}
	return tags
}

// allServers are servers with all handlers that there are: of init, of a further process,
// of a hook.
func allServers() map[string][]handler {
	s := template.Spec()
	m := &maker{r: &Runtime{}, request: request{CreateOptions: &CreateOptions{}, bundle: &bundle{spec: s}}}
	e := &execution{r: &Runtime{}, o: &ExecOptions{}, c: &container{}, p: s.Process, linux: &specs.Linux{}}
	return map[string][]handler{"init": m.allHandlers(), "exec": e.server().handlers, "hook": (&inNamespaces{}).server(nil).handlers}
}

// TestBarrierTable holds the table of barriers in ARCHITECTURE.md to the code: its tags are
// those that there are, each of which an emitter sends, as the golden listings show, and a
// handler of init's answers, or of a further process's that is sent by it alone.
func TestBarrierTable(t *testing.T) {
	constants, table := tagConstants(t), tableTags(t)
	names := slices.Sorted(maps.Keys(constants))
	if sorted := slices.Sorted(slices.Values(table)); !slices.Equal(sorted, names) {
		t.Errorf("the table has\n%q, the code\n%q", sorted, names)
	}
	words := map[string]bool{}
	goldens, err := filepath.Glob("../compile/testdata/*.golden")
	must(t, err)
	for _, path := range goldens {
		text, err := os.ReadFile(path)
		must(t, err)
		for _, m := range regexp.MustCompile(`tell parent ("[^"]*"|\S+)`).FindAllStringSubmatch(string(text), -1) {
			words[strings.Trim(m[1], `"`)] = true
		}
	}
	servers := allServers()
	for name, tag := range constants {
		if !words[compile.TagName(tag)] {
			t.Errorf("%s: no golden program sends it", name)
		}
		delete(words, compile.TagName(tag))
		who := "init"
		if tag == compile.Joined || tag == user.NamesTag {
			who = "exec" // alone
		}
		if n := count(servers[who], tag); n != 1 {
			t.Errorf("%s: %s has %d handlers for it, want 1", name, who, n)
		}
		for who, handlers := range servers {
			if n := count(handlers, tag); n > 1 {
				t.Errorf("%s: %s has %d handlers for it", name, who, n)
			}
		}
	}
	for word := range words {
		t.Errorf("a golden program sends %s, which is no tag", word)
	}
	for who, handlers := range servers {
		for i := range handlers {
			if h := &handlers[i]; !slices.Contains(slices.Collect(maps.Values(constants)), h.tag) {
				t.Errorf("%s has a handler for %#x, which is no tag", who, h.tag)
			}
		}
	}
}

// TestEachMessageIsAnswered: the programs of a further process and of a hook send nothing
// that their servers have no handler for.
func TestEachMessageIsAnswered(t *testing.T) {
	servers := allServers()
	for who, pattern := range map[string]string{"exec": "exec*.golden", "init": "[^e]*.golden"} {
		goldens, err := filepath.Glob("../compile/testdata/" + pattern)
		must(t, err)
		if len(goldens) == 0 {
			t.Fatalf("no golden programs of %s", who)
		}
		for _, path := range goldens {
			text, err := os.ReadFile(path)
			must(t, err)
			for _, m := range regexp.MustCompile(`tell parent "([^"]*)"`).FindAllStringSubmatch(string(text), -1) {
				if !slices.ContainsFunc(servers[who], func(h handler) bool { return compile.TagName(h.tag) == m[1] }) {
					t.Errorf("%s: %s has no handler for %q", path, who, m[1])
				}
			}
		}
	}
}

func count(handlers []handler, tag uint32) (n int) {
	for i := range handlers {
		if handlers[i].matches(tag) {
			n++
		}
	}
	return n
}
