package spawn

import (
	"errors"
	"os"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// tagFailed is the tag by which the interpreter reports an error, and exitFailed the
// status of a child that has.
const (
	tagFailed  = 0xffffffff
	exitFailed = 1
)

// sent is a message that whoever has got hold of a child's socket sends.
type sent struct {
	m    program.Message
	data string
	fds  int // descriptors that go along
}

func (s sent) bytes() []byte {
	head := unsafe.Slice((*byte)(unsafe.Pointer(&s.m)), int(unsafe.Sizeof(s.m)))
	return append(append([]byte{}, head...), s.data...)
}

// talker returns a Child without a process, and the other end of its socket.
func talker(t *testing.T, p *program.Program) (c *Child, peer int) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	c = &Child{p: p, follower: p.Follow(), sock: pair[0], Pidfd: -1}
	t.Cleanup(func() { c.Close(); unix.Close(pair[1]) })
	if err := c.seeSenders(); err != nil {
		t.Fatal(err)
	}
	return c, pair[1]
}

// send sends s, with descriptors of /dev/null.
func send(t *testing.T, peer int, text []byte, fds int) {
	t.Helper()
	var rights []byte
	if fds > 0 {
		f, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		list := make([]int, fds)
		for i := range list {
			list[i] = int(f.Fd())
		}
		rights = unix.UnixRights(list...)
	}
	if err := unix.Sendmsg(peer, text, rights, nil, 0); err != nil {
		t.Fatal(err)
	}
}

// The places of telling.
const (
	atFirst  = 0
	atOpen   = 1
	atLoop   = 2
	atWait   = 3
	atFd     = 5
	atClone  = 6
	atAdopt  = 8
	atExit   = 9
	atWaited = 10
	atSecond = 11
	atLast   = 13
)

// telling returns a program with each kind of message, a loop and a second process.
func telling(t *testing.T) *program.Program {
	t.Helper()
	b := program.New()
	r, loop, end := b.RegOf(1), b.Label(), b.Label()
	data := b.Zero(program.MaxData)
	b.Tell(10, 0)                     // 0
	b.Sys(unix.SYS_GETPID).To(r)      // 1
	b.Bind(loop)                      //
	b.TellData(11, data, r)           // 2
	b.Wait(11, b.Zero(1))             // 3
	b.If(r, program.Eq, 0, loop)      // 4
	b.TellFd(12, r, r)                // 5
	b.Clone(0, 13)                    // 6 clone3, 7 if, 8 tell, 9 exit, 10 wait
	b.Tell(14, 0)                     // 11
	b.Sys(unix.SYS_GETPID).On(0, end) // 12
	b.Tell(15, 0)                     // 13
	b.Bind(end)                       //
	b.Exit(0)                         // 14
	b.Tell(16, 0)                     // 15: nothing leads here
	p := linked(t, b)
	for pc, op := range map[int]program.Op{atFirst: program.OpTell, atOpen: program.OpSys, atLoop: program.OpTellData, atFd: program.OpTellFd, atAdopt: program.OpTell, atExit: program.OpExit, atWaited: program.OpWait, atSecond: program.OpTell, atLast: program.OpTell} {
		if p.Child[pc].Op != op { // atAdopt with no descriptor: ETOOMANYREFS would stop exec
			t.Fatalf("instruction %d is of kind %d", pc, p.Child[pc].Op)
		}
	}
	return p
}

func told(tag uint32, pc int, v int64) sent {
	return sent{m: program.Message{Tag: tag, PC: uint32(pc), Value: v}}
}

func (s sent) withData(text string) sent { s.data = text; return s }
func (s sent) withFds(n int) sent        { s.fds = n; return s }

// What the program tells, in its order.
var (
	first  = told(10, atFirst, 0)
	piece  = told(11, atLoop, 3).withData("abc")
	handed = told(12, atFd, 0).withFds(1)
	adopt  = told(13, atAdopt, 99)
	second = told(14, atSecond, 0)
	last   = told(15, atLast, 0)
)

