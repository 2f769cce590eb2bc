// Package systemd puts a container into a transient scope unit: it speaks D-Bus
// with the system's or the user's systemd, says where a unit's cgroup is, and
// turns linux.resources and annotations into unit properties. It is the parent's
// side and has effects.
//
// Its D-Bus is what these few calls need and no more: a client without objects
// and without threads, on one unix socket. Do not use it as a general one. It
// trusts its peer for nothing but the answers: messages are bounded, a malformed
// one ends the connection, and every wait has an end.
//
// Source: org.freedesktop.systemd1(5); systemd.resource-control(5);
// systemd.scope(5); the D-Bus Specification.
package systemd

import (
	"errors"
	"strings"
	"time"
)

// Timeout is how long one operation may take, all its messages together.
const Timeout = 30 * time.Second

var (
	// ErrNoBus is returned when there is no way to talk to systemd.
	ErrNoBus = errors.New("systemd cannot be reached")
	// ErrTimeout is returned when an operation has not ended within Timeout.
	ErrTimeout = errors.New("no answer")
	// ErrUnitExists is returned when there is a unit of that name already, and
	// it is not one that has failed or ended.
	ErrUnitExists = errors.New("the unit exists already")
	// ErrNoUnit is returned when there is no unit of that name.
	ErrNoUnit = errors.New("there is no such unit")
	// ErrJob is returned when systemd has taken a job and not done it.
	ErrJob = errors.New("systemd has not done the job")
)

// Error is an error that the peer has answered with.
type Error struct {
	Name    string // "org.freedesktop.systemd1.UnitExists"
	Message string // for people; may be empty
}

func (e *Error) Error() string {
	if e.Message == "" {
		return e.Name
	}
	return e.Message + " (" + e.Name + ")"
}

// Is lets errors.Is find ErrUnitExists, ErrNoUnit, and ErrNoBus for a bus that
// systemd is not on.
func (e *Error) Is(target error) bool {
	switch strings.TrimPrefix(e.Name, "org.freedesktop.DBus.Error.") {
	case "ServiceUnknown", "NameHasNoOwner":
		return target == ErrNoBus
	}
	switch strings.TrimPrefix(e.Name, "org.freedesktop.systemd1.") {
	case "UnitExists":
		return target == ErrUnitExists
	case "NoSuchUnit":
		return target == ErrNoUnit
	}
	return false
}

// Property is a unit's property by its D-Bus name, which may differ from that in
// unit files: "CPUQuotaPerSecUSec", not "CPUQuota".
type Property struct {
	Name  string
	Value Value
}

// String gives the property as busctl and systemd's documentation have it.
func (p Property) String() string { return p.Name + "=" + p.Value.String() }
