// Package criu drives CRIU, which writes processes down in images and brings them back.
//
// CRIU is a program of the host. It is run as "criu swrk 3" and asked over a socket for one
// thing; it answers, and before asks back at its steps ("notifications"), where the runtime
// does what is its own. The messages are written by hand (see docs/decisions): a library
// for them would cost every command, also those that have nothing to do with CRIU.
//
// Names of the image's choice are no part of what CRIU is told: what it shall not write
// down itself has keys that are numbers.
//
// Source: criu.org "RPC", images/rpc.proto of CRIU 3.15 to 4.x.
package criu

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/inherited"
	"github.com/hutch-project/hutch/internal/sys"
)

// sockFd is the number that CRIU has its end of the socket by, and FirstInherited that of
// the first of StartOptions.Inherit.
const (
	sockFd         = 3
	FirstInherited = 4
)

// maxMessage is more than any message of CRIU has.
const maxMessage = 64 << 10

// StartOptions say how a Worker is started.
type StartOptions struct {
	Stdio   [3]int // CRIU's standard descriptors; -1 is the null device, and for errors a file of the Worker
	Inherit []int  // descriptors that CRIU has from FirstInherited on

	// Prepare, unless it is nil, is called on the thread that CRIU is forked from, in a
	// mount namespace of its own whose mounts end with CRIU.
	Prepare func() error
}

// Worker is a CRIU that serves one request.
type Worker struct {
	Pid int

	pidfd  int
	sock   int
	errs   *os.File // what it has written to its standard error
	waited bool
	status unix.WaitStatus
}

// Start starts a Worker.
func (p *Program) Start(o *StartOptions) (_ *Worker, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socketpair: %w", err)
	}
	defer unix.Close(pair[1])
	worker := &Worker{sock: pair[0], pidfd: -1}
	defer func() {
		if err != nil {
			worker.Close()
		}
	}()
	errs, err := unix.MemfdCreate("criu", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	worker.errs = os.NewFile(uintptr(errs), "errors of CRIU")
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/null: %w", err)
	}
	defer unix.Close(null)
	files := []uintptr{uintptr(null), uintptr(null), uintptr(errs)}
	for i, fd := range o.Stdio {
		if fd >= 0 {
			files[i] = uintptr(fd)
		}
	}
	files = append(files, uintptr(pair[1]))
	for _, fd := range o.Inherit {
		files = append(files, uintptr(fd))
	}
	last, err := inherited.Last(1 << 20)
	if err != nil {
		return nil, err
	}
	for len(files) <= last {
		files = append(files, ^uintptr(0)) // closed in the child
	}
	err = onThread(o.Prepare, func() (err error) {
		worker.Pid, err = syscall.ForkExec(p.Path, []string{"criu", "swrk", fmt.Sprint(sockFd)}, &syscall.ProcAttr{
			Dir: "/", Env: []string{"PATH=" + p.path}, Files: files,
			Sys: &syscall.SysProcAttr{PidFD: &worker.pidfd},
		})
		return err
	})
	if err != nil {
		worker.pidfd = -1
		return nil, fmt.Errorf("start %s: %w", p.Path, err)
	}
	return worker, nil
}

// onThread calls prepare in a mount namespace of its own, and then fork on the same thread,
// which ends with this. A nil prepare needs neither.
//
// Source: unshare(2); CLONE_NEWNS goes with CLONE_FS, which the threads of Go share.
func onThread(prepare, fork func() error) error {
	if prepare == nil {
		return fork()
	}
	return sys.Apart(func() error {
		if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("unshare CLONE_NEWNS: %w", err)
		}
		// What is mounted here stays here; what the host mounts is seen on.
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
			return fmt.Errorf("mount MS_SLAVE: %w", err)
		}
		if err := prepare(); err != nil {
			return err
		}
		return fork()
	})
}

// Notification is a step of CRIU at which it asks back.
type Notification struct {
	Script string // as "setup-namespaces"
	Pid    int    // of the restored init, where there is one
	Fd     int    // what came along, else -1; the receiver's
}

