package rootfs

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestMakeTargetLeavesOtherFilesModes: whoever has the directory may exchange what was
// made for a file of somebody else's, at any time. That keeps its mode.
func TestMakeTargetLeavesOtherFilesModes(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077)) // so that what is made would have to be opened
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "kept"), nil, 0o600))
	root := openRoot(t, dir)
	var stop atomic.Bool
	var swaps atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Load() {
			if unix.Renameat2(root, "secret", root, "name", unix.RENAME_EXCHANGE) == nil {
				swaps.Add(1)
			}
		}
	}()
	for i := 0; i < 1000 || swaps.Load() < 1000; i++ {
		must(t, unix.Linkat(root, "kept", root, "secret", 0))
		must(t, MakeTarget(root, "/name", false, os.Geteuid(), os.Getegid()))
		must(t, unix.Unlinkat(root, "name", 0))
		must(t, unix.Unlinkat(root, "secret", 0))
	}
	stop.Store(true)
	<-done
	info, err := os.Stat(filepath.Join(dir, "kept"))
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the other file's mode is %o", info.Mode().Perm())
	}
}

// TestMakeTargetsUmask: what is made has its whole mode, and the caller's umask stays.
func TestMakeTargetsUmask(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	dir := t.TempDir()
	root := openRoot(t, dir)
	must(t, MakeTarget(root, "/a/b", true, os.Geteuid(), os.Getegid()))
	must(t, MakeTarget(root, "/a/f", false, os.Geteuid(), os.Getegid()))
	for name, want := range map[string]os.FileMode{"a": 0o755, "a/b": 0o755, "a/f": 0o644} {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("%s has the mode %o, want %o", name, info.Mode().Perm(), want)
		}
	}
	if got := unix.Umask(0o077); got != 0o077 {
		t.Errorf("the caller's umask is %o now", got)
	}
}

