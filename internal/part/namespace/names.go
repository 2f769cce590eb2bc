package namespace

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/enum"
)

// Types are the values of linux.namespaces[].type, with their CLONE_NEW flags.
//
// Source: runtime-spec config-linux.md "Namespaces"; namespaces(7), time_namespaces(7).
var Types = enum.Table{
	{Name: "pid", Number: unix.CLONE_NEWPID},
	{Name: "network", Number: unix.CLONE_NEWNET},
	{Name: "mount", Number: unix.CLONE_NEWNS},
	{Name: "ipc", Number: unix.CLONE_NEWIPC},
	{Name: "uts", Number: unix.CLONE_NEWUTS},
	{Name: "user", Number: unix.CLONE_NEWUSER},
	{Name: "cgroup", Number: unix.CLONE_NEWCGROUP},
	{Name: "time", Number: unix.CLONE_NEWTIME},
}

// File returns the name of a namespace's file in /proc/PID/ns, empty for a type that there
// is none of.
//
// Source: namespaces(7), "The /proc/[pid]/ns/ directory".
func File(t specs.LinuxNamespaceType) string {
	switch {
	case t == specs.NetworkNamespace:
		return "net"
	case t == specs.MountNamespace:
		return "mnt"
	case Types.Find(string(t)) != nil:
		return string(t)
	}
	return ""
}
