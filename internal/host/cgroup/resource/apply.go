package resource

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/internal/host/cgroup"
)

// Apply makes the writes of s in the cgroups of p. It comes after Create and before the
// container's process is born. On v2 it first enables, down the path, what controllers
// the host offers, asked for or not: engines read the counters of memory and pids
// without limits too. What cannot be enabled is an error when s needs it
// (ErrNoController).
//
// Source: cgroup-v2.rst, "Controlling Controllers".
func (s *Settings) Apply(p *cgroup.Plan) error {
	if s.mode != p.Mode() {
		return fmt.Errorf("settings for cgroup %s do not fit cgroup %s", s.mode, p.Mode())
	}
	unified := p.Mode() == cgroup.V2
	if unified { // before the writes: a file is there once its controller is enabled
		dir, _ := p.Dir("")
		enable(dir)
	}
	err := run(s.writes, func(w *Write) error {
		if w.early != "" {
			first := *w
			first.Value = w.early
			w = &first
		}
		return put(p.Dir, w)
	})
	if err != nil {
		return err
	}
	return s.devices.Set(p.Dir, unified, nil, p.IsNew())
}

// ApplyDeferred makes those writes of s that have to wait until the container's process
// is born: a limit of one process on v1, where one that clones it in the cgroup, to have
// it in a namespace that exists, counts too. It comes before the process gets to run
// what is not ours, which could fork until then.
func (s *Settings) ApplyDeferred(p *cgroup.Plan) error {
	for i := range s.writes {
		if w := &s.writes[i]; w.early != "" {
			if err := put(p.Dir, w); err != nil {
				return err
			}
		}
	}
	return nil
}

// run makes the writes in order, the members of a group as the kernel takes
// them, and ends with the first error.
func run(writes []Write, do func(*Write) error) error {
	for len(writes) > 0 {
		n := 1
		for writes[0].group != 0 && n < len(writes) && writes[n].group == writes[0].group {
			n++
		}
		if err := settle(writes[:n], do); err != nil {
			return err
		}
		writes = writes[n:]
	}
	return nil
}

// settle makes the writes of a group. One that does not go with the present
// value of another (EINVAL) is tried again as long as that changes. A group has
// three members at most.
func settle(group []Write, do func(*Write) error) error {
	var done [8]bool
	for {
		var refused error
		progress := false
		for i := range group {
			if done[i] {
				continue
			}
			err := do(&group[i])
			switch {
			case err == nil:
				done[i], progress = true, true
			case !errors.Is(err, unix.EINVAL):
				return err
			case refused == nil:
				refused = err
			}
		}
		if refused == nil || !progress {
			return refused
		}
	}
}

// put makes one write.
func put(find cgroupfs.Find, w *Write) error {
	at, ok := find(w.Controller)
	if !ok {
		return fmt.Errorf("%s: %w: %s, which is in no mounted cgroup v1 hierarchy; mount it, or leave the field out", w.Field, cgroupfs.ErrNoController, w.Controller)
	}
	err := at.Write(w.File, w.Value)
	if !errors.Is(err, unix.ENOENT) {
		return w.explain(at, err)
	}
	if w.fallback != nil {
		return put(find, w.fallback)
	}
	if w.optional {
		return nil
	}
	if w.Controller != "cgroup" {
		offered, err := offer(at.Abs, w.Controller)
		if err != nil {
			return fmt.Errorf("%s: %w", w.Field, err)
		}
		if offered {
			if err := at.Write(w.File, w.Value); !errors.Is(err, unix.ENOENT) {
				return w.explain(at, err)
			}
		}
	}
	hint := ""
	if strings.HasSuffix(w.Field, "memory.swap") {
		hint = " (it does not count swap; boot it with swapaccount=1, or leave the field out)"
	}
	return fmt.Errorf("%s: this kernel has no %s in %s: %w%s", w.Field, w.File, at.Abs, unix.ENOENT, hint)
}

// explain returns the error of a write with its field and what is known about its
// reason.
func (w *Write) explain(at cgroupfs.Dir, err error) error {
	if err == nil {
		return nil
	}
	hint := ""
	switch {
	case errors.Is(err, unix.EBUSY) && w.File == "memory.limit_in_bytes":
		if usage, err := at.ReadLine("memory.usage_in_bytes"); err == nil {
			hint = " (the container uses " + strings.TrimSpace(usage) + " bytes)"
		}
	case errors.Is(err, unix.ENODEV):
		hint = " (the host has no such device)"
	case errors.Is(err, unix.EINVAL) && w.group == groupRealtime:
		hint = " (the cgroups above it have to have that much realtime runtime)"
	case errors.Is(err, unix.EINVAL) && w.group == groupBandwidth:
		hint = " (quota and period are 1000 to 1000000 microseconds, burst is not above quota, and no limit above it is exceeded)"
	case w.Controller == "cpuset" && (errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EBUSY)):
		if hint = cgroup.Taken(at, strings.TrimPrefix(w.File, "cpuset."), err); hint == "" && !errors.Is(err, unix.EBUSY) {
			hint = " (the cgroups above it have to have them)"
		}
	case w.Controller == "cpuset" && errors.Is(err, unix.ERANGE):
		hint = " (the machine has no processor, or memory node, of that number)"
	case errors.Is(err, unix.ENOSPC) && w.Controller == "cpuset":
		hint = " (a cpuset with processes cannot be empty)"
	}
	return fmt.Errorf("%s: %s: %w%s", w.Field, at.Abs, err, hint)
}
