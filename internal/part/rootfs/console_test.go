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
	for name, to := range map[string]string{"out": "canary/file", "beside": "root/dev/file"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, proc(), defaults()[2])
			link := w.path(to)
			if name == "beside" {
				must(t, os.WriteFile(link, nil, 0o644))
				link = "file"
			}
			must(t, os.Symlink(link, w.inRoot("dev/console")))
			w.terminal()
			w.fails("process.terminal: open a terminal: open /dev/console, which must be no symbolic link")
		})
	}
}

// What the image has at the place of the multiplexer is told nothing.
func TestTerminalIsOnADevpts(t *testing.T) {
	for name, lay := range map[string]func(p string) error{
		"file":   func(p string) error { return os.WriteFile(p, nil, 0o666) },
		"device": func(p string) error { return unix.Mknod(p, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) },
		"link":   func(p string) error { return os.Symlink("/dev/zero", p) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, proc())
			must(t, os.MkdirAll(w.inRoot("dev/pts"), 0o755))
			must(t, lay(w.inRoot("dev/pts/ptmx")))
			w.terminal()
			w.fails("process.terminal: open a terminal: /dev/pts/ptmx is not on a devpts: no such device")
		})
	}
}

func TestTerminalNeedsADevpts(t *testing.T) {
	w := newWorld(t, proc(), dev(), tmpfs("/dev/pts"))
	w.terminal()
	w.fails("process.terminal: open a terminal: open /dev/pts/ptmx of the container (mount a devpts on /dev/pts): no such file or directory")
}
