package process

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/user"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/spawn"
)

// environ returns the environment of a process with env and extra. passwd are the pieces of
// its file that the parent has been sent, of which it takes one, or all with whole.
func environ(t *testing.T, enter func(*program.Builder), env, extra []string, home string, whole bool) (got string, passwd []string) {
	t.Helper()
	out, err := runEnv(t, worldFlags, []string{busybox, "env"}, func(b *program.Builder) program.Mem {
		enter(b)
		return Env(b, &specs.Process{Env: env}, extra, user.AskHome)
	}, func(c *spawn.Child, e spawn.Event) {
		if e.Tag != user.HomeTag || e.Fd >= 0 {
			t.Fatalf("message %+v", e)
		}
		passwd = append(passwd, string(e.Data))
		reply := user.HomeReply(home)
		if whole && len(e.Data) > 0 {
			reply = user.HomeMore()
		}
		if err := c.Send(reply); err != nil {
			t.Fatal(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, passwd
}

func TestLastVariableWins(t *testing.T) {
	got := last([]string{"A=1", "B=2", "A=3", "C", "C=4", "B2=5"})
	if want := []string{"B=2", "A=3", "C=4", "B2=5"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEnv(t *testing.T) {
	dir, enter := world(t)
	etc := filepath.Join(dir, "etc/passwd")
	for _, c := range []struct {
		rule         string
		file         func() error
		env, extra   []string
		home         string
		want, passwd string // of passwd one piece, empty for none
	}{
		{"the last of a name, with what is added", nil, []string{"A=1", "HOME=/h", "A=2"}, []string{"B=3"}, "", "HOME=/h\nA=2\nB=3\n", ""},
		{"HOME is asked for", func() error { return os.WriteFile(etc, []byte("root:x"), 0o644) }, []string{"A=1"}, nil, "/root", "A=1\nHOME=/root\n", "root:x"},
		{"an empty HOME is none", nil, []string{"HOME=", "A=1"}, []string{"B=2"}, "/r", "A=1\nB=2\nHOME=/r\n", "root:x"},
		{"HOMES is another", nil, []string{"HOMES=1"}, nil, "/r", "HOMES=1\nHOME=/r\n", "root:x"},
		{"the longest path", nil, nil, nil, "/" + strings.Repeat("x", 4094), "HOME=/" + strings.Repeat("x", 4094) + "\n", "root:x"},
		{"a longer one is none", nil, nil, nil, "/" + strings.Repeat("x", 4095), "HOME=/\n", "root:x"},
		{"no file", func() error { return os.Remove(etc) }, nil, nil, "/x", "HOME=/\n", ""},
		{"a pipe is no file", func() error { return unix.Mkfifo(etc, 0o644) }, nil, nil, "/x", "HOME=/\n", ""},
		{"a directory is none", func() error { return errors.Join(os.Remove(etc), os.Mkdir(etc, 0o755)) }, nil, nil, "/x", "HOME=/\n", ""},
		{"a device is none", func() error {
			return errors.Join(os.Remove(etc), unix.Mknod(etc, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))))
		}, nil, nil, "/x", "HOME=/\n", ""},
		{"a link of procfs is none", func() error { return errors.Join(os.Remove(etc), os.Symlink("/proc/self/fd/0", etc)) }, nil, nil, "/x", "HOME=/\n", ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if c.file != nil {
				if err := c.file(); err != nil {
					t.Fatal(err)
				}
			}
			var passwd []string
			if c.passwd != "" {
				passwd = []string{c.passwd}
			}
			got, pieces := environ(t, enter, c.env, c.extra, c.home, false)
			if got != c.want || !slices.Equal(pieces, passwd) {
				t.Errorf("%q and %q\nwant %q and %q", got, pieces, c.want, passwd)
			}
		})
	}
	b := program.New()
	Env(b, &specs.Process{Env: []string{"A=\x00"}}, nil, user.AskHome)
	if _, err := b.Program(); !errors.Is(err, program.ErrNul) || !strings.HasPrefix(err.Error(), "process.env: ") {
		t.Errorf("a NUL: %v", err)
	}
}

func TestPasswdComesInPieces(t *testing.T) {
	dir, enter := world(t)
	etc := filepath.Join(dir, "etc/passwd")
	for _, c := range []struct {
		rule string
		size int
		want []int // lengths of the pieces; the last is the end
	}{
		{"an empty file", 0, []int{0}},
		{"a short one", 9, []int{9, 0}},
		{"one piece to a byte", program.MaxData, []int{program.MaxData, 0}},
		{"a byte more", program.MaxData + 1, []int{program.MaxData, 1, 0}},
		{"three", 2*program.MaxData + 77, []int{program.MaxData, program.MaxData, 77, 0}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			text := strings.Repeat("a:x:1:1::/a:\n", c.size/13+1)[:c.size] // without a newline at its end
			if err := os.WriteFile(etc, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			got, pieces := environ(t, enter, nil, nil, "/h", true)
			var lengths []int
			for _, p := range pieces {
				lengths = append(lengths, len(p))
			}
			if got != "HOME=/h\n" || !slices.Equal(lengths, c.want) || strings.Join(pieces, "") != text {
				t.Errorf("%q, pieces of %v; want %v", got, lengths, c.want)
			}
		})
	}
}

// mountedAt returns where the host has a file system of the kind, empty for nowhere.
func mountedAt(t *testing.T, kind string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 3 && f[2] == kind {
			return f[1]
		}
	}
	return ""
}

// A file of the kernel's own file systems would tell of the host, or wait: it is not read.
func TestPasswdIsNoInterfaceOfTheKernel(t *testing.T) {
	dir, enter := world(t)
	if err := os.Mkdir(filepath.Join(dir, "sys"), 0o755); err != nil {
		t.Fatal(err)
	}
	etc := filepath.Join(dir, "etc/passwd")
	for kind, file := range map[string]string{
		"proc": "version", "sysfs": "kernel/notes", "cgroup": "cgroup.clone_children", "cgroup2": "cgroup.procs", "debugfs": "clear_warn_once", "tracefs": "trace_clock",
	} {
		t.Run(kind, func(t *testing.T) {
			at := mountedAt(t, kind)
			if _, err := os.Stat(at + "/" + file); err != nil || at == "" {
				t.Skip("not mounted")
			}
			path := at + "/" + file
			if kind != "proc" && !strings.HasPrefix(path, "/sys/") {
				t.Skip("not mounted below /sys")
			}
			_ = os.Remove(etc)
			if err := os.Symlink(path, etc); err != nil {
				t.Fatal(err)
			}
			got, pieces := environ(t, func(b *program.Builder) {
				b = b.Element(program.T("test"))
				sys := b.Sys(unix.SYS_OPEN_TREE, program.Imm(unix.AT_FDCWD), b.Str("/sys"), program.Imm(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)).Fd()
				enter(b)
				b.Sys(unix.SYS_MOVE_MOUNT, program.Val(sys), b.Str(""), program.Imm(unix.AT_FDCWD), b.Str("/sys"), program.Imm(unix.MOVE_MOUNT_F_EMPTY_PATH))
				b.Sys(unix.SYS_FACCESSAT, program.Imm(unix.AT_FDCWD), b.Str("/etc/passwd"), program.Imm(unix.R_OK)) // it is there
			}, nil, nil, "/x", false)
			if got != "HOME=/\n" || pieces != nil {
				t.Errorf("%q, sent %q", got, pieces)
			}
		})
	}
}

// The process reads the file with the rights of its user, and no others.
func TestPasswdIsReadWithTheRightsOfTheUser(t *testing.T) {
	dir, enter := world(t)
	if err := os.WriteFile(filepath.Join(dir, "etc/passwd"), []byte("a:x:5:5::/a:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, pieces := environ(t, func(b *program.Builder) {
		enter(b)
		user.Groups(b, &specs.Process{User: specs.User{UID: 5, GID: 5}})
		user.IDs(b, &specs.Process{User: specs.User{UID: 5, GID: 5}})
	}, nil, nil, "/x", false)
	if got != "HOME=/\n" || pieces != nil {
		t.Errorf("%q, sent %q; the user may not read it", got, pieces)
	}
}
