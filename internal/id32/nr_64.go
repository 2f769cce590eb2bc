//go:build !386 && !arm

package id32

import "golang.org/x/sys/unix"

// The calls, by their names.
const (
	Setgroups = unix.SYS_SETGROUPS
	Setresuid = unix.SYS_SETRESUID
	Setresgid = unix.SYS_SETRESGID
	Fchown    = unix.SYS_FCHOWN
)
