//go:build 386 || arm

package id32

import "golang.org/x/sys/unix"

const (
	Setgroups = unix.SYS_SETGROUPS32
	Setresuid = unix.SYS_SETRESUID32
	Setresgid = unix.SYS_SETRESGID32
	Fchown    = unix.SYS_FCHOWN32
)
