package namespace

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/id32"
	"github.com/hutch-project/hutch/internal/part/parttest"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/tests/testneed"
)

// TestJoinedNamespaceIsOfItsType: a file that is a namespace of another type than the
// configuration says, or none at all, is refused before there is a child.
func TestJoinedNamespaceIsOfItsType(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		rule string
		n    specs.LinuxNamespace
		want string // in the error; empty for none
	}{
		{"its own type", specs.LinuxNamespace{Type: specs.UTSNamespace, Path: "/proc/self/ns/uts"}, ""},
		{"another type", specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: "/proc/self/ns/uts"}, "is a namespace of another type"},
		{"a user namespace for a pid namespace", specs.LinuxNamespace{Type: specs.PIDNamespace, Path: "/proc/self/ns/user"}, "is a namespace of another type"},
		{"no namespace", specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: file}, "is not a namespace file"},
		{"nothing", specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: file + "x"}, "no such file"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			s, err := New([]specs.LinuxNamespace{test.n})
			if err != nil {
				t.Fatal(err)
			}
			b := program.New()
			s.Open(b)
			b.Exit(0)
			_, err = parttest.TrySpawn(t, b, 0)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// TestRootOfAUserNamespaceStaysClosed: where a change of ids opens a process to
// others, which fs.suid_dumpable decides, it is closed again. It changes that for the
// whole machine, so it runs only where HUTCH_MUST has suid_dumpable: in the VM.
func TestRootOfAUserNamespaceStaysClosed(t *testing.T) {
	testneed.OpenDumps(t)
	for name, change := range map[string]func(b *program.Builder){
		"as it is":  func(b *program.Builder) { b.Sys(unix.SYS_SETRESUID, program.Imm(1), program.Imm(1), program.Imm(1)) },
		"of a join": func(b *program.Builder) { becomeRoot(b, true, true) },
	} {
		t.Run(name, func(t *testing.T) {
			b := program.New()
			b.Barrier(1, 0)
			change(b)
			open := b.Reg()
			b.Sys(unix.SYS_PRCTL, program.Imm(unix.PR_GET_DUMPABLE), program.Imm(0)).To(open)
			b.Tell(2, open)
			c := parttest.Spawn(t, b, unix.CLONE_NEWUSER)
			if _, err := c.Expect(1); err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{"uid_map", "gid_map"} {
				if err := os.WriteFile(fmt.Sprintf("/proc/%d/%s", c.Pid, file), []byte("0 100000 65536\n"), 0); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.Release(); err != nil {
				t.Fatal(err)
			}
			got, err := c.Expect(2)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[string]int64{"as it is": 1}[name]; got != want {
				t.Errorf("dumpable: %d, want %d", got, want)
			}
		})
	}
}

// TestJoinedUserNamespaceGetsNoGroups: the caller's groups are dropped before a user
// namespace is joined that denies setgroups, unless they are to be kept.
func TestJoinedUserNamespaceGetsNoGroups(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("sets groups")
	}
	holder := exec.Command("/proc/self/exe", "-test.run=^TestHoldNamespaces$")
	holder.Env = append(os.Environ(), "HOLD_NAMESPACES=1")
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 100000, Size: 1}}
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids}
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	defer holder.Wait()
	defer stdin.Close()
	pid := holder.Process.Pid
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pidfd)
	for _, keep := range []bool{false, true} {
		want := map[bool]int64{false: 0, true: 1}[keep]
		init := Init{Pid: pid, Pidfd: pidfd, Flags: unix.CLONE_NEWUSER, KeepGroups: keep}
		if got := groupsAfter(t, nil, init.Join); got != want {
			t.Errorf("keep %v: %d groups of the caller are left to exec, want %d", keep, got, want)
		}
		s, err := New([]specs.LinuxNamespace{{Type: specs.UserNamespace, Path: fmt.Sprintf("/proc/%d/ns/user", pid)}})
		if err != nil {
			t.Fatal(err)
		}
		s.KeepGroups, s.lastClone = keep, true
		if got := groupsAfter(t, s.Open, func(b *program.Builder) { s.Enter(b, 3) }); got != want {
			t.Errorf("keep %v: %d groups of the caller are left to init, want %d", keep, got, want)
		}
	}
}

// TestHoldNamespaces is the process whose namespaces are joined.
func TestHoldNamespaces(t *testing.T) {
	if os.Getenv("HOLD_NAMESPACES") == "" {
		t.Skip("is run by another test")
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// groupsAfter returns how many groups a process with one has after what join emits.
func groupsAfter(t *testing.T, open, join func(*program.Builder)) int64 {
	t.Helper()
	b := program.New()
	if open != nil {
		open(b)
	}
	b.Sys(id32.Setgroups, program.Imm(1), b.Bytes([]byte{9, 0, 0, 0}).Arg())
	join(b)
	groups := b.Reg()
	b.Sys(unix.SYS_GETGROUPS, program.Imm(0), program.Imm(0)).To(groups)
	b.Tell(2, groups)
	c := parttest.Spawn(t, b, 0)
	got, err := c.Expect(2)
	if err != nil {
		t.Fatal(err)
	}
	return got
}
