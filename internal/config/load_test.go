package config

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
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
	if after := count(); after > before+5 { // fewer, where others' are closed meanwhile
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// TestLoadTakesNoOddFiles has what may wait for ever, has no end, or is not a
// configuration but the kernel's.
func TestLoadTakesNoOddFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	link := func(to string) func() error { return func() error { return os.Symlink(to, path) } }
	for _, c := range []struct {
		name string
		make func() error
		want string
	}{
		{"named pipe", func() error { return unix.Mkfifo(path, 0o600) }, "is a named pipe, which may wait or have no end; give a regular file"},
		{"directory", func() error { return os.Mkdir(path, 0o700) }, "is a directory"},
		{"endless device", link("/dev/zero"), "is a device, which may wait"},
		{"terminals", link("/dev/ptmx"), "is a device, which may wait"},
		{"socket", func() error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err == nil {
				l.SetUnlinkOnClose(false)
				l.Close()
			}
			return err
		}, "is a socket, which may wait"},
		{"procfs", link("/proc/self/environ"), "is the kernel's, of procfs, sysfs or the like; give a file that has been written"},
		{"sysfs", link("/sys/kernel/uevent_seqnum"), "is the kernel's"},
		{"a file with a hole", func() error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 1<<40))
		}, "larger than 16 MiB, which no configuration needs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.make(); err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(path)
			want := "read " + path + ": " + c.want
			if _, _, err := Load(dir, ""); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("Load: got %v, want %s", err, want)
			}
			if _, err := ReadFile(path); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("ReadFile: got %v, want %s", err, want)
			}
		})
	}
}

// TestLoadReadsNoLogOfTheHost reads none of it, and so has no wait for more.
func TestLoadReadsNoLogOfTheHost(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/proc/kmsg", filepath.Join(dir, FileName)); err != nil {
		t.Fatal(err)
	}
	_, _, err := Load(dir, "")
	if err == nil || !strings.Contains(err.Error(), "is the kernel's") && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EPERM) {
		t.Errorf("got %v", err)
	}
}

// TestLoadOpensNoDevice has a device that would do something when it is opened.
func TestLoadOpensNoDevice(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	if err := unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))); err != nil {
		t.Skipf("needs root to make a device: %v", err)
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := unix.InotifyAddWatch(fd, path, unix.IN_OPEN); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Load(dir, ""); err == nil || !strings.Contains(err.Error(), "is a device") {
		t.Errorf("got %v", err)
	}
	if n, err := unix.Read(fd, make([]byte, 4096)); err != unix.EAGAIN {
		t.Errorf("it has been opened: %d bytes of events, %v", n, err)
	}
}

// TestReadFileOfOwnDescriptors has a pipe, a named pipe and a regular file.
func TestReadFileOfOwnDescriptors(t *testing.T) {
	const text = "some text"
	dir := write(t, "regular", text)
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	named, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer named.Close()
	readOnly, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	for _, f := range []*os.File{w, named} {
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	regular, err := os.Open(filepath.Join(dir, "regular"))
	if err != nil {
		t.Fatal(err)
	}
	defer regular.Close()
	for _, f := range []*os.File{r, readOnly, regular} {
		path := "/dev/fd/" + strconv.Itoa(int(f.Fd()))
		if got, err := ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%s: got %q, %v", f.Name(), got, err)
		}
	}
	proc, err := os.Open("/proc/self/environ")
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	if _, err := ReadFile("/dev/fd/" + strconv.Itoa(int(proc.Fd()))); err == nil || !strings.Contains(err.Error(), "is the kernel's") {
		t.Errorf("procfs by a descriptor: %v", err)
	}
	for _, path := range []string{"/dev/fd/-1", "/dev/fd/01", "/dev/fd/x", "/dev/fd/", "/dev/fd/0/x", "stdin"} {
		if n := descriptor(path); n >= 0 {
			t.Errorf("%s is taken for descriptor %d", path, n)
		}
	}
}

// TestReadFileBoundsPipes has one without an end.
func TestReadFileBoundsPipes(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer w.Close()
		for n := 0; n < 2*maxSize; n += 1 << 16 { // else a test that fails would not end
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	}()
	_, err = ReadFile("/dev/fd/" + strconv.Itoa(int(r.Fd())))
	if err == nil || !strings.Contains(err.Error(), "larger than 16 MiB") {
		t.Errorf("got %v", err)
	}
	r.Close()
	<-done
}
