// Package resource turns linux.resources into writes to the files of a container's
// cgroups, makes them, and takes them back when one fails. The rights to use devices
// are package device's, which it drives.
//
// It makes no cgroup and looks at no process: that is package cgroup's.
//
// Source: runtime-spec config-linux.md, "Control groups" with all its parts; kernel
// admin-guide/cgroup-v2.rst and admin-guide/cgroup-v1/.
package resource

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/cgroup/device"
)

// Write is one value for one file of the container's cgroup.
type Write struct {
	Field      string // config element, for errors: "linux.resources.memory.limit"
	Controller string // as in cgroup.controllers, or in /proc/self/cgroup on v1
	File       string // name in the container's directory
	Value      string // what one write(2) takes, without a newline

	// group joins neighbours whose values the kernel checks against each
	// other: one that is refused is tried again after the rest of its group.
	// 0 is no group.
	group uint8
	// optional leaves the write out where the file does not exist.
	optional bool
	// fallback is written instead where the file does not exist.
	fallback *Write
	// early is written by Apply in the place of Value, which ApplyDeferred writes when
	// the container's process is born.
	early string
	// keepQuota says that Value is "max PERIOD" for a period without quota:
	// Update puts the present quota in the place of "max".
	keepQuota bool
}

// Optional reports whether the write is left out where the file does not exist.
func (w *Write) Optional() bool { return w.optional }

// Groups of writes that the kernel checks against each other.
const (
	groupMemory uint8 = iota + 1
	groupBandwidth
	groupRealtime
)

// Settings is what linux.resources asks for, turned into writes: a list of
// (file, value) in the order in which they are made, and the device rules. It
// fits one Mode and touches nothing.
type Settings struct {
	mode    cgroup.Mode
	writes  []Write
	devices *device.Rules
	ignored []string
	check   *memoryCheck
}

// memoryCheck is linux.resources.memory.checkBeforeUpdate: limits in bytes, 0
// for none.
type memoryCheck struct{ limit, swap int64 }

// New returns the writes of r for a layout. r may be nil: what is left
// then are the default device rules. An element that the layout cannot give is
// an error that names it, with two exceptions that engines count on: a value that
// stands for "not set" is never an error, and kernel memory limits, which the
// specification calls deprecated, are left out (Ignored names them).
//
// Source: runtime-spec config-linux.md, "Control groups" with all its parts;
// kernel admin-guide/cgroup-v2.rst and admin-guide/cgroup-v1/.
func New(r *specs.LinuxResources, mode cgroup.Mode) (*Settings, error) {
	b := build(r, mode)
	if len(b.faults) > 0 {
		return nil, b.faults[0]
	}
	return &b.Settings, nil
}

// All returns the writes of what is right in r, and all that is wrong: New returns the first
// of it.
func All(r *specs.LinuxResources, mode cgroup.Mode) (*Settings, []error) {
	b := build(r, mode)
	return &b.Settings, b.faults
}

func build(res *specs.LinuxResources, mode cgroup.Mode) *builder {
	b := &builder{Settings: Settings{mode: mode}, unified: mode == cgroup.V2}
	if res == nil {
		res = &specs.LinuxResources{}
	}
	var err error
	if b.devices, err = device.New(res.Devices); err != nil {
		b.faults = append(b.faults, err)
	}
	if mode == cgroup.None {
		b.none(res)
		res = &specs.LinuxResources{}
	}
	b.writes = make([]Write, 0, 12)
	b.pids(res.Pids)
	b.memory(res.Memory)
	b.cpu(res.CPU)
	b.blockIO(res.BlockIO)
	b.hugepages(res.HugepageLimits)
	b.network(res.Network)
	b.rdma(res.Rdma)
	b.files(res.Unified)
	return b
}

// none is for a host without cgroups: there it is an error to ask for limits, but not for
// device rules, which all engines send, nor for members that ask for none, as update's are
// without a flag.
func (b *builder) none(r *specs.LinuxResources) {
	b.devices = nil
	limits := *r
	limits.Devices = nil
	asked := build(&limits, cgroup.V1) // which has all of them but those of unified, and refuses these
	b.ignored = asked.ignored
	if len(asked.writes) > 0 || len(asked.faults) > 0 {
		b.failf("%s: limits need cgroups: %w", resources, cgroup.ErrNoCgroups)
	}
}

// Mode returns the layout that the Settings are for.
func (s *Settings) Mode() cgroup.Mode { return s.mode }

// Writes returns the writes in their order, the device rules left out. The caller
// does not change them.
func (s *Settings) Writes() []Write { return s.writes }

// NoLimits reports whether there is nothing to set but device rules.
func (s *Settings) NoLimits() bool { return len(s.writes) == 0 }

// First returns the element of the configuration that asks for the first limit, empty for
// none.
func (s *Settings) First() string {
	if s.NoLimits() {
		return ""
	}
	return s.writes[0].Field
}

// HasDeferred reports whether there is something for ApplyDeferred to do.
func (s *Settings) HasDeferred() bool {
	return slices.ContainsFunc(s.writes, func(w Write) bool { return w.early != "" })
}

// Ignored returns the config elements that have no effect on any kernel of today,
// for a warning.
func (s *Settings) Ignored() []string { return s.ignored }

// resources begins the name of every field here.
const resources = "linux.resources"

// builder collects the writes and what is wrong.
type builder struct {
	Settings
	unified bool // cgroup v2's files
	faults  []error
}

func (b *builder) failf(format string, args ...any) {
	b.faults = append(b.faults, fmt.Errorf(format, args...))
}

// add appends a write and returns it for its other members to be set. It is valid
// until the next add.
func (b *builder) add(field, controller, file, value string) *Write {
	b.writes = append(b.writes, Write{
		Field: resources + "." + field, Controller: controller, File: file, Value: value,
	})
	return &b.writes[len(b.writes)-1]
}

// pick returns the file's name on v1 or v2.
func (b *builder) pick(v1, v2 string) string {
	if b.unified {
		return v2
	}
	return v1
}

// onlyV1 refuses a field on v2. why is what there is instead.
func (b *builder) onlyV1(field, why string) bool {
	if b.unified {
		b.failf("%s.%s: cgroup v2 cannot do it: %s; leave it out", resources, field, why)
	}
	return !b.unified
}

func decimal[T int64 | uint64 | uint32 | uint16 | int](n T) string {
	if n < 0 {
		return strconv.FormatInt(int64(n), 10)
	}
	return strconv.FormatUint(uint64(n), 10)
}

// indexed returns "name[i]".
func indexed(name string, i int) string { return name + "[" + strconv.Itoa(i) + "]" }
