package console

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Forwarder passes the signals that the runtime gets on to a container.
type Forwarder struct {
	signals chan os.Signal
	ready   chan struct{} // closed when the most usual ones are caught
	late    *time.Timer   // catches the others
	caught  chan struct{} // closed when all are caught
	stop    chan struct{}
	ended   chan struct{} // closed when the goroutine of To has ended, nil before To
}

// Forward begins to catch signals. It comes before the process is there: what
// comes before To is kept for it. Ready says when those that people and programs
// send are caught; the others follow some milliseconds later, in runs that last.
// Each costs the Go runtime four changes of thread, all of them as much as a third
// of a short run.
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
func Forward() *Forwarder {
	f := &Forwarder{
		signals: make(chan os.Signal, 256), ready: make(chan struct{}), caught: make(chan struct{}), stop: make(chan struct{}),
	}
	all := forwarded()
	go func() {
		signal.Notify(f.signals, all[:prompt]...)
		close(f.ready)
	}()
	f.late = time.AfterFunc(lateness, func() {
		<-f.ready
		signal.Notify(f.signals, all[prompt:]...)
		close(f.caught)
	})
	return f
}

// Ready waits until the most usual signals are caught.
func (f *Forwarder) Ready() {
	if f != nil {
		<-f.ready
	}
}

// lateness is longer than a short run takes.
const lateness = 20 * time.Millisecond

// prompt is the number of signals, at the beginning of forwarded, that are sent to
// programs as they start.
const prompt = 9

func forwarded() []os.Signal {
	out := make([]os.Signal, 0, 64)
	out = append(out, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGTSTP, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGCONT)
	for s := syscall.Signal(1); s <= 64; s++ {
		switch s {
		case unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGTSTP, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGCONT:
		case unix.SIGKILL, unix.SIGSTOP, unix.SIGCHLD, unix.SIGURG, unix.SIGWINCH, unix.SIGTTIN, unix.SIGTTOU, 32, 33: // the last two are a C library's own
		default:
			out = append(out, s)
		}
	}
	return out
}

// To sends the signals that came, and from now on come, to the process of pidfd,
// which must stay open until Stop. It is called once.
func (f *Forwarder) To(pidfd int) {
	f.ended = make(chan struct{})
	go func() {
		defer close(f.ended)
		for {
			select {
			case s := <-f.signals:
				if n, ok := s.(syscall.Signal); ok {
					// A process that has ended takes no signal, and its
					// end is told elsewhere.
					_ = unix.PidfdSendSignal(pidfd, n, nil, 0)
				}
			case <-f.stop:
				return
			}
		}
	}()
}

// Stop ends the passing on, and soon after it has returned the signals have their
// former effect. It is called once.
func (f *Forwarder) Stop() {
	early := f.late.Stop()
	go func() {
		if <-f.ready; !early {
			<-f.caught
		}
		signal.Stop(f.signals)
	}()
	close(f.stop)
	if f.ended != nil {
		<-f.ended
	}
}
