package libcontainer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Streams are the standard descriptors of a process, as os/exec has them. They are not for
// a process with a terminal, see Process.Terminal.
//
// An *os.File becomes the descriptor of the process itself, and may be closed when Create
// or Exec has returned. Any other Reader or Writer is copied from or to by a goroutine over
// a pipe, until Wait; it is used by one goroutine at a time also where Stdout and Stderr are
// the same one. Nil is the null device.
//
// The user of the process becomes the owner of a pipe, socket or regular file that it gets,
// for programs that open /dev/stdout.
type Streams struct {
	Stdin  io.Reader // descriptor 0
	Stdout io.Writer // descriptor 1
	Stderr io.Writer // descriptor 2
	// WaitDelay bounds how long Wait waits, after the end of the process, for what is
	// copied: a process that it has left behind may hold a pipe open, and a Reader may
	// block. When it is over the pipes are closed, and Wait returns exec.ErrWaitDelay.
	// Zero waits as long as it takes.
	WaitDelay time.Duration
}

// streams are the descriptors of a process that is being made, and what is copied.
type streams struct {
	fds    [3]int     // for the process, close-on-exec, above 2; -1 when closed
	pipes  []*os.File // this program's ends
	copies []func() error

	copying sync.WaitGroup
	errs    chan error // the first error of each copy
}

// open opens the streams. The caller calls closeFds when the process is made, and start or
// abandon.
func (s *Streams) open() (_ *streams, err error) {
	out := &streams{fds: [3]int{-1, -1, -1}}
	defer func() {
		if err != nil {
			out.closeFds()
			out.abandon()
		}
	}()
	if err = out.openInput(s.Stdin); err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	if err = out.openOutput(1, s.Stdout); err != nil {
		return nil, fmt.Errorf("standard output: %w", err)
	}
	if s.Stderr != nil && same(s.Stderr, s.Stdout) {
		out.fds[2], err = duplicate(out.fds[1])
	} else {
		err = out.openOutput(2, s.Stderr)
	}
	if err != nil {
		return nil, fmt.Errorf("standard error: %w", err)
	}
	return out, nil
}

func (s *streams) openInput(r io.Reader) error {
	if f, ok := r.(*os.File); ok || r == nil {
		return s.openFile(0, f, unix.O_RDONLY)
	}
	own, err := s.pipe(0, 1)
	if err == nil {
		s.copies = append(s.copies, func() error {
			_, err := io.Copy(own, r)
			if errors.Is(err, unix.EPIPE) || errors.Is(err, os.ErrClosed) {
				err = nil // the process does not read on
			}
			if closed := own.Close(); err == nil && !errors.Is(closed, os.ErrClosed) {
				err = closed
			}
			return err
		})
	}
	return err
}

func (s *streams) openOutput(i int, w io.Writer) error {
	if f, ok := w.(*os.File); ok || w == nil {
		return s.openFile(i, f, unix.O_WRONLY)
	}
	own, err := s.pipe(i, 0)
	if err == nil {
		s.copies = append(s.copies, func() error {
			_, err := io.Copy(w, own)
			own.Close() // so that a process that writes on gets EPIPE
			if errors.Is(err, os.ErrClosed) {
				err = nil // of WaitDelay, which has an error of its own
			}
			return err
		})
	}
	return err
}

// openFile takes a file of the caller for the descriptor i, or the null device.
func (s *streams) openFile(i int, f *os.File, flags int) (err error) {
	if f == nil {
		fd, err := unix.Open("/dev/null", flags|unix.O_CLOEXEC, 0)
		if err != nil {
			return &os.PathError{Op: "open", Path: "/dev/null", Err: err}
		}
		defer unix.Close(fd)
		s.fds[i], err = duplicate(fd)
		return err
	}
	// Fd and not SyscallConn: a process expects files that block.
	s.fds[i], err = duplicate(int(f.Fd()))
	return err
}

// pipe makes a pipe, of which the descriptor i is the end p for the process, and returns
// the other end, own.
func (s *streams) pipe(i, own int) (*os.File, error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	fd, err := duplicate(ends[1-own])
	unix.Close(ends[1-own])
	if err == nil {
		// For Go's poller, so that a Close ends a Read or a Write.
		err = os.NewSyscallError("fcntl", unix.SetNonblock(ends[own], true))
	}
	if err != nil {
		unix.Close(ends[own])
		closeFd(fd)
		return nil, err
	}
	s.fds[i] = fd
	f := os.NewFile(uintptr(ends[own]), "|")
	s.pipes = append(s.pipes, f)
	return f, nil
}

// duplicate returns another descriptor of a file, above those that the process gets.
func duplicate(fd int) (int, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return -1, os.NewSyscallError("fcntl", err)
	}
	return n, nil
}

// same reports whether two writers are the same one. Those of a type that cannot be
// compared, where Go panics, are not.
func same(a, b io.Writer) bool {
	defer func() { _ = recover() }()
	return a == b
}

// closeFds closes the descriptors that the process has by now.
func (s *streams) closeFds() {
	for i := range s.fds {
		closeFd(s.fds[i])
		s.fds[i] = -1
	}
}

// abandon closes this program's ends of the pipes.
func (s *streams) abandon() {
	for _, f := range s.pipes {
		f.Close()
	}
}

// start begins to copy.
func (s *streams) start() {
	s.errs = make(chan error, len(s.copies))
	for _, f := range s.copies {
		s.copying.Add(1)
		go func() {
			defer s.copying.Done()
			if err := f(); err != nil {
				s.errs <- err
			}
		}()
	}
	s.copies = nil
}

// finish waits for what is copied, no longer than delay unless that is zero, and returns
// the first error. A process that others have made has no streams.
func (s *streams) finish(delay time.Duration) error {
	if s == nil || cap(s.errs) == 0 {
		return nil
	}
	copied := make(chan struct{})
	go func() {
		s.copying.Wait()
		close(copied)
	}()
	var late <-chan time.Time
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-copied:
	case <-late:
		s.abandon()
		return exec.ErrWaitDelay
	}
	select {
	case err := <-s.errs:
		return err
	default:
		return nil
	}
}

// discard takes back open, where no process is made.
func (s *streams) discard() {
	s.closeFds()
	s.abandon()
}
