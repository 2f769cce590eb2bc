package verify

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/calls"
	"github.com/hutch-project/hutch/internal/program"
)

// check refuses a call that breaks a rule where it stands, whatever comes of it.
func (w *walker) check(s *state, pc int, in *program.Instr) {
	w.checkOrder(s, pc, in)
	w.checkReady(s, pc, in)
	w.checkArgs(s, pc, in)
	w.checkKept(s, pc, in)
	if w.fail != nil {
		return
	}
	switch uint64(in.NR) {
	case setgroups, setresuid, setresgid:
		return
	case fchown:
		w.checkFchown(s, pc, in)
		return
	}
	switch in.NR {
	case unix.SYS_OPENAT, unix.SYS_OPENAT2:
		w.checkOpen(s, pc, in)
	case unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_UNLINKAT, unix.SYS_FCHOWNAT, unix.SYS_FCHMODAT, unix.SYS_READLINKAT,
		unix.SYS_SYMLINKAT:
		w.checkName(s, pc, in)
	case unix.SYS_STATX, unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2, unix.SYS_STATFS:
		w.checkLook(s, pc, in)
	case unix.SYS_EXECVE:
		w.checkExecve(s, pc, in)
	case unix.SYS_GETDENTS64:
		w.checkRead(s, pc, in.Args[0], false)
	case unix.SYS_DUP:
		if v, ok := w.fd(s, pc, in.Args[0], FdUse); ok && v.k != kSocket {
			w.refuse(s, pc, FdUse, "it copies "+v.k.String())
		}
	case unix.SYS_FSTATFS, unix.SYS_FCHDIR:
		v, ok := w.fd(s, pc, in.Args[0], FdUse)
		if ok && in.NR == unix.SYS_FCHDIR && v.attr&aLink != 0 {
			w.refuse(s, pc, PathFollow, "it enters what may be a symbolic link")
		}
	case unix.SYS_READ, unix.SYS_WRITE, unix.SYS_PWRITE64:
		w.checkTransfer(s, pc, in)
	case unix.SYS_DUP3:
		w.checkDup3(s, pc, in)
	case unix.SYS_IOCTL:
		w.checkIoctl(s, pc, in)
	case unix.SYS_CLOSE:
		w.checkClose(s, pc, in)
	case unix.SYS_FTRUNCATE, unix.SYS_SENDFILE:
		w.checkFill(s, pc, in)
	case unix.SYS_LSEEK, unix.SYS_CLOSE_RANGE,
		unix.SYS_GETCWD, unix.SYS_UMASK, unix.SYS_SETSID, unix.SYS_SOCKET,
		unix.SYS_MEMFD_CREATE, unix.SYS_WAIT4:
	case unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK:
		w.checkSignals(s, pc, in)
	default:
		if !w.checkMounts(s, pc, in) && !w.checkProcess(s, pc, in) && !w.mapsExe(s, in) {
			w.refuse(s, pc, Known, "the verifier does not know the call")
		}
	}
}

// checkProcess is check for the calls that are about the process itself, and reports false for
// another call.
func (w *walker) checkProcess(s *state, pc int, in *program.Instr) bool {
	switch in.NR {
	case unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME:
		if s.got&unix.CLONE_NEWUTS == 0 {
			w.refuse(s, pc, Namespaces, "the name of the host is changed: the process is in no UTS namespace of the container")
		}
		w.checkSetting(s, pc, in)
	case unix.SYS_SETNS:
		w.checkSetns(s, pc, in)
	case unix.SYS_PRCTL:
		w.checkPrctl(s, pc, in)
	case unix.SYS_CAPSET:
		w.checkCapset(s, pc, in)
	case unix.SYS_SECCOMP:
		w.checkSeccomp(s, pc, in)
	case unix.SYS_CLONE3, unix.SYS_CLONE:
		w.checkClone(s, pc, in)
	case unix.SYS_KEYCTL:
		w.checkKeyctl(s, pc, in)
	case unix.SYS_PRLIMIT64:
		w.checkLimit(s, pc, in)
	case unix.SYS_SCHED_SETATTR, unix.SYS_SCHED_SETAFFINITY, unix.SYS_SETPGID:
		if imm(in, 0) != 0 {
			w.refuse(s, pc, HostWrite, "it changes another process")
		}
		w.checkSetting(s, pc, in)
		if in.NR == unix.SYS_SCHED_SETAFFINITY {
			w.checkAffinity(s, pc, in)
		}
	case unix.SYS_IOPRIO_SET:
		if imm(in, 0) != 1 || imm(in, 1) != 0 { // IOPRIO_WHO_PROCESS
			w.refuse(s, pc, HostWrite, "it changes another process")
		}
		w.checkSetting(s, pc, in)
	case unix.SYS_PERSONALITY, unix.SYS_SET_MEMPOLICY:
		w.checkSetting(s, pc, in)
	case unix.SYS_UNSHARE:
		w.checkMade(s, pc, imm(in, 0))
	default:
		return false
	}
	return true
}

// mapsExe returns the mapping of the runtime's executable.
func (w *walker) mapsExe(s *state, in *program.Instr) bool {
	if in.NR != calls.Mmap {
		return false
	}
	i := w.at(in.Args[calls.Of(in.NR).Find(calls.Fd)])
	return i >= 0 && w.get(s, i).k == kExe
}

// checkArgs refuses arguments that are not known beforehand, but descriptors and lengths:
// a flag in a register would be looked at as none.
func (w *walker) checkArgs(s *state, pc int, in *program.Instr) {
	if in.Dst%8 != 0 || uint64(in.Dst)+8 > uint64(w.p.Size()) {
		w.refuse(s, pc, Known, "its result is no register's")
		return
	}
	c := calls.Of(in.NR)
	for i := range in.Args {
		if _, is := in.Args[i].Reg(); !is {
			continue
		}
		switch c.Arg(i) {
		case calls.Fd, calls.Dir, calls.FdMax:
		default:
			if !variable(in.NR, i) {
				w.refuse(s, pc, Known, fmt.Sprintf("argument %d is not known beforehand", i))
				return
			}
		}
	}
}

// variable reports whether the argument i of a call may be what another one has returned.
func variable(nr uint32, i int) bool {
	switch nr {
	case unix.SYS_UMASK, unix.SYS_WAIT4:
		return i == 0
	case unix.SYS_KEYCTL, unix.SYS_FTRUNCATE, unix.SYS_LSEEK:
		return i == 1
	case unix.SYS_WRITE, unix.SYS_MKDIRAT, unix.SYS_FCHMODAT:
		return i == 2
	case unix.SYS_FCHOWNAT:
		return i == 2 || i == 3
	case unix.SYS_SENDFILE:
		return i == 3
	case unix.SYS_FSCONFIG:
		return i == 4 // a descriptor, see checkMounts
	}
	return false
}
