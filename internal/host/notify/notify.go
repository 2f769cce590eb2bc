// Package notify passes a container's word that it is ready on to the service
// manager that runs the runtime. The container's processes are no processes of
// the service that the manager knows, so that it would not take theirs.
//
// Source: sd_notify(3); the way of doing it is runc's.
package notify

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// Dir is the directory, below a container's state, that keeps the host's other users
	// from Bound: whoever reaches the socket may say that the container is ready.
	Dir = "notify"
	// Bound is the directory, below a container's state, that is bound to
	// ContainerDir, read-only, in the container. Any of its users may write to the socket.
	Bound = Dir + "/container"
	// ContainerDir is where the container has it.
	ContainerDir = "/run/notify"

	// Name is the socket in it.
	Name = "notify.sock"
)

// barrierWait is how long the manager has to take the messages, as in runc and in
// systemd's own sd_notify_barrier users.
var barrierWait = 30 * time.Second // a variable for tests

// Prepare makes the directory Bound below the container's state directory, and
// returns its path. It is there before the container's mounts are made. With passable set
// others come to it by its path: the container's root, who opens it to bind it.
func Prepare(state string, passable bool) (string, error) {
	mode := os.FileMode(0o700)
	if passable {
		mode = 0o711
	}
	if err := mkdir(state+"/"+Dir, mode); err != nil {
		return "", err
	}
	dir := state + "/" + Bound
	return dir, mkdir(dir, 0o755)
}

// mkdir makes a directory, unless it is there, with a mode whatever the umask.
func mkdir(dir string, mode os.FileMode) error {
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return os.Chmod(dir, mode)
}

// Socket is the socket that a container's processes send to.
type Socket struct {
	fd   int
	dir  int // its directory, which may be another one at the path by the time of Close
	path string
}

// Listen makes the socket in the directory that Prepare has made; anybody in the
// container may send to it. A socket that is left there is replaced.
func Listen(dir string) (*Socket, error) {
	d, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("NOTIFY_SOCKET: open %s: %w", dir, err)
	}
	s := &Socket{fd: -1, dir: d, path: dir + "/" + Name}
	if err := unix.Unlinkat(d, Name, 0); err != nil && err != unix.ENOENT {
		s.Close()
		return nil, fmt.Errorf("NOTIFY_SOCKET: unlink %s: %w", s.path, err)
	}
	s.fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("NOTIFY_SOCKET: socket: %w", err)
	}
	// By the descriptor, since a state directory's path may be longer than a
	// socket's address.
	at := "/proc/self/fd/" + strconv.Itoa(d) + "/" + Name
	if err := unix.Bind(s.fd, &unix.SockaddrUnix{Name: at}); err != nil {
		s.Close()
		return nil, fmt.Errorf("NOTIFY_SOCKET: bind %s: %w", s.path, err)
	}
	if err := s.open(); err != nil {
		s.Close()
		return nil, fmt.Errorf("NOTIFY_SOCKET: chmod %s: %w", s.path, err)
	}
	return s, nil
}

// open opens the socket to all users of the container, whose root may have put a link there
// by now where the directory is the same user's.
func (s *Socket) open() error {
	fd, err := unix.Openat(s.dir, Name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return errors.New("it is no socket any more")
	}
	return unix.Chmod("/proc/self/fd/"+strconv.Itoa(fd), 0o777)
}

// Close closes the socket and removes it. A nil Socket is that of a container
// without NOTIFY_SOCKET.
func (s *Socket) Close() {
	if s == nil || s.dir < 0 {
		return
	}
	if s.fd >= 0 {
		unix.Close(s.fd)
		_ = unix.Unlinkat(s.dir, Name, 0) // goes with the state directory at the latest
	}
	unix.Close(s.dir)
	s.fd, s.dir = -1, -1
}

// Relay waits until a process of the container says READY= and tells it to the
// service manager at host, the caller's NOTIFY_SOCKET; then that mainPid, as the
// caller numbers it, is the process to watch (0 tells nothing: a runtime that
// stays is itself the one); then it waits until the manager has taken both. It
// returns nil without having told anything when the process of pidfd has ended.
//
// A runtime that ends after start calls it before; one that stays calls it in a
// goroutine, which ends with the container.
func (s *Socket) Relay(host string, pidfd, mainPid int) error {
	if s == nil {
		return nil
	}
	ready, err := s.ready(pidfd)
	if err != nil || ready == nil {
		return err
	}
	return tell(host, ready, mainPid)
}

