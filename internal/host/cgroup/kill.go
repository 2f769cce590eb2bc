package cgroup

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/proc"
)

// Rounds of killing. Each but the last finds a process that was forked meanwhile.
const (
	// stallRound is the one before which what forks faster is stalled: few
	// containers need it, and most end without it.
	stallRound = 8
	// maxRounds is for a fork bomb that cannot be stalled.
	maxRounds = 1000
)

// kill sends SIGKILL to each process that list gives, but not to the caller. It
// ends when a listing shows no process that has not got its signal: a process with
// SIGKILL pending makes no child any more. stall, which may be nil, is called when
// the processes fork faster than they are found, until it says that it has worked.
//
// The processes come by number, and a number may be another's by the time it is
// used. So a pidfd is opened first and its process is killed only when a later
// listing still has the number: if the pidfd's process then lives, it is the
// member.
func kill(dir string, list func() (listing, error), stall func(listing) bool) error {
	killed := map[int]bool{}
	held := map[int]int{}
	defer closeAll(held)
	stalled := stall == nil
	for round := range maxRounds {
		l, err := list()
		if err != nil {
			return err
		}
		if round >= stallRound && !stalled {
			stalled = stall(l)
		}
		todo := false
		for _, pid := range l.others() {
			if killed[pid] {
				continue
			}
			todo = true
			fd, ok := held[pid]
			if !ok && len(held) >= signalBatch {
				continue // in a later round: the listing takes descriptors too
			}
			if !ok {
				if err := hold(held, pid); err != nil {
					return fmt.Errorf("%s: %w", dir, err)
				}
				continue
			}
			err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
			unix.Close(fd)
			delete(held, pid)
			switch {
			case err == nil:
				killed[pid] = true
			case errors.Is(err, unix.ESRCH): // the number is another's now
			default:
				return fmt.Errorf("%s: kill process %d: %w", dir, pid, err)
			}
		}
		if !todo {
			return nil
		}
	}
	return fmt.Errorf("%s: its processes fork faster than they are killed", dir)
}

// hold opens a pidfd of the process pid. One that has ended is left out, and so is
// one for which there is no descriptor as long as others are held: those go first.
func hold(held map[int]int, pid int) error {
	fd, err := proc.Pidfd(pid)
	switch {
	case err == nil:
		held[pid] = fd
	case errors.Is(err, unix.EMFILE) && len(held) > 0, errors.Is(err, unix.ESRCH):
	default:
		return err
	}
	return nil
}

func closeAll(held map[int]int) {
	for _, fd := range held {
		unix.Close(fd)
	}
	clear(held)
}

// signalBatch is how many processes are held at a time to be signalled: few enough for the
// usual limit of descriptors.
const signalBatch = 256

// signal sends sig once to each process that list gives now, but not to the
// caller. A number that is another's meanwhile gets none, as in kill.
func signal(list func() (listing, error), sig unix.Signal) error {
	l, err := list()
	if err != nil {
		return err
	}
	var errs []error
	for batch := range slices.Chunk(l.others(), signalBatch) {
		if err := signalHeld(batch, list, sig); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func signalHeld(pids []int, list func() (listing, error), sig unix.Signal) error {
	held := map[int]int{}
	defer closeAll(held)
	for _, pid := range pids {
		if err := hold(held, pid); err != nil {
			return err
		}
	}
	l, err := list()
	if err != nil {
		return err
	}
	var errs []error
	for _, pid := range pids {
		fd, ok := held[pid]
		if !ok || !contains(l.members, pid) {
			continue
		}
		if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("send signal %d to %d: %w", int(sig), pid, err))
		}
	}
	return errors.Join(errs...)
}
