package spawn

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// closers are Builders that close by close_range, and one descriptor after the other.
func closers(t *testing.T, test func(*testing.T, func() *program.Builder)) {
	t.Run("close_range", func(t *testing.T) { test(t, program.New) })
	t.Run("close", func(t *testing.T) {
		test(t, func() *program.Builder {
			b := program.New()
			b.WithoutCloseRange()
			return b
		})
	})
}

func TestCloseExceptKeepsWhatIsNamed(t *testing.T) { closers(t, testCloseExceptKeepsWhatIsNamed) }

func testCloseExceptKeepsWhatIsNamed(t *testing.T, builder func() *program.Builder) {
	b := builder()
	var kept, closed program.Reg
	b.InParent(func() {
		closed = b.Sys(unix.SYS_OPENAT, program.Imm(unix.AT_FDCWD), b.Str("/dev/null"), program.Imm(unix.O_RDONLY|unix.O_CLOEXEC)).Fd()
		kept = b.Sys(unix.SYS_OPENAT, program.Imm(unix.AT_FDCWD), b.Str("/dev/null"), program.Imm(unix.O_RDONLY|unix.O_CLOEXEC)).Fd()
	})
	b.CloseExcept(nil, kept)
	r := b.Reg()
	b.Sys(unix.SYS_FCNTL, program.Val(closed), program.Imm(unix.F_GETFD)).To(r).Ignore()
	b.Tell(1, r)
	b.Sys(unix.SYS_FCNTL, program.Val(kept), program.Imm(unix.F_GETFD)).To(r).Ignore()
	b.Tell(2, r)
	c := spawn(t, b)
	if v, err := c.Expect(1); err != nil || v != -int64(unix.EBADF) {
		t.Errorf("the other descriptor: %d, %v; want closed", v, err)
	}
	if v, err := c.Expect(2); err != nil || v != unix.FD_CLOEXEC {
		t.Errorf("the kept descriptor: %d, %v; want open", v, err)
	}
}

// TestCloseExceptReachesAll: a descriptor of a high number, and one beyond the limit of today.
func TestCloseExceptReachesAll(t *testing.T) { closers(t, testCloseExceptReachesAll) }

func testCloseExceptReachesAll(t *testing.T, builder func() *program.Builder) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		t.Fatal(err)
	}
	highest := 100_000
	if l.Cur < uint64(highest)+1 {
		highest = int(l.Cur) - 1
	}
	if err := unix.Dup3(0, highest, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(highest)
	low := l
	low.Cur = min(low.Cur, 100)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &l) }()
	b := builder()
	b.CloseExcept(nil)
	r := b.Reg()
	b.Sys(unix.SYS_FCNTL, program.Imm(highest), program.Imm(unix.F_GETFD)).To(r).Ignore()
	b.Tell(1, r)
	c := spawn(t, b)
	if v, err := c.Expect(1); err != nil || v != -int64(unix.EBADF) {
		t.Errorf("descriptor %d: %d, %v; want closed", highest, v, err)
	}
}

// TestCloseExceptFails: descriptors that cannot be closed are not left open, as where a
// filter around the runtime denies close_range.
func TestCloseExceptFails(t *testing.T) {
	for errno, fails := range map[unix.Errno]bool{unix.EPERM: true, unix.ENOSYS: true, unix.EINVAL: false} {
		b := program.New()
		b.CloseExcept(nil)
		b.Tell(1, 0)
		p, err := b.Program()
		if err != nil {
			t.Fatal(err)
		}
		c, err := Spawn(p, &Options{Cgroup: -1, Fault: &program.Fault{PC: 0, Errno: errno}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Expect(1); (err != nil) != fails || fails && !errors.Is(err, errno) {
			t.Errorf("%v: got %v, fails %t", errno, err, fails)
		}
		c.Kill()
		c.Close()
	}
}

// The child's descriptors from lowest to highest are open before CloseExcept. They are
// far above those of the test itself.
const lowest, highest = 200, 215

func TestCloseExceptAroundNumbersAndRegisters(t *testing.T) {
	closers(t, testCloseExceptAroundNumbersAndRegisters)
}

func testCloseExceptAroundNumbersAndRegisters(t *testing.T, builder func() *program.Builder) {
	// The child has no higher one than the caller, and what it opens by itself.
	if err := unix.Dup3(0, highest, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(highest)
	for _, c := range []struct {
		rule     string
		numbers  []int
		regs     []int64
		want     []int
		withSync bool // the socket is one of the numbers
	}{
		{rule: "nothing"},
		{rule: "a number", numbers: []int{205}, want: []int{205}},
		{rule: "neighbours", numbers: []int{205, 206, 207}, want: []int{205, 206, 207}},
		{rule: "holes", numbers: []int{200, 202, 204, 215}, want: []int{200, 202, 204, 215}},
		{rule: "in any order", numbers: []int{209, 203, 208}, want: []int{203, 208, 209}},
		{rule: "a register in a hole", numbers: []int{203, 205}, regs: []int64{204}, want: []int{203, 204, 205}},
		{rule: "registers beside the numbers", numbers: []int{203, 204}, regs: []int64{205, 202}, want: []int{202, 203, 204, 205}},
		{rule: "registers alone", regs: []int64{201, 214, 202}, want: []int{201, 202, 214}},
		{rule: "a register that holds a number's", numbers: []int{203, 205}, regs: []int64{205}, want: []int{203, 205}},
		{rule: "registers that hold none", numbers: []int{207}, regs: []int64{-1, -2}, want: []int{207}},
		{rule: "numbers that are not open", numbers: []int{3000, 207}, want: []int{207}},
		{rule: "the socket's number", numbers: []int{207}, want: []int{207}, withSync: true},
	} {
		t.Run(c.rule, func(t *testing.T) {
			b := builder()
			for fd := lowest; fd <= highest; fd++ {
				b.Sys(unix.SYS_DUP3, program.Imm(0), program.Imm(fd), program.Imm(0))
			}
			regs := make([]program.Reg, len(c.regs))
			for i, v := range c.regs {
				regs[i] = b.RegOf(v)
			}
			numbers := c.numbers
			if c.withSync {
				for fd := 3; fd < lowest; fd++ {
					numbers = append(numbers, fd)
				}
			}
			b.CloseExcept(numbers, regs...)
			open := b.Reg()
			for fd := lowest; fd <= highest; fd++ {
				b.Sys(unix.SYS_FCNTL, program.Imm(fd), program.Imm(unix.F_GETFD)).To(open).Ignore()
				b.Tell(uint32(fd), open)
			}
			ch := spawn(t, b)
			var got []int
			for {
				e, err := ch.Next()
				if err != nil {
					if !errors.Is(err, ErrEnded) {
						t.Fatal(err)
					}
					break
				}
				if e.Value >= 0 {
					got = append(got, int(e.Tag))
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("%v are open, want %v", got, c.want)
			}
			if !slices.IsSorted(c.want) {
				t.Fatal("the want is not sorted")
			}
		})
	}
}
