package inspect

import (
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/config"
	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/nearest"
	"github.com/hutch-project/hutch/internal/part/capability"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/part/seccomp"
)

// unused finds the properties that have no effect.
func (r *Report) unused() {
	for _, s := range config.Unused(r.text) {
		f := Finding{Severity: Warning, Element: s.Element, Place: s.Place}
		switch {
		case s.Platform:
			f.Severity, f.What = Note, "is a property of another platform, and has no effect"
		case len(s.Names) == 0:
			f.What, f.Remedy = "stands twice, and the last one counts", "remove one"
		default:
			name := s.Element[strings.LastIndexByte(s.Element, '.')+1:]
			f.What, f.Remedy = "is no property of the specification, and has no effect", nearest.Or(name, s.Names, "remove it")
		}
		r.Findings = append(r.Findings, f)
	}
}

// capabilities finds those that the process does not get.
func (r *Report) capabilities() {
	p := r.spec.Process
	if p == nil || p.Capabilities == nil {
		return
	}
	caps := p.Capabilities
	r.Findings = slices.DeleteFunc(r.Findings,
		func(f Finding) bool { // said again below, with its place
			return f.Severity == Warning && f.Element == "process.capabilities"
		})
	for i, list := range [...][]string{caps.Bounding, caps.Effective, caps.Inheritable, caps.Permitted,
		caps.Ambient} {
		set := "process.capabilities." + [...]string{"bounding", "effective", "inheritable",
			"permitted", "ambient"}[i]
		for j, name := range list {
			switch row := enum.Capabilities.Find(name); {
			case row == nil:
				r.warnf(fault.At(set, j), nearest.Or(name, enum.Capabilities.Names(), "remove it"),
					"%s is no capability of Linux, and is left out", fault.Quote(name))
			case int(row.Number) > r.host.lastCap:
				r.warnf(fault.At(set, j), "remove it, or take a newer kernel",
					"%s is not known to this kernel, and is left out", name)
			}
		}
	}
	held := r.host.held
	if r.namespace(specs.UserNamespace) != nil {
		held = ^uint64(0) // of which the process has all
	}
	missing, ambient := capability.NotGranted(caps, r.host.lastCap, held)
	if len(missing) > 0 {
		r.warnf("process.capabilities", "", "the process does not get %s, which the caller lacks",
			strings.Join(missing, ", "))
	}
	if len(ambient) > 0 {
		severity := Warning
		if len(caps.Inheritable) == 0 { // as engines always write it
			severity = Note
		}
		r.add(severity, "process.capabilities.ambient",
			"the process does not get "+strings.Join(ambient, ", ")+
				" there: ambient ones are those that are permitted and inheritable", "")
	}
}

// systemCalls finds the names in linux.seccomp that are no system calls.
func (r *Report) systemCalls() {
	s := r.linux().Seccomp
	if s == nil {
		return
	}
	_, unknown := seccomp.Check(s, runtime.GOARCH)
	if len(unknown) == 0 {
		return
	}
	all := seccomp.Names()
	for i := range s.Syscalls {
		for j, name := range s.Syscalls[i].Names {
			if !slices.Contains(unknown, name) {
				continue
			}
			element := fmt.Sprintf("linux.seccomp.syscalls[%d].names[%d]", i, j)
			switch {
			case slices.Contains(all, name):
				r.add(Note, element,
					name+" is a system call of no architecture that the profile has", "")
			default:
				severity, hint := Note, nearest.Hint(name, all)
				if hint != "" {
					severity = Warning
				}
				r.add(severity, element,
					fault.Quote(name)+" is no system call that is known, and has no effect", hint)
			}
		}
	}
}

// covered finds mounts that a later one hides.
func (r *Report) covered() {
	places := make([]string, len(r.spec.Mounts))
	for i := range places {
		places[i] = path.Clean("/" + r.spec.Mounts[i].Destination)
	}
	for i, at := range places {
		for j, over := range places[i+1:] {
			m := &r.spec.Mounts[i+1+j]
			beneath := over == "/" || strings.HasPrefix(at, over) && strings.HasPrefix(at[len(over):], "/")
			if at != over && !beneath || slices.Contains(m.Options, "remount") {
				continue
			}
			if rootfs.IsBind(m) && m.Source == r.spec.Mounts[i].Source {
				continue
			}
			r.warnf(fault.At("mounts", i), "put it behind that one, or leave one out",
				"the mount on %s is hidden by mounts[%d], which comes later and covers %s", at, i+1+j, over)
			break
		}
	}
}
