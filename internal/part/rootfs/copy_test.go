package rootfs

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/spawn"
	"github.com/hutch-project/hutch/tests/testneed"
	"github.com/hutch-project/hutch/tests/testtree"
)

// copying is a child that serves the copy of src to dst, a tmpfs, and the copier that
// steers it.
type copying struct {
	t        *testing.T
	src, dst string
	root     *Root
	child    *spawn.Child
	copier   *copier
}

// newCopying makes the directories; options are those of the tmpfs.
func newCopying(t *testing.T, options string) *copying {
	t.Helper()
	testneed.Root(t, "mounts")
	c := &copying{t: t, src: t.TempDir(), dst: t.TempDir(), root: &Root{mounts: []source{{dest: "/up"}}}}
	must(t, unix.Mount("tmpfs", c.dst, "tmpfs", 0, options))
	t.Cleanup(func() { must(t, unix.Unmount(c.dst, unix.MNT_DETACH)) })
	return c
}

// serve starts the child, which opens nothing but what the program does.
func (c *copying) serve() {
	c.t.Helper()
	b := program.New()
	b = b.Element(program.T("mounts[0]")).Doing(program.T("test"))
	var target program.Reg
	s := c.root.mounts[0]
	b.InParent(func() {
		path := func(dir string) program.Reg {
			return b.Sys(unix.SYS_OPENAT, program.Imm(unix.AT_FDCWD), b.Str(dir), program.Imm(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)).Fd()
		}
		target, s.tree = path(c.src), path(c.dst)
	})
	c.root.copyUp(b, 0, &s, target)
	b.Exit(0)
	p, err := b.Program()
	must(c.t, err)
	c.child, err = spawn.Spawn(p, &spawn.Options{Cgroup: -1})
	must(c.t, err)
	c.t.Cleanup(func() { c.child.Kill(); c.child.Close() })
	e, err := c.child.Next()
	must(c.t, err)
	c.copier = &copier{child: c.child, tag: e.Tag, left: maxReturns}
	if e.Tag != CopyUpTag {
		c.t.Fatalf("message %+v", e)
	}
}

// all copies everything.
func (c *copying) all() error {
	c.t.Helper()
	c.serve()
	err := c.root.handleCopyUp(c.child, spawn.Event{Tag: CopyUpTag})
	if err != nil {
		return err
	}
	if e, err := c.child.Next(); !errors.Is(err, spawn.ErrEnded) {
		c.t.Fatalf("after the end: %+v, %v", e, err)
	}
	ws, err := c.child.Wait()
	must(c.t, err)
	if ws.ExitStatus() != 0 {
		c.t.Errorf("the child ended with %d", ws.ExitStatus())
	}
	return nil
}

// ok copies everything, and compares.
func (c *copying) ok() {
	c.t.Helper()
	must(c.t, c.all())
	if got, want := described(c.t, c.dst), described(c.t, c.src); got != want {
		c.t.Errorf("the copy has\n%s\nwant\n%s", got, want)
	}
}

func (c *copying) in(name string) string { return filepath.Join(c.src, name) }

// described returns the entries below dir that are copied, with all that is copied of them.
func described(t *testing.T, dir string) string {
	t.Helper()
	return strings.Join(testtree.Lines(t, dir, func(f testtree.File) string {
		switch f.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			f.Content = fmt.Sprintf("%d %x", len(f.Content), sha256.Sum256([]byte(f.Content)))
		case unix.S_IFLNK, unix.S_IFDIR:
		default:
			return ""
		}
		if f.Path == "" {
			return ""
		}
		return fmt.Sprintf("%q %o %d:%d %s\n", f.Path, f.Mode, f.Uid, f.Gid, f.Content)
	}), "")
}

