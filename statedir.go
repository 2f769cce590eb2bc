package main

import (
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/seat"
)

// defaultRoot depends on the user and a few variables alone, so that a delete with next
// to no environment finds what create made.
//
// Root of a user namespace that somebody else has made is, on the outside, mostly a user:
// it goes where that one goes, but in a system container, whose /run is its own.
func defaultRoot() string {
	dir := os.Getenv("XDG_RUNTIME_DIR")
	switch {
	case seat.HostRoot():
		return systemRoot
	case dir != "" && (!seat.Nested() || os.Getenv("USER") != "root"): // as runc has it
		return filepath.Join(dir, "hutch")
	case seat.Nested() && makeable(systemRoot):
		return systemRoot
	}
	return privateRoot(seat.OutsideUID())
}

const systemRoot = "/run/hutch"

// makeable reports whether this process may write to dir, or make it.
func makeable(dir string) bool {
	err := unix.Access(dir, unix.W_OK|unix.X_OK)
	if err == unix.ENOENT {
		err = unix.Access(filepath.Dir(dir), unix.W_OK|unix.X_OK)
	}
	return err == nil
}

// privateRoot is the state directory of a user without XDG_RUNTIME_DIR: below the
// directory that a login session has, or in /tmp, where it is taken only if it belongs to
// the user.
func privateRoot(uid int) string {
	name := strconv.Itoa(uid)
	if dir := "/run/user/" + name; unix.Access(dir, unix.W_OK|unix.X_OK) == nil {
		return dir + "/hutch"
	}
	return "/tmp/hutch-" + name
}
