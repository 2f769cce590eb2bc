package cgroup

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
)

// freezeWait bounds the wait until all processes stand still: one in a call that
// cannot be interrupted, to a dead network file system say, never does.
const freezeWait = 10 * time.Second

// ErrCannotFreeze is returned when a container has no freezer.
var ErrCannotFreeze = errors.New("container has no cgroup freezer")

// freezeV2 freezes the cgroup and all below it, and waits until they stand still.
// What does not in time is thawed again.
//
// Source: cgroup-v2.rst, cgroup.freeze and cgroup.events.
func freezeV2(dir string) error {
	err := cgroupfs.WriteFile(unix.AT_FDCWD, dir+"/cgroup.freeze", "1")
	if errors.Is(err, unix.ENOENT) && cgroupfs.Exists(dir) {
		return fmt.Errorf("%w: %w", ErrCannotFreeze, err)
	}
	if err != nil {
		return err
	}
	frozen, err := waitEvent(dir, "frozen 1", time.Now().Add(freezeWait))
	if err == nil && frozen {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("%s: its processes do not stand still within %s", dir, freezeWait)
	}
	return errors.Join(err, cgroupfs.WriteFile(unix.AT_FDCWD, dir+"/cgroup.freeze", "0"))
}

// errCallerInside refuses to freeze the calling process, which could then not go
// on to thaw anything.
func errCallerInside(dir string) error {
	return fmt.Errorf("%s: this process, %d, is in it and would be frozen too; move it elsewhere first", dir, os.Getpid())
}

// freezeV1 freezes the cgroup. Writing FROZEN starts it and reading the state
// carries it on; there is no event for its end. A cgroup in which processes are
// born meanwhile can stay at FREEZING for good, from which a thaw helps.
//
// No thread of another process is frozen with it, the caller's least of all: that
// could not even be killed. A runtime's that forks there is gone soon.
//
// Source: kernel cgroup-v1/freezer-subsystem.rst.
func freezeV1(dir string, deadline time.Time) error {
	for round := 1; ; round++ {
		list, err := survey(dir, false)
		if err != nil {
			return err
		}
		if list.hasCaller() {
			return errCallerInside(dir)
		}
		if len(list.strangers) == 0 {
			frozen, err := freezeOnce(dir)
			if err != nil {
				return errors.Join(err, thawV1(dir))
			}
			if frozen {
				return nil
			}
		}
		if !time.Now().Before(deadline) {
			return errors.Join(standsNot(dir, list), thawV1(dir))
		}
		if round%50 == 0 {
			_ = thawV1(dir)
		}
		if round > 10 {
			time.Sleep(time.Millisecond)
		}
	}
}

// freezeOnce reports whether all stand still. It takes back what it did when a thread
// of another process has come in meanwhile.
func freezeOnce(dir string) (bool, error) {
	file := dir + "/freezer.state"
	if err := cgroupfs.WriteFile(unix.AT_FDCWD, file, "FROZEN"); err != nil {
		return false, err
	}
	state, err := cgroupfs.ReadLine(unix.AT_FDCWD, file)
	if err != nil {
		return false, err
	}
	l, err := survey(dir, false)
	if err == nil && len(l.strangers) > 0 {
		return false, thawV1(dir)
	}
	return strings.HasPrefix(state, "FROZEN"), err
}

// standsNot is the error of a cgroup v1 that could not be frozen.
func standsNot(dir string, l listing) error {
	if len(l.strangers) > 0 {
		return fmt.Errorf("%s: %s, and would be frozen with it", dir, l.aliens())
	}
	return fmt.Errorf("%s: its processes do not stand still within %s", dir, freezeWait)
}

// thawV1 thaws the cgroup alone.
func thawV1(dir string) error {
	err := cgroupfs.WriteFile(unix.AT_FDCWD, dir+"/freezer.state", "THAWED")
	if cgroupfs.IsGone(err) {
		return nil
	}
	return err
}

// ThawElsewhere thaws the freezer of cgroup v1 that process pid, which has got SIGKILL, was
// moved to from the cgroup of p, if nobody else is in it whom that would set free.
func (p Paths) ThawElsewhere(pid int) error {
	ours, ok := p.With("freezer")
	if !ok { // v2, where what is frozen ends by SIGKILL
		return nil
	}
	now, err := p.Now(pid)
	if cgroupfs.IsGone(err) || errors.Is(err, unix.ESRCH) { // it has ended, perhaps while its file was read
		return nil
	}
	if err != nil {
		return err
	}
	dir, ok := now.With("freezer")
	if !ok || dir == ours {
		return nil
	}
	members, err := cgroupfs.ReadFile(unix.AT_FDCWD, dir+"/cgroup.procs")
	if err != nil || strings.TrimSpace(members) != strconv.Itoa(pid) {
		return nil
	}
	return thawV1(dir)
}
