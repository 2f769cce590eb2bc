package layers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hutch-project/hutch/tests/testtree"
)

// columns is how long a line of text is at most; a tab is four of them.
const columns = 100

func width(line string) int {
	return utf8.RuneCountInString(strings.ReplaceAll(line, "\t", "    "))
}

// TestDocsWidth: what people read in an editor or a diff has lines of one width. Tables and
// code are as long as they are.
func TestDocsWidth(t *testing.T) {
	var pages []string
	for _, pattern := range []string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/*.md", "docs/decisions/*.md"} {
		found, err := filepath.Glob(filepath.Join(top(t), pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d pages, %v", pattern, len(found), err)
		}
		pages = append(pages, found...)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range longLines(string(text)) {
			t.Errorf("%s:%d: the line has more than %d columns; break it", filepath.Base(page), at, columns)
		}
	}
}

// longLines returns the numbers of the lines of prose of a page that are too long. A line
// with a link or a piece of code that leaves no place for a break is none.
func longLines(page string) (long []int) {
	fenced := false
	at := 0
	for line := range strings.Lines(page) {
		at++
		line = strings.TrimSuffix(line, "\n")
		text := strings.TrimLeft(line, " ")
		switch {
		case strings.HasPrefix(text, "```"):
			fenced = !fenced
		case fenced, strings.HasPrefix(text, "|"), strings.HasPrefix(line, "    "), width(line) <= columns:
		case strings.Contains(strings.TrimSpace(text), " "):
			long = append(long, at)
		}
	}
	return long
}

func TestLongLinesAreFound(t *testing.T) {
	word := strings.Repeat("w", 60)
	two := word + " " + word + "\n"
	page := two + "| " + two + "    " + two + "```\n" + two + "```\n" + word + word + "\n" + two + strings.Repeat("é", columns) + "\n"
	if got := longLines(page); len(got) != 2 || got[0] != 1 || got[1] != 8 {
		t.Errorf("got lines %v, want 1 and 8", got)
	}
}

// TestCommentsWidth holds the comments of the code, tests' too, to the same width. Generated
// files, addresses and what a comment shows of code or commands are as long as they are.
func TestCommentsWidth(t *testing.T) {
	testtree.Sources(t, top(t), func(rel string) {
		text, err := os.ReadFile(filepath.Join(top(t), rel))
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		for line := range strings.Lines(string(text)) {
			at++
			comment, ok := strings.CutPrefix(strings.TrimLeft(line, "\t "), "//")
			if !ok || width(strings.TrimSuffix(line, "\n")) <= columns {
				continue
			}
			if !strings.HasPrefix(comment, "go:") && !strings.HasPrefix(comment, "\t") && strings.Contains(strings.TrimSpace(comment), " ") {
				t.Errorf("%s:%d: the comment has more than %d columns; break it", rel, at, columns)
			}
		}
	})
}