func TestCopyUpOfAllKinds(t *testing.T) {
	c := newCopying(t, "")
	long := strings.Repeat("n", nameMax)
	must(t, os.Mkdir(c.in(long), 0o700))
	must(t, os.WriteFile(c.in(long+"/"+long), []byte("text"), 0o644))
	must(t, os.MkdirAll(c.in("a/b/c"), 0o755))
	for name, mode := range map[string]uint32{"set": 0o6755, "closed": 0, "a/b/f": 0o640, "a/b/c/odd \n name\xff": 0o604} {
		must(t, os.WriteFile(c.in(name), []byte(name), 0o600))
		must(t, unix.Chmod(c.in(name), mode))
	}
	must(t, os.WriteFile(c.in("empty"), nil, 0o600))
	must(t, os.WriteFile(c.in("big"), []byte(strings.Repeat("0123456789abcdef", 200_000)), 0o600))
	must(t, unix.Fchownat(unix.AT_FDCWD, c.in("a/b/f"), 70000, 70001, 0))
	must(t, os.Link(c.in("a/b/f"), c.in("a/hard")))
	must(t, unix.Chmod(c.in("a/b"), 0o3070))
	must(t, unix.Chmod(c.in("a/b/c"), 0)) // what is in it is copied before
	must(t, os.Chown(c.in("a/b"), 5, 6))
	for name, to := range map[string]string{
		"dangling": "/no/such", "out": "../../../etc/passwd", "dir": "a/b", "longest": strings.Repeat("/long", 818) + "/four", "loop": "loop", "a/odd": "\xfe",
	} {
		must(t, os.Symlink(to, c.in(name)))
		must(t, os.Lchown(c.in(name), 8, 9))
	}
	if to, err := os.Readlink(c.in("longest")); len(to) != unix.PathMax-1 {
		t.Fatalf("the longest link has %d bytes, %v", len(to), err)
	}
	must(t, unix.Mkfifo(c.in("fifo"), 0o600)) // these are left out
	must(t, unix.Mknod(c.in("socket"), unix.S_IFSOCK|0o600, 0))
	must(t, unix.Mknod(c.in("device"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))))
	must(t, unix.Mknod(c.in("a/block"), unix.S_IFBLK|0o600, int(unix.Mkdev(7, 0))))
	c.ok()
	for _, name := range []string{"fifo", "socket", "device", "a/block"} {
		if _, err := os.Lstat(filepath.Join(c.dst, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want it left out", name, err)
		}
	}
}

// Holes stay holes, wherever they are, and the size is that of the file.
func TestCopyUpOfSparseFiles(t *testing.T) {
	const hole = 64 << 20
	for name, places := range map[string][]int64{
		"only a hole": nil, "data first": {0}, "data last": {hole - 4096}, "data in between": {hole / 4, hole / 2}, "a last byte": {hole - 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCopying(t, "size=4m") // what is no hole any more does not fit
			f, err := os.Create(c.in("sparse"))
			must(t, err)
			for _, at := range places {
				_, err := f.WriteAt([]byte("d"), at)
				must(t, err)
			}
			must(t, f.Truncate(hole))
			must(t, f.Close())
			c.ok()
			var st unix.Stat_t
			must(t, unix.Stat(filepath.Join(c.dst, "sparse"), &st))
			if st.Size != hole || st.Blocks*512 > int64(len(places))*64<<10 {
				t.Errorf("%d bytes in %d blocks of 512", st.Size, st.Blocks)
			}
		})
	}
}

// More entries than one message takes.
func TestCopyUpOfManyEntries(t *testing.T) {
	c := newCopying(t, "")
	for i := range 3000 {
		name := c.in(fmt.Sprintf("entry-%04d", i))
		switch i % 3 {
		case 0:
			must(t, os.Mkdir(name, 0o755))
		case 1:
			must(t, os.WriteFile(name, []byte{byte(i)}, 0o644))
		case 2:
			must(t, os.Symlink(name, name))
		}
	}
	c.ok()
}

