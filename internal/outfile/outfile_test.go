package outfile

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testfuse"
	"github.com/hutch-project/hutch/tests/testneed"
	"github.com/hutch-project/hutch/tests/testplain"
	"github.com/hutch-project/hutch/tests/testwait"
)

func TestMain(m *testing.M) { testplain.Main(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// appended opens the file as the log is and writes to it.
func appended(path, text string) error {
	fd, err := Open(path, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT, 0o644)
	if err != nil {
		return err
	}
	return write(fd, path, []byte(text))
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}

// TestLinksOfTheCaller are followed, wherever they are on the way.
func TestLinksOfTheCaller(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	must(t, os.MkdirAll("a/b", 0o755))
	must(t, os.Symlink("a", "relative"))
	must(t, os.Symlink(dir+"/relative/b", "absolute"))
	must(t, os.Symlink("../b/log", "a/b/last"))
	for _, path := range []string{"a/b/log", "relative/b/log", "absolute//log", dir + "/absolute/./last", "a/b/../b/last"} {
		must(t, appended(path, "x"))
	}
	if text := read(t, "a/b/log"); text != "xxxxx" {
		t.Errorf("%q", text)
	}
	must(t, os.Symlink("loop", "loop"))
	if err := appended("loop", "x"); !errors.Is(err, unix.ELOOP) {
		t.Error("a loop:", err)
	}
	if err := appended("absolute/none/log", "x"); !errors.Is(err, os.ErrNotExist) {
		t.Error("behind nothing:", err)
	}
}

// TestLinksOfOthers are not followed, neither to the file nor on the way.
func TestLinksOfOthers(t *testing.T) {
	testneed.Root(t, "another user's link")
	dir := t.TempDir()
	must(t, os.Mkdir(dir+"/kept", 0o755))
	must(t, os.WriteFile(dir+"/kept/precious", []byte("precious"), 0o600))
	must(t, os.Mkdir(dir+"/theirs", 0o755))
	must(t, os.Symlink(dir+"/kept/precious", dir+"/theirs/log"))
	must(t, os.Symlink(dir+"/kept", dir+"/theirs/way"))
	must(t, os.Symlink("theirs/log", dir+"/own")) // the caller's own leads to it
	must(t, os.Symlink("../kept/precious", dir+"/theirs/moved"))
	for _, name := range []string{"theirs", "theirs/log", "theirs/way"} {
		must(t, os.Lchown(filepath.Join(dir, name), 1000, 1000))
	}
	must(t, os.Symlink("kept/precious", dir+"/given")) // as in /tmp
	must(t, os.Lchown(dir+"/given", 1000, 1000))
	for _, name := range []string{"theirs/log", "theirs/way/precious", "theirs/moved", "own", "given"} {
		if err := appended(filepath.Join(dir, name), "x"); !errors.Is(err, unix.ELOOP) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, Replace(dir+"/theirs/log", []byte("trace")))
	if text := read(t, dir+"/kept/precious"); text != "precious" {
		t.Errorf("the file that links lead to has %q", text)
	}
	if text := read(t, dir+"/theirs/log"); text != "trace" {
		t.Errorf("written beside and renamed: %q", text)
	}
}

// TestDirectoriesOfOthers: a link of another user's to the directory leads nothing there, nor
// takes anything away, and what is missing is not made where their link leads.
func TestDirectoriesOfOthers(t *testing.T) {
	testneed.Root(t, "another user's link")
	dir := t.TempDir()
	must(t, os.Mkdir(dir+"/kept", 0o755))
	must(t, os.WriteFile(dir+"/kept/pid", []byte("precious"), 0o600))
	must(t, os.Mkdir(dir+"/theirs", 0o755))
	must(t, os.Symlink(dir+"/kept", dir+"/theirs/way"))
	must(t, os.Symlink(dir+"/kept/new", dir+"/theirs/trace"))
	for _, name := range []string{"theirs", "theirs/way", "theirs/trace"} {
		must(t, os.Lchown(filepath.Join(dir, name), 1000, 1000))
	}
	path := dir + "/theirs/way/pid"
	for name, err := range map[string]error{"Renew": Renew(path, []byte("1")), "Replace": Replace(path, []byte("1")), "Remove": Remove(path), "Make": Make(path)} {
		if !errors.Is(err, unix.ELOOP) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if text := read(t, dir+"/kept/pid"); text != "precious" {
		t.Errorf("the file that their link leads to has %q", text)
	}
	must(t, Make(dir+"/theirs/trace"))
	if list, err := os.ReadDir(dir + "/kept"); err != nil || len(list) != 1 {
		t.Errorf("made where their link leads: %v, %v", list, err)
	}
	must(t, Make(dir+"/kept/made"))
	must(t, Remove(dir+"/kept/made"))
}

// TestWhatIsNoFile is written to: engines give fifos, and links of procfs.
func TestWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	must(t, unix.Mkfifo(dir+"/fifo", 0o600))
	fifo, err := os.OpenFile(dir+"/fifo", os.O_RDWR, 0)
	must(t, err)
	defer fifo.Close()
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	defer w.Close()
	must(t, os.Symlink("/proc/self/fd", dir+"/fd"))
	pipe := filepath.Join(dir, "fd", itoa(w))
	for path, from := range map[string]*os.File{dir + "/fifo": fifo, pipe: r, "/proc/self/fd/" + itoa(w): r} {
		must(t, appended(path, "log"))
		must(t, Replace(path, []byte("trace")))
		var buf [20]byte
		n, err := from.Read(buf[:])
		if got := string(buf[:n]); err != nil || got != "logtrace" {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
}

// TestFifosOfOthers are not waited for, with a reader that does not read or without one.
func TestFifosOfOthers(t *testing.T) {
	testneed.Root(t, "another user's fifo")
	dir := t.TempDir()
	must(t, os.Mkdir(dir+"/theirs", 0o755))
	must(t, unix.Mkfifo(dir+"/theirs/roots", 0o600)) // which they may have moved there
	must(t, unix.Mkfifo(dir+"/given", 0o600))
	must(t, os.Chown(dir+"/theirs", 1000, 1000))
	must(t, os.Chown(dir+"/given", 1000, 1000))
	for _, path := range []string{dir + "/theirs/roots", dir + "/given"} {
		done := make(chan error, 1)
		both := func() error { return errors.Join(appended(path, "x"), Replace(path, []byte("x"))) }
		go func() { done <- both() }()
		if err := testwait.Value(t, "a fifo without a reader is refused", done); !errors.Is(err, errFifo) {
			t.Errorf("%s: %v", path, err)
		}
		reader, err := os.OpenFile(path, os.O_RDWR, 0)
		must(t, err)
		if err := both(); !errors.Is(err, errFifo) {
			t.Errorf("%s, with a reader: %v", path, err)
		}
		reader.Close()
	}
}

// TestHardLinksOfOthers are not written to: in a directory that others may write a file has
// one name.
func TestHardLinksOfOthers(t *testing.T) {
	testneed.Root(t, "another user's directory")
	dir := t.TempDir()
	must(t, os.WriteFile(dir+"/victim", nil, 0o600))
	must(t, os.Mkdir(dir+"/theirs", 0o755))
	must(t, os.Chown(dir+"/theirs", 1000, 1000))
	must(t, os.Mkdir(dir+"/all", 0o777))
	must(t, os.Chmod(dir+"/all", 0o777|os.ModeSticky))
	must(t, os.Mkdir(dir+"/ours", 0o755))
	for _, in := range []string{"theirs", "all", "ours"} {
		must(t, os.Link(dir+"/victim", dir+"/"+in+"/log"))
		must(t, os.Symlink(in, dir+"/by-"+in))
		for _, path := range []string{dir + "/" + in + "/log", dir + "/by-" + in + "/log"} {
			if err := appended(path, "x"); errors.Is(err, errLinked) != (in != "ours") {
				t.Errorf("%s: %v", path, err)
			}
		}
		path := dir + "/" + in + "/new"
		must(t, appended(path, "x"))
		must(t, appended(path, "x")) // it is there already
	}
	if text := read(t, dir+"/victim"); text != "xx" {
		t.Errorf("%q was written by links of others", text)
	}
}

func TestReplaceKeepsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	must(t, Replace(path, []byte("first, longer")))
	must(t, Replace(path, []byte("second")))
	if text := read(t, path); text != "second" {
		t.Errorf("%q", text)
	}
	if list, err := os.ReadDir(filepath.Dir(path)); err != nil || len(list) != 1 {
		t.Errorf("beside it: %v, %v", list, err)
	}
	if err := Replace(filepath.Dir(path)+"/none/file", nil); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func itoa(f *os.File) string { return strconv.Itoa(int(f.Fd())) }

// TestLinksOnFUSE: what a user has mounted says that a link there is root's.
func TestLinksOnFUSE(t *testing.T) {
	kept := t.TempDir()
	must(t, os.WriteFile(kept+"/precious", []byte("precious"), 0o600))
	for uid, refused := range map[int]bool{1718: true, 0: false} {
		mount := testfuse.Mount(t, uid, "log->"+kept+"/precious", "way->"+kept)
		for _, name := range []string{"/log", "/way/precious"} {
			if err := appended(mount+name, "x"); errors.Is(err, unix.ELOOP) != refused || !refused && err != nil {
				t.Errorf("%s of user %d: %v", name, uid, err)
			}
		}
	}
	if text := read(t, kept+"/precious"); text != "preciousxx" {
		t.Errorf("%q", text)
	}
}
