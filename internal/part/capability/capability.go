// Package capability emits the capability sets of the container's process.
//
// Source: capabilities(7); runtime-spec config.md "Linux Process".
package capability

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// Last returns the highest capability that the kernel has. It makes two system calls
// on a kernel whose last capability is the last that Hutch knows.
//
// Source: prctl(2), PR_CAPBSET_READ.
func Last() int {
	n := len(enum.Capabilities) - 1
	for n < 63 && has(n+1) {
		n++
	}
	for n > 0 && !has(n) {
		n--
	}
	return n
}

func has(n int) bool {
	_, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(n), 0, 0, 0)
	return err == nil
}

// Sets are the five sets of a process.
type Sets struct {
	bounding, effective, inheritable, permitted, ambient uint64
	last                                                 int
}

// New returns the sets of the configuration; last is the kernel's highest
// capability. Unknown names, and those that the kernel has not, are left out.
// Without the property c all sets are empty, as with runc.
//
// The kernel has only those in the ambient set that are permitted and
// inheritable, so the others are left out of it, as runc does: the configuration
// that `runc spec` writes asks for such.
func New(caps *specs.LinuxCapabilities, last int) *Sets {
	s := &Sets{last: last}
	if caps == nil {
		return s
	}
	all := uint64(1)<<(last+1) - 1
	parse := func(list []string) uint64 {
		set, _ := Parse(list)
		return set & all
	}
	s.bounding, s.effective, s.inheritable = parse(caps.Bounding), parse(caps.Effective), parse(caps.Inheritable)
	s.permitted = parse(caps.Permitted)
	s.ambient = parse(caps.Ambient) & s.permitted & s.inheritable
	return s
}

// Bounding emits the reduction of the bounding set, which needs CAP_SETPCAP: it
// comes before the change of ids. One call a capability is all that the kernel
// has for it.
func (s *Sets) Bounding(b *program.Builder) {
	b = b.Element(program.T("process.capabilities.bounding"))
	for n := 0; n <= s.last; n++ {
		if s.bounding&(1<<n) == 0 {
			b := b.Doing(text("drop", n))
			call.PrctlCapbsetDrop(b, n)
		}
	}
	b = b.Element(program.T("process.capabilities")).Doing(program.T("keep the permitted set over the change of ids"))
	// Without it setresuid(2) clears the permitted set, too. execve clears it.
	call.PrctlKeepCaps(b)
}

// Apply emits the other sets; it comes after the change of ids. The capabilities
// of the mask hold stay effective until Drop.
func (s *Sets) Apply(b *program.Builder, hold uint64) {
	b = b.Element(program.T("process.capabilities")).Doing(program.T("set the effective, permitted and inheritable set"))
	s.set(b, hold) // before the ambient set, which takes only what is permitted and inheritable
	b = b.Element(program.T("process.capabilities.ambient")).Doing(program.T("clear the set"))
	call.PrctlAmbientClear(b)
	for n := 0; n <= s.last; n++ {
		if s.ambient&(1<<n) != 0 {
			b := b.Doing(text("raise", n))
			call.PrctlAmbientRaise(b, n)
		}
	}
}

// Drop emits the end of what Apply was told to hold.
func (s *Sets) Drop(b *program.Builder, hold uint64) {
	if hold&^(s.effective&s.permitted) == 0 {
		return
	}
	b = b.Element(program.T("process.capabilities")).Doing(program.T("drop what loading the filter needed"))
	s.set(b, 0)
}

// set emits the sets of capset(2), with hold added to what is effective.
func (s *Sets) set(b *program.Builder, hold uint64) {
	call.Capset(b, call.CapSets{Effective: s.effective | hold, Permitted: s.permitted | hold, Inheritable: s.inheritable})
}

// text returns what is done to the capability n, by its name where it has one.
func text(verb string, n int) program.Text {
	if name := enum.Capabilities.Name(uint64(n)); name != "" {
		return program.T("%s %s", verb, name)
	}
	return program.Text{F: "%s capability %d", A: verb, I: n}
}