// Deeper than a path can say.
func TestCopyUpOfDeepDirectories(t *testing.T) {
	const depth, length = 60, 100
	c := newCopying(t, "")
	name := strings.Repeat("d", length)
	at, err := unix.Open(c.src, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	descend := func(at int) int {
		next, err := unix.Openat(at, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		unix.Close(at)
		must(t, err)
		return next
	}
	for range depth {
		must(t, unix.Mkdirat(at, name, 0o711))
		at = descend(at)
	}
	fd, err := unix.Openat(at, "bottom", unix.O_CREAT|unix.O_CLOEXEC, 0o640)
	must(t, err)
	unix.Close(fd)
	unix.Close(at)
	must(t, c.all())
	at, err = unix.Open(c.dst, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	var st unix.Stat_t
	for i := range depth {
		if must(t, unix.Fstatat(at, name, &st, 0)); st.Mode&0o7777 != 0o711 {
			t.Errorf("directory %d has the mode %o", i, st.Mode)
		}
		at = descend(at)
	}
	defer unix.Close(at)
	if err := unix.Fstatat(at, "bottom", &st, 0); err != nil || st.Mode != unix.S_IFREG|0o640 {
		t.Errorf("at the bottom: mode %o, %v", st.Mode, err)
	}
}

// TestCopyUpIsBounded: directories that are too deep, too many, or so deep and many that to
// come back from each would take hours, are an error, which is short.
func TestCopyUpIsBounded(t *testing.T) {
	t.Run("depth", func(t *testing.T) {
		c := newCopying(t, "")
		nest(t, c.src, strings.Repeat("d", 200), maxDepth+200)
		err := c.all()
		if !errors.Is(err, errTooMany) || len(err.Error()) > 300 {
			t.Errorf("%.1000v", err)
		}
	})
	t.Run("the deepest", func(t *testing.T) {
		c := newCopying(t, "")
		nest(t, c.src, "d", maxDepth)
		must(t, c.all())
	})
	t.Run("an error in the depth", func(t *testing.T) {
		c := newCopying(t, "nr_inodes=200")
		nest(t, c.src, strings.Repeat("d", 200), 400)
		if err := c.all(); !errors.Is(err, unix.ENOSPC) || len(err.Error()) > 4096 {
			t.Errorf("%.5000v", err)
		}
	})
	t.Run("returns", func(t *testing.T) {
		c := newCopying(t, "")
		nest(t, c.src, "d", 10)
		bottom := c.in(strings.Repeat("d/", 10))
		for i := range 20 {
			must(t, os.Mkdir(filepath.Join(bottom, strconv.Itoa(i)), 0o755))
		}
		for left, want := range map[int]error{9*20 + 0: errTooMany, 10*20 + 45: nil} {
			c.serve()
			c.copier.left = left
			if err := c.copier.tree(nil); err != want {
				t.Errorf("%d: %v, want %v", left, err, want)
			}
			c.child.Kill()
			must(t, exec.Command("rm", "-r", filepath.Join(c.dst, "d")).Run())
		}
	})
}

// nest makes so many directories, one in the other, that no path may lead to the last.
func nest(t *testing.T, dir, name string, depth int) {
	t.Helper()
	t.Cleanup(func() { must(t, exec.Command("rm", "-rf", filepath.Join(dir, name)).Run()) })
	at, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	for range depth {
		must(t, unix.Mkdirat(at, name, 0o755))
		next, err := unix.Openat(at, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		must(t, err)
		unix.Close(at)
		at = next
	}
	unix.Close(at)
}

// What was a file when it was looked at may be something else when it is opened: it is
// not read, nor followed.
func TestCopyUpOfAnExchangedFile(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, []byte("the host's"), 0o600))
	for name, make := range map[string]func(path string) error{
		"device":    func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) },
		"no device": func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(251, 251))) },
		"fifo":      func(path string) error { return unix.Mkfifo(path, 0o666) },
		"socket":    func(path string) error { return unix.Mknod(path, unix.S_IFSOCK|0o666, 0) },
		"link":      func(path string) error { return os.Symlink(secret, path) },
		"directory": func(path string) error { return os.Mkdir(path, 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCopying(t, "")
			must(t, os.WriteFile(c.in("f"), []byte("before"), 0o600))
			c.serve()
			must(t, os.Remove(c.in("f")))
			must(t, make(c.in("f")))
			if copied, err := c.copier.file("f"); copied != nil || err != nil {
				t.Errorf("copied: %v, %v", copied, err)
			}
			if got := described(t, c.dst); got != "" {
				t.Errorf("the copy has %s", got)
			}
			must(t, os.WriteFile(c.in("g"), []byte("after"), 0o600)) // it goes on
			if _, err := c.copier.entry("g"); err != nil {
				t.Error(err)
			}
			if text, err := os.ReadFile(filepath.Join(c.dst, "g")); string(text) != "after" {
				t.Errorf("%q, %v", text, err)
			}
			must(t, c.copier.send(&copyRequest{op: copyEnd}))
			if _, err := c.child.Next(); !errors.Is(err, spawn.ErrEnded) {
				t.Error(err)
			}
		})
	}
}

// A directory that is exchanged for a link leads nowhere.
func TestCopyUpOfAnExchangedDirectory(t *testing.T) {
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "secret"), nil, 0o600))
	for name, to := range map[string]string{"out": outside, "up": ".", "inside": "other"} {
		t.Run(name, func(t *testing.T) {
			c := newCopying(t, "")
			must(t, os.MkdirAll(c.in("d"), 0o755))
			must(t, os.MkdirAll(c.in("other/deep"), 0o755))
			c.serve()
			_, err := c.copier.entry("d")
			must(t, err)
			must(t, os.Remove(c.in("d")))
			must(t, os.Symlink(to, c.in("d")))
			if err := c.copier.dir(nil, "d"); !errors.Is(err, unix.ENOTDIR) && !errors.Is(err, unix.ELOOP) {
				t.Errorf("%v, want an error", err)
			}
			if got, want := described(t, c.dst), "\"/d\" 40700 0:0 \n"; got != want {
				t.Errorf("the copy has %s, want %s", got, want)
			}
		})
	}
}

