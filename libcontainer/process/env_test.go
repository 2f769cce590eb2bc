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

	"hutch/libcontainer/program"
)

// environ is the environment of a process with env and extra. passwd is what is
// read of the descriptor that the parent is handed, "none" for none.
func environ(t *testing.T, enter func(*program.Builder), env, extra []string, home string) (got, passwd string) {
	t.Helper()
	out, err := runEnv(t, worldFlags, []string{busybox, "env"}, func(b *program.Builder) program.Mem {
		enter(b)
		return Env(b, &specs.Process{Env: env}, extra)
	}, func(c *program.Child, e program.Event) {
		if e.Tag != HomeTag {
			t.Fatalf("tag %d", e.Tag)
		}
		passwd = "none"
		if e.Value >= 0 {
			fd, err := c.GetFd(int(e.Value))
			if err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 64)
			n, err := unix.Read(fd, buf)
			if err != nil {
				t.Fatal(err)
			}
			passwd = string(buf[:n])
			unix.Close(fd)
		}
		if err := c.Send(HomeReply(home)); err != nil {
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
		want, passwd string
	}{
		{"the last of a name, with what is added", nil, []string{"A=1", "HOME=/h", "A=2"}, []string{"B=3"}, "", "HOME=/h\nA=2\nB=3\n", ""},
		{"HOME is asked for", func() error { return os.WriteFile(etc, []byte("root:x"), 0o644) }, []string{"A=1"}, nil, "/root", "A=1\nHOME=/root\n", "root:x"},
		{"an empty HOME is none", nil, []string{"HOME=", "A=1"}, []string{"B=2"}, "/r", "A=1\nB=2\nHOME=/r\n", "root:x"},
		{"HOMES is another", nil, []string{"HOMES=1"}, nil, "/r", "HOMES=1\nHOME=/r\n", "root:x"},
		{"the longest path", nil, nil, nil, "/" + strings.Repeat("x", 4094), "HOME=/" + strings.Repeat("x", 4094) + "\n", "root:x"},
		{"a longer one is none", nil, nil, nil, "/" + strings.Repeat("x", 4095), "HOME=/\n", "root:x"},
		{"no file", func() error { return os.Remove(etc) }, nil, nil, "/", "HOME=/\n", ""},
		{"a pipe is no file", func() error { return unix.Mkfifo(etc, 0o644) }, nil, nil, "/", "HOME=/\n", ""},
		{"a directory is none", func() error { return errors.Join(os.Remove(etc), os.Mkdir(etc, 0o755)) }, nil, nil, "/", "HOME=/\n", ""},
		{"a link of procfs is none", func() error { return errors.Join(os.Remove(etc), os.Symlink("/proc/self/fd/0", etc)) }, nil, nil, "/", "HOME=/\n", ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if c.file != nil {
				if err := c.file(); err != nil {
					t.Fatal(err)
				}
			}
			got, passwd := environ(t, enter, c.env, c.extra, c.home)
			if got != c.want || passwd != c.passwd {
				t.Errorf("%q and %q\nwant %q and %q", got, passwd, c.want, c.passwd)
			}
		})
	}
	b := program.New()
	Env(b, &specs.Process{Env: []string{"A=\x00"}}, nil)
	if _, err := b.Program(); !errors.Is(err, program.ErrNul) || !strings.HasPrefix(err.Error(), "process.env: ") {
		t.Errorf("a NUL: %v", err)
	}
}
