package process

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/tests/testneed"
)

// factsOf returns what StreamFiles would say if the files were the standard ones, nil being a
// closed one.
func factsOf(t *testing.T, files [3]*os.File) [3]StdFile {
	t.Helper()
	var saved [3]int
	for fd := range saved {
		var err error
		if saved[fd], err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3); err != nil {
			t.Fatal(err)
		}
	}
	for fd, f := range files {
		if f == nil {
			unix.Close(fd)
		} else if err := unix.Dup3(int(f.Fd()), fd, 0); err != nil {
			t.Error(err)
		}
	}
	facts := StreamFiles([3]int{0, 1, 2})
	for fd, old := range saved {
		if err := unix.Dup3(old, fd, 0); err != nil {
			t.Error(err)
		}
		unix.Close(old)
	}
	return facts
}

func TestStdioBecomesTheUsers(t *testing.T) {
	testneed.Root(t)
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
			b = b.Element(program.T("test"))
			for fd, f := range c.files {
				b.Sys(unix.SYS_DUP3, program.Imm(int(f.Fd())), program.Imm(fd), program.Imm(0))
			}
			std := factsOf(t, c.files)
			Stdio(b, &specs.Process{User: specs.User{UID: c.uid}}, std, OpenNull(b, std), false)
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
		b = b.Element(program.T("test"))
		f := make("e", 0)
		b.Sys(unix.SYS_DUP3, program.Imm(int(f.Fd())), program.Imm(0), program.Imm(0))
		b.Sys(unix.SYS_CLOSE, program.Imm(1))
		std := factsOf(t, [3]*os.File{f, nil, nil})
		Stdio(b, &specs.Process{User: specs.User{UID: 9}}, std, OpenNull(b, std), true)
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
		b = b.Element(program.T("test"))
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
	for want, preserved := range map[string][]int{"0 1 2": nil, "0 1 2 3": {3}, "0 1 2 5": {5}, "0 1 2 3 5": {3, 4, 5}, "0 1 2 5 " + strconv.Itoa(leak): {leak, 5}} {
		t.Run(fmt.Sprint(preserved), func(t *testing.T) {
			if got := listed(t, func(b *program.Builder) { CloseOthers(b, preserved) }); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}

// What the runtime has opened itself is among the numbers that are to be preserved when
// the caller leaves them closed: it is not the process's.
func TestPreservedAreThoseOfTheCaller(t *testing.T) {
	const n = 40
	taken := map[int]bool{}
	for fd := 3; fd < 3+n; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			taken[fd] = true
		}
	}
	before := Preserved(n)
	var own, callers int // of the runtime's kind, of the caller's
	for fd := 3; fd < 3+n && callers == 0; fd++ {
		switch {
		case taken[fd]:
		case own == 0:
			own = fd
		default:
			callers = fd
		}
	}
	for fd, flags := range map[int]int{own: unix.O_CLOEXEC, callers: 0} {
		if err := unix.Dup3(0, fd, flags); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
	}
	got := Preserved(n)
	if slices.Contains(got, own) || !slices.Contains(got, callers) || len(got) != len(before)+1 {
		t.Errorf("%v are preserved, before %v; want %d in addition and %d not", got, before, callers, own)
	}
	if got := Preserved(callers - 3); slices.Contains(got, callers) {
		t.Errorf("%v are preserved of the %d before %d", got, callers-3, callers)
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
	CloseOthers(b, nil, kept)
	b.Sys(unix.SYS_FCNTL, program.Val(kept), program.Imm(unix.F_GETFD)).To(r).Ignore()
	b.Tell(1, r)
	if got := tell(t, b, 0); got != unix.FD_CLOEXEC {
		t.Errorf("fcntl F_GETFD gives %d", got)
	}
}
