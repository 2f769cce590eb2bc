package integration

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testtree"
)

// With tmpcopyup the runtime copies a folder of the image, at a time when a
// neighbour may change it, into memory that is the container's to pay for.

// copied is a tmpfs on /data with what the image has there.
func copied(options ...string) edit {
	return tmpfsMount("/data", append([]string{"nosuid", "nodev", "tmpcopyup"}, options...)...)
}

func memoryOnly(bytes int64) edit {
	return resources(func(r *specs.LinuxResources) { r.Memory = &specs.LinuxMemory{Limit: &bytes, Swap: &bytes} })
}

// sparse makes a file of the size with some bytes in it, each at its offset.
func sparse(t testing.TB, path string, size int64, at ...int64) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	for _, offset := range at {
		if _, err := f.WriteAt([]byte("data"), offset); err != nil {
			t.Fatal(err)
		}
	}
}

// TestHostileCopyStaysSparse: an image's file of 700 MiB without a byte is no
// memory, and what it has between its holes is copied.
func TestHostileCopyStaysSparse(t *testing.T) {
	t.Parallel()
	const size = 700 << 20
	places := []int64{0, 5 << 20, size - 4}
	for _, s := range standings()[:2] {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			g := s.guest(t, copied(), memoryOnly(64<<20))
			sparse(t, g.rootfs("data/big"), size, places...)
			sparse(t, g.rootfs("data/empty"), size)
			g.asleep()
			blocks := int64(0)
			for _, name := range []string{"big", "empty"} {
				path := fmt.Sprintf("/proc/%d/root/data/%s", g.pid, name)
				var st unix.Stat_t
				if err := unix.Stat(path, &st); err != nil {
					t.Fatal(err)
				}
				if st.Size != size {
					t.Errorf("%s has %d bytes, want %d", name, st.Size, size)
				}
				blocks += st.Blocks
			}
			if used := blocks * 512; used > 8<<20 {
				t.Errorf("the copies take %d MiB, and hold a few bytes", used>>20)
			}
			f, err := os.Open(fmt.Sprintf("/proc/%d/root/data/big", g.pid))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for _, offset := range places {
				got := make([]byte, 4)
				if _, err := f.ReadAt(got, offset); err != nil || string(got) != "data" {
					t.Errorf("at %d: %q, %v", offset, got, err)
				}
			}
		})
	}
}

// TestHostileCopyIsCharged: what does not fit into the container's memory is not
// taken from the host's instead.
func TestHostileCopyIsCharged(t *testing.T) {
	t.Parallel()
	for _, s := range standings()[:2] {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			g := s.guest(t, copied(), memoryOnly(32<<20))
			writeText(t, g.rootfs("data/dense"), strings.Repeat("0123456789abcdef", 64<<20/16))
			res := g.createCall().do(t)
			if res.code == 0 {
				g.readPid()
				var st unix.Stat_t
				if err := unix.Stat(fmt.Sprintf("/proc/%d/root/data/dense", g.pid), &st); err == nil {
					t.Errorf("%d MiB were copied, the limit is 32", st.Blocks>>11)
				}
				return
			}
			res.failed(t)
			if !strings.Contains(res.stderr, "/data") && !strings.Contains(res.stderr, "mounts[") && !strings.Contains(res.stderr, "OOM") {
				t.Errorf("want the mount or the OOM killer in the error:\n%s", res)
			}
			g.nothingLeft()
		})
	}
}

// exchange swaps the file with the node whenever the process of the runtime that the
// probe's watch holds is about to open a name, and back when it is about to look at one:
// a neighbour that always wins the race. It returns how often the node was in place.
func (g *guest) exchange(file, node string) *atomic.Int64 {
	g.t.Helper()
	g.hold = g.path("hold")
	if err := os.Mkdir(g.hold, 0o755); err != nil {
		g.t.Fatal(err)
	}
	var fifos []*os.File
	for _, name := range []string{"prey", "done"} {
		if err := mkfifo(filepath.Join(g.hold, name)); err != nil {
			g.t.Fatal(err)
		}
		f, err := os.OpenFile(filepath.Join(g.hold, name), os.O_RDWR, 0)
		if err != nil {
			g.t.Fatal(err)
		}
		fifos = append(fifos, f)
	}
	prey, done := fifos[0], fifos[1]
	var count atomic.Int64
	over := make(chan struct{})
	go func() {
		defer close(over)
		swapped := false
		for lines := bufio.NewScanner(prey); lines.Scan(); fmt.Fprintln(done) {
			var stop, pid, call int
			fmt.Sscan(lines.Text(), &stop, &pid, &call)
			if want := call == unix.SYS_OPENAT2; swapped != want && (want || call == unix.SYS_STATX) &&
				unix.Renameat2(unix.AT_FDCWD, file, unix.AT_FDCWD, node, unix.RENAME_EXCHANGE) == nil {
				if swapped = want; want {
					count.Add(1)
				}
			}
		}
	}()
	g.t.Cleanup(func() { prey.Close(); <-over; done.Close() })
	g.watched = true
	return &count
}