// ready waits for a line READY= and returns it, nil when the process has ended
// without one.
func (s *Socket) ready(pidfd int) ([]byte, error) {
	buf := make([]byte, 4096)
	for {
		fds := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}, {Fd: int32(pidfd), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil {
			if err == unix.EINTR {
				continue
			}
			return nil, fmt.Errorf("NOTIFY_SOCKET: poll: %w", err)
		}
		n, err := unix.Read(s.fd, buf)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			if fds[1].Revents != 0 {
				return nil, nil // and it had said nothing before its end
			}
			continue
		case err != nil:
			return nil, fmt.Errorf("NOTIFY_SOCKET: read %s: %w", s.path, err)
		}
		// One message is one datagram, and may have more lines.
		for line := range bytes.SplitSeq(buf[:n], []byte{'\n'}) {
			if bytes.HasPrefix(line, []byte("READY=")) {
				return line, nil
			}
		}
	}
}

// Ready tells the service manager at host at once that a container is ready, and that
// mainPid is the process to watch, as Relay does when a process of it says so.
func Ready(host string, mainPid int) error { return tell(host, []byte("READY=1"), mainPid) }

// Reach returns why no service manager at host can be told anything, nil when one can.
func Reach(host string) error {
	fd, err := connect(host)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// connect gives a socket that is connected with the service manager's.
func connect(host string) (fd int, err error) {
	if host == "" || host[0] != '/' && host[0] != '@' {
		return -1, fmt.Errorf("NOTIFY_SOCKET: %q is neither an absolute path nor an abstract name (@NAME)", host)
	}
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("NOTIFY_SOCKET: socket: %w", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: host}); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("NOTIFY_SOCKET: connect to %s: %w", host, err)
	}
	return fd, nil
}

// tell sends the messages to the service manager.
func tell(host string, ready []byte, mainPid int) error {
	fd, err := connect(host)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	end := time.Now().Add(barrierWait)
	if err := send(fd, host, string(ready)+"\n", nil, end); err != nil {
		return err
	}
	if mainPid > 0 {
		if err := send(fd, host, "MAINPID="+strconv.Itoa(mainPid)+"\n", nil, end); err != nil {
			return err
		}
	}
	return barrier(fd, host, end)
}

// barrier waits until the manager has handled what was sent before: it closes
// the descriptor that it gets.
//
// Source: sd_notify(3), BARRIER=1.
func barrier(fd int, host string, end time.Time) error {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("NOTIFY_SOCKET: pipe: %w", err)
	}
	defer unix.Close(p[0])
	err := send(fd, host, "BARRIER=1", unix.UnixRights(p[1]), end)
	unix.Close(p[1])
	if err != nil {
		return err
	}
	return poll(unix.PollFd{Fd: int32(p[0])}, host, end) // POLLHUP comes unasked
}

// poll waits for p until end.
func poll(p unix.PollFd, host string, end time.Time) error {
	for {
		left := time.Until(end)
		if left <= 0 {
			return fmt.Errorf("NOTIFY_SOCKET: %s: %w: the service manager has not taken the messages in time", host, unix.ETIMEDOUT)
		}
		n, err := unix.Poll([]unix.PollFd{p}, int(left.Milliseconds())+1)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("NOTIFY_SOCKET: poll: %w", err)
		}
		if n > 0 {
			return nil
		}
	}
}

// send sends a message, for which it waits until end for room in the manager's queue.
func send(fd int, host, text string, oob []byte, end time.Time) error {
	for {
		_, err := unix.SendmsgN(fd, []byte(text), oob, nil, unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		if err == unix.EAGAIN {
			if err := poll(unix.PollFd{Fd: int32(fd), Events: unix.POLLOUT}, host, end); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("NOTIFY_SOCKET: send %q to %s: %w", text, host, err)
		}
		return nil
	}
}
