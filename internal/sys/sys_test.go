package sys

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testplain"
)

func TestMain(m *testing.M) { testplain.Main(m) }

func open(t *testing.T) int {
	t.Helper()
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func isOpen(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}

func TestFDIsClosedOnce(t *testing.T) {
	var none FD
	if none.Valid() || none.Int() != -1 || none.Close() != nil {
		t.Error("the zero FD owns something")
	}
	if f := Own(-1); f.Valid() {
		t.Error("-1 is owned")
	}
	n := open(t)
	f := Own(n)
	if !f.Valid() || f.Int() != n {
		t.Fatalf("owns %d, want %d", f.Int(), n)
	}
	if err := f.Close(); err != nil || isOpen(n) || f.Valid() {
		t.Errorf("closed: %v, open %v, valid %v", err, isOpen(n), f.Valid())
	}
	// The number is another file's now.
	again := open(t)
	if again != n {
		t.Fatalf("got %d, want the lowest free number %d", again, n)
	}
	if err := f.Close(); err != nil || !isOpen(again) {
		t.Errorf("a second Close has closed another file: %v", err)
	}
	f = Own(again)
	if got := f.Release(); got != again || f.Valid() || !isOpen(again) {
		t.Errorf("Release: %d, valid %v", got, f.Valid())
	}
	unix.Close(again)
}

func TestRetry(t *testing.T) {
	calls := 0
	interrupted := func() error {
		if calls++; calls < 3 {
			return unix.EINTR
		}
		return unix.EIO
	}
	if err := Retry(interrupted); err != unix.EIO || calls != 3 {
		t.Errorf("%v after %d calls", err, calls)
	}
	calls = 0
	n, err := Retry1(func() (int, error) {
		err := interrupted()
		return calls, err
	})
	if n != 3 || err != unix.EIO {
		t.Errorf("%d, %v", n, err)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	d, err := Open(unix.AT_FDCWD, dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(d)
	if err := WriteFile(d, "none", "x"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "open none") {
		t.Errorf("write of what is not there: %v", err)
	}
	long := strings.Repeat("0123456789", 1000)
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(d, "f", long); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{len(long), len(long) + 1} {
		got, err := ReadFile(d, "f", []byte("before "), limit)
		if err != nil || string(got) != "before "+long {
			t.Errorf("limit %d: %d bytes, %v", limit, len(got), err)
		}
	}
	got, err := ReadFile(d, "f", nil, len(long)-1)
	if !errors.Is(err, ErrTooLarge) || len(got) != len(long)-1 {
		t.Errorf("over the limit: %d bytes, %v", len(got), err)
	}
	if _, err := ReadFile(d, ".", nil, 1); !errors.Is(err, unix.EISDIR) {
		t.Errorf("a directory: %v", err)
	}
}

func TestPoll(t *testing.T) {
	fd := open(t)
	defer unix.Close(fd)
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if n, err := Poll(p, time.Now().Add(2*time.Millisecond)); n != 0 || err != nil {
		t.Errorf("nothing has happened: %d, %v", n, err)
	}
	if n, err := Poll(p, time.Unix(1, 0)); n != 0 || err != nil {
		t.Errorf("a time that has passed: %d, %v", n, err)
	}
	if _, err := Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 1}); err != nil {
		t.Fatal(err)
	}
	for _, until := range []time.Time{{}, time.Unix(1, 0), time.Now().Add(1 << 62)} {
		if n, err := Poll(p, until); n != 1 || err != nil {
			t.Errorf("until %v: %d, %v", until, n, err)
		}
	}
}

func TestTimeout(t *testing.T) {
	for name, tt := range map[string]struct {
		until    time.Time
		min, max int
	}{
		"never":        {time.Time{}, -1, -1},
		"over":         {time.Now().Add(-time.Hour), 0, 0},
		"in a century": {time.Now().Add(100 * 365 * 24 * time.Hour), maxTimeout, maxTimeout},
		"in a minute":  {time.Now().Add(time.Minute), 1, 60000},
	} {
		if got := timeout(tt.until); got < tt.min || got > tt.max {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func TestPassing(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	fd := open(t)
	defer unix.Close(fd)
	before := opened(t)
	for name, tt := range map[string]struct {
		send, limit int
		wrong       bool
	}{
		"none":         {0, 1, false},
		"one":          {1, 1, false},
		"many":         {100, 100, false},
		"one too many": {2, 1, true},
		"unwanted":     {1, 0, true},
		"too many":     {100, 3, true},
	} {
		if n, err := SendFDs(pair[0], []byte("text"), slices.Repeat([]int{fd}, tt.send)...); n != 4 || err != nil {
			t.Fatalf("%s: sent %d, %v", name, n, err)
		}
		var data [10]byte
		n, fds, err := ReceiveFDs(pair[1], data[:], tt.limit)
		if tt.wrong != (err != nil) || !tt.wrong && (string(data[:n]) != "text" || len(fds) != tt.send) {
			t.Errorf("%s: %d bytes, %d descriptors, %v", name, n, len(fds), err)
		}
		for _, fd := range fds {
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("%s: descriptor %d is inherited: %v", name, fd, err)
			}
			unix.Close(fd)
		}
		if after := opened(t); after > before { // fewer, where others' are closed meanwhile
			t.Errorf("%s: %d descriptors open, before %d", name, after, before)
		}
	}
	unix.Close(pair[0])
	if n, fds, err := ReceiveFDs(pair[1], make([]byte, 1), 1); n != 0 || fds != nil || err != nil {
		t.Errorf("at the end: %d, %v, %v", n, fds, err)
	}
	pair[0] = open(t)
}

func opened(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
