package state

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Lock waits until no other command has the container locked, and locks it. The
// error is ErrNotExist when the holder before has removed the container.
//
// The lock is on the directory itself, so that there is no file to make and to
// remove. It belongs to the open file description: a process that is forked
// while it is held has it too, until Unlock, which gives it up for both. When
// its holders die it is free.
//
// Source: flock(2).
func (d *Dir) Lock() error { return d.lock(unix.LOCK_EX) }

// LockShared is Lock for a command that only reads: any number may have it.
func (d *Dir) LockShared() error { return d.lock(unix.LOCK_SH) }

func (d *Dir) lock(how int) error {
	for {
		err := unix.Flock(d.fd, how)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("flock %s: %w", d.path, err)
		}
		break
	}
	d.locked = true
	if !d.current() {
		d.Unlock()
		return ErrNotExist
	}
	return nil
}

// Unlock gives up the lock, if there is one.
func (d *Dir) Unlock() {
	if d.locked {
		_ = unix.Flock(d.fd, unix.LOCK_UN) // fails only for a descriptor that is none
		d.locked = false
	}
}

// Locked tells whether another one has the container locked exclusively. It is
// false when d itself has it.
func (d *Dir) Locked() bool {
	if d.locked {
		return false
	}
	for {
		err := unix.Flock(d.fd, unix.LOCK_SH|unix.LOCK_NB)
		switch err {
		case nil:
			_ = unix.Flock(d.fd, unix.LOCK_UN)
			return false
		case unix.EINTR:
			continue
		}
		return err == unix.EWOULDBLOCK
	}
}
