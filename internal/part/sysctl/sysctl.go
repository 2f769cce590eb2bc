// Package sysctl emits linux.sysctl.
//
// Source: runtime-spec config-linux.md "Sysctl"; sysctl.d(5) for names.
package sysctl

import (
	"sort"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call/idiom"
	"github.com/hutch-project/hutch/internal/sysctlname"
)

// domainname is a parameter with a system call of its own. By its file only root of the
// host may set it, since procfs has that owned by whoever owns the initial namespaces.
const domainname = "kernel/domainname"

// Domainname returns what values has for the domain name, empty for nothing.
func Domainname(values map[string]string) string {
	for k, v := range values {
		if path, err := sysctlname.Path(k); err == nil && path == domainname {
			return v
		}
	}
	return ""
}

// Emit emits the writes, in the order of the keys, through the procfs proc, which
// is Hutch's own, but for the domain name. The keys have been checked against the
// container's namespaces.
func Emit(b *program.Builder, proc program.Reg, values map[string]string) {
	keys := make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		path, err := sysctlname.Path(k)
		b := b.Element(program.T("linux.sysctl[%q]", k))
		if err != nil {
			b.Fault(err)
			return
		}
		if path == domainname {
			continue // see Domainname
		}
		b = b.Doing(program.T("set it to %q", values[k]))
		open, write := b.Step(program.T("open /proc/sys/%s", path)), b.Step(program.T("write%s", hint(path)))
		idiom.WriteProc(open, write, proc, "sys/"+path, values[k], idiom.NoLink)
	}
}

// hint returns what there is to know of a parameter whose value is refused.
func hint(path string) string {
	if path == "net/ipv4/ping_group_range" {
		return " (both groups must be mapped by linux.gidMappings, or else by the user namespace of the caller)"
	}
	return ""
}
