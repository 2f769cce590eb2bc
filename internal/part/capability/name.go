package capability

import (
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// prefix begins each name in a configuration.
const prefix = "CAP_"

// names are the capabilities in the order of their numbers, without the prefix.
//
// Source: linux/capability.h of Linux 5.9 and on.
var names = [...]string{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
	"NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT",
	"SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
	"AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
	"PERFMON", "BPF", "CHECKPOINT_RESTORE",
}

// Names are the names of all capabilities, as CAP_CHOWN, in the order of their
// numbers.
func Names() []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = prefix + n
	}
	return out
}

// Parse gives the set of the names, a bit for each number, and the names that
// are unknown. A name is written as CAP_CHOWN.
func Parse(list []string) (set uint64, unknown []string) {
	for _, n := range list {
		if bit := number(n); bit >= 0 {
			set |= 1 << bit
		} else {
			unknown = append(unknown, n)
		}
	}
	return set, unknown
}

// number is the number of a capability, -1 for none.
func number(name string) int {
	short, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return -1
	}
	for i := range names {
		if names[i] == short {
			return i
		}
	}
	return -1
}

// Unknown are the names of c's five sets that are no capabilities, each once, in
// order.
//
// Source: runtime-spec config.md "Linux Process": "Any value which cannot be
// mapped to a relevant kernel interface, or cannot be granted otherwise MUST be
// logged as a warning by the runtime".
func Unknown(c *specs.LinuxCapabilities) []string {
	if c == nil {
		return nil
	}
	var out []string
	for _, list := range [...][]string{c.Bounding, c.Effective, c.Inheritable, c.Permitted, c.Ambient} {
		_, u := Parse(list)
		out = append(out, u...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
