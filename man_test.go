package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/internal/cli"
)

var updatePages = flag.Bool("update", false, "write man/*.8 anew")

// manDate is the date of the pages: of the last change that people should look at.
const manDate = "November 26, 2026"

// TestManualPages holds man/*.8 against the table of commands and the text in man/text,
// of which they are made.
func TestManualPages(t *testing.T) {
	made := map[string]bool{}
	for _, c := range append([]*cli.Command{nil}, table.Commands...) {
		name := table.PageName(c)
		made[name] = true
		want := table.Mdoc(c, manText(t, name), manDate)
		path := filepath.Join("man", name)
		if *updatePages {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s is not what the table makes: make man (%v)", path, err)
		}
		for line := range strings.Lines(want) {
			if strings.TrimSpace(line) == "" {
				t.Errorf("%s: an empty line, which mdoc does not want", path)
			}
		}
	}
	for _, pattern := range []string{"man/*.8", "man/text/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %q, %v", pattern, files, err)
		}
		for _, f := range files {
			if !made[strings.Replace(filepath.Base(f), ".mdoc", ".8", 1)] {
				t.Errorf("%s is of no command", f)
			}
		}
	}
}

// manText returns the text that people have written for a page, if any.
func manText(t *testing.T, page string) string {
	t.Helper()
	path := filepath.Join("man", "text", strings.TrimSuffix(page, ".8")+".mdoc")
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}
