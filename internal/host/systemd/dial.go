package systemd

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hutch-project/hutch/internal/dbus"
	"github.com/hutch-project/hutch/internal/seat"
)

// Bus is the systemd to speak with. The zero Bus is the system's.
type Bus struct {
	// User chooses the service manager of the calling user.
	User bool
	// Session and RuntimeDir are the variables DBUS_SESSION_BUS_ADDRESS and
	// XDG_RUNTIME_DIR, which find the user's; empty stands for unset.
	Session, RuntimeDir string
}

// address is a way to systemd.
type address struct {
	socket string // path, or "@" and an abstract name
	direct bool   // systemd's own socket
}

// Dial connects to the message bus, or to systemd's own socket when the bus
// cannot be reached or systemd is not on it: a user's bus starts with its first
// client, and systemd comes to it a moment later. ErrNoBus says what was tried
// and what the user can do. The caller closes the Conn.
//
// Source: D-Bus Specification, "Server Addresses", "Well-known Message Bus
// Instances"; systemd's own socket is what systemctl uses.
func (b Bus) Dial() (*Conn, error) {
	list, skipped := b.addresses()
	tried := skipped
	for _, a := range list {
		c, err := a.dial(b.User, timeout)
		if err == nil {
			if _, err = c.Version(); err == nil {
				return c, nil
			}
			c.Close()
		}
		tried = append(tried, a.socket+": "+err.Error())
		if errors.Is(err, dbus.ErrTimeout) {
			break // one time-out is long enough
		}
	}
	if b.User && b.Session == "" && b.RuntimeDir == "" {
		tried = append(tried, "neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set")
	}
	remedy := "is systemd running? use --cgroup-manager cgroupfs without it"
	if b.User {
		remedy = "set XDG_RUNTIME_DIR to that of a login session with a user manager (see loginctl enable-linger), " +
			"or use --cgroup-manager cgroupfs"
	}
	return nil, fmt.Errorf("%w: %s; %s", ErrNoBus, strings.Join(tried, "; "), remedy)
}

// addresses returns what to try, in order, and what was left out and why.
func (b Bus) addresses() (list []address, skipped []string) {
	if !b.User {
		list = append(list, address{"/run/dbus/system_bus_socket", false})
		if seat.HostRoot() {
			list = append(list, address{"/run/systemd/private", true})
		}
		return list, nil
	}
	for one := range strings.SplitSeq(b.Session, ";") {
		if one == "" {
			continue
		}
		socket, err := b.parse(one)
		if err != nil {
			skipped = append(skipped, fmt.Sprintf("DBUS_SESSION_BUS_ADDRESS: %q: %v", one, err))
			continue
		}
		list = append(list, address{socket, false})
	}
	if dir := strings.TrimRight(b.RuntimeDir, "/"); dir != "" {
		if bus := dir + "/bus"; len(list) == 0 || list[len(list)-1].socket != bus {
			list = append(list, address{bus, false})
		}
		list = append(list, address{dir + "/systemd/private", true})
	}
	return list, skipped
}

// parse returns the socket of one address.
func (b Bus) parse(one string) (string, error) {
	rest, ok := strings.CutPrefix(one, "unix:")
	if !ok {
		return "", errors.New("not a unix socket")
	}
	for pair := range strings.SplitSeq(rest, ",") {
		key, escaped, _ := strings.Cut(pair, "=")
		value, err := unescape(escaped)
		if err != nil {
			return "", err
		}
		switch {
		case key == "path" && value != "":
			return value, nil
		case key == "abstract" && value != "":
			return "@" + value, nil
		case key == "runtime" && value == "yes" && b.RuntimeDir != "":
			return b.RuntimeDir + "/bus", nil
		}
	}
	return "", errors.New("has neither path nor abstract")
}

// unescape takes %XX out of an address.
func unescape(text string) (string, error) {
	if !strings.Contains(text, "%") {
		return text, nil
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			out = append(out, text[i])
			continue
		}
		if i+2 >= len(text) {
			return "", errors.New("ends within an escape")
		}
		n, err := strconv.ParseUint(text[i+1:i+3], 16, 8)
		if err != nil {
			return "", fmt.Errorf("%q is no escape", text[i:i+3])
		}
		out = append(out, byte(n))
		i += 2
	}
	return string(out), nil
}

// dial connects and, on a bus, says hello.
func (a address) dial(user bool, timeout time.Duration) (*Conn, error) {
	conn, err := dbus.Dial(a.socket, !a.direct, timeout)
	if err != nil {
		return nil, explain(err, user)
	}
	c := &Conn{bus: conn, user: user, direct: a.direct}
	conn.Signals = c.signal
	return c, nil
}
