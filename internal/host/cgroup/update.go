package cgroup

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// update makes the writes of s, the old values of which it reads first: when one
// fails, those that were made are taken back. Device rules are set when they are
// not those of old; a nil old leaves them alone.
func update(find func(string) (spot, bool), unified bool, old, s *Settings) error {
	if unified != (s.mode == V2) {
		return fmt.Errorf("settings for cgroup %s do not fit the container's cgroups", s.mode)
	}
	if err := s.checkUsage(find); err != nil {
		return err
	}
	var undo []Write
	var lost []string
	err := run(s.writes, func(w *Write) error {
		change, before, ok := present(find, w)
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
	if err == nil && old != nil && !s.devices.same(old.devices) {
		if err = s.devices.set(find, unified, old.devices, false); err != nil && !unified {
			_ = old.devices.set(find, unified, nil, false) // some of the list may be there; the first error is told
		}
	}
	if err == nil {
		return nil
	}
	slices.Reverse(undo)
	if back := takeBack(find, undo); back != nil {
		return fmt.Errorf("%w; not all earlier values could be put back: %w", err, back)
	}
	if len(lost) > 0 {
		return fmt.Errorf("%w; the earlier values are in force again, but for %s", err, strings.Join(lost, ", "))
	}
	return fmt.Errorf("%w; the earlier values are in force again", err)
}

// present reads the file that w is for. change is w for the file that there is,
// its value made whole; ok is false when the value cannot be read.
func present(find func(string) (spot, bool), w *Write) (change Write, text string, ok bool) {
	for o := w; o != nil; o = o.or {
		at, found := find(o.Controller)
		if !found {
			break
		}
		text, err := readFile(at.dir, at.path+"/"+o.File)
		if err != nil {
			continue
		}
		change = *o
		if quota, _, _ := strings.Cut(trim(text), " "); o.keepQuota && quota != "max" {
			change.Value = quota + strings.TrimPrefix(o.Value, "max")
		}
		return change, trim(text), true
	}
	return *w, "", false
}

// restoring gives the write that takes w back, for the text that its file had; ok
// is false when that is not known.
func restoring(w Write, text string, known bool) (_ Write, ok bool) {
	if !known {
		return w, false
	}
	w.or, w.optional = nil, true // a file that has gone needs no restoring
	key, _, keyed := strings.Cut(w.Value, " ")
	if keyed && key != "max" && key != "default" && !number(key) { // "8:0 rbps=1", "eth0 5"
		for line := range strings.Lines(text) {
			if k, _, _ := strings.Cut(trim(line), " "); k == key {
				w.Value = trim(line)
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
func takeBack(find func(string) (spot, bool), undo []Write) error {
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
func (s *Settings) checkUsage(find func(string) (spot, bool)) error {
	if s.check == nil {
		return nil
	}
	at, ok := find("memory")
	if !ok {
		return nil // the limit's write tells it
	}
	file := "memory.current"
	if s.mode != V2 {
		file = "memory.usage_in_bytes"
	}
	text, err := readLine(at.dir, at.path+"/"+file)
	if err != nil {
		return nil // so does it
	}
	used, err := strconv.ParseInt(trim(text), 10, 64)
	if err != nil {
		return fmt.Errorf("%s/%s: %w", at.abs, file, err)
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

func number(s string) bool { return s != "" && strings.Trim(s, "-0123456789") == "" }