// TestHostileCopyOpensNoDevice: a neighbour exchanges a file with a node between
// the look at it and the copy. /dev/zero would fill the mount, a fifo wait for
// ever.
func TestHostileCopyOpensNoDevice(t *testing.T) {
	t.Parallel()
	needsSpeed(t)
	for kind, make := range map[string]func(string) error{
		"device": func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) },
		"fifo":   mkfifo,
		"link":   func(path string) error { return os.Symlink("/dev/zero", path) },
		"folder": func(path string) error { return os.Mkdir(path, 0o755) },
		"file":   func(path string) error { return os.WriteFile(path, []byte("other\n"), 0o644) },
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			g := standings()[0].guest(t, copied("size=1m"))
			writeText(t, g.rootfs("data/f"), "1234\n")
			writeText(t, g.rootfs("data/still"), "5678\n")
			node := g.path("node")
			if err := make(node); err != nil {
				t.Fatal(err)
			}
			swaps := g.exchange(g.rootfs("data/f"), node)
			res := g.byRun(program{args: []string{"/bin/sh", "-c", `ls -A /data; cat /data/still; [ ! -f /data/f ] || cat /data/f`}})
			want := "still\n5678\n"
			if kind == "file" { // which may be copied, and shows that the exchange comes in between
				want = "f\nstill\n5678\nother"
			}
			if res.code != 0 || strings.TrimSpace(res.stdout) != strings.TrimSpace(want) {
				t.Errorf("after %d exchanges, want %q:\n%s", swaps.Load(), want, res)
			}
			if swaps.Load() == 0 {
				t.Error("the node was never in the file's place")
			}
		})
	}
}

// TestHostileCopyIsRight: a tree of all kinds, many and deep.
func TestHostileCopyIsRight(t *testing.T) {
	t.Parallel()
	for _, s := range standings()[:2] {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			g := s.guest(t, copied())
			layTree(t, g.rootfs("data"))
			if len(s.edits) > 0 { // only what is mapped has an owner inside
				filepath.WalkDir(g.rootfs("data"), func(path string, d fs.DirEntry, err error) error {
					return os.Lchown(path, mappedRoot+7, mappedRoot+8)
				})
			}
			want := tree(t, g.rootfs("data"))
			g.asleep()
			got := tree(t, fmt.Sprintf("/proc/%d/root/data", g.pid))
			for _, line := range got {
				if !slices.Contains(want, line) {
					t.Errorf("the copy has %s", line)
				}
			}
			for _, line := range want {
				if !slices.Contains(got, line) {
					t.Errorf("the copy lacks %s", line)
				}
			}
		})
	}
}

func layTree(t testing.TB, dir string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for n := range 300 {
		writeText(t, fmt.Sprintf("%s/many/%d", dir, n), strings.Repeat("x", n))
	}
	writeText(t, dir+"/deep"+strings.Repeat("/d", 60)+"/file", "deep\n")
	writeText(t, dir+"/"+strings.Repeat("n", 255), "long name\n")
	writeText(t, dir+"/new\nline", "odd name\n")
	writeText(t, dir+"/large", strings.Repeat("0123456789", 300_000))
	sparse(t, dir+"/holes", 10<<20, 4096, 5<<20)
	for name, mode := range map[string]uint32{"setuid": 0o4755, "setgid": 0o2750, "secret": 0, "sticky": 0o1777} {
		writeText(t, dir+"/"+name, name)
		must(os.Lchown(dir+"/"+name, 12, 34))
		must(unix.Chmod(dir+"/"+name, mode))
	}
	must(os.Mkdir(dir+"/empty", 0o700))
	must(unix.Chmod(dir+"/empty", 0o1770))
	must(os.Symlink("/etc/passwd", dir+"/absolute"))
	must(os.Symlink("../../../../etc", dir+"/climbing"))
	must(os.Symlink("nowhere", dir+"/dangling"))
	must(os.Lchown(dir+"/dangling", 12, 34))
}

// tree describes each file of a tree but for its times and its inode.
func tree(t testing.TB, dir string) []string {
	t.Helper()
	return testtree.Lines(t, dir, func(f testtree.File) string {
		if f.Path == "" { // the mount's own mode is another matter
			return ""
		}
		if n := len(f.Content); n > 4096 {
			f.Content = fmt.Sprintf("%d %x", n, f.Content[4000:4200])
		}
		return fmt.Sprintf("%q mode %o owner %d:%d %q", f.Path, f.Mode, f.Uid, f.Gid, f.Content)
	})
}
