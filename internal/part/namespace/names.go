package namespace

import (
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
