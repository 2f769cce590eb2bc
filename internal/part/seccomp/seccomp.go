// Package seccomp compiles linux.seccomp to a filter for seccomp(2): a program
// of classic BPF that decides on each system call by its number and arguments.
//
// The meaning of a profile is that of runc with libseccomp; docs/seccomp.md says
// what that is, and where this package differs. Compiling is a pure function; to
// load the filter is the caller's.
//
// Source: runtime-spec config-linux.md "Seccomp"; seccomp(2); kernel
// Documentation/userspace-api/seccomp_filter.rst.
package seccomp

import (
	"fmt"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Filter is linux.seccomp compiled.
type Filter struct {
	// Program is the filter for seccomp(2), at most 4096 instructions.
	Program []unix.SockFilter
	// Flags are SECCOMP_FILTER_FLAG_*, without NEW_LISTENER.
	Flags uint
	// Notify says that the profile has the action SCMP_ACT_NOTIFY: the filter is
	// loaded with SECCOMP_FILTER_FLAG_NEW_LISTENER, and listenerPath is set.
	Notify bool
	// Unknown are the names that no architecture of the profile has a call for,
	// each once. They have no effect on the filter.
	Unknown []string

	big bool // the words of Program's arguments have big-endian order
}

// Compile makes the filter of a profile for a kernel whose own architecture is
// goarch (a GOARCH). It is nil, without an error, for a profile without default
// action and system calls, which loads no filter, as with runc.
//
// Errors name the element of the configuration.
func Compile(s *specs.LinuxSeccomp, goarch string) (*Filter, error) {
	if s.DefaultAction == "" && len(s.Syscalls) == 0 {
		return nil, nil
	}
	p := parse(s, goarch)
	if len(p.faults) > 0 {
		return nil, p.faults[0]
	}
	f := &Filter{Notify: p.notify, Unknown: p.unknown, Flags: p.flags, big: p.arches[0].big}
	var err error
	f.Program, err = p.compile()
	return f, err
}

// Check returns all that is wrong with s, of which Compile returns the first, and the names
// that are no system calls of its architectures.
func Check(s *specs.LinuxSeccomp, goarch string) (faults []error, unknown []string) {
	if s.DefaultAction == "" && len(s.Syscalls) == 0 {
		return nil, nil
	}
	p := parse(s, goarch)
	if len(p.faults) == 0 {
		_, err := p.compile()
		p.fault(err)
	}
	return p.faults, p.unknown
}

func checkListener(s *specs.LinuxSeccomp, notify bool) error {
	switch {
	case s.ListenerPath == "" && s.ListenerMetadata != "":
		// "This field MUST NOT be set if listenerPath is not set."
		return fmt.Errorf("linux.seccomp.listenerMetadata: is set without linux.seccomp.listenerPath; set both or neither")
	case s.ListenerPath == "" && notify:
		return fmt.Errorf("linux.seccomp.listenerPath: is not set, but the profile has %s; give the path of the agent's socket", specs.ActNotify)
	}
	return nil
}

// profile is linux.seccomp checked.
type profile struct {
	arches  []arch // the native one first
	deflt   uint32 // the default action's verdict
	entries []entry
	notify  bool
	enosys  bool // calls beyond the last named one get ENOSYS
	flags   uint
	unknown []string
	faults  []error
}

// fault adds err unless it is nil.
func (p *profile) fault(err error) {
	if err != nil {
		p.faults = append(p.faults, err)
	}
}

// entry is one of linux.seccomp.syscalls.
type entry struct {
	verdict uint32
	skip    bool // the verdict is the default's
	rows    []uint16
	// args are alternatives of conditions that hold together; none: the entry is
	// unconditional.
	args [][]condition
}

func parse(s *specs.LinuxSeccomp, goarch string) *profile {
	prof := &profile{entries: make([]entry, len(s.Syscalls))}
	prof.parseArches(s.Architectures, goarch)
	var err error
	prof.deflt, err = verdict(s.DefaultAction, s.DefaultErrnoRet, "linux.seccomp", "defaultAction", "defaultErrnoRet")
	prof.fault(err)
	prof.notify = s.DefaultAction == specs.ActNotify
	prof.enosys = stub(s.DefaultAction)
	names := 0
	for i := range s.Syscalls {
		names += len(s.Syscalls[i].Names)
	}
	known := make([]uint16, 0, names)
	for i := range s.Syscalls {
		known = prof.entry(i, &s.Syscalls[i], known)
	}
	prof.flags, err = parseFlags(s.Flags, prof.notify)
	prof.fault(err)
	prof.fault(checkListener(s, prof.notify))
	return prof
}

// entry parses linux.seccomp.syscalls[i], whose rows it appends to known.
func (p *profile) entry(i int, c *specs.LinuxSyscall, known []uint16) []uint16 {
	e := &p.entries[i]
	var err error
	if e.verdict, err = verdict(c.Action, c.ErrnoRet, "", "action", "errnoRet"); err != nil {
		p.fault(fmt.Errorf("linux.seccomp.syscalls[%d]%w", i, err))
	}
	e.skip = e.verdict == p.deflt
	p.notify = p.notify || c.Action == specs.ActNotify
	args, err := parseArgs(c.Args, i)
	p.fault(err)
	e.args = alternatives(args)
	from := len(known)
	for j, name := range c.Names {
		row := findRow(name)
		switch {
		case name == "":
			p.fault(fmt.Errorf("linux.seccomp.syscalls[%d].names[%d]: is empty; give the name of a system call", i, j))
		case row >= 0 && p.has(row):
			known = append(known, uint16(row))
		case !slices.Contains(p.unknown, name):
			p.unknown = append(p.unknown, name)
		}
	}
	e.rows = known[from:len(known):len(known)]
	return known
}

// stub reports whether calls that are newer than the profile get ENOSYS in place of
// the default action, so that programs fall back to older calls. It is so where
// the default action refuses. A tracer and a listener decide about all calls
// themselves.
func stub(deflt specs.LinuxSeccompAction) bool {
	switch deflt {
	case specs.ActAllow, specs.ActLog, specs.ActTrace, specs.ActNotify:
		return false
	}
	return true
}

// has reports whether an architecture of the profile has the call of a row.
func (p *profile) has(row int) bool {
	for i := range p.arches {
		if _, ok := p.arches[i].column.slot(row); ok {
			return true
		}
	}
	return muxed(rowName(row)) != 0 && slices.ContainsFunc(p.arches, func(a arch) bool { return a.mux })
}

// alternatives splits the conditions of an entry. Conditions on different
// arguments hold together. As soon as two are on the same argument each of them
// is an alternative of its own, as runc does.
func alternatives(args []condition) [][]condition {
	if len(args) == 0 {
		return nil
	}
	seen := [6]bool{}
	for _, c := range args {
		if seen[c.arg] {
			each := make([][]condition, len(args))
			for i := range args {
				each[i] = args[i : i+1 : i+1]
			}
			return each
		}
		seen[c.arg] = true
	}
	slices.SortFunc(args, func(a, b condition) int { return int(a.arg) - int(b.arg) })
	return [][]condition{args}
}
