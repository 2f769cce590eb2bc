package cgroup

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/internal/proc"
)

// listing is who is in a cgroup or below it, in ascending order.
type listing struct {
	// members are the processes whose main thread is inside. One whose main
	// thread has ended is a member when no other thread of it is outside.
	members []int
	// strangers are other processes that have a thread inside: a runtime that
	// forks there, or one that somebody has moved; also one of several threads
	// that is just ending, whosever it was.
	strangers []int
}

// hasCaller reports whether the calling process is a member.
func (l listing) hasCaller() bool { return slices.Contains(l.members, os.Getpid()) }

// others returns the members but for the calling process.
func (l listing) others() []int { return without(l.members, os.Getpid()) }

// aliens names the strangers, for errors.
func (l listing) aliens() string {
	return fmt.Sprintf("threads of the processes %v, which are not the container's, are in it", l.strangers)
}

// survey lists the cgroup dir. On v2, which unified says, a process is in one cgroup
// with all its threads, or they are in one subtree: there are no strangers.
//
// On v1 each thread has a cgroup of its own, and cgroup.procs has a process as soon
// as one of its threads is there. So the main thread decides, which is in tasks by
// the number of the process.
//
// Source: kernel cgroup-v1/cgroups.rst, 2.1 "Basic Usage"; cgroup-v2.rst,
// "Processes", "Threads".
func survey(dir string, unified bool) (listing, error) {
	procs, err := ids(dir, "cgroup.procs")
	if err != nil || len(procs) == 0 || unified {
		return listing{members: procs}, err
	}
	// A main thread that ends between the two readings is seen to have ended.
	tasks, err := ids(dir, "tasks")
	if err != nil {
		return listing{}, err
	}
	var l listing
	for _, pid := range procs {
		if err := l.add(dir, pid, tasks); err != nil {
			return listing{}, err
		}
	}
	return l, nil
}

// add adds the process pid, of which a thread has been seen in the cgroup dir;
// tasks are the threads there. A process that has ended is left out.
func (l *listing) add(dir string, pid int, tasks []int) error {
	if contains(tasks, pid) {
		l.members = append(l.members, pid)
		return nil
	}
	ended, err := proc.Exits(pid, pid)
	inside, outside := true, true
	if err == nil && ended {
		inside, outside, err = whereabouts(dir, pid)
	}
	switch {
	case errors.Is(err, unix.ESRCH) || err == nil && !inside:
		return nil
	case err != nil:
		return err
	case outside:
		l.strangers = append(l.strangers, pid)
	default:
		l.members = append(l.members, pid)
	}
	return nil
}

// whereabouts reports whether the process pid, whose main thread has ended, has threads
// in the cgroup dir, and whether it has some outside.
func whereabouts(dir string, pid int) (inside, outside bool, err error) {
	list, err := proc.Threads(pid)
	if err != nil {
		return false, false, err
	}
	// Read after them: a thread that is born between the two would look as if it
	// were outside the other way round.
	tasks, err := ids(dir, "tasks")
	if err != nil {
		return false, false, err
	}
	threads := make([]thread, 0, len(list))
	for _, tid := range list {
		ends, err := proc.Exits(pid, tid)
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			return false, false, err
		}
		threads = append(threads, thread{contains(tasks, tid), ends})
	}
	inside, outside = judge(threads)
	return inside, outside, nil
}

// thread is one that stands in a cgroup, which lists none that has ended, or that
// has ended or is about to.
type thread struct{ within, ends bool }

// judge reports whether there are threads inside, and whether there are living ones
// outside. One inside that is about to end counts for both: its process ends, and
// whose that was is not to be seen any more.
func judge(list []thread) (inside, outside bool) {
	for _, t := range list {
		inside = inside || t.within
		outside = outside || t.ends == t.within
	}
	return inside, outside
}

// without returns list without n, in memory of its own.
func without(list []int, n int) []int {
	return slices.DeleteFunc(slices.Clone(list), func(m int) bool { return m == n })
}

func contains(sorted []int, n int) bool {
	_, ok := slices.BinarySearch(sorted, n)
	return ok
}

// ids returns the numbers in the file of the cgroup dir and of all below it, in
// ascending order, each once.
func ids(dir, file string) ([]int, error) {
	var out []int
	top := true
	err := cgroupfs.Walk(dir, func(fd int) error {
		text, err := cgroupfs.ReadFile(fd, file)
		if errors.Is(err, unix.EOPNOTSUPP) && !top {
			return nil // threaded: the processes stand in the domain above
		}
		top = false
		for line := range strings.Lines(text) {
			// What is outside of this pid namespace shows as 0.
			if n, err := strconv.Atoi(strings.TrimSuffix(line, "\n")); err == nil && n > 0 {
				out = append(out, n)
			}
		}
		return err
	}, nil)
	slices.Sort(out)
	return slices.Compact(out), err
}
