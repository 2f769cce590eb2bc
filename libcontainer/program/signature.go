package program

import "golang.org/x/sys/unix"

// signature tells how the arguments of the system call nr are written: one word
// an argument, as in lister.word. The word any takes what says nothing more than
// its number or address; a call without arguments has the empty signature. ok is
// false for a call that is not in the table, whose arguments are all any.
//
// Source: the man page of each call.
func signature(nr uint32) (words string, ok bool) {
	if words, ok = fileSignature(nr); ok {
		return words, true
	}
	if words, ok = mountSignature(nr); ok {
		return words, true
	}
	return processSignature(nr)
}

func fileSignature(nr uint32) (string, bool) {
	switch nr {
	case unix.SYS_READ:
		return "fd out int", true
	case unix.SYS_WRITE:
		return "fd in int", true
	case unix.SYS_PREAD64:
		return "fd out int int", true
	case unix.SYS_PWRITE64:
		return "fd in int int", true
	case unix.SYS_CLOSE, unix.SYS_DUP, unix.SYS_FCHDIR:
		return "fd", true
	case unix.SYS_DUP3:
		return "fd fd open", true
	case unix.SYS_CLOSE_RANGE:
		return "fd fdmax closerange", true
	case unix.SYS_FSTAT, unix.SYS_FSTATFS:
		return "fd out", true
	case unix.SYS_STATFS:
		return "str out", true
	case unix.SYS_STATX:
		return "fd str at statx out", true
	case unix.SYS_LSEEK:
		return "fd int whence", true
	case unix.SYS_IOCTL:
		return "fd ioctl ioctlarg", true
	case unix.SYS_FCNTL:
		return "fd fcntl fcntlarg", true
	case unix.SYS_FTRUNCATE:
		return "fd int", true
	case unix.SYS_CHDIR, unix.SYS_CHROOT:
		return "str", true
	case unix.SYS_GETCWD:
		return "out int", true
	case unix.SYS_OPENAT:
		return "fd str open mode", true
	case unix.SYS_OPENAT2:
		return "fd str how int", true
	case unix.SYS_MKDIRAT, unix.SYS_FCHMODAT:
		return "fd str mode", true
	case unix.SYS_MKNODAT:
		return "fd str mode dev", true
	case unix.SYS_FCHMOD:
		return "fd mode", true
	case unix.SYS_UMASK:
		return "mode", true
	case unix.SYS_FCHOWN:
		return "fd int int", true
	case unix.SYS_FCHOWNAT:
		return "fd str int int at", true
	case unix.SYS_UNLINKAT:
		return "fd str atunlink", true
	case unix.SYS_SYMLINKAT:
		return "str fd str", true
	case unix.SYS_READLINKAT:
		return "fd str out int", true
	case unix.SYS_LINKAT:
		return "fd str fd str at", true
	case unix.SYS_RENAMEAT2:
		return "fd str fd str rename", true
	case unix.SYS_FACCESSAT:
		return "fd str access", true
	case unix.SYS_FACCESSAT2:
		return "fd str access ataccess", true
	case unix.SYS_GETDENTS64:
		return "fd out int", true
	case unix.SYS_MEMFD_CREATE:
		return "str memfd", true
	case unix.SYS_COPY_FILE_RANGE, unix.SYS_SPLICE:
		return "fd any fd any int hex", true
	case unix.SYS_SENDFILE:
		return "fd fd any int", true
	case unix.SYS_TEE:
		return "fd fd int hex", true
	case unix.SYS_SIGNALFD4:
		return "fd sigset int open", true
	case unix.SYS_EVENTFD2:
		return "int open", true
	case unix.SYS_INOTIFY_INIT1:
		return "open", true
	case unix.SYS_SOCKET:
		return "af socktype int", true
	case unix.SYS_SOCKETPAIR:
		return "af socktype int out", true
	case unix.SYS_BIND, unix.SYS_CONNECT:
		return "fd sockaddr int", true
	case unix.SYS_SENDTO:
		return "fd in int msg sockaddr int", true
	case unix.SYS_RECVFROM:
		return "fd out int msg any any", true
	case unix.SYS_SENDMSG, unix.SYS_RECVMSG:
		return "fd msghdr msg", true
	case unix.SYS_PPOLL:
		return "pollfds int timespec sigset int", true
	case unix.SYS_IO_URING_SETUP:
		return "int any", true
	}
	return "", false
}

