package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// TestDocsNameTestsThatExist: a page that says which test shows something is held
// to it.
func TestDocsNameTestsThatExist(t *testing.T) {
	top := filepath.Join("..", "..")
	var all []byte
	err := filepath.WalkDir(top, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && d.IsDir() && (d.Name() == ".git" || path == filepath.Join(top, "bin")) {
				return filepath.SkipDir
			}
			return err
		}
		if ok, _ := filepath.Match("*_test.go", d.Name()); ok {
			text, err := os.ReadFile(path)
			all = append(all, text...)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(all, -1) {
		there = append(there, string(m[1]))
	}
	pages, err := filepath.Glob(filepath.Join(top, "docs", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	named := 0
	for _, page := range pages {
		for _, m := range regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(readText(t, page), -1) {
			if named++; !slices.Contains(there, m[1]) {
				t.Errorf("%s names %s, which is no test", filepath.Base(page), m[1])
			}
		}
	}
	t.Logf("%d tests are named", named)
	if named < 50 {
		t.Errorf("only %d tests are named", named)
	}
}
