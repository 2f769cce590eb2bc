package cgroup

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
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
	err := writeFile(unix.AT_FDCWD, dir+"/cgroup.freeze", "1")
	if errors.Is(err, unix.ENOENT) && exists(dir) {
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
	return errors.Join(err, writeFile(unix.AT_FDCWD, dir+"/cgroup.freeze", "0"))
}

// freezeV1 freezes the cgroup. Writing FROZEN starts it and reading the state
// carries it on; there is no event for its end. A cgroup in which processes are
// born meanwhile can stay at FREEZING for good, from which a thaw helps.
//
// Source: kernel cgroup-v1/freezer-subsystem.rst.
func freezeV1(dir string) error {
	deadline := time.Now().Add(freezeWait)
	file := dir + "/freezer.state"
	for round := 1; ; round++ {
		if err := writeFile(unix.AT_FDCWD, file, "FROZEN"); err != nil {
			return errors.Join(err, thawV1(dir))
		}
		state, err := readLine(unix.AT_FDCWD, file)
		if err != nil {
			return errors.Join(err, thawV1(dir))
		}
		if strings.HasPrefix(state, "FROZEN") {
			return nil
		}
		if !time.Now().Before(deadline) {
			return errors.Join(fmt.Errorf("%s: its processes do not stand still within %s", dir, freezeWait), thawV1(dir))
		}
		if round%50 == 0 {
			_ = thawV1(dir)
		}
		if round > 10 {
			time.Sleep(time.Millisecond)
		}
	}
}

// thawV1 thaws the cgroup alone.
func thawV1(dir string) error {
	err := writeFile(unix.AT_FDCWD, dir+"/freezer.state", "THAWED")
	if gone(err) {
		return nil
	}
	return err
}
