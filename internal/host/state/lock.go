package state

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLocked is returned when another command does not give up a container's lock in
// time.
var ErrLocked = errors.New("another command has the container locked")

// Pauses between the looks at a lock that another one has: the first is as long as
// most commands hold it.
const (
	firstPause = 200 * time.Microsecond
	lastPause  = 20 * time.Millisecond
)

// Lock waits, at most for the time limit, until no other command has the container
// locked, and locks it. The error is ErrNotExist when the container is removed, and
// ErrLocked, wrapped, at the limit.
//
// The lock is on the directory itself, so that there is no file to make and to
// remove. It belongs to the open file description: a process that is forked
// while it is held has it too, until Unlock, which gives it up for both. When
// its holders die it is free.
//
// The kernel knows no limit for a lock, so it is tried again and again: a blocking
// call would have to be left to a thread that nobody could end.
//
// Source: flock(2).
func (d *Dir) Lock(limit time.Duration) error {
	end := time.Now().Add(limit)
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		switch err := unix.Flock(d.fd, unix.LOCK_EX|unix.LOCK_NB); err {
		case nil:
			d.locked, d.stale = true, true
			if !d.Current() {
				d.Unlock()
				return ErrNotExist
			}
			return nil
		case unix.EINTR:
			continue
		case unix.EWOULDBLOCK:
		default:
			return fmt.Errorf("flock %s: %w", d.path, err)
		}
		switch {
		case !d.Current(): // the holder has removed it, and does something else
			return ErrNotExist
		case !time.Now().Before(end):
			return fmt.Errorf("%w for %s: %s", ErrLocked, limit, d.holderText())
		}
		time.Sleep(pause)
	}
}

// Unlock gives up the lock, if there is one.
func (d *Dir) Unlock() {
	if d.locked {
		_ = unix.Flock(d.fd, unix.LOCK_UN) // fails only for a descriptor that is none
		d.locked = false
	}
}

// Locked reports whether another one has the container locked. It is false when d
// itself has it.
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

// Holder returns the process that has locked the container, by its number in the caller's
// pid namespace; 0 when there is none, or the kernel does not tell.
//
// Source: proc_locks(5).
func (d *Dir) Holder() int {
	text, err := os.ReadFile("/proc/locks")
	if err != nil {
		return 0
	}
	return holder(text, d.st.Ino)
}

func holder(locks []byte, inode uint64) int {
	end := []byte(":" + strconv.FormatUint(inode, 10))
	for line := range bytes.Lines(locks) {
		// 1: FLOCK  ADVISORY  WRITE 5437 00:1b:4523 0 EOF
		f := bytes.Fields(line)
		if len(f) < 6 || string(f[1]) != "FLOCK" || !bytes.HasSuffix(f[5], end) {
			continue
		}
		if pid, err := strconv.Atoi(string(f[4])); err == nil && pid > 0 {
			return pid
		}
	}
	return 0
}

// holderText names the holder of the lock.
func (d *Dir) holderText() string {
	pid := d.Holder()
	if pid == 0 {
		return "by a process that cannot be seen from here"
	}
	text := "by process " + strconv.Itoa(pid)
	if name, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm"); err == nil {
		text += fmt.Sprintf(" (%s)", bytes.TrimSpace(name))
	}
	return text
}
