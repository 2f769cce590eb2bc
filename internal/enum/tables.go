package enum

import "golang.org/x/sys/unix"

// Capabilities are the names in the sets of process.capabilities, in the order of their
// numbers.
//
// Source: runtime-spec config.md "Linux Process"; capabilities(7), linux/capability.h.
var Capabilities = Table{
	{"CAP_CHOWN", unix.CAP_CHOWN, ""},
	{"CAP_DAC_OVERRIDE", unix.CAP_DAC_OVERRIDE, ""},
	{"CAP_DAC_READ_SEARCH", unix.CAP_DAC_READ_SEARCH, ""},
	{"CAP_FOWNER", unix.CAP_FOWNER, ""},
	{"CAP_FSETID", unix.CAP_FSETID, ""},
	{"CAP_KILL", unix.CAP_KILL, ""},
	{"CAP_SETGID", unix.CAP_SETGID, ""},
	{"CAP_SETUID", unix.CAP_SETUID, ""},
	{"CAP_SETPCAP", unix.CAP_SETPCAP, ""},
	{"CAP_LINUX_IMMUTABLE", unix.CAP_LINUX_IMMUTABLE, ""},
	{"CAP_NET_BIND_SERVICE", unix.CAP_NET_BIND_SERVICE, ""},
	{"CAP_NET_BROADCAST", unix.CAP_NET_BROADCAST, ""},
	{"CAP_NET_ADMIN", unix.CAP_NET_ADMIN, ""},
	{"CAP_NET_RAW", unix.CAP_NET_RAW, ""},
	{"CAP_IPC_LOCK", unix.CAP_IPC_LOCK, ""},
	{"CAP_IPC_OWNER", unix.CAP_IPC_OWNER, ""},
	{"CAP_SYS_MODULE", unix.CAP_SYS_MODULE, ""},
	{"CAP_SYS_RAWIO", unix.CAP_SYS_RAWIO, ""},
	{"CAP_SYS_CHROOT", unix.CAP_SYS_CHROOT, ""},
	{"CAP_SYS_PTRACE", unix.CAP_SYS_PTRACE, ""},
	{"CAP_SYS_PACCT", unix.CAP_SYS_PACCT, ""},
	{"CAP_SYS_ADMIN", unix.CAP_SYS_ADMIN, ""},
	{"CAP_SYS_BOOT", unix.CAP_SYS_BOOT, ""},
	{"CAP_SYS_NICE", unix.CAP_SYS_NICE, ""},
	{"CAP_SYS_RESOURCE", unix.CAP_SYS_RESOURCE, ""},
	{"CAP_SYS_TIME", unix.CAP_SYS_TIME, ""},
	{"CAP_SYS_TTY_CONFIG", unix.CAP_SYS_TTY_CONFIG, ""},
	{"CAP_MKNOD", unix.CAP_MKNOD, ""},
	{"CAP_LEASE", unix.CAP_LEASE, ""},
	{"CAP_AUDIT_WRITE", unix.CAP_AUDIT_WRITE, ""},
	{"CAP_AUDIT_CONTROL", unix.CAP_AUDIT_CONTROL, ""},
	{"CAP_SETFCAP", unix.CAP_SETFCAP, ""},
	{"CAP_MAC_OVERRIDE", unix.CAP_MAC_OVERRIDE, ""},
	{"CAP_MAC_ADMIN", unix.CAP_MAC_ADMIN, ""},
	{"CAP_SYSLOG", unix.CAP_SYSLOG, ""},
	{"CAP_WAKE_ALARM", unix.CAP_WAKE_ALARM, ""},
	{"CAP_BLOCK_SUSPEND", unix.CAP_BLOCK_SUSPEND, ""},
	{"CAP_AUDIT_READ", unix.CAP_AUDIT_READ, ""},
	{"CAP_PERFMON", unix.CAP_PERFMON, ""},
	{"CAP_BPF", unix.CAP_BPF, ""},
	{"CAP_CHECKPOINT_RESTORE", unix.CAP_CHECKPOINT_RESTORE, ""},
}

