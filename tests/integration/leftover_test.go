package integration

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// cgroupRoot is where the machine's cgroup hierarchies are mounted.
const cgroupRoot = "/sys/fs/cgroup"

// cgroupsNamed lists the folders of every cgroup hierarchy with id in their name.
func cgroupsNamed(id string) []string {
	var found []string
	filepath.WalkDir(cgroupRoot, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && named(d.Name(), id) {
			found = append(found, path)
		}
		return nil // folders of other tests come and go
	})
	return found
}

// named reports whether name has the id, and not one that begins with it: systemd's
// units have it between other words.
func named(name, id string) bool {
	_, after, found := strings.Cut(name, id)
	return found && (after == "" || after[0] < '0' || after[0] > '9')
}

// processesOf describes living processes of the container or of a runtime
// command on it: they have the id in their environment or arguments.
func processesOf(id string) []string {
	var found []string
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		cmdline, _ := os.ReadFile(dir + "/cmdline")
		environ, _ := os.ReadFile(dir + "/environ")
		if hasWord(string(cmdline), id) || slices.Contains(strings.Split(string(environ), "\x00"), idVariable+"="+id) {
			found = append(found, filepath.Base(dir)+" "+strings.ReplaceAll(string(cmdline), "\x00", " "))
		}
	}
	return found
}

func hasWord(cmdline, word string) bool {
	return slices.Contains(strings.Split(cmdline, "\x00"), word)
}

// mountsWith lists the lines of this process's mount table with text in them.
func mountsWith(text string) []string {
	data, _ := os.ReadFile("/proc/self/mountinfo")
	var found []string
	for _, line := range strings.Split(string(data), "\n") {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

func dirNames(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// readText is a file as text.
func readText(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func writeText(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func mkfifo(path string) error { return unix.Mkfifo(path, 0o644) }
