package rootfs

import (
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// terminal makes w's container one with a terminal; what it prints comes back from
// text.
func (w *world) terminal() (text func() string) {
	w.c.Terminal = true
	w.spec.Process.ConsoleSize = &specs.Box{Height: 33, Width: 99}
	w.spec.Process.User.UID = 12
	done := make(chan string, 1)
	w.term = func(ptmx int) {
		go func() {
			f := os.NewFile(uintptr(ptmx), "terminal")
			defer f.Close()
			var out []byte
			buf := make([]byte, 4096)
			for {
				n, err := unix.Read(ptmx, buf)
				if n <= 0 || err != nil {
					break
				}
				out = append(out, buf[:n]...)
			}
			done <- strings.ReplaceAll(string(out), "\r\n", "\n")
		}()
	}
	return func() string { return <-done }
}

func TestConsole(t *testing.T) {
	for name, mounts := range map[string][]specs.Mount{"fresh": defaults(), "image's /dev": {proc(), defaults()[2]}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, mounts...)
			text := w.terminal()
			w.ok(`stty size; tty; echo to the console >/dev/console; stat -L -c "%t %u" /proc/self/fd/0`)
			if got, want := text(), "33 99\n/dev/pts/0\nto the console\n88 12\n"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestConsoleIsNoLink(t *testing.T) {
	w := newWorld(t, proc(), defaults()[2])
	must(t, os.Symlink(w.path("canary/file"), w.inRoot("dev/console")))
	w.terminal()
	w.fails("process.terminal: open a terminal: open /dev/console, which must be no symbolic link")
}

func TestTerminalNeedsADevpts(t *testing.T) {
	w := newWorld(t, proc(), dev(), tmpfs("/dev/pts"))
	w.terminal()
	w.fails("process.terminal: open a terminal: open /dev/pts/ptmx of the container (mount a devpts on /dev/pts): no such file or directory")
}