// Do has CRIU do what is asked for, and calls notify at each of its steps, whose error ends
// it. It returns the process id of a restored init.
func (w *Worker) Do(kind Kind, o *Options, notify func(Notification) error) (pid int, err error) {
	if err := w.send(encodeRequest(kind, o.encode(kind))); err != nil {
		return 0, w.because(kind, err)
	}
	var refused error
	for {
		resp, fd, err := w.receive()
		if err != nil {
			if refused != nil {
				return 0, refused
			}
			return 0, w.because(kind, err)
		}
		if resp.kind != notification {
			if fd >= 0 {
				unix.Close(fd)
			}
			pid, err := w.result(kind, resp)
			if refused != nil {
				err = refused
			}
			return pid, err
		}
		err = notify(Notification{Script: resp.script, Pid: resp.pid, Fd: fd})
		if err != nil && refused == nil {
			refused = err
		}
		// CRIU takes back what it has done when it is told of a failure.
		if err := w.send(encodeAnswer(err == nil)); err != nil && refused == nil {
			return 0, w.because(kind, err)
		}
	}
}

// result returns what the last answer says.
func (w *Worker) result(kind Kind, r *response) (int, error) {
	switch {
	case r.kind != kind:
		return 0, fmt.Errorf("%w: it answers a %s with a %s", errWire, kind, r.kind)
	case !r.success:
		return 0, &Error{Kind: kind, Errno: unix.Errno(r.errno), Message: r.errmsg, Stderr: w.stderr()}
	case kind == Restore && r.pid <= 0:
		return 0, fmt.Errorf("%w: a restore without a process", errWire)
	}
	return r.pid, nil
}

// ask sends a request that has no notifications.
func (w *Worker) ask(request []byte, kind Kind) (*response, error) {
	if err := w.send(request); err != nil {
		return nil, w.because(kind, err)
	}
	r, fd, err := w.receive()
	if err != nil {
		return nil, w.because(kind, err)
	}
	if fd >= 0 {
		unix.Close(fd)
	}
	_, err = w.result(kind, r)
	return r, err
}

func (w *Worker) send(m []byte) error {
	_, err := sys.SendFDs(w.sock, m)
	return err
}

var errEnded = errors.New("it ended without an answer")

// receive waits for a message, with a descriptor or -1.
func (w *Worker) receive() (resp *response, fd int, err error) {
	if err := w.await(); err != nil {
		return nil, -1, err
	}
	buf := make([]byte, maxMessage)
	n, fds, err := sys.ReceiveFDs(w.sock, buf, 1)
	if errors.Is(err, unix.ECONNRESET) || err == nil && n == 0 {
		err = errEnded
	}
	fd = -1
	if len(fds) > 0 {
		fd = fds[0]
	}
	if err == nil {
		resp, err = decodeResponse(buf[:n])
	}
	if err != nil && fd >= 0 {
		unix.Close(fd)
		fd = -1
	}
	return resp, fd, err
}

// await waits for a message, or for the end of CRIU: processes that it has made and not
// finished may hold its end of the socket.
func (w *Worker) await() error {
	data, _, err := sys.Await(w.sock, w.pidfd, time.Time{})
	if err == nil && !data {
		err = errEnded
	}
	return err
}

// because returns the error of a talk that has ended early.
func (w *Worker) because(kind Kind, err error) error {
	if !errors.Is(err, errEnded) && !errors.Is(err, unix.EPIPE) {
		return err
	}
	e := &Error{Kind: kind, Message: errEnded.Error()}
	if ws, err := w.Wait(); err == nil {
		e.Message = "it ended with status " + fmt.Sprint(ws.ExitStatus())
		if ws.Signaled() {
			e.Message = "it was ended by " + unix.SignalName(ws.Signal())
		}
	}
	e.Stderr = w.stderr()
	return e
}

// stderr returns the end of what CRIU has written to its standard error.
func (w *Worker) stderr() string {
	const most = 4096
	buf := make([]byte, most)
	size, err := w.errs.Seek(0, 2)
	if err != nil {
		return ""
	}
	n, _ := w.errs.ReadAt(buf, max(size-most, 0))
	return strings.TrimSpace(string(buf[:n]))
}

// Wait reaps CRIU, which ends when its socket is closed.
func (w *Worker) Wait() (unix.WaitStatus, error) {
	if w.waited {
		return w.status, nil
	}
	w.hangUp()
	var err error
	w.status, err = sys.Wait(w.Pid)
	w.waited = err == nil
	return w.status, err
}

func (w *Worker) hangUp() {
	if w.sock >= 0 {
		unix.Close(w.sock)
		w.sock = -1
	}
}

// Close waits for CRIU, and lets go of all that the Worker has.
func (w *Worker) Close() {
	w.hangUp()
	if w.pidfd >= 0 {
		_, _ = w.Wait()
		unix.Close(w.pidfd)
		w.pidfd = -1
	}
	if w.errs != nil {
		w.errs.Close()
		w.errs = nil
	}
}