func TestAMessageIsTakenWhereTheProgramSendsIt(t *testing.T) {
	const never, other, kind, nothing = "cannot have come there", "tells another", "sends no such message", "a failure carries nothing"
	failure := func(pc int) sent { return told(tagFailed, pc, int64(unix.EIO)) }
	for _, c := range []struct {
		rule   string
		before []sent
		s      sent
		want   string // of the error, empty for one that is taken
	}{
		{"all in order", []sent{first, piece, handed, adopt, second}, last, ""},
		{"a loop again", []sent{first, piece, piece, piece}, piece, ""},
		{"out of a loop", []sent{first, piece, piece}, handed, ""},
		{"a value of any size", nil, told(10, atFirst, -1), ""},
		{"as much as goes into a message", []sent{first}, told(11, atLoop, program.MaxData).withData(strings.Repeat("x", program.MaxData)), ""},

		{"before the first instruction", nil, told(10, -1, 0), never},
		{"behind the last", nil, told(10, 16, 0), never},
		{"far behind the last", nil, told(10, 1<<30, 0), never},
		{"of a call", nil, told(unix.SYS_GETPID, atOpen, 0), never},
		{"of a call that can come next", []sent{first}, told(uint32(unix.SYS_GETPID), atOpen, 0), kind},
		{"of a call, with another tag", []sent{first}, told(11, atOpen, 0), other},
		{"of a wait", []sent{first, piece}, told(11, atWait, 0), kind},
		{"not yet: another message is on the way", nil, piece, never},
		{"not again", []sent{first}, first, never},
		{"not again after a loop", []sent{first, piece, handed}, piece, never},
		{"not where nothing leads", []sent{first, piece, handed, adopt, second}, told(16, 15, 0), never},
		{"another tag", nil, told(11, atFirst, 0), other},
		{"the tag of the next", []sent{first}, told(12, atLoop, 3).withData("abc"), other},

		{"data where none belongs", nil, first.withData("x"), kind},
		{"a descriptor where none belongs", nil, first.withFds(1), kind},
		{"no data", []sent{first}, told(11, atLoop, 3), kind},
		{"more data than told", []sent{first}, piece.withData("abcd"), kind},
		{"more told than there is", []sent{first}, told(11, atLoop, 4).withData("abc"), kind},
		{"a negative number of data", []sent{first}, told(11, atLoop, -3).withData("abc"), kind},
		{"more data than goes into a message", []sent{first}, told(11, atLoop, program.MaxData+1).withData(strings.Repeat("x", program.MaxData+1)), kind},
		{"a descriptor with data", []sent{first}, piece.withFds(1), kind},
		{"no descriptor", []sent{first, piece}, handed.withFds(0), kind},
		{"data with a descriptor", []sent{first, piece}, handed.withData("x"), kind},

		{"the second process, before it is told of", []sent{first, piece, handed}, second, never},
		{"the first process, after the second is told of", []sent{first, piece, handed, adopt}, adopt, never},
		{"what came before, from the second", []sent{first, piece, handed, adopt}, handed, never},
		{"the last before the one before it", []sent{first, piece, handed, adopt}, last, never},

		{"a failure behind a message that is not told", nil, failure(atOpen), never},
		{"a failure of another message's place", []sent{first, piece, handed, adopt}, failure(atClone), never},
		{"a failure where nothing leads", []sent{first, piece, handed, adopt, second}, failure(15), never},
		{"a failure outside of the program", []sent{first}, failure(16), never},
		{"a failure with data", []sent{first}, failure(atOpen).withData("x"), nothing},
		{"a failure with a descriptor", []sent{first}, failure(atOpen).withFds(1), nothing},

		{"no head", nil, sent{data: "short"}, "without a head"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			noNewFds(t)
			ch, peer := talker(t, telling(t))
			for i, s := range append(c.before, c.s) {
				text := s.bytes()
				if c.want == "without a head" {
					text = []byte(s.data)
				}
				send(t, peer, text, s.fds)
				e, err := ch.Next()
				if i < len(c.before) || c.want == "" {
					if err != nil {
						t.Fatalf("message %d: %v", i, err)
					}
					if e.Tag != s.m.Tag || e.PC != int(s.m.PC) || e.Value != s.m.Value || string(e.Data) != s.data || (e.Fd >= 0) != (s.fds > 0) {
						t.Errorf("message %d is taken as %+v, sent %+v", i, e, s)
					}
					if e.Fd >= 0 {
						if flags, err := unix.FcntlInt(uintptr(e.Fd), unix.F_GETFD, 0); err != nil || flags != unix.FD_CLOEXEC {
							t.Errorf("its descriptor has the flags %d, %v; want close-on-exec", flags, err)
						}
						unix.Close(e.Fd)
					}
					continue
				}
				var failed *program.Error
				if err == nil || errors.Is(err, ErrEnded) || errors.As(err, &failed) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "not the program's") {
					t.Errorf("%+v: %v; want an error with %q", e, err, c.want)
				}
			}
		})
	}
}

// A failure is taken where the child can be.
func TestAFailureIsTakenWhereTheChildCanBe(t *testing.T) {
	for name, c := range map[string]struct {
		before []sent
		pc     int
	}{
		"after a message": {[]sent{first}, atOpen}, "of a message": {[]sent{first}, atLoop}, "of the clone": {[]sent{first, piece, handed}, atClone},
		"of the word of the second process": {[]sent{first, piece, handed}, atAdopt}, "of the second process": {[]sent{first, piece, handed, adopt, second}, 12},
	} {
		t.Run(name, func(t *testing.T) {
			ch, peer := talker(t, telling(t))
			for _, s := range c.before {
				send(t, peer, s.bytes(), s.fds)
				e, err := ch.Next()
				if err != nil {
					t.Fatal(err)
				}
				if e.Fd >= 0 {
					unix.Close(e.Fd)
				}
			}
			send(t, peer, told(tagFailed, c.pc, int64(unix.EIO)).bytes(), 0)
			_, err := ch.Next()
			var failed *program.Error
			if !errors.As(err, &failed) || failed.PC != c.pc || failed.Errno != unix.EIO {
				t.Errorf("%v, want EIO of instruction %d", err, c.pc)
			}
		})
	}
}

// Of several descriptors in one message the kernel hands over one.
func TestNoDescriptorBesideTheFirstIsLeftOpen(t *testing.T) {
	noNewFds(t)
	for n := range 5 {
		ch, peer := talker(t, telling(t))
		for _, s := range []sent{first, piece, handed.withFds(n)} {
			send(t, peer, s.bytes(), s.fds)
			e, err := ch.Next()
			if (err == nil) != (s.m.Tag != handed.m.Tag || n > 0) {
				t.Errorf("%d descriptors: %v", n, err)
			}
			if err == nil && e.Fd >= 0 {
				unix.Close(e.Fd)
			}
		}
	}
}

// An end is an end: nothing is left to be read, and no message is made up.
func TestTheEndOfTheSocketIsTheEnd(t *testing.T) {
	ch, peer := talker(t, telling(t))
	if err := unix.Shutdown(peer, unix.SHUT_RDWR); err != nil {
		t.Fatal(err)
	}
	if e, err := ch.Next(); !errors.Is(err, ErrEnded) {
		t.Errorf("%+v, %v", e, err)
	}
}
