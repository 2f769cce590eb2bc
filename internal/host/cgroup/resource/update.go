package resource

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/internal/host/cgroup"
)

// Update makes the writes of s in the running container of the record p. When one
// fails, those before it are taken back to the values that the files had, and the error
// says whether that succeeded. Values that are not changed are written too, as something
// else may have changed the files. Device rules are set only when old, the settings so
// far, has others; old may be nil.
func (s *Settings) Update(old *Settings, p cgroup.Paths) error {
	if p.Mode() == cgroup.None {
		if len(s.writes) > 0 {
			return fmt.Errorf("%s: the container has no cgroups: %w", s.writes[0].Field, cgroup.ErrNoCgroups)
		}
		return nil
	}
	unified := p.Mode() == cgroup.V2
	if unified != (s.mode == cgroup.V2) {
		return fmt.Errorf("settings for cgroup %s do not fit the container's cgroups", s.mode)
	}
	if err := s.checkUsage(p.Dir); err != nil {
		return err
	}
	undo, lost, err := s.write(p.Dir)
	// Devices come last: of what they had before there is no list to take back from.
	if err == nil && old != nil && !s.SameDevices(old) {
		if err = s.devices.Set(p.Dir, unified, old.devices, false); err != nil && !unified {
			_ = old.devices.Set(p.Dir, unified, nil, false) // some of the list may be there
		}
	}
	if err == nil {
		return nil
	}
	slices.Reverse(undo) // the last one first: one may depend on those before it
	if back := takeBack(p.Dir, undo); back != nil {
		return fmt.Errorf("%w; not all earlier values could be put back: %w", err, back)
	}
	if len(lost) > 0 {
		return fmt.Errorf("%w; the earlier values are in force again, but for %s", err, strings.Join(lost, ", "))
	}
	return fmt.Errorf("%w; the earlier values are in force again", err)
}

// SameDevices reports whether s and old give the same rights to use devices.
func (s *Settings) SameDevices(old *Settings) bool { return s.devices.Equal(old.devices) }

// write makes the writes of s up to the first that fails. undo are the writes that take
// those back, in their order, and lost the files for which there is none.
func (s *Settings) write(find cgroupfs.Find) (undo []Write, lost []string, err error) {
	err = run(s.writes, func(w *Write) error {
		change, before, ok := present(find, w) // before the write, which changes it
		if err := put(find, &change); err != nil {
			return err
		}
		back, ok := restoring(change, before, ok)
		if ok {
			undo = append(undo, back)
		} else if !w.optional {
			lost = append(lost, change.File)
		}
		return nil
	})
	return undo, lost, err
}

// present reads the file that w is for. change is w for the file that there is,
// its value made whole; ok is false when the value cannot be read.
func present(find cgroupfs.Find, w *Write) (change Write, text string, ok bool) {
	for candidate := w; candidate != nil; candidate = candidate.fallback {
		at, found := find(candidate.Controller)
		if !found {
			break
		}
		text, err := at.Read(candidate.File)
		if err != nil {
			continue
		}
		change = *candidate
		if quota, _, _ := strings.Cut(strings.TrimSpace(text), " "); candidate.keepQuota && quota != "max" {
			change.Value = quota + strings.TrimPrefix(candidate.Value, "max")
		}
		return change, strings.TrimSpace(text), true
	}
	return *w, "", false
}

// restoring returns the write that takes w back, for the text that its file had; ok
// is false when that is not known.
func restoring(w Write, text string, known bool) (_ Write, ok bool) {
	if !known {
		return w, false
	}
	w.fallback, w.optional = nil, true // a file that has gone needs no restoring
	key, _, keyed := strings.Cut(w.Value, " ")
	if keyed && key != "max" && key != "default" && !isNumber(key) { // "8:0 rbps=1", "eth0 5"
		for line := range strings.Lines(text) {
			if k, _, _ := strings.Cut(strings.TrimSpace(line), " "); k == key {
				w.Value = strings.TrimSpace(line)
				return w, true
			}
		}
		none, ok := noneOf(w.File)
		w.Value = key + " " + none
		return w, ok
	}
	first, more, _ := strings.Cut(text, "\n")
	switch {
	case w.File == "memory.oom_control": // "oom_kill_disable 0" and what it counts
		first = strings.TrimPrefix(first, "oom_kill_disable ")
	case more != "" && !strings.HasPrefix(first, "default "):
		return w, false // a table without a line that the value had replaced
	case first == "":
		first = "\n" // an empty cpuset; an empty write would not be made
	}
	w.Value = first
	return w, true
}

// noneOf is what a line has, after its key, that the file does not show.
func noneOf(file string) (value string, ok bool) {
	switch {
	case file == "io.max":
		return "rbps=max wbps=max riops=max wiops=max", true
	case file == "rdma.max":
		return "hca_handle=max hca_object=max", true
	case file == "misc.max":
		return "max", true
	case file == "io.weight" || file == "io.bfq.weight":
		return "default", true
	case file == "io.latency":
		return "target=0", true
	case strings.HasPrefix(file, "blkio.") || file == "net_prio.ifpriomap":
		return "0", true
	}
	return "", false
}

// takeBack makes the writes of undo, all that can be made.
func takeBack(find cgroupfs.Find, undo []Write) error {
	var errs []error
	for len(undo) > 0 {
		n := 1
		for undo[0].group != 0 && n < len(undo) && undo[n].group == undo[0].group {
			n++
		}
		errs = append(errs, settle(undo[:n], func(w *Write) error { return put(find, w) }))
		undo = undo[n:]
	}
	return errors.Join(errs...)
}

// checkUsage refuses limits of memory at or below what is in use.
//
// Source: runtime-spec config-linux.md "Memory", checkBeforeUpdate.
func (s *Settings) checkUsage(find cgroupfs.Find) error {
	if s.check == nil {
		return nil
	}
	at, ok := find("memory")
	if !ok {
		return nil // the limit's write tells it
	}
	file := "memory.current"
	if s.mode != cgroup.V2 {
		file = "memory.usage_in_bytes"
	}
	text, err := at.ReadLine(file)
	if err != nil {
		return nil // so does it
	}
	used, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return fmt.Errorf("%s/%s: %w", at.Abs, file, err)
	}
	for _, l := range [...]struct {
		field string
		limit int64
	}{{"limit", s.check.limit}, {"swap", s.check.swap}} {
		if l.limit > 0 && l.limit <= used {
			return fmt.Errorf("%s.memory.%s: %d is not above the %d bytes in use, and checkBeforeUpdate is set; nothing is changed",
				resources, l.field, l.limit, used)
		}
	}
	return nil
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "-0123456789") == "" }
