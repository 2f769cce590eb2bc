package life

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/program/spawn"
)

// TestReportsEndWithInit: whoever holds init's end of the fifo open keeps nobody waiting
// once init has ended.
func TestReportsEndWithInit(t *testing.T) {
	init := exec.Command("/bin/true")
	must(t, init.Start())
	pidfd, err := unix.PidfdOpen(init.Process.Pid, 0)
	must(t, err)
	defer unix.Close(pidfd)
	must(t, init.Wait())
	var fds [2]int
	must(t, unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK))
	defer unix.Close(fds[0])
	defer unix.Close(fds[1]) // the tracer's
	if data, gone, err := awaitReport(fds[0], pidfd, time.Time{}); data || !gone || err != nil {
		t.Errorf("got %v, %v, %v; want the end", data, gone, err)
	}
	if _, err := unix.Write(fds[1], []byte{1}); err != nil {
		t.Fatal(err)
	}
	if data, _, err := awaitReport(fds[0], pidfd, time.Time{}); !data || err != nil {
		t.Errorf("got %v, %v; want what init has left", data, err)
	}
}

// TestReportsOfATracerEnd: whoever holds the fifo of an init that has ended and writes to it
// without end does not hold up start.
func TestReportsOfATracerEnd(t *testing.T) {
	init := exec.Command("true")
	must(t, init.Start())
	pidfd, err := unix.PidfdOpen(init.Process.Pid, 0)
	must(t, err)
	defer unix.Close(pidfd)
	must(t, init.Wait())
	flood, err := os.Open("/dev/zero") // never empty
	must(t, err)
	defer flood.Close()
	reports := &reports{fd: int(flood.Fd()), pidfd: pidfd}
	const most = 2 * maxLeft / reportLen
	for n := 0; !errors.Is(err, spawn.ErrEnded); n++ {
		if _, err = reports.next(time.Time{}); n > most {
			t.Fatalf("%d messages, and no end", n)
		}
	}
}

// TestParseReport: messages come in pieces, and their lengths are bounded.
func TestParseReport(t *testing.T) {
	word := func(tag uint32, value int64, data string) []byte {
		p := binary.NativeEndian.AppendUint32(nil, tag)
		p = binary.NativeEndian.AppendUint64(append(p, 0, 0, 0, 0), uint64(value))
		return append(p, data...)
	}
	for name, c := range map[string]struct {
		p    []byte
		size int
		data string
	}{
		"nothing":              {nil, 0, ""},
		"half a message":       {word(1, 0, "")[:8], 0, ""},
		"a message":            {word(1, 5, "rest"), reportLen, ""},
		"output":               {word(compile.HookOutput, 4, "text and more"), reportLen + 4, "text"},
		"output that is to go": {word(compile.HookOutput, 4, "te"), 0, ""},
		"too long an output":   {word(compile.HookOutput, compile.HookTail+1, "text"), reportLen, ""},
	} {
		if m, size := parseReport(c.p); size != c.size || string(m.Data) != c.data {
			t.Errorf("%s: %d bytes, data %q; want %d, %q", name, size, m.Data, c.size, c.data)
		}
	}
}