// A file that is cut off while it is copied is as long as it was, and the copy ends.
func TestCopyUpOfAFileThatIsCutOff(t *testing.T) {
	c := newCopying(t, "")
	must(t, os.WriteFile(c.in("f"), make([]byte, 1<<20), 0o600))
	c.serve()
	st, err := c.copier.open("f")
	must(t, err)
	must(t, os.Truncate(c.in("f"), 100))
	must(t, c.copier.fill(st.size))
	if fi, err := os.Stat(filepath.Join(c.dst, "f")); err != nil || fi.Size() != 1<<20 {
		t.Errorf("%v, %v", fi, err)
	}
}

func TestCopyUpNamesTheFileAndTheMount(t *testing.T) {
	for name, c := range map[string]struct {
		options string
		make    func(c *copying) error
		want    string
		errno   error
	}{
		"no space": {"size=64k", func(c *copying) error { return os.WriteFile(c.in("d/big"), make([]byte, 1<<20), 0o600) }, "d: big: ", unix.ENOSPC},
		"no inode": {"nr_inodes=3", func(c *copying) error {
			return errors.Join(os.WriteFile(c.in("d/one"), nil, 0o600), os.Symlink("x", c.in("d/two")))
		}, "d: ", unix.ENOSPC},
		"another file system": {"", func(c *copying) error {
			c.t.Cleanup(func() { _ = unix.Unmount(c.in("d"), unix.MNT_DETACH) })
			return unix.Mount("tmpfs", c.in("d"), "tmpfs", 0, "")
		}, "d: ", unix.EXDEV},
	} {
		t.Run(name, func(t *testing.T) {
			s := newCopying(t, c.options)
			must(t, os.Mkdir(s.in("d"), 0o755))
			must(t, c.make(s))
			err := s.all()
			if !errors.Is(err, c.errno) || !strings.HasPrefix(fmt.Sprint(err), "mounts[0]: copy the content of /up up: "+c.want) {
				t.Errorf("%v, want %v with mounts[0], /up and %s", err, c.errno, c.want)
			}
		})
	}
}

// The child reads with the rights of the container's root, who may not read every file of
// a user namespace that is not its own.
func TestCopyUpReadsWithTheRightsOfTheContainer(t *testing.T) {
	w := newUserWorld(t, proc(), tmpfs("/up", "tmpcopyup"))
	must(t, os.Mkdir(w.inRoot("up"), 0o755))
	must(t, os.WriteFile(w.inRoot("up/hosts"), []byte("secret"), 0o600)) // of the host's root
	w.fails("mounts[1]", "copy the content of /up up", "hosts", "permission denied")
	must(t, os.Chmod(w.inRoot("up/hosts"), 0o644))
	if out := w.ok("cat /up/hosts"); out != "secret" {
		t.Errorf("%q", out)
	}
}

// A child that is killed ends the copy, and a message that is no answer does.
func TestCopyUpEndsWithItsChild(t *testing.T) {
	c := newCopying(t, "")
	must(t, os.WriteFile(c.in("f"), []byte("x"), 0o600))
	c.serve()
	if _, err := c.copier.stat("f"); err != nil {
		t.Fatal(err)
	}
	must(t, unix.PidfdSendSignal(c.child.Pidfd, unix.SIGKILL, nil, 0))
	_, err := c.child.Wait()
	must(t, err)
	if err := c.root.handleCopyUp(c.child, spawn.Event{Tag: CopyUpTag}); err == nil || !strings.Contains(err.Error(), "mounts[0]: copy the content of /up up") {
		t.Errorf("%v, want an error with mounts[0]", err)
	}
}

// A request that the server does not know ends it with a report.
func TestCopyServerRefusesUnknownRequests(t *testing.T) {
	c := newCopying(t, "")
	c.serve()
	if _, err := c.copier.ask(&copyRequest{op: copyOps}); !errors.Is(err, unix.EINVAL) {
		t.Errorf("%v, want EINVAL", err)
	}
}

// Names from the child are not taken for paths.
func TestCopyServerKeepsBeneath(t *testing.T) {
	c := newCopying(t, "")
	must(t, os.Mkdir(c.in("d"), 0o755))
	c.serve()
	for _, name := range []string{"..", "/", "/etc", "d/../..", "../" + filepath.Base(c.src)} {
		for _, op := range []uint64{copyEnter, copyOpen} {
			if _, err := c.copier.named(op, name, 0, 0); err == nil {
				t.Errorf("operation %d with %s is done", op, name)
			}
		}
	}
	if _, err := request(copyStat, strings.Repeat("x", nameMax+1), 0, 0); !errors.Is(err, unix.ENAMETOOLONG) {
		t.Errorf("a name of %d bytes: %v", nameMax+1, err)
	}
}
