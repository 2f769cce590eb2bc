// Package testtree is how tests look at trees of files: those that a container has or must
// not change, and the sources of this module.
//
// Only tests import it.
package testtree

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// File is a file of a tree.
type File struct {
	Path        string // from the tree's directory, with a slash before; empty for the directory
	unix.Stat_t        // of a link its own
	Content     string // of a regular file; of a link where it leads to
}

// Lines returns what describe says of each file of the tree at dir, in lexical order,
// without the files that it says nothing of.
func Lines(t testing.TB, dir string, describe func(File) string) (lines []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f := File{Path: strings.TrimPrefix(path, dir)}
		if err := unix.Lstat(path, &f.Stat_t); err != nil {
			return &fs.PathError{Op: "lstat", Path: path, Err: err}
		}
		var content []byte
		switch f.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			content, err = os.ReadFile(path)
			f.Content = string(content)
		case unix.S_IFLNK:
			f.Content, err = os.Readlink(path)
		}
		if line := describe(f); line != "" {
			lines = append(lines, line)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// Sources calls visit for each file of Go of the module at top, tests among them, by its
// path from there.
func Sources(t testing.TB, top string, visit func(rel string)) {
	t.Helper()
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel == "bin" || rel == ".git" || d.Name() == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(rel, ".go") {
			visit(rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
