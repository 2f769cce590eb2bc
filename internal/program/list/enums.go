package list

import (
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/calls"
	"github.com/hutch-project/hutch/internal/enum"
)

// named are the names of what an argument of a kind may be.
type named struct {
	kind  calls.Kind
	names []constant
}

// setOf returns the names of the kind, nil where it has none.
func setOf(table []named, kind calls.Kind) []constant {
	for i := range table {
		if table[i].kind == kind {
			return table[i].names
		}
	}
	return nil
}

// enumSet returns the values of a kind of argument that takes one of several.
func enumSet(kind calls.Kind) []constant {
	switch kind {
	case calls.Resource:
		return words(enum.Rlimits, "")
	case calls.MemPolicy:
		return words(enum.MemoryModes, "")
	case calls.Sched:
		return append(words(enum.SchedPolicies, ""), constant{unix.SCHED_EXT, "SCHED_EXT"})
	case calls.Personality:
		return append(words(enum.Domains, "PER_"), constant{0xffffffff, "query"})
	}
	return setOf(enums[:], kind)
}

// words returns the values of a property of config.json as the kernel's constants, whose
// names have prefix before the configuration's words.
func words(table enum.Table, prefix string) []constant {
	out := make([]constant, len(table))
	for i, v := range table {
		out[i] = constant{v.Number, prefix + v.Name}
	}
	return out
}