// TestLinksIntoWhatIsBound: a link of the image does not have the runtime make anything in
// a directory of the host. What config.json names itself, and what is the container's, it may.
func TestLinksIntoWhatIsBound(t *testing.T) {
	for name, c := range map[string]struct {
		links map[string]string
		at    string // where the host's directory is bound
		dest  string
		made  string // in the host's directory; empty where it is refused
	}{
		"link":           {links: map[string]string{"l": "/bound/new"}, at: "/bound", dest: "/l/x"},
		"link on a way":  {links: map[string]string{"l": "bound"}, at: "/bound", dest: "/l/new/x"},
		"prefix, link":   {links: map[string]string{"l": "other"}, at: "/l/bound", dest: "/l/bound/new/x", made: "new/x"},
		"linked bind":    {links: map[string]string{"l": "other"}, at: "/l", dest: "/l/new/x", made: "new/x"},
		"named":          {at: "/bound", dest: "/bound/new/x", made: "new/x"},
		"/var/run":       {links: map[string]string{"var/run": "/run"}, at: "/run", dest: "/var/run/secrets/x", made: "secrets/x"},
		"/var/run, odd":  {links: map[string]string{"var/run": "/bound"}, at: "/bound", dest: "/var/run/secrets/x"},
		"/var/run, deep": {links: map[string]string{"var/run": "/run", "run": "bound"}, at: "/bound", dest: "/var/run/secrets/x"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			host := t.TempDir()
			for _, dir := range []string{"bound", "other", "var"} {
				must(t, os.Mkdir(w.inRoot(dir), 0o755))
			}
			for link, to := range c.links {
				must(t, os.Symlink(to, w.inRoot(link)))
			}
			w.spec.Mounts = []specs.Mount{
				proc(),
				{Destination: c.at, Type: "bind", Source: host, Options: []string{"bind"}},
				{Destination: c.dest, Type: "tmpfs", Source: "tmpfs"},
			}
			if c.made == "" {
				w.fails("a symbolic link of the image leads " + c.dest + " into what is mounted there")
			} else {
				w.ok("true")
			}
			list, err := os.ReadDir(host)
			must(t, err)
			if c.made == "" && len(list) > 0 {
				t.Errorf("the host's directory has %v", list)
			}
			if c.made == "" {
				return
			}
			if _, err := os.Stat(filepath.Join(host, c.made)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestLinksIntoATmpfs: a file system of the container's own is no directory of the host.
func TestLinksIntoATmpfs(t *testing.T) {
	w := newWorld(t, proc(), specs.Mount{Destination: "/own", Type: "tmpfs", Source: "tmpfs"},
		specs.Mount{Destination: "/l/new/x", Type: "tmpfs", Source: "tmpfs"})
	must(t, os.Symlink("own", w.inRoot("l")))
	if out := w.ok("cut -d' ' -f5 /proc/self/mountinfo | grep own"); out != "/own\n/own/new/x\n" {
		t.Errorf("mounted: %q", out)
	}
	if _, err := os.Stat(w.inRoot("own/new")); !errors.Is(err, os.ErrNotExist) {
		t.Error("made beneath:", err)
	}
}

// TestNodesBehindLinks: a link of the image has no device node made in a directory of the
// host; in the root it may lead wherever it likes.
func TestNodesBehindLinks(t *testing.T) {
	for to, refused := range map[string]bool{"/bound": true, "bound/there": true, "other": false} {
		host := t.TempDir()
		must(t, os.Mkdir(filepath.Join(host, "there"), 0o755))
		w := newWorld(t, proc(), specs.Mount{Destination: "/bound", Type: "bind", Source: host, Options: []string{"bind"}})
		must(t, os.Mkdir(w.inRoot("other"), 0o755))
		must(t, os.Symlink(to, w.inRoot("l")))
		w.spec.Linux.Devices = []specs.LinuxDevice{{Path: "/l/zero", Type: "c", Major: 1, Minor: 5}}
		if refused {
			w.fails("open target /l, from which no symbolic link may lead into what is mounted: invalid cross-device link")
		} else {
			w.ok("test -c /other/zero")
		}
		for _, name := range []string{"zero", "there/zero"} {
			if _, err := os.Lstat(filepath.Join(host, name)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("made by way of %s: %v", to, err)
			}
		}
	}
}

// TestDeviceDeepInDev: several directories of a node are missing in /dev, a mount of its own.
func TestDeviceDeepInDev(t *testing.T) {
	w := newWorld(t)
	w.spec.Mounts = []specs.Mount{proc(), dev()}
	w.spec.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/bus/usb/001/pipe", Type: "p"}}
	if got := w.ok(`stat -c "%F" /dev/bus/usb/001/pipe; stat -c %a /dev/bus /dev/bus/usb`); got != "fifo\n755\n755\n" {
		t.Errorf("got %q", got)
	}
}

// TestSourceInTheContainerIsNoLink has a bind whose source lies in what an earlier mount
// brings from a directory of somebody else's: a link there must not choose what is bound.
func TestSourceInTheContainerIsNoLink(t *testing.T) {
	for name, to := range map[string]string{"procfs": "/proc", "its own mount": "/data/there"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, proc())
			must(t, os.MkdirAll(w.path("volume/there"), 0o755))
			must(t, os.Symlink(to, w.path("volume/link")))
			must(t, os.MkdirAll(w.inRoot("data"), 0o755))
			w.spec.Linux.ReadonlyPaths = []string{"/proc/sys"}
			w.spec.Mounts = append(w.spec.Mounts, bind(w.path("volume"), "/data", "rbind"), bind(w.inRoot("data/link"), "/to", "bind", "rw"))
			w.fails("mounts[2]: bind", "no symbolic link", "too many levels of symbolic links")
			w.spec.Mounts[2].Source = w.inRoot("data/there")
			w.ok("touch /to/x")
			if _, err := os.Stat(w.path("volume/there/x")); err != nil {
				t.Error(err)
			}
		})
	}
}
