package process

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/parttest"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/tests/testneed"
)

// allNull are standard descriptors that are the null device.
var allNull = [3]StdFile{{Open: true, Null: true}, {Open: true, Null: true}, {Open: true, Null: true}}

// nullProgram hands the child the null device, as a process of user 9 has it, and emits
// what more is to be done.
func nullProgram(emit func(b *program.Builder)) *program.Builder {
	b := program.New()
	b = b.Element(program.T("test"))
	null := OpenNull(b, allNull)
	Stdio(b, &specs.Process{User: specs.User{UID: 9}}, allNull, null, false)
	CloseOthers(b, nil)
	emit(b)
	return b
}

// The null device of the host can be read and written, and its inode not changed.
func TestTheNullDeviceCannotBeChanged(t *testing.T) {
	testneed.Root(t)
	hosts := func() unix.Stat_t {
		var st unix.Stat_t
		if err := unix.Stat("/dev/null", &st); err != nil {
			t.Fatal(err)
		}
		return st
	}
	before := hosts()
	calls := []struct {
		name string
		emit func(b *program.Builder, path program.Arg, fd int) program.Call
		want int64
	}{
		{"fchmod", func(b *program.Builder, _ program.Arg, fd int) program.Call {
			return b.Sys(unix.SYS_FCHMOD, program.Imm(fd), program.Imm(before.Mode&0o7777))
		}, -int64(unix.EROFS)},
		{"chmod by /proc/self/fd", func(b *program.Builder, path program.Arg, _ int) program.Call {
			return b.Sys(unix.SYS_FCHMODAT, program.Imm(unix.AT_FDCWD), path, program.Imm(before.Mode&0o7777))
		}, -int64(unix.EROFS)},
		{"fchown", func(b *program.Builder, _ program.Arg, fd int) program.Call {
			return b.Sys(unix.SYS_FCHOWN, program.Imm(fd), program.Imm(before.Uid), program.Imm(before.Gid))
		}, -int64(unix.EROFS)},
		{"chown by /proc/self/fd", func(b *program.Builder, path program.Arg, _ int) program.Call {
			return b.Sys(unix.SYS_FCHOWNAT, program.Imm(unix.AT_FDCWD), path, program.Imm(before.Uid), program.Imm(before.Gid), program.Imm(0))
		}, -int64(unix.EROFS)},
		{"utimes by /proc/self/fd", func(b *program.Builder, path program.Arg, _ int) program.Call {
			return b.Sys(unix.SYS_UTIMENSAT, program.Imm(unix.AT_FDCWD), path, program.Imm(0), program.Imm(0))
		}, -int64(unix.EROFS)},
		{"futimens", func(b *program.Builder, _ program.Arg, fd int) program.Call {
			return b.Sys(unix.SYS_UTIMENSAT, program.Imm(fd), program.Imm(0), program.Imm(0), program.Imm(0))
		}, -int64(unix.EROFS)},
		{"setxattr by /proc/self/fd", func(b *program.Builder, path program.Arg, _ int) program.Call {
			return b.Sys(unix.SYS_SETXATTR, path, b.Str("trusted.hutch-test"), b.Str("1"), program.Imm(1), program.Imm(0))
		}, -int64(unix.EROFS)},
		{"fsetxattr", func(b *program.Builder, _ program.Arg, fd int) program.Call {
			return b.Sys(unix.SYS_FSETXATTR, program.Imm(fd), b.Str("trusted.hutch-test"), b.Str("1"), program.Imm(1), program.Imm(0))
		}, -int64(unix.EROFS)},
		{"read", func(b *program.Builder, _ program.Arg, fd int) program.Call {
			return b.Sys(unix.SYS_READ, program.Imm(fd), b.Zero(8).Arg(), program.Imm(8))
		}, 0},
		{"write", func(b *program.Builder, _ program.Arg, fd int) program.Call {
			return b.Sys(unix.SYS_WRITE, program.Imm(fd), b.Str("gone"), program.Imm(4))
		}, 4},
		{"open for writing by /proc/self/fd", func(b *program.Builder, path program.Arg, _ int) program.Call {
			return b.Sys(unix.SYS_OPENAT, program.Imm(unix.AT_FDCWD), path, program.Imm(unix.O_RDWR), program.Imm(0))
		}, 4}, // 3 is the socket
		{"leave the device by ..", func(b *program.Builder, _ program.Arg, fd int) program.Call {
			return b.Sys(unix.SYS_OPENAT, program.Imm(fd), b.Str(".."), program.Imm(unix.O_RDONLY), program.Imm(0))
		}, -int64(unix.ENOTDIR)},
	}
	for _, c := range calls {
		t.Run(c.name, func(t *testing.T) {
			got, err := parttest.Told(t, nullProgram(func(b *program.Builder) {
				b.Sys(unix.SYS_DUP3, program.Val(b.Sync()), program.Imm(3), program.Imm(unix.O_CLOEXEC)).Ignore()
				r := b.Reg()
				for fd := range 3 {
					path := b.Str("/proc/self/fd/" + string(rune('0'+fd)))
					c.emit(b, path, fd).To(r).Ignore()
					b.Tell(uint32(fd), r)
					b.Sys(unix.SYS_CLOSE_RANGE, program.Imm(4), program.Imm(4), program.Imm(0)).Ignore()
				}
			}), 0)
			if err != nil {
				t.Fatal(err)
			}
			for fd := range uint32(3) {
				if v, ok := got[fd]; !ok || v != c.want && !(c.want == 4 && v >= 4) {
					t.Errorf("on descriptor %d: %d (%v), want %d", fd, v, ok, c.want)
				}
			}
		})
	}
	if after := hosts(); after.Ctim != before.Ctim || after.Mode != before.Mode || after.Uid != before.Uid {
		t.Errorf("the host's /dev/null was changed: %+v, before %+v", after, before)
	}
}

