package selfexe

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/proc"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/spawn"
	"github.com/hutch-project/hutch/tests/testneed"
)

// linkChild makes a child whose link is changed, shows what leads from it to
// this program, and lets it execute path. Flags has "userns" for a child that is
// born in a user namespace.
func linkChild(args []string) error {
	path, flags := args[0], uint64(0)
	if args[1] == "userns" {
		flags = unix.CLONE_NEWUSER
	}
	b := program.New()
	l, err := Shield(b)
	if err != nil {
		return err
	}
	b.Barrier(1, 0)
	step := b.Step(program.T("execute %s", path))
	step.Sys(unix.SYS_EXECVE, b.Str(path), b.Strv([]string{path}).Arg(), b.Strv(nil).Arg())
	p, err := b.Program()
	if err != nil {
		return err
	}
	done, err := l.Open(p)
	if err != nil {
		return err
	}
	c, err := spawn.Spawn(p, &spawn.Options{Cgroup: -1, Flags: flags})
	done()
	if err != nil {
		return err
	}
	defer c.Close()
	defer c.Kill()
	if _, err := c.Expect(1); err != nil {
		return err
	}
	own, err := os.Readlink(self)
	if err != nil {
		return err
	}
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", c.Pid))
	if err != nil {
		return err
	}
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", c.Pid))
	if err != nil {
		return err
	}
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", c.Pid))
	if err != nil {
		return err
	}
	fmt.Printf("link %s\n", link)
	fmt.Printf("maps %v\n", strings.Contains(string(maps), own))
	fmt.Printf("args %q\n", cmdline)
	if err := c.Release(); err != nil {
		return err
	}
	_, err = c.Next()
	if errors.Is(err, spawn.ErrEnded) {
		err = nil
	}
	fmt.Printf("execute: %v\n", err)
	ws, err := c.Wait()
	fmt.Printf("status %d\n", ws.ExitStatus())
	return err
}

func TestLink(t *testing.T) {
	testneed.Root(t)
	if _, err := readSegments(); errors.Is(err, ErrNoLink) {
		t.Skip("the test is linked dynamically, as with -race; CGO_ENABLED=0 links it statically")
	}
	path := copyOfTest(t)
	script := filepath.Join(filepath.Dir(path), "script")
	if err := os.WriteFile(script, []byte("#!/proc/self/exe\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	symlink := filepath.Join(filepath.Dir(path), "symlink")
	if err := os.Symlink("/proc/self/exe", symlink); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, flags, execute string }{
		{"/bin/true", "", "execute: <nil>\nstatus 0"},
		{"/bin/true", "userns", "execute: <nil>\nstatus 0"},
		{"/proc/self/exe", "", "exec format error"},
		{script, "", "exec format error"},
		{symlink, "", "exec format error"},
	} {
		t.Run(filepath.Base(c.path)+c.flags, func(t *testing.T) {
			cmd := exec.Command(path, c.path, c.flags)
			cmd.Env = []string{modeEnv + "=link", "SECRET=x"}
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v, %s", err, out)
			}
			for _, want := range []string{"link /memfd:none (deleted)\n", "maps false\n", "args \"\"\n", c.execute} {
				if !strings.Contains(string(out), want) {
					t.Errorf("got %s, want %q in it", out, want)
				}
			}
		})
	}
}

// Without the change the same program executes the runtime: what TestLink sees is
// the change's doing.
func TestWithoutLink(t *testing.T) {
	b := program.New()
	b.Sys(unix.SYS_EXECVE, b.Str(self), b.Strv([]string{"x", "quick"}).Arg(), b.Strv([]string{modeEnv + "=direct"}).Arg())
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	c, err := spawn.Spawn(p, &spawn.Options{Cgroup: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Next(); !errors.Is(err, spawn.ErrEnded) {
		t.Errorf("got %v, want that the runtime is executed", err)
	}
	if ws, err := c.Wait(); err != nil || ws.ExitStatus() != 0 {
		t.Errorf("status %d, %v", ws.ExitStatus(), err)
	}
}

func TestParseSegmentsRefuses(t *testing.T) {
	head := make([]byte, 1024)
	f, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Read(head); err != nil {
		t.Fatal(err)
	}
	entry, ok := proc.Aux(atEntry)
	if !ok {
		t.Fatal("AT_ENTRY is absent")
	}
	got, err := parseSegments(head, uint64(entry), uint64(os.Getpagesize()))
	if err != nil {
		t.Skip("the test is linked dynamically, as with -race")
	}
	for _, s := range got {
		if s.addr%uint64(os.Getpagesize()) != 0 || s.length == 0 || s.prot&unix.PROT_READ == 0 {
			t.Errorf("segment %+v", s)
		}
	}
	for name, bad := range map[string][]byte{
		"empty": nil, "cut": head[:100], "32-bit": append([]byte("\x7fELF\x01\x01"), head[6:]...), "script": []byte(strings.Repeat("#!/bin/sh\n", 20)),
	} {
		if s, err := parseSegments(bad, uint64(entry), 4096); err == nil {
			t.Errorf("%s: taken as %+v", name, s)
		}
	}
}

func FuzzParseSegments(f *testing.F) {
	head := make([]byte, 512)
	if p, err := os.ReadFile(self); err == nil {
		copy(head, p)
	}
	f.Add(head, uint64(0x401000))
	f.Fuzz(func(t *testing.T, p []byte, entry uint64) { _, _ = parseSegments(p, entry, 4096) })
}

// BenchmarkLink is the cost of a child that ends at once, without and with the
// change.
func BenchmarkLink(b *testing.B) {
	testneed.Root(b)
	if _, err := readSegments(); err != nil {
		b.Skip(err)
	}
	for _, with := range []bool{false, true} {
		b.Run(fmt.Sprint(with), func(b *testing.B) {
			for b.Loop() {
				pb := program.New()
				var l *Link
				var err error
				if with {
					if l, err = EmitLink(pb); err != nil {
						b.Fatal(err)
					}
				}
				pb.Exit(0)
				p, err := pb.Program()
				if err != nil {
					b.Fatal(err)
				}
				done := func() {}
				if with {
					if done, err = l.Open(p); err != nil {
						b.Fatal(err)
					}
				}
				c, err := spawn.Spawn(p, &spawn.Options{Cgroup: -1})
				done()
				if err != nil {
					b.Fatal(err)
				}
				if _, err := c.Next(); !errors.Is(err, spawn.ErrEnded) {
					b.Fatal(err)
				}
				if ws, err := c.Wait(); err != nil || ws.ExitStatus() != 0 {
					b.Fatal(ws, err)
				}
				c.Close()
			}
		})
	}
}

// TestWhatTheChildMapsIsReadOnly: by /proc/PID/map_files a tracer opens again what is
// mapped, and that must not be the executable for writing.
func TestWhatTheChildMapsIsReadOnly(t *testing.T) {
	testneed.Root(t, "a mount")
	fd, err := otherMount()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil || fs.Flags&unix.ST_RDONLY == 0 {
		t.Errorf("flags of the mount %#x, %v; want it read-only", fs.Flags, err)
	}
}