func mountSignature(nr uint32) (string, bool) {
	switch nr {
	case unix.SYS_MOUNT:
		return "str str str mount str", true
	case unix.SYS_UMOUNT2:
		return "str umount", true
	case unix.SYS_PIVOT_ROOT:
		return "str str", true
	case unix.SYS_OPEN_TREE:
		return "fd str tree", true
	case unix.SYS_OPEN_TREE_ATTR:
		return "fd str tree mountattr int", true
	case unix.SYS_MOVE_MOUNT:
		return "fd str fd str movemount", true
	case unix.SYS_FSOPEN:
		return "str fsopen", true
	case unix.SYS_FSCONFIG:
		return "fd fsconfig str fsvalue int", true
	case unix.SYS_FSMOUNT:
		return "fd fsmount attr", true
	case unix.SYS_FSPICK:
		return "fd str fspick", true
	case unix.SYS_MOUNT_SETATTR:
		return "fd str at mountattr int", true
	case unix.SYS_LISTMOUNT, unix.SYS_STATMOUNT:
		return "any out int hex", true
	}
	return "", false
}

func processSignature(nr uint32) (string, bool) {
	switch nr {
	case unix.SYS_GETPID, unix.SYS_GETPPID, unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETEGID, unix.SYS_SETSID, unix.SYS_SCHED_YIELD:
		return "", true
	case unix.SYS_EXECVE:
		return "str strv strv", true
	case unix.SYS_EXECVEAT:
		return "fd str strv strv at", true
	case unix.SYS_EXIT_GROUP, unix.SYS_SETUID, unix.SYS_SETGID, unix.SYS_SETFSUID:
		return "int", true
	case unix.SYS_CLONE3:
		return "cloneargs int", true
	case unix.SYS_CLONE:
		return "clone int int int int", true
	case unix.SYS_UNSHARE:
		return "clone", true
	case unix.SYS_SETNS:
		return "fd clone", true
	case unix.SYS_SETRESUID, unix.SYS_SETRESGID:
		return "int int int", true
	case unix.SYS_SETGROUPS:
		return "int groups", true
	case unix.SYS_SETPGID:
		return "int int", true
	case unix.SYS_CAPGET:
		return "caphead out", true
	case unix.SYS_CAPSET:
		return "caphead capdata", true
	case unix.SYS_PRCTL:
		return "prctl prctlarg prctlarg prctlarg prctlarg", true
	case unix.SYS_PERSONALITY:
		return "personality", true
	case unix.SYS_PRLIMIT64:
		return "int resource rlimit out", true
	case unix.SYS_PTRACE:
		return "ptrace int any any", true
	case unix.SYS_RT_SIGPROCMASK:
		return "sighow sigset out int", true
	case unix.SYS_RT_SIGACTION:
		return "signal sigaction out int", true
	case unix.SYS_KILL:
		return "int signal", true
	case unix.SYS_TGKILL:
		return "int int signal", true
	case unix.SYS_WAIT4:
		return "int out wait out", true
	case unix.SYS_WAITID:
		return "idtype int out wait out", true
	case unix.SYS_PIDFD_OPEN:
		return "int hex", true
	case unix.SYS_PIDFD_SEND_SIGNAL:
		return "fd signal any hex", true
	case unix.SYS_PIDFD_GETFD:
		return "fd int hex", true
	case unix.SYS_SCHED_SETAFFINITY:
		return "int int bits", true
	case unix.SYS_SCHED_GETAFFINITY:
		return "int int out", true
	case unix.SYS_SCHED_SETATTR:
		return "int schedattr hex", true
	case unix.SYS_SET_MEMPOLICY:
		return "mempolicy nodes int", true
	case unix.SYS_IOPRIO_SET:
		return "iowho int ioprio", true
	case unix.SYS_IOPRIO_GET:
		return "iowho int", true
	case unix.SYS_SETPRIORITY:
		return "int int int", true
	case unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME:
		return "in int", true
	case unix.SYS_SECCOMP:
		return "seccomp seccompflag fprog", true
	case unix.SYS_BPF: // a union of a structure for each command: not decoded
		return "int any int", true
	case unix.SYS_KEYCTL:
		return "keyctl keyctlarg any any any", true
	case unix.SYS_ADD_KEY:
		return "str str any int int", true
	case unix.SYS_LANDLOCK_CREATE_RULESET:
		return "any int hex", true
	case unix.SYS_LANDLOCK_ADD_RULE:
		return "fd int any hex", true
	case unix.SYS_LANDLOCK_RESTRICT_SELF:
		return "fd hex", true
	case unix.SYS_CLOCK_GETTIME:
		return "clock out", true
	case unix.SYS_NANOSLEEP:
		return "timespec out", true
	case unix.SYS_CLOCK_NANOSLEEP:
		return "clock hex timespec out", true
	}
	return "", false
}
