package tutorial

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestLinks holds that what the texts refer to is there: files, and sections of them.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]*)(#[^)\s]*)?\)`)
	count := 0
	for _, page := range texts(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(found[1], "://") {
				continue
			}
			count++
			target := page
			if found[1] != "" {
				target = filepath.Join(filepath.Dir(page), found[1])
			}
			content, err := os.ReadFile(target)
			if info, dirErr := os.Stat(target); dirErr == nil && info.IsDir() {
				err = nil
			}
			if err != nil {
				t.Errorf("%s: %v", page, err)
			} else if found[2] != "" && !hasSection(string(content), found[2]) {
				t.Errorf("%s: %s has no section %s", page, target, found[2])
			}
		}
	}
	if count < 30 {
		t.Errorf("only %d links", count)
	}
}

// TestNamesOfTests holds that the tests that the texts name are there.
func TestNamesOfTests(t *testing.T) {
	function, name := regexp.MustCompile(`(?m)^func (Test\w+)\(`), regexp.MustCompile(`\bTest[A-Z]\w+`)
	there := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "bin" || d.Name() == ".git"):
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		content, err := os.ReadFile(path)
		for _, found := range function.FindAllStringSubmatch(string(content), -1) {
			there[found[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, page := range texts(t) {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range name.FindAllString(string(content), -1) {
			if count++; !there[found] {
				t.Errorf("%s names %s, which is no test", page, found)
			}
		}
	}
	if count < 100 {
		t.Errorf("only %d names", count)
	}
}

// texts lists the pages that are written for people, but the changelog, which names
// what was.
func texts(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	decisions, err := filepath.Glob("../../docs/decisions/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append(append(pages, decisions...), "../../README.md", "../../ARCHITECTURE.md",
		"../../CONTRIBUTING.md", "../vm/README.md", "../conformance/README.md")
}

// hasSection reports whether a page has a heading that forges name so.
func hasSection(page, anchor string) bool {
	notInAnchor := regexp.MustCompile(`[^a-z0-9 _-]`)
	for line := range strings.Lines(page) {
		title, is := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		if !is || !strings.HasPrefix(line, "#") {
			continue
		}
		name := notInAnchor.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
		if "#"+strings.ReplaceAll(name, " ", "-") == anchor {
			return true
		}
	}
	return false
}
