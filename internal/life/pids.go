package life

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Pids returns the processes of the container, those of its sub-cgroups and
// exec'd ones included, by their numbers in the caller's pid namespace. Of a container that
// has no cgroups they are those of its pid namespace, as far as the caller may look, and
// where it has none of its own, init alone.
func (r *Runtime) Pids(id string) ([]int, error) {
	pids, err := r.pids(id)
	return pids, named("ps", id, err)
}

func (r *Runtime) pids(id string) ([]int, error) {
	ctr, err := r.open(id, false)
	if err != nil {
		return nil, err
	}
	defer ctr.close()
	if ctr.hasCgroup() {
		return ctr.cg.Pids()
	}
	switch ctr.status() {
	case Stopped, Creating:
		return nil, nil
	}
	if !ctr.rec.PrivatePid {
		return []int{ctr.rec.Pid}, nil
	}
	return companions(ctr.rec.Pid)
}

// companions lists the processes in the pid namespace of the process pid, itself included.
func companions(pid int) ([]int, error) {
	var own unix.Stat_t
	if err := pidNS(pid, &own); err != nil {
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
			return nil, nil
		}
		return []int{pid}, nil // it may not be looked into, and so may not others
	}
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var out []int
	for _, name := range names {
		n, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		var st unix.Stat_t
		if pidNS(n, &st) == nil && st.Ino == own.Ino && st.Dev == own.Dev {
			out = append(out, n)
		}
	}
	return out, nil
}

func pidNS(pid int, st *unix.Stat_t) error {
	return unix.Stat("/proc/"+strconv.Itoa(pid)+"/ns/pid", st)
}
