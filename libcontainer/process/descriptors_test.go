package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
)

func TestStatxOffsets(t *testing.T) {
	var s unix.Statx_t
	for _, c := range []struct {
		name      string
		got, want uintptr
	}{
		{"size", statxSize, unsafe.Sizeof(s)}, {"uid", statxUID, unsafe.Offsetof(s.Uid)}, {"mode", statxMode, unsafe.Offsetof(s.Mode)},
		{"rdev_major", statxMajor, unsafe.Offsetof(s.Rdev_major)}, {"rdev_minor", statxMinor, unsafe.Offsetof(s.Rdev_minor)},
	} {
		if c.got != c.want {
			t.Errorf("%s is at %d, want %d", c.name, c.got, c.want)
		}
	}
}

func TestStdioBecomesTheUsers(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	make := func(name string, owner int) *os.File {
		t.Helper()
		f, err := os.Create(filepath.Join(dir, name))
		if err == nil {
			err = f.Chown(owner, 44)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	owner := func(f *os.File) uint32 {
		t.Helper()
		var s unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &s); err != nil {
			t.Fatal(err)
		}
		return s.Uid
	}
	// Nobody runs this test as 70000, which is above 16 bits.
	for _, c := range []struct {
		name            string
		uid             uint32
		files           [3]*os.File
		want0, want1    uint32
		thirdIsWhatItIs uint32
	}{
		{"a user", 70000, [3]*os.File{make("a", 0), make("b", 5), null}, 70000, 70000, owner(null)},
		{"root", 0, [3]*os.File{make("c", 0), make("d", 5), null}, 0, 0, owner(null)},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := program.New()
			b.Element(program.T("test"))
			for fd, f := range c.files {
				b.Sys(unix.SYS_DUP3, program.Imm(int(f.Fd())), program.Imm(fd), program.Imm(0))
			}
			Stdio(b, &specs.Process{User: specs.User{UID: c.uid}})
			b.Tell(1, 0)
			tell(t, b, 0)
			for i, want := range []uint32{c.want0, c.want1, c.thirdIsWhatItIs} {
				if got := owner(c.files[i]); got != want {
					t.Errorf("descriptor %d is of %d, want %d", i, got, want)
				}
			}
		})
	}
	t.Run("closed descriptors, and files that it may not have", func(t *testing.T) {
		b := program.New()
		b.Element(program.T("test"))
		f := make("e", 0)
		b.Sys(unix.SYS_DUP3, program.Imm(int(f.Fd())), program.Imm(0), program.Imm(0))
		b.Sys(unix.SYS_CLOSE, program.Imm(1))
		Stdio(b, &specs.Process{User: specs.User{UID: 9}})
		b.Tell(1, 0)
		tell(t, b, unix.CLONE_NEWUSER)
		if owner(f) != 0 {
			t.Error("the file changed hands")
		}
	})
}

// listFds prints the shell's open descriptors without opening one, as a glob would.
const listFds = "i=0; while [ $i -lt 100 ]; do [ -e /proc/$$/fd/$i ] && l=\"$l $i\"; i=$((i+1)); done; echo $l"

// listed runs emit with the descriptors 3, 5 and leak open and not close-on-exec,
// and gives the numbers of those that the executed program has.
func listed(t *testing.T, emit func(*program.Builder)) string {
	t.Helper()
	out := must(t, []string{busybox, "sh", "-c", listFds}, func(b *program.Builder) {
		b.Element(program.T("test"))
		for _, fd := range []int{3, 5, leak} {
			// The socket to the parent may be on one of these.
			free := b.Label()
			b.If(b.Sync(), program.Eq, int64(fd), free)
			b.Sys(unix.SYS_DUP3, program.Imm(2), program.Imm(fd), program.Imm(0))
			b.Bind(free)
		}
		emit(b)
	})
	return strings.TrimSpace(out)
}

// spare fills the low numbers, so that the socket to the child is above them.
func spare(t *testing.T) {
	t.Helper()
	for range 8 {
		f, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
	}
}

func TestDescriptorsThatReachTheProgram(t *testing.T) {
	spare(t)
	for name, emit := range map[string]func(*program.Builder, int){
		"Descriptors": Descriptors,
		"CloseOthers": func(b *program.Builder, n int) { CloseOthers(b, n) },
	} {
		for preserve, want := range []string{"0 1 2", "0 1 2 3", "0 1 2 3", "0 1 2 3 5"} {
			t.Run(fmt.Sprint(name, preserve), func(t *testing.T) {
				if got := listed(t, func(b *program.Builder) { emit(b, preserve) }); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			})
		}
	}
}

func TestCloseOthersKeepsWhatIsNamed(t *testing.T) {
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := program.New()
	kept, r := b.RegOf(int64(f.Fd())), b.Reg()
	CloseOthers(b, 0, kept)
	b.Sys(unix.SYS_FCNTL, program.Val(kept), program.Imm(unix.F_GETFD)).To(r).Ignore()
	b.Tell(1, r)
	if got := tell(t, b, 0); got != unix.FD_CLOEXEC {
		t.Errorf("fcntl F_GETFD gives %d", got)
	}
}
