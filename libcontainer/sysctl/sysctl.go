// Package sysctl emits linux.sysctl.
//
// Source: runtime-spec config-linux.md "Sysctl"; sysctl.d(5) for names.
package sysctl

import (
	"sort"

	"golang.org/x/sys/unix"

	"hutch/internal/sysctlname"
	"hutch/libcontainer/program"
	"hutch/libcontainer/program/call"
)

// Emit emits the writes, in the order of the keys, through the procfs proc, which
// is Hutch's own. The keys have been checked against the container's namespaces.
func Emit(b *program.Builder, proc program.Reg, values map[string]string) {
	keys := make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		path, err := sysctlname.Path(k)
		b.Element(program.T("linux.sysctl[%q]", k))
		if err != nil {
			b.Fault(err)
			return
		}
		how := unix.OpenHow{Flags: unix.O_WRONLY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_SYMLINKS}
		b.Doing(program.T("set it to %q", values[k]))
		b.Step(program.T("open /proc/sys/%s", path))
		fd := call.Openat2(b, call.In(proc), call.PathTo(b, "sys/"+path), how).Fd()
		b.Step(program.T("write"))
		call.WriteString(b, call.In(fd), values[k])
	}
}
