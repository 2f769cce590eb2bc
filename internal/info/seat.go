package info

import (
	"strconv"
	"strings"

	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/part/capability"
	"github.com/hutch-project/hutch/internal/seat"
)

// caller asks what the caller may, which is not the host's to say alone.
func (r *Report) caller() {
	const group = "caller"
	r.add(group, "the initial user namespace", seat.Initial(), "devices, cgroups and /run are the host's",
		"a process that is in no other", "see docs/rootless.md: devices are bound, and cgroups may be missing")
	r.add(group, "mounts", seat.Mounts(), "binds are opened with the caller's rights",
		"CAP_SYS_ADMIN over the caller's mount namespace", "unshare -m, or let containers make a user namespace")
	r.add(group, "device nodes", seat.MakesNodes(), "linux.devices that the host has not",
		"CAP_MKNOD in the initial user namespace", "use devices that the host has, which are bound")
	mode, _ := strconv.Atoi(read(memfdNoexec)) // a kernel without the parameter is 0
	feature := r.add(group, "executable files in memory", mode < noExecutable, "vm.memfd_noexec is "+strconv.Itoa(mode),
		"the kernel parameter vm.memfd_noexec at 0 or 1", "sysctl vm.memfd_noexec=1")
	if feature.State == No {
		feature.State, feature.Detail = Partly, feature.Detail+": hooks in the container have none"
	}
	if !seat.Filtered() {
		r.add(group, "all system calls", true, "no seccomp filter is around the caller", "", "")
		return
	}
	refusals := seat.Refusals()
	feature = r.add(group, "all system calls", len(refusals) == 0, "a seccomp filter around the caller denies none that matter",
		"a filter around the caller that allows them", "")
	if feature.State == No {
		feature.Detail = ""
	}
	for _, c := range refusals {
		f := r.add(group, c.Call, false, "", "", "")
		r.denied(f, c)
		f.Required = f.State == No && c.Call != "pidfd_send_signal" // which kill and delete need
	}
}

// denied marks a feature whose call is denied.
func (r *Report) denied(f *Feature, c seat.Refusal) {
	const needs = "a seccomp filter around the runtime that allows it (an outer container's profile, a service's SystemCallFilter=)"
	f.State, f.Detail, f.Needs, f.Remedy = No, "denied by a seccomp filter, and there is no other way", needs, ""
	if c.Instead != "" {
		f.State, f.Detail, f.Needs = Partly, "denied by a seccomp filter; instead: "+c.Instead, ""
	}
}

// memfdNoexec is the parameter, and noExecutable its value that forbids executable files in
// memory.
//
// Source: memfd_create(2), "vm.memfd_noexec".
const (
	memfdNoexec  = "/proc/sys/vm/memfd_noexec"
	noExecutable = 2
)

// Seat returns who the caller is and what it may, as annotations for the document of
// features, each with a name below hutch.seat.
func Seat() map[string]string {
	yes := func(is bool) string { return strconv.FormatBool(is) }
	mode := cgroup.None
	if layout, err := cgroup.Detect(cgroup.Root); err == nil {
		mode = layout.Mode
		layout.Close()
	}
	var calls, capabilities []string
	for _, c := range seat.Refusals() {
		calls = append(calls, c.Call)
	}
	held, _ := capability.Held()
	for n := range uint64(capability.Last() + 1) {
		if held&(1<<n) != 0 {
			capabilities = append(capabilities, enum.Capabilities.Name(n))
		}
	}
	return map[string]string{
		"hutch.seat.caller":       strings.TrimPrefix(callerWords(), "as "),
		"hutch.seat.initial":      yes(seat.Initial()),
		"hutch.seat.mounts":       yes(seat.Mounts()),
		"hutch.seat.nodes":        yes(seat.MakesNodes()),
		"hutch.seat.capabilities": strings.Join(capabilities, ","),
		"hutch.seat.cgroups":      mode.String(),
		"hutch.seat.deniedCalls":  strings.Join(calls, ","),
		"hutch.seat.memfdNoexec":  read(memfdNoexec),
	}
}
