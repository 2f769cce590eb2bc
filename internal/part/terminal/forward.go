package terminal

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sigaction"
)

// Forwarder passes the signals that the runtime gets on to a container.
type Forwarder struct {
	early   *sigaction.Catcher // of the most usual signals; nil when os/signal catches them too
	signals chan os.Signal     // from os/signal
	ready   chan struct{}      // closed when the most usual ones are caught
	stop    chan struct{}
	ended   chan struct{} // closed when nothing is passed on from signals any more, nil before it is
	late    func()        // called when all are caught; a test's
}

// Forward begins to catch signals. It comes before the process is there: what
// comes before Wait is kept for it. Ready says when those that people and programs
// send are caught; the others follow some milliseconds later, in processes that
// last. Each costs os/signal four changes of thread, all of them as much as a third
// of a short run. alone says that nobody else in this process wants to see the
// usual ones: then they are caught past os/signal, where that is possible.
//
// All signals are caught but SIGKILL and SIGSTOP, which cannot be; SIGCHLD, the
// runtime's own; SIGURG, which Go's scheduler sends to itself; SIGWINCH, which a
// Proxy turns into a new size; and SIGTTIN and SIGTTOU. These two stop a process
// that uses its terminal from the background, until the shell brings it to the
// front: caught, the terminal's calls would be restarted, and the signal sent
// again, without end.
//
// SIGTSTP is passed on, and the runtime does not stop itself: with a terminal ^Z
// is a byte for the container's terminal, and without one the container is in a
// session of its own, where the kernel discards the stop of an orphaned process
// group.
//
// SIGPIPE is passed on too, so that a container learns when a Proxy's output is
// gone, as a process that writes there itself would.
//
// Source: signal(7), setpgid(2), termios(3).
func Forward(alone bool) *Forwarder {
	f := &Forwarder{ready: make(chan struct{}), stop: make(chan struct{})}
	if alone {
		if c, ok := sigaction.Catch(usual[:]); ok {
			f.early = c
			close(f.ready)
			return f
		}
	}
	f.signals = make(chan os.Signal, 256)
	go func() {
		list := make([]os.Signal, 0, len(usual))
		for _, s := range usual {
			list = append(list, s)
		}
		signal.Notify(f.signals, list...)
		close(f.ready)
	}()
	return f
}

// Ready waits until the most usual signals are caught.
func (f *Forwarder) Ready() {
	if f != nil {
		<-f.ready
	}
}

// lateness is longer than a short run takes, in milliseconds.
const lateness = 20

// usual are the signals that are sent to programs as they start.
var usual = [...]unix.Signal{
	unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGTSTP, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGCONT,
}

// left are the signals that are not caught, for the reasons that Forward names.
var left = [...]unix.Signal{
	unix.SIGKILL, unix.SIGSTOP, unix.SIGCHLD, unix.SIGURG, unix.SIGWINCH, unix.SIGTTIN, unix.SIGTTOU,
}

// others returns the signals that are caught when a process lasts.
func others() []os.Signal {
	out := make([]os.Signal, 0, sigaction.Last)
	for s := syscall.Signal(1); s <= sigaction.Last; s++ {
		if slices.Contains(usual[:], s) || slices.Contains(left[:], s) || sigaction.OfCLibrary(s) {
			continue
		}
		out = append(out, s)
	}
	return out
}

// Wait sends the signals that came, and come, to the process of pidfd until it has
// ended, and a little longer: until Stop. It is called once. A nil Forwarder waits
// too.
func (f *Forwarder) Wait(pidfd int) error {
	wait := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	timeout := -1
	if f != nil {
		timeout = lateness
		if f.early != nil {
			wait = append(wait, unix.PollFd{Fd: int32(f.early.Fd), Events: unix.POLLIN})
		} else {
			f.pass(pidfd)
		}
	}
	for {
		n, err := unix.Poll(wait, timeout)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return fmt.Errorf("wait for the process: poll: %w", err)
		case n == 0:
			// The process lasts, so the other signals are worth their system calls.
			timeout = -1
			f.catchOthers(pidfd)
			continue
		case wait[0].Revents != 0:
			return nil
		}
		var signals [64]byte
		n, _ = unix.Read(f.early.Fd, signals[:])
		for _, s := range signals[:max(n, 0)] {
			send(pidfd, syscall.Signal(s))
		}
	}
}

// send passes a signal on. A process that has ended takes none, and its end is
// told elsewhere.
func send(pidfd int, s syscall.Signal) { _ = unix.PidfdSendSignal(pidfd, s, nil, 0) }

// pass sends what comes from os/signal.
func (f *Forwarder) pass(pidfd int) {
	f.ended = make(chan struct{})
	go func() {
		defer close(f.ended)
		for {
			select {
			case s := <-f.signals:
				if n, ok := s.(syscall.Signal); ok {
					send(pidfd, n)
				}
			case <-f.stop:
				return
			}
		}
	}()
}

func (f *Forwarder) catchOthers(pidfd int) {
	if f.signals == nil {
		f.signals = make(chan os.Signal, 256)
		f.pass(pidfd)
	}
	<-f.ready
	signal.Notify(f.signals, others()...)
	if f.late != nil {
		f.late()
	}
}

// Stop ends the passing on, and soon after it has returned the signals have their
// former effect. It is called once; the process's pidfd must be open until then. A
// nil Forwarder has nothing to stop.
func (f *Forwarder) Stop() {
	if f == nil {
		return
	}
	if f.early != nil {
		f.early.Stop()
	}
	close(f.stop)
	if f.ended != nil {
		<-f.ended
	}
	if f.signals != nil {
		go func() {
			<-f.ready
			signal.Stop(f.signals)
		}()
	}
}
