package integration

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testpty"
)

// TestTop: a line for each container with what it uses, once for programs, and on a terminal
// until the key q, which gives the terminal back.
func TestTop(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "others have no top")
	b := newBundle(t, sh("sleep 1000 & while :; do :; done"))
	b.create().start()
	res := b.rt("top", "--interval", "50ms").ok(t)
	lines := strings.Split(res.stdout, "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "ID ") || !strings.HasPrefix(lines[1], b.id+" ") || !strings.Contains(lines[1], " running ") {
		t.Errorf("%s", res)
	}
	if fields := strings.Fields(lines[1]); len(fields) < 6 || fields[2] == "0.0" || fields[2] == "-" {
		t.Errorf("a loop that uses no processor time: %s", res)
	}
	b.rt("top", "--once", "ghost").failed(t, "top ghost: container does not exist")
	b.rt("top", "--interval", "0s").failed(t, "top: --interval 0s: give a time above zero")
	onTerminal(t, b)
	b.delete("-f")
	if res := b.rt("top", "--interval", "1ms").ok(t); strings.Count(res.stdout, "\n") != 1 {
		t.Errorf("no container is left: %s", res)
	}
}

func onTerminal(t *testing.T, b *bundle) {
	t.Helper()
	master, slave := testpty.Open(t)
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}); err != nil {
		t.Fatal(err)
	}
	before, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	screen := watch(master)
	running := call{root: b.root, args: []string{"top", "--interval", "20ms"}, stdin: slave, stdout: slave.Name()}.start(t)
	screen.wait(t, "1 container; q quits")
	screen.wait(t, b.id)
	screen.typeIn(t, "m")
	screen.typeIn(t, "q")
	if res := running.wait(); res.code != 0 || res.stderr != "" {
		t.Errorf("%s", res)
	}
	screen.wait(t, "\x1b[?1049l")
	after, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("the terminal is not as before: %+v, %v", after, err)
	}
}
