package life

import (
	"os"
	"path/filepath"

	"github.com/hutch-project/hutch/internal/host/notify"
)

// relay passes the container's readiness on to the service manager. A nil relay
// does nothing.
type relay struct {
	socket *notify.Socket
	host   string
}

// listen makes the container's notification socket, when the caller has a
// service manager and the container was created with a place for the socket.
func (r *Runtime) listen(id, host string) (*relay, error) {
	dir := filepath.Join(r.stateDir(id), notify.Bound)
	if host == "" {
		return nil, nil
	}
	if _, err := os.Lstat(dir); err != nil {
		return nil, nil //nolint:nilerr // created without NOTIFY_SOCKET
	}
	s, err := notify.Listen(dir)
	if err != nil {
		return nil, err
	}
	return &relay{s, host}, nil
}

// pass waits until the container reports that it is ready, or ends.
func (n *relay) pass(pidfd, pid int) error {
	if n == nil {
		return nil
	}
	return n.socket.Relay(n.host, pidfd, pid)
}

// wait is pass for a command that ends with it: where nobody can be told, as when the
// variable is left of a service that is gone, it does not wait for what most programs never
// say.
func (n *relay) wait(pidfd, pid int) error {
	if n == nil {
		return nil
	}
	if err := notify.Reach(n.host); err != nil {
		return err
	}
	return n.pass(pidfd, pid)
}

// tell reports at once that a restored container is ready: what says so when it begins has
// said it before the checkpoint.
func (n *relay) tell(pid int) error {
	if n == nil {
		return nil
	}
	return notify.Ready(n.host, pid)
}

func (n *relay) close() {
	if n != nil {
		n.socket.Close()
	}
}

// removeNotify removes the place of the notification socket.
func (r *Runtime) removeNotify(id string) error {
	return os.RemoveAll(filepath.Join(r.stateDir(id), notify.Dir))
}