// Only those that are the null device are replaced.
func TestTheOtherStandardDescriptorsStay(t *testing.T) {
	testneed.Root(t)
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	b := program.New()
	b = b.Element(program.T("test"))
	std := factsOf(t, [3]*os.File{null, f, null})
	for fd, file := range []*os.File{null, f, null} {
		b.Sys(unix.SYS_DUP3, program.Imm(int(file.Fd())), program.Imm(fd), program.Imm(0))
	}
	Stdio(b, &specs.Process{}, std, OpenNull(b, std), false)
	b.Sys(unix.SYS_WRITE, program.Imm(1), b.Str("out"), program.Imm(3))
	b.Sys(unix.SYS_WRITE, program.Imm(2), b.Str("err"), program.Imm(3))
	if _, err := parttest.Told(t, b, 0); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(f.Name()); string(text) != "out" || err != nil {
		t.Errorf("the file has %q, %v", text, err)
	}
	if b := program.New(); OpenNull(b, [3]StdFile{{Open: true}, {}, {Open: true, UID: 5}}) != 0 || b.Len() != 0 {
		t.Error("without a null device one is opened")
	}
}

// TestOtherNullDevices runs itself with another /dev in a mount namespace.
func TestOtherNullDevices(t *testing.T) {
	testneed.Root(t)
	for _, c := range []struct{ rule, want string }{
		{"zero", "process: open /dev/null for the standard descriptors, through a read-only mount: it is not the null device 1:3: no such device"},
		{"file", "process: open /dev/null for the standard descriptors, through a read-only mount: openat2: read-only file system"},
		{"link", "process: open /dev/null for the standard descriptors, through a read-only mount: openat2: too many levels of symbolic links"},
		{"missing", "<nil>"},
		{"missing, makes none", "process: make a null device for the standard descriptors, since the host has no /dev/null:" +
			" it takes CAP_MKNOD of the initial user namespace: mknodat: operation not permitted"},
		{"no directory", "<nil>"},
		{"bind", "<nil>"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			cmd := exec.Command(self(t), "-test.run=^TestOtherNullDevicesInner$", "-test.v")
			cmd.Env = append(os.Environ(), "HUTCH_TEST_INNER="+c.rule)
			cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
			if c.rule == "missing, makes none" {
				one := []syscall.SysProcIDMap{{Size: 1}}
				cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: one, GidMappings: one}
			}
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "gives "+c.want+"\n") {
				t.Errorf("%v\n%s\nwant %s", err, out, c.want)
			}
		})
	}
}

func TestOtherNullDevicesInner(t *testing.T) {
	what := os.Getenv("HUTCH_TEST_INNER")
	if what == "" {
		t.Skip("runs inside TestOtherNullDevices")
	}
	tree, err := unix.OpenTree(unix.AT_FDCWD, "/dev/null", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err == nil {
		err = errors.Join(
			unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
			unix.Mount("tmpfs", "/dev", "tmpfs", 0, ""))
	}
	if err != nil {
		t.Fatal(err)
	}
	switch what {
	case "no directory": // the root of a chroot
		err = errors.Join(unix.Mount("tmpfs", "/mnt", "tmpfs", 0, ""), os.Mkdir("/mnt/proc", 0o755),
			unix.Mount("/proc", "/mnt/proc", "", unix.MS_BIND, ""), unix.Chroot("/mnt"))
	case "zero":
		err = unix.Mknod("/dev/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5)))
	case "file":
		err = os.WriteFile("/dev/null", nil, 0o666)
	case "link":
		err = os.Symlink("/dev/pts", "/dev/null")
	case "bind": // as in a container that may make no devices
		err = errors.Join(os.WriteFile("/dev/null", nil, 0o666), unix.MoveMount(tree, "", unix.AT_FDCWD, "/dev/null", unix.MOVE_MOUNT_F_EMPTY_PATH))
	}
	if err != nil {
		t.Fatal(err)
	}
	const changed = 1
	got, err := parttest.Told(t, nullProgram(func(b *program.Builder) {
		b.Sys(unix.SYS_WRITE, program.Imm(1), b.Str("gone"), program.Imm(4))
		r := b.Reg()
		b.Sys(unix.SYS_FCHMOD, program.Imm(1), program.Imm(0o777)).To(r).Ignore()
		b.Tell(changed, r)
	}), 0)
	if v := got[changed]; err == nil && v != -int64(unix.EROFS) {
		t.Errorf("fchmod of the null device returns %d, want EROFS", v)
	}
	t.Log("gives", err)
}
