package process

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/user"
	"github.com/hutch-project/hutch/internal/program"
)

// lookup runs the program args in the world as uid, from the directory cwd.
func lookup(t *testing.T, enter func(*program.Builder), args, env []string, cwd string, uid uint32) (string, error) {
	t.Helper()
	b := program.New()
	out := pipeTo1(t, b)
	enter(b)
	e := Env(b, &specs.Process{Env: append([]string{"HOME=/"}, env...)}, nil, user.AskHome)
	c := EnterCwd(b, cwd)
	user.Groups(b, &specs.Process{User: specs.User{UID: uid, GID: uid}})
	user.IDs(b, &specs.Process{User: specs.User{UID: uid, GID: uid}})
	c.Prove(b)
	target := Lookup(b, args[0], env, true)
	CloseOthers(b, nil)
	Unblock(b)
	target.Execve(b, args, e)
	return finish(t, b, worldFlags, out, nil)
}

func TestLookupAndExecve(t *testing.T) {
	dir, enter := world(t)
	file := func(name, text string, mode os.FileMode) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	script := func(says string) string { return "#!/bin/busybox sh\necho " + says + " $0 $1\n" }
	file("one/tool", script("one"), 0o755)
	file("two/tool", script("two"), 0o755)
	file("plain/tool", script("plain"), 0o644)
	file("plain/only", "", 0o644)
	file("roots/only", script("roots"), 0o700)
	file("dirs/tool/x", "", 0o755)
	file("lost", "#!/no/interpreter\n", 0o755)
	file("noexec", "no program\n", 0o755)
	if err := os.Symlink("one/tool", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	path := func(p string) []string { return []string{"PATH=" + p} }
	for _, c := range []struct {
		rule      string
		args, env []string
		cwd       string
		uid       uint32
		want, err string
	}{
		{"the first in PATH", []string{"tool", "x"}, path("/none:/one:/two"), "/", 0, "one /one/tool x\n", ""},
		{"directories and files that are not executable are passed over", []string{"tool"}, path("/dirs:/plain:/two/"), "/", 0, "two /two/tool\n", ""},
		{"an empty element is the working directory", []string{"tool"}, path("/none:"), "/two", 0, "two ./tool\n", ""},
		{"the last PATH counts", []string{"tool"}, []string{"PATH=/one", "PATH=/two"}, "/", 0, "two /two/tool\n", ""},
		{"without PATH there is a default", []string{"busybox", "echo", "hi"}, nil, "/", 0, "hi\n", ""},
		{"a relative path", []string{"one/tool"}, nil, "/", 7, "one one/tool\n", ""},
		{"a link", []string{"/link"}, nil, "/", 7, "one /link\n", ""},
		{"not in PATH", []string{"tool"}, path("/none:/plain"), "/", 0, "", `process.args[0]: exec: "tool": executable file not found in $PATH`},
		{"root's alone is none for a user", []string{"only"}, path("/roots:/plain"), "/", 7, "", `process.args[0]: exec: "only": executable file not found in $PATH`},
		{"missing", []string{"/x"}, nil, "/", 0, "", `process.args[0]: exec: "/x": stat /x: no such file or directory`},
		{"not executable", []string{"/plain/only"}, nil, "/", 0, "", `process.args[0]: exec: "/plain/only": permission denied`},
		{"not executable for the user", []string{"/roots/only"}, nil, "/", 7, "", `process.args[0]: exec: "/roots/only": permission denied`},
		{"a directory", []string{"/one"}, nil, "/", 0, "", `process.args[0]: exec: "/one": is a directory: permission denied`},
		{"a file of procfs that is no program", []string{"/proc/self/ns/net"}, nil, "/", 0, "", `process.args[0]: exec: "/proc/self/ns/net": permission denied`},
		{"no interpreter", []string{"/lost"}, nil, "/", 0, "", `process.args[0]: exec: "/lost": no such file or directory`},
		{"no program", []string{"/noexec"}, nil, "/", 0, "", `process.args[0]: exec: "/noexec": exec format error`},
	} {
		t.Run(c.rule, func(t *testing.T) {
			out, err := lookup(t, enter, c.args, c.env, c.cwd, c.uid)
			if strings.TrimRight(out, " \n") != strings.TrimRight(c.want, " \n") || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
				t.Errorf("%q, %v\nwant %q, %s", out, err, c.want, c.err)
			}
		})
	}
}

// TestExecveLeadsToNoDescriptor names a program of the host by a descriptor of
// the child that CloseOthers closes.
func TestExecveLeadsToNoDescriptor(t *testing.T) {
	_, enter := world(t)
	leaky := func(b *program.Builder) {
		b = b.Element(program.T("test"))
		fd := b.Sys(unix.SYS_OPENAT, program.Imm(unix.AT_FDCWD), b.Str("/"), program.Imm(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)).Fd()
		b.Sys(unix.SYS_DUP3, program.Val(fd), program.Imm(leak), program.Imm(unix.O_CLOEXEC))
		enter(b)
	}
	out, err := lookup(t, leaky, []string{"/proc/self/fd/50/bin/busybox", "echo", "escaped"}, nil, "/", 0)
	if !errors.Is(err, unix.ENOENT) || out != "" {
		t.Errorf("%q, %v", out, err)
	}
}

func TestExplainExecWrapsTheErrno(t *testing.T) {
	for e := unix.Errno(1); e < 134; e++ {
		if err := ExplainExec(e); !errors.Is(err, e) || !strings.HasPrefix(err.Error(), e.Error()) {
			t.Errorf("%v for %v", err, e)
		}
	}
	if err := ExplainExec(unix.ENOENT); !strings.Contains(err.Error(), "interpreter") {
		t.Error(err)
	}
}
