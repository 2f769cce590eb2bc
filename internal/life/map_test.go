package life

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestMapOfFiles holds the table of this folder's files in ARCHITECTURE.md to the folder:
// each file stands there once, and no other.
func TestMapOfFiles(t *testing.T) {
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	must(t, err)
	_, table, _ := strings.Cut(string(text), "| Files of `internal/life` |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var listed []string
	for _, names := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(table, -1) {
		listed = append(listed, strings.Fields(names[1])...)
	}
	var there []string
	files, err := filepath.Glob("*.go")
	must(t, err)
	for _, file := range files {
		if name, ok := strings.CutSuffix(file, ".go"); ok && !strings.HasSuffix(name, "_test") {
			there = append(there, name)
		}
	}
	slices.Sort(listed)
	slices.Sort(there)
	if !slices.Equal(listed, there) {
		t.Errorf("ARCHITECTURE.md lists\n%v, the folder has\n%v", listed, there)
	}
}
