package process

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/user"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/tests/testneed"
)

// world returns a root file system with busybox and a procfs, in a mount namespace of
// the child's own that emit gives it.
func world(t *testing.T) (dir string, enter func(*program.Builder)) {
	t.Helper()
	testneed.Root(t)
	dir = t.TempDir()
	for _, d := range []string{"bin", "proc", "etc"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for d := dir; d != "/"; d = filepath.Dir(d) {
		if s, err := os.Stat(d); err == nil && s.Mode()&0o001 == 0 {
			if err := os.Chmod(d, s.Mode()|0o011); err != nil { // the user's way in
				t.Fatal(err)
			}
		}
	}
	text, err := os.ReadFile(busybox)
	if err != nil {
		t.Skip(err)
	}
	if err := os.WriteFile(filepath.Join(dir, busybox), text, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir, func(b *program.Builder) {
		b = b.Element(program.T("test"))
		mount := func(source, target, kind string, flags int) {
			b.Sys(unix.SYS_MOUNT, b.Str(source), b.Str(target), b.Str(kind), program.Imm(flags), program.Imm(0))
		}
		mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE)
		mount(dir, dir, "", unix.MS_BIND)
		mount("proc", dir+"/proc", "proc", 0)
		b.Sys(unix.SYS_CHDIR, b.Str(dir))
		b.Sys(unix.SYS_PIVOT_ROOT, b.Str("."), b.Str("."))
		b.Sys(unix.SYS_UMOUNT2, b.Str("."), program.Imm(unix.MNT_DETACH))
		b.Sys(unix.SYS_CHDIR, b.Str("/"))
		b.Sys(unix.SYS_UMASK, program.Imm(0))
	}
}

const worldFlags = unix.CLONE_NEWNS | unix.CLONE_NEWPID

// pwd runs a process with cwd as the user uid.
func pwd(t *testing.T, enter func(*program.Builder), cwd string, uid uint32) (string, error) {
	t.Helper()
	return run(t, worldFlags, []string{busybox, "pwd"}, func(b *program.Builder) {
		enter(b)
		MakeCwd(b, cwd, nil)
		c := EnterCwd(b, cwd)
		user.Groups(b, &specs.Process{User: specs.User{UID: uid, GID: uid}})
		user.IDs(b, &specs.Process{User: specs.User{UID: uid, GID: uid}})
		c.Prove(b)
	}, nil)
}

func TestCwd(t *testing.T) {
	dir, enter := world(t)
	mk := func(name string, mode os.FileMode, owner int) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(name, owner, owner); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	mk("roots", 0o700, 0)
	mk("users", 0o700, 1000)
	link := func(to, name string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("/new", "link")
	link("loop", "loop")
	link("/nowhere", "dangling")
	for _, c := range []struct {
		rule, cwd string
		uid       uint32
		want, err string
	}{
		{"the root", "/", 0, "/\n", ""},
		{"root's own, for a user", "/roots", 1000, "/roots\n", ""},
		{"the user's own", "/users", 1000, "/users\n", ""},
		{"made when missing", "/new/a/b", 1000, "/new/a/b\n", ""},
		{"made below a link", "/link/c//d/", 0, "/new/c/d\n", ""},
		{"made above the root", "/../../up", 0, "/up\n", ""},
		{"a file", "/bin/busybox", 0, "", "process.cwd: change to /bin/busybox: openat2: not a directory"},
		{"below a file", "/bin/busybox/x", 0, "", "process.cwd: change to /bin/busybox/x: openat2: not a directory"},
		{"a link that leads nowhere", "/dangling", 0, "", "process.cwd: make /dangling: open dangling in it: no such file or directory"},
		{"a loop", "/loop", 0, "", "process.cwd: /loop is outside of the container: refused: it leads over a link of procfs to a descriptor, or over too many links"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			out, err := pwd(t, enter, c.cwd, c.uid)
			if out != c.want || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
				t.Errorf("%q, %v\nwant %q, %s", out, err, c.want, c.err)
			}
		})
	}
	if s, err := os.Stat(filepath.Join(dir, "new/a")); err != nil || s.Mode().Perm() != 0o755 {
		t.Errorf("the made directory: %v, %v", s, err)
	}
}

// leak is a number that no other descriptor of the child has.
const leak = 50

