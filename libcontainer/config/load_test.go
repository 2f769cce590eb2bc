package config

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// write makes a file with text in a new directory and returns the directory.
func write(t *testing.T, name, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLoadReadsTheBundlesFile(t *testing.T) {
	const text = `{"ociVersion":"1.0.2","hostname":"a"}`
	dir := write(t, FileName, text)
	for _, c := range [][2]string{{dir, ""}, {dir + "/", "config.json"}, {"elsewhere", dir + "/config.json"}} {
		s, data, err := Load(c[0], c[1])
		if err != nil || s.Hostname != "a" || string(data) != text {
			t.Errorf("Load(%q, %q): got %v, %q, error %v", c[0], c[1], s, data, err)
		}
	}
	t.Chdir(dir)
	if s, _, err := Load("", ""); err != nil || s.Hostname != "a" {
		t.Errorf("in the working directory: got %v, error %v", s, err)
	}
}

func TestLoadReadsFilesWithoutASize(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		defer w.Close()
		w.WriteString(`{"hostname":"` + strings.Repeat("x", 50000) + `"}`)
	}()
	path := "/dev/fd/" + strconv.Itoa(int(r.Fd()))
	s, _, err := Load("", path)
	if err != nil || len(s.Hostname) != 50000 {
		t.Errorf("got %v, error %v", s, err)
	}
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	_, _, err := Load(dir, "")
	want := "open " + dir + "/config.json: no such file or directory; " + dir +
		" is no bundle: name the directory that has a config.json with --bundle, or write one with the command spec"
	if !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, unix.ENOENT) || err.Error() != want {
		t.Errorf("missing file:\ngot  %v\nwant %s", err, want)
	}
	if _, _, err = Load(os.Args[0], ""); !errors.Is(err, unix.ENOTDIR) || !strings.Contains(err.Error(), " is no bundle: ") {
		t.Errorf("a file for the bundle: got %v", err)
	}
	if err := os.Mkdir(dir+"/config.json", 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err = Load(dir, ""); !errors.Is(err, unix.EISDIR) {
		t.Errorf("directory: got %v", err)
	}
	_, _, err = Load(write(t, "c.json", `{"root":5}`), "c.json")
	var e *Error
	if !errors.As(err, &e) || err.Error() != "c.json: root: want an object, found a number (line 1, column 9)" {
		t.Errorf("fault in the text: got %v", err)
	}
}

func TestLoadBoundsTheSize(t *testing.T) {
	text := append([]byte("{}"), bytes.Repeat([]byte(" "), maxSize-2)...)
	dir := write(t, FileName, string(text))
	if _, data, err := Load(dir, ""); err != nil || len(data) != maxSize {
		t.Errorf("at the limit: got %d bytes, error %v", len(data), err)
	}
	dir = write(t, FileName, string(text)+" ")
	want := "read " + dir + "/config.json: larger than 16 MiB, which no configuration needs"
	if _, _, err := Load(dir, ""); err == nil || err.Error() != want {
		t.Errorf("above the limit: got %v, want %s", err, want)
	}
}

func TestLoadLeavesNoDescriptor(t *testing.T) {
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	dir := write(t, FileName, "{}")
	before := count()
	for range 10 {
		Load(dir, "")
		Load(dir, "missing")
	}
	if after := count(); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}
