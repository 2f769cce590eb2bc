package state

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testwait"
)

func TestFifos(t *testing.T) {
	r, d := newContainer(t, "web1")
	if d.Waiting() {
		t.Error("waiting without a fifo")
	}
	if err := d.CreateFifos(); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(filepath.Join(r.path, "web1", "exec.fifo")); err != nil || st.Mode() != os.ModeNamedPipe|0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if d.Waiting() {
		t.Error("waiting without an init")
	}
	if err := d.Go(); !errors.Is(err, unix.ENXIO) {
		t.Errorf("Go without an init: %v, want ENXIO", err)
	}
	goFd, resultFd, err := d.OpenFifos()
	if err != nil {
		t.Fatal(err)
	}
	if !d.Waiting() {
		t.Error("init is not seen waiting")
	}
	if testwait.Now(t, goFd) {
		t.Fatal("init goes on by itself: its read would not wait")
	}
	woken := make(chan error, 1)
	go func() {
		_, err := unix.Read(goFd, make([]byte, 1))
		woken <- err
	}()
	result, err := d.OpenResult()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(result)
	if err := d.Go(); err != nil {
		t.Fatal(err)
	}
	if err := testwait.Value(t, "init is woken", woken); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 16)
	if _, err := unix.Read(result, buf); err != unix.EAGAIN {
		t.Errorf("a result before there is one: %v, want EAGAIN", err)
	}
	if _, err := unix.Write(resultFd, []byte("report")); err != nil {
		t.Fatal(err)
	}
	unix.Close(goFd)
	unix.Close(resultFd) // as execve does
	testwait.Readable(t, "the result", result)
	if n, err := unix.Read(result, buf); string(buf[:n]) != "report" || err != nil {
		t.Errorf("got %q, %v", buf[:n], err)
	}
	if n, err := unix.Read(result, buf); n != 0 || err != nil {
		t.Errorf("got %d, %v, want the end", n, err)
	}
	if d.Waiting() {
		t.Error("still waiting after init has closed its ends")
	}
	for range 2 {
		if err := d.RemoveFifos(); err != nil {
			t.Error(err)
		}
	}
	if err := d.Go(); !errors.Is(err, unix.ENOENT) {
		t.Errorf("Go without a fifo: %v, want ENOENT", err)
	}
}

// TestFifosAreTheOwnersAlone whatever the umask is: who writes to exec.fifo starts the
// container, and who reads takes the byte away.
func TestFifosAreTheOwnersAlone(t *testing.T) {
	r, d := newContainer(t, "web1")
	defer unix.Umask(unix.Umask(0))
	if err := d.CreateFifos(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{goName, resultName} {
		if st, err := os.Stat(filepath.Join(r.path, "web1", name)); err != nil || st.Mode() != os.ModeNamedPipe|0o600 {
			t.Errorf("%s: %v, %v, want mode 0600", name, st, err)
		}
	}
}
