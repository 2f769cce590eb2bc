// Package systemd puts a container into a transient scope unit: it calls the system's
// or the user's systemd by package dbus, returns where a unit's cgroup is, and turns
// linux.resources and annotations into unit properties. It is the parent's side and has
// effects.
//
// Source: org.freedesktop.systemd1(5); systemd.resource-control(5); systemd.scope(5).
package systemd

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hutch-project/hutch/internal/dbus"
)

// timeout is how long one operation may take, all its messages together.
const timeout = 30 * time.Second

var (
	// ErrNoBus is returned when there is no way to talk to systemd.
	ErrNoBus = errors.New("systemd cannot be reached")
	// ErrUnitExists is returned when there is a unit of that name already, and
	// it is not one that has failed or ended.
	ErrUnitExists = errors.New("the unit exists already")
	// ErrNoUnit is returned when there is no unit of that name.
	ErrNoUnit = errors.New("there is no such unit")
	// ErrJob is returned when systemd has taken a job and not done it.
	ErrJob = errors.New("systemd has not done the job")
)

// Conn is a connection to one systemd, for the calls about a container. It is
// not for use by two goroutines at once, nor for many units: each one whose job
// is waited for leaves a match rule on the bus, which has room for some hundred.
type Conn struct {
	bus    *dbus.Conn
	user   bool
	direct bool   // systemd's own socket: without a bus between
	what   string // for errors: what the operation is

	watched []string // units whose jobs are reported
	jobs    []job    // that have ended, and were not asked for
	version int      // of systemd, 0 when not known yet
}

// job is what JobRemoved has.
type job struct{ sender, path, unit, result string }

// Close ends the connection.
func (c *Conn) Close() { c.bus.Close() }

// begin starts an operation, whose name is for errors.
func (c *Conn) begin(what string) {
	c.what = what
	c.bus.Begin()
}

// fail returns an error with the operation that it is of and what can be done.
func (c *Conn) fail(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("systemd: %s: %w", c.what, explain(err, c.user))
}

// explain returns an error of a peer as one of this package, with a remedy for one that
// does not answer.
func explain(err error, user bool) error {
	var answer *dbus.Error
	switch {
	case errors.Is(err, dbus.ErrTimeout):
		return fmt.Errorf("%w; is systemd overloaded? see systemctl %slist-jobs", err, pick(user, "--user ", ""))
	case errors.As(err, &answer):
		if kind := kindOf(answer.Name); kind != nil {
			return &peerError{err, kind}
		}
	}
	return err
}

// peerError is an error of the peer that is one of this package's.
type peerError struct{ err, kind error }

func (e *peerError) Error() string   { return e.err.Error() }
func (e *peerError) Unwrap() []error { return []error{e.err, e.kind} }

// kindOf returns the error of this package that the name of a peer's stands for, which
// may be nil: ErrNoBus for a bus that systemd is not on.
func kindOf(name string) error {
	switch strings.TrimPrefix(name, "org.freedesktop.DBus.Error.") {
	case "ServiceUnknown", "NameHasNoOwner":
		return ErrNoBus
	}
	switch strings.TrimPrefix(name, "org.freedesktop.systemd1.") {
	case "UnitExists":
		return ErrUnitExists
	case "NoSuchUnit":
		return ErrNoUnit
	}
	return nil
}

func pick(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}