// TestCwdLeadsToNoDescriptor leaves a directory of the host open in the child:
// process.cwd neither enters it nor makes anything in it.
func TestCwdLeadsToNoDescriptor(t *testing.T) {
	_, enter := world(t)
	host := t.TempDir()
	leaky := func(b *program.Builder) {
		b = b.Element(program.T("test"))
		fd := b.Sys(unix.SYS_OPENAT, program.Imm(unix.AT_FDCWD), b.Str(host), program.Imm(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)).Fd()
		b.Sys(unix.SYS_DUP3, program.Val(fd), program.Imm(leak), program.Imm(unix.O_CLOEXEC))
		enter(b)
	}
	const refused = " is outside of the container: refused: it leads over a link of procfs to a descriptor, or over too many links"
	for _, c := range []struct{ cwd, want string }{
		{"/proc/self/fd/50", "process.cwd: /proc/self/fd/50" + refused},
		{"/proc/thread-self/fd/50/.", "process.cwd: /proc/thread-self/fd/50/." + refused},
		{"/proc/self/fd/50/evil", "process.cwd: /proc/self/fd/50/evil is outside of the container: refused: it leads over a link of procfs to a descriptor, or over too many links"},
		{"/proc/1/fd/50/a/b", "process.cwd: /proc/1/fd/50/a/b is outside of the container: refused: it leads over a link of procfs to a descriptor, or over too many links"},
		{"/missing/../proc/self/fd/50/evil", "process.cwd: make /missing/../proc/self/fd/50/evil: " +
			"a symbolic link of the image leads self into what is mounted there; make it there, or name the place itself: invalid cross-device link"},
	} {
		if out, err := pwd(t, leaky, c.cwd, 0); err == nil || err.Error() != c.want {
			t.Errorf("%s: %q, %v\nwant %s", c.cwd, out, err, c.want)
		}
	}
	if made, err := os.ReadDir(host); len(made) > 0 || err != nil {
		t.Errorf("made on the host: %v, %v", made, err)
	}
}

// TestProveTellsADirectoryOutside is the second lock: a process that is outside
// although no link led there.
func TestProveTellsADirectoryOutside(t *testing.T) {
	_, enter := world(t)
	host := t.TempDir()
	_, err := run(t, worldFlags, []string{busybox, "pwd"}, func(b *program.Builder) {
		fd := b.Sys(unix.SYS_OPENAT, program.Imm(unix.AT_FDCWD), b.Str(host), program.Imm(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)).Fd()
		enter(b)
		c := EnterCwd(b, "/etc")
		b.Sys(unix.SYS_FCHDIR, program.Val(fd))
		c.Prove(b)
	}, nil)
	if want := "process.cwd: /etc is outside of the container: refused"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestLinksOfCwdIntoWhatIsMounted: behind a link of the image nothing is made in what is
// mounted, unless config.json names a directory below the mount.
func TestLinksOfCwdIntoWhatIsMounted(t *testing.T) {
	for name, c := range map[string]struct {
		links map[string]string
		at    string
		cwd   string
		made  string // in the mount; empty where nothing is
		in    string // made in the root; empty where nothing is
	}{
		"named":               {at: "/bound", cwd: "/bound/new/x", made: "new/x"},
		"link":                {links: map[string]string{"l": "/bound"}, at: "/bound", cwd: "/l/x"},
		"link on the way":     {links: map[string]string{"l": "bound/there"}, at: "/bound", cwd: "/l/x/y"},
		"link in the root":    {links: map[string]string{"l": "other"}, at: "/bound", cwd: "/l/x/y", in: "other/x/y"},
		"link above a mount":  {links: map[string]string{"l": "other"}, at: "/l/bound", cwd: "/l/bound/x", made: "x"},
		"link out of a mount": {links: map[string]string{"bound/l": "/other"}, at: "/own", cwd: "/own/l/x"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, enter := world(t)
			host := t.TempDir()
			if c.at == "/own" {
				host = filepath.Join(dir, "bound")
			}
			for _, d := range []string{dir + "/bound", dir + "/own", dir + "/other/bound", host + "/there"} {
				if err := os.MkdirAll(d, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			for link, to := range c.links {
				if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
					t.Fatal(err)
				}
			}
			_, err := run(t, worldFlags, []string{busybox, "true"}, func(b *program.Builder) {
				bindInto(b, dir, host, c.at, enter)
				MakeCwd(b, c.cwd, []string{"/proc", c.at})
			}, nil)
			if refused := c.made == "" && c.in == ""; refused != (err != nil) {
				t.Errorf("refused: %v", err)
			}
			for _, made := range []string{filepath.Join(host, c.made), filepath.Join(dir, c.in)} {
				if _, err := os.Stat(made); err != nil {
					t.Error(err)
				}
			}
			for _, not := range []string{host + "/x", host + "/there/x", dir + "/other/x"} {
				if _, err := os.Stat(not); err == nil && not != filepath.Join(host, c.made) && not != filepath.Dir(filepath.Join(dir, c.in)) {
					t.Errorf("%s was made", not)
				}
			}
		})
	}
}

// bindInto emits the entry into the root file system dir, in which the directory host is
// bound.
func bindInto(b *program.Builder, dir, host, at string, enter func(*program.Builder)) {
	tree := b.Reg()
	test := b.Element(program.T("test"))
	test.Sys(unix.SYS_OPEN_TREE, program.Imm(unix.AT_FDCWD), b.Str(host), program.Imm(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)).To(tree)
	enter(b)
	test.Sys(unix.SYS_MOVE_MOUNT, program.Val(tree), b.Str(""), program.Imm(unix.AT_FDCWD), b.Str(at), program.Imm(unix.MOVE_MOUNT_F_EMPTY_PATH))
}
