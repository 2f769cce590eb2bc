package spawn

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// faulty returns a program with an instruction of each kind. The tags say how far the
// child came: 1 always, 2 where an ignored error was seen, 3 where a jump was
// taken, 9 at the end.
func faulty() *program.Builder {
	b := program.New()
	b.InParent(func() {
		b := b.Element(program.T("root"))
		ok := b.Label()
		r := b.Reg()
		b.Sys(unix.SYS_GETPID).To(r)
		b.If(r, program.Ne, 0, ok)
		b.Fail(unix.EIO)
		b.Bind(ok)
		b.Sys(unix.SYS_OPENAT, program.Imm(unix.AT_FDCWD), b.Str("/dev/null"), program.Imm(unix.O_RDONLY|unix.O_CLOEXEC)).Fd()
		b.Sys(unix.SYS_GETPID).Ignore()
	})
	b = b.Element(program.T("mounts"))
	next, jumped, end := b.Label(), b.Label(), b.Label()
	r, other := b.Reg(), b.Reg()
	b.Tell(1, 0)                                   // 0
	b.Sys(unix.SYS_GETPID)                         // 1: fails
	b.Sys(unix.SYS_GETPPID).To(r).Ignore()         // 2: goes on, r is the errno
	b.If(r, program.Ge, 0, next)                   // 3
	b.Tell(2, r)                                   // 4
	b.Bind(next)                                   //
	b.Sys(unix.SYS_GETPID).On(unix.ENOSYS, jumped) // 5: jumps
	b.Sys(unix.SYS_GETPID).On(unix.EPERM, jumped)  // 6: another errno than ENOSYS: fails
	b.Sys(unix.SYS_GETPID).To(other).On(0, jumped) // 7: jumps
	b.Jump(end)                                    // 8
	b.Bind(jumped)                                 //
	b.Tell(3, 0)                                   // 9
	b.Bind(end)                                    //
	b.Tell(9, 0)                                   // 10
	b.Exit(5)                                      // 11
	return b
}

// tagsOf reads the child's messages to their end.
func tagsOf(c *Child) (tags []uint32, values []int64, err error) {
	for {
		e, err := c.Next()
		if err != nil {
			return tags, values, err
		}
		tags, values = append(tags, e.Tag), append(values, e.Value)
	}
}

func TestEachInstructionOfTheChildCanFail(t *testing.T) {
	noNewFds(t)
	const errno = unix.ENOSYS
	goesOn := map[int]uint32{2: 2, 5: 3, 7: 3} // what is told where the program has a way on
	for pc := range 12 {
		c, err := Spawn(linked(t, faulty()), &Options{Cgroup: -1, Fault: &program.Fault{PC: pc, Errno: errno}})
		if err != nil {
			t.Fatalf("%d: %v", pc, err)
		}
		tags, values, err := tagsOf(c)
		ws, werr := c.Wait()
		c.Close()
		if werr != nil {
			t.Fatalf("%d: %v", pc, werr)
		}
		tag, on := goesOn[pc]
		skipped := pc == 4 || pc == 9 // not reached without another fault
		switch {
		case on:
			if !errors.Is(err, ErrEnded) || len(tags) != 3 || tags[1] != tag || tags[2] != 9 || ws.ExitStatus() != 5 {
				t.Errorf("%d: told %d, %v, status %d; want 1 %d 9 and the end with 5", pc, tags, err, ws.ExitStatus(), tag)
			}
			if pc == 2 && values[1] != -int64(errno) {
				t.Errorf("%d: the register holds %d, want %d", pc, values[1], -int64(errno))
			}
		case skipped:
			if !errors.Is(err, ErrEnded) || len(tags) != 2 || ws.ExitStatus() != 5 {
				t.Errorf("%d: told %d, %v; want 1 9 and the end", pc, tags, err)
			}
		default:
			var e *program.Error
			if !errors.As(err, &e) || e.PC != pc || e.Errno != errno || e.Note.Element.F != "mounts" || ws.ExitStatus() != exitFailed {
				t.Errorf("%d: %v, status %d; want the failure of %d", pc, err, ws.ExitStatus(), pc)
			}
		}
	}
}

func TestEachInstructionOfTheParentCanFail(t *testing.T) {
	noNewFds(t)
	for pc := range 5 {
		c, err := Spawn(linked(t, faulty()), &Options{Cgroup: -1, Fault: &program.Fault{Parent: true, PC: pc, Errno: unix.ENOMEM}})
		switch pc {
		case 2, 4: // not reached; ignored
			if err != nil {
				t.Errorf("%d: %v, want none", pc, err)
				continue
			}
			if tags, _, err := tagsOf(c); !errors.Is(err, ErrEnded) || len(tags) != 2 {
				t.Errorf("%d: told %d, %v; want 1 9 and the end", pc, tags, err)
			}
			if _, err := c.Wait(); err != nil {
				t.Error(err)
			}
			c.Close()
		default:
			var e *program.Error
			if !errors.As(err, &e) || e.PC != pc || e.Errno != unix.ENOMEM || e.Note.Element.F != "root" {
				t.Errorf("%d: %v, want the failure of %d", pc, err, pc)
			}
		}
	}
	if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
		t.Errorf("a child is left: %v", err)
	}
}