var enums = [...]named{
	{calls.Whence, []constant{
		{unix.SEEK_SET, "SEEK_SET"},
		{unix.SEEK_CUR, "SEEK_CUR"},
		{unix.SEEK_END, "SEEK_END"},
	}},
	{calls.Ioctl, []constant{
		{unix.TIOCSCTTY, "TIOCSCTTY"},
		{unix.TIOCNOTTY, "TIOCNOTTY"},
		{unix.TIOCGPTPEER, "TIOCGPTPEER"},
		{unix.TIOCGPTN, "TIOCGPTN"},
		{unix.TIOCSPTLCK, "TIOCSPTLCK"},
		{unix.TIOCSWINSZ, "TIOCSWINSZ"},
		{unix.TIOCGWINSZ, "TIOCGWINSZ"},
		{unix.TIOCSPGRP, "TIOCSPGRP"},
		{unix.TIOCGPGRP, "TIOCGPGRP"},
		{unix.TIOCSTI, "TIOCSTI"},
		{unix.TCGETS, "TCGETS"},
		{unix.TCSETS, "TCSETS"},
		{unix.NS_GET_NSTYPE, "NS_GET_NSTYPE"},
		{unix.NS_GET_USERNS, "NS_GET_USERNS"},
		{unix.NS_GET_PARENT, "NS_GET_PARENT"},
		{unix.SIOCSIFFLAGS, "SIOCSIFFLAGS"},
		{unix.SIOCGIFFLAGS, "SIOCGIFFLAGS"},
	}},
	{calls.FsConfig, []constant{
		{unix.FSCONFIG_SET_FLAG, "FSCONFIG_SET_FLAG"},
		{unix.FSCONFIG_SET_STRING, "FSCONFIG_SET_STRING"},
		{unix.FSCONFIG_SET_BINARY, "FSCONFIG_SET_BINARY"},
		{unix.FSCONFIG_SET_PATH, "FSCONFIG_SET_PATH"},
		{unix.FSCONFIG_SET_PATH_EMPTY, "FSCONFIG_SET_PATH_EMPTY"},
		{unix.FSCONFIG_SET_FD, "FSCONFIG_SET_FD"},
		{unix.FSCONFIG_CMD_CREATE, "FSCONFIG_CMD_CREATE"},
		{unix.FSCONFIG_CMD_RECONFIGURE, "FSCONFIG_CMD_RECONFIGURE"},
		{8, "FSCONFIG_CMD_CREATE_EXCL"},
	}},
	{calls.Prctl, []constant{
		{unix.PR_SET_PDEATHSIG, "PR_SET_PDEATHSIG"},
		{unix.PR_SET_DUMPABLE, "PR_SET_DUMPABLE"},
		{unix.PR_SET_KEEPCAPS, "PR_SET_KEEPCAPS"},
		{unix.PR_SET_NAME, "PR_SET_NAME"},
		{unix.PR_SET_SECCOMP, "PR_SET_SECCOMP"},
		{unix.PR_CAPBSET_READ, "PR_CAPBSET_READ"},
		{unix.PR_CAPBSET_DROP, "PR_CAPBSET_DROP"},
		{unix.PR_SET_SECUREBITS, "PR_SET_SECUREBITS"},
		{unix.PR_SET_NO_NEW_PRIVS, "PR_SET_NO_NEW_PRIVS"},
		{unix.PR_GET_NO_NEW_PRIVS, "PR_GET_NO_NEW_PRIVS"},
		{unix.PR_SET_CHILD_SUBREAPER, "PR_SET_CHILD_SUBREAPER"},
		{unix.PR_CAP_AMBIENT, "PR_CAP_AMBIENT"},
		{unix.PR_SET_MDWE, "PR_SET_MDWE"},
		{unix.PR_SET_THP_DISABLE, "PR_SET_THP_DISABLE"},
		{unix.PR_SET_TIMERSLACK, "PR_SET_TIMERSLACK"},
		{unix.PR_SET_SPECULATION_CTRL, "PR_SET_SPECULATION_CTRL"},
		{unix.PR_SCHED_CORE, "PR_SCHED_CORE"},
		{unix.PR_SET_MEMORY_MERGE, "PR_SET_MEMORY_MERGE"},
		{unix.PR_SET_MM, "PR_SET_MM"},
		{unix.PR_GET_SECCOMP, "PR_GET_SECCOMP"},
	}},
	{calls.Ambient, []constant{
		{unix.PR_CAP_AMBIENT_RAISE, "PR_CAP_AMBIENT_RAISE"},
		{unix.PR_CAP_AMBIENT_LOWER, "PR_CAP_AMBIENT_LOWER"},
		{unix.PR_CAP_AMBIENT_IS_SET, "PR_CAP_AMBIENT_IS_SET"},
		{unix.PR_CAP_AMBIENT_CLEAR_ALL, "PR_CAP_AMBIENT_CLEAR_ALL"},
	}},
	{calls.Keyctl, []constant{
		{unix.KEYCTL_JOIN_SESSION_KEYRING, "KEYCTL_JOIN_SESSION_KEYRING"},
		{unix.KEYCTL_GET_KEYRING_ID, "KEYCTL_GET_KEYRING_ID"},
		{unix.KEYCTL_SETPERM, "KEYCTL_SETPERM"},
		{unix.KEYCTL_DESCRIBE, "KEYCTL_DESCRIBE"},
		{unix.KEYCTL_CHOWN, "KEYCTL_CHOWN"},
		{unix.KEYCTL_LINK, "KEYCTL_LINK"},
		{unix.KEYCTL_UNLINK, "KEYCTL_UNLINK"},
		{unix.KEYCTL_REVOKE, "KEYCTL_REVOKE"},
	}},
	{calls.Keyring, []constant{
		{1<<64 - 1, "KEY_SPEC_THREAD_KEYRING"},
		{1<<64 - 2, "KEY_SPEC_PROCESS_KEYRING"},
		{1<<64 - 3, "KEY_SPEC_SESSION_KEYRING"},
		{1<<64 - 4, "KEY_SPEC_USER_KEYRING"},
		{1<<64 - 5, "KEY_SPEC_USER_SESSION_KEYRING"},
	}},
	{calls.Seccomp, []constant{
		{unix.SECCOMP_SET_MODE_STRICT, "SECCOMP_SET_MODE_STRICT"},
		{unix.SECCOMP_SET_MODE_FILTER, "SECCOMP_SET_MODE_FILTER"},
		{unix.SECCOMP_GET_ACTION_AVAIL, "SECCOMP_GET_ACTION_AVAIL"},
		{unix.SECCOMP_GET_NOTIF_SIZES, "SECCOMP_GET_NOTIF_SIZES"},
	}},
	{calls.SigHow, []constant{
		{unix.SIG_BLOCK, "SIG_BLOCK"},
		{unix.SIG_UNBLOCK, "SIG_UNBLOCK"},
		{unix.SIG_SETMASK, "SIG_SETMASK"},
	}},
	{calls.IoWho, []constant{
		{1, "IOPRIO_WHO_PROCESS"},
		{2, "IOPRIO_WHO_PGRP"},
		{3, "IOPRIO_WHO_USER"},
	}},
	{calls.Af, []constant{
		{unix.AF_UNIX, "AF_UNIX"},
		{unix.AF_INET, "AF_INET"},
		{unix.AF_INET6, "AF_INET6"},
		{unix.AF_NETLINK, "AF_NETLINK"},
	}},
	{calls.Propagation, []constant{
		{unix.MS_PRIVATE, "MS_PRIVATE"},
		{unix.MS_SLAVE, "MS_SLAVE"},
		{unix.MS_SHARED, "MS_SHARED"},
		{unix.MS_UNBINDABLE, "MS_UNBINDABLE"},
	}},
}