// Rlimits are the types of process.rlimits. The numbers are those of all architectures but
// mips and sparc.
//
// Source: runtime-spec config.md "POSIX process"; getrlimit(2).
var Rlimits = Table{
	{"RLIMIT_CPU", unix.RLIMIT_CPU, ""},
	{"RLIMIT_FSIZE", unix.RLIMIT_FSIZE, ""},
	{"RLIMIT_DATA", unix.RLIMIT_DATA, ""},
	{"RLIMIT_STACK", unix.RLIMIT_STACK, ""},
	{"RLIMIT_CORE", unix.RLIMIT_CORE, ""},
	{"RLIMIT_RSS", unix.RLIMIT_RSS, ""},
	{"RLIMIT_NPROC", unix.RLIMIT_NPROC, ""},
	{"RLIMIT_NOFILE", unix.RLIMIT_NOFILE, ""},
	{"RLIMIT_MEMLOCK", unix.RLIMIT_MEMLOCK, ""},
	{"RLIMIT_AS", unix.RLIMIT_AS, ""},
	{"RLIMIT_LOCKS", unix.RLIMIT_LOCKS, ""},
	{"RLIMIT_SIGPENDING", unix.RLIMIT_SIGPENDING, ""},
	{"RLIMIT_MSGQUEUE", unix.RLIMIT_MSGQUEUE, ""},
	{"RLIMIT_NICE", unix.RLIMIT_NICE, ""},
	{"RLIMIT_RTPRIO", unix.RLIMIT_RTPRIO, ""},
	{"RLIMIT_RTTIME", unix.RLIMIT_RTTIME, ""},
}

// SchedPolicies are the values of process.scheduler.policy. Linux keeps a number for
// SCHED_ISO, and has no such policy.
//
// Source: runtime-spec config.md "Linux Process"; sched(7), linux/sched.h.
var SchedPolicies = Table{
	{"SCHED_OTHER", unix.SCHED_NORMAL, ""},
	{"SCHED_FIFO", unix.SCHED_FIFO, ""},
	{"SCHED_RR", unix.SCHED_RR, ""},
	{"SCHED_BATCH", unix.SCHED_BATCH, ""},
	{"SCHED_ISO", 4, ""},
	{"SCHED_IDLE", unix.SCHED_IDLE, ""},
	{"SCHED_DEADLINE", unix.SCHED_DEADLINE, ""},
}

// SchedFlags are the values of process.scheduler.flags: bits.
//
// Source: runtime-spec config.md "Linux Process"; sched_setattr(2).
var SchedFlags = Table{
	{"SCHED_FLAG_RESET_ON_FORK", unix.SCHED_FLAG_RESET_ON_FORK, ""},
	{"SCHED_FLAG_RECLAIM", unix.SCHED_FLAG_RECLAIM, ""},
	{"SCHED_FLAG_DL_OVERRUN", unix.SCHED_FLAG_DL_OVERRUN, ""},
	{"SCHED_FLAG_KEEP_POLICY", unix.SCHED_FLAG_KEEP_POLICY, ""},
	{"SCHED_FLAG_KEEP_PARAMS", unix.SCHED_FLAG_KEEP_PARAMS, ""},
	{"SCHED_FLAG_UTIL_CLAMP_MIN", unix.SCHED_FLAG_UTIL_CLAMP_MIN, ""},
	{"SCHED_FLAG_UTIL_CLAMP_MAX", unix.SCHED_FLAG_UTIL_CLAMP_MAX, ""},
}

// IOClasses are the values of process.ioPriority.class.
//
// Source: runtime-spec config.md "Linux Process"; ioprio_set(2).
var IOClasses = Table{
	{"IOPRIO_CLASS_RT", 1, ""},
	{"IOPRIO_CLASS_BE", 2, ""},
	{"IOPRIO_CLASS_IDLE", 3, ""},
}

// MemoryModes are the values of linux.memoryPolicy.mode.
//
// Source: runtime-spec config-linux.md "Memory policy"; set_mempolicy(2).
var MemoryModes = Table{
	{"MPOL_DEFAULT", unix.MPOL_DEFAULT, ""},
	{"MPOL_BIND", unix.MPOL_BIND, ""},
	{"MPOL_INTERLEAVE", unix.MPOL_INTERLEAVE, ""},
	{"MPOL_WEIGHTED_INTERLEAVE", unix.MPOL_WEIGHTED_INTERLEAVE, "6.9"},
	{"MPOL_PREFERRED", unix.MPOL_PREFERRED, ""},
	{"MPOL_PREFERRED_MANY", unix.MPOL_PREFERRED_MANY, "5.15"},
	{"MPOL_LOCAL", unix.MPOL_LOCAL, ""},
}

// MemoryFlags are the values of linux.memoryPolicy.flags: bits, which go with the mode.
//
// Source: runtime-spec config-linux.md "Memory policy"; set_mempolicy(2).
var MemoryFlags = Table{
	{"MPOL_F_NUMA_BALANCING", unix.MPOL_F_NUMA_BALANCING, ""},
	{"MPOL_F_RELATIVE_NODES", unix.MPOL_F_RELATIVE_NODES, ""},
	{"MPOL_F_STATIC_NODES", unix.MPOL_F_STATIC_NODES, ""},
}

// Domains are the values of linux.personality.domain, which <linux/personality.h> has
// with PER_ before them.
//
// Source: runtime-spec config-linux.md "Personality"; personality(2).
var Domains = Table{
	{"LINUX", 0, ""},
	{"LINUX32", 8, ""},
}
