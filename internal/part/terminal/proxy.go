package terminal

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sys"
)

// Proxy serves a container's terminal from the runtime's own standard input and
// output. A nil Proxy is that of a container without a terminal.
type Proxy struct {
	ptmx    *os.File
	in, out int           // the runtime's own
	tty     int           // the runtime's own terminal, -1 without
	saved   *unix.Termios // tty's mode before, nil when it was not changed
	drain   int           // eventfd: the process has ended
	quit    int           // eventfd: the copying is to end
	resizes chan os.Signal
	output  sync.WaitGroup
	all     sync.WaitGroup
	once    sync.Once
}

// StartProxy puts the runtime's own terminal in raw mode and begins to copy: the
// runtime's standard input to the terminal of ptmx, its output to the runtime's
// standard output. The terminal gets the size of the runtime's own, now and at
// each SIGWINCH. Neither a terminal of its own nor standard input is needed. ptmx
// becomes non-blocking, stays the caller's, and is closed after Stop.
func StartProxy(ptmx *os.File) (*Proxy, error) { return startProxy(ptmx, 0, 1, ownTerminal()) }

func startProxy(ptmx *os.File, in, out, tty int) (proxy *Proxy, err error) {
	proxy = &Proxy{ptmx: ptmx, in: in, out: out, tty: tty, drain: -1, quit: -1, resizes: make(chan os.Signal, 1)}
	defer func() {
		if err != nil {
			proxy.close()
		}
	}()
	fd := int(ptmx.Fd())
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("terminal: fcntl: %w", err)
	}
	if err := clearONLCR(fd); err != nil {
		return nil, fmt.Errorf("terminal: TCSETS: %w", err)
	}
	if proxy.drain, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if proxy.quit, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if err := proxy.setRaw(); err != nil {
		return nil, err
	}
	proxy.output.Add(1)
	proxy.all.Add(2)
	go proxy.copyOut(fd)
	go proxy.copyIn(fd)
	if tty >= 0 {
		signal.Notify(proxy.resizes, unix.SIGWINCH) // before the first look at the size
		copySize(tty, fd)
		proxy.all.Add(1)
		go func() {
			defer proxy.all.Done()
			for range proxy.resizes {
				copySize(tty, fd)
			}
		}()
	}
	return proxy, nil
}

func (p *Proxy) setRaw() error {
	if p.tty < 0 {
		return nil
	}
	t, err := unix.IoctlGetTermios(p.tty, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("own terminal: TCGETS: %w", err)
	}
	r := raw(*t)
	if err := unix.IoctlSetTermios(p.tty, unix.TCSETS, &r); err != nil {
		return fmt.Errorf("own terminal: TCSETS: %w", err)
	}
	p.saved = t
	return nil
}

// Finish waits until the output that the ended process has left is written.
func (p *Proxy) Finish() {
	if p == nil {
		return
	}
	wake(p.drain)
	p.output.Wait()
}

// Stop ends the copying and restores the runtime's own terminal. It may be called
// more than once.
func (p *Proxy) Stop() {
	if p != nil {
		p.once.Do(p.stop)
	}
}

func (p *Proxy) stop() {
	signal.Stop(p.resizes)
	close(p.resizes)
	wake(p.quit)
	p.all.Wait()
	p.close()
	runtime.KeepAlive(p.ptmx)
}

func (p *Proxy) close() {
	if p.saved != nil {
		_ = unix.IoctlSetTermios(p.tty, unix.TCSETS, p.saved) // it may have been hung up
		p.saved = nil
	}
	for _, fd := range [...]*int{&p.drain, &p.quit, &p.tty} {
		if *fd >= 0 {
			unix.Close(*fd)
			*fd = -1
		}
	}
}

// maxLeft is how much is copied after Finish, in bytes: more than a terminal's queue holds. What
// comes behind it is not of the process that has ended, but of others that it has left the
// terminal to, who may fill the queue whenever the runtime's output has taken some of it.
//
// Source: Linux drivers/tty/tty_buffer.c, TTYB_DEFAULT_MEM_LIMIT.
const maxLeft = 1 << 20

// copyOut copies the container's output until its terminal is closed by all, or,
// after Finish, until nothing is left to read: a process that outlives the
// container's may keep the terminal open for ever, and write to it.
func (p *Proxy) copyOut(ptmx int) {
	defer p.all.Done()
	defer p.output.Done()
	buf := make([]byte, 32<<10)
	ended, left := false, 0 // left is what was copied since
	for {
		fds := []unix.PollFd{{Fd: int32(ptmx), Events: unix.POLLIN}, {Fd: int32(p.quit), Events: unix.POLLIN}, {Fd: int32(p.drain), Events: unix.POLLIN}}
		timeout := -1
		if ended {
			// poll itself waits for the kernel's own queue between the two
			// ends of a terminal, so that nothing is overlooked.
			fds, timeout = fds[:2], 0
		}
		n, err := sys.Retry1(func() (int, error) { return unix.Poll(fds, timeout) })
		switch {
		case err != nil, fds[1].Revents != 0, ended && (n == 0 || left >= maxLeft):
			return
		case len(fds) == 3 && fds[2].Revents != 0:
			ended = true
			continue
		}
		n, err = sys.Read(ptmx, buf)
		switch {
		case err == unix.EAGAIN:
			continue
		case err != nil, n == 0: // EIO: nobody has the terminal open any more
			return
		}
		// Where the output cannot go the reading goes on, for the container
		// not to hang on a full terminal.
		_ = p.writeAll(p.out, buf[:n])
		if ended {
			left += n
		}
	}
}

// copyIn copies the runtime's input until its end. Like other runtimes it does
// not make the end of a pipe a ^D.
func (p *Proxy) copyIn(ptmx int) {
	defer p.all.Done()
	buf := make([]byte, 4<<10)
	for p.wait(p.in, unix.POLLIN) {
		n, err := sys.Read(p.in, buf)
		switch {
		case err == unix.EAGAIN:
			continue
		case err != nil, n == 0:
			return
		}
		if p.writeAll(ptmx, buf[:n]) != nil {
			return
		}
	}
}

func (p *Proxy) writeAll(fd int, buf []byte) error {
	for len(buf) > 0 {
		n, err := sys.Write(fd, buf)
		switch {
		case err == unix.EAGAIN:
			if !p.wait(fd, unix.POLLOUT) {
				return err
			}
		case err != nil:
			return err
		default:
			buf = buf[n:]
		}
	}
	return nil
}

// wait waits until fd is ready or has an error; false says to end.
func (p *Proxy) wait(fd int, events int16) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: events}, {Fd: int32(p.quit), Events: unix.POLLIN}}
	_, err := sys.Poll(fds, time.Time{})
	return err == nil && fds[1].Revents == 0 && fds[0].Revents&unix.POLLNVAL == 0
}

// wake makes the eventfd fd readable.
func wake(fd int) {
	if fd >= 0 {
		_, _ = unix.Write(fd, []byte{1, 1, 1, 1, 1, 1, 1, 1})
	}
}
