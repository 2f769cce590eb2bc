package verify

import (
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// apply does to s what a call does that succeeds, and returns its result.
func (w *walker) apply(s *state, pc int, in *program.Instr) value {
	switch uint64(in.NR) {
	case setgroups, setresuid, setresgid:
		w.applyIDs(s, pc, in)
		return value{k: kConst}
	case fchown:
		return value{k: kConst}
	}
	if v, ok := w.applyFile(s, pc, in); ok {
		return v
	}
	if v, ok := w.applyMounts(s, pc, in); ok {
		return v
	}
	return w.applyProcess(s, pc, in)
}

// applyFile is apply for the calls that are about files and descriptors, and reports false for
// another call.
func (w *walker) applyFile(s *state, pc int, in *program.Instr) (result value, ok bool) {
	result = value{k: kConst}
	switch in.NR {
	case unix.SYS_OPENAT, unix.SYS_OPENAT2:
		result = w.applyOpen(s, in)
	case unix.SYS_MKNODAT:
		w.makesNode(s, in)
	case unix.SYS_SYMLINKAT:
		w.applySymlink(s, pc, in)
	case unix.SYS_CLOSE:
		w.applyClose(s, in)
	case unix.SYS_DUP:
		result.k = kCopy
	case unix.SYS_DUP3:
		w.applyDup3(s, in)
		result.k = kPos
	case unix.SYS_STATFS:
		if l := w.place(s, in, 0); l.where == atCont && (s.root == rootIn || s.root == rootChroot) {
			s.describe(outArg(in), in.NR, -1, l.path)
		}
	case unix.SYS_FSTATFS, unix.SYS_STATX:
		w.describes(s, in)
	case unix.SYS_GETCWD:
		s.describe(outArg(in), in.NR, -1, 0)
		result.k = kPos
	case unix.SYS_FCHDIR:
		w.applyFchdir(s, in)
	case unix.SYS_CHROOT:
		w.applyChroot(s, pc)
	case unix.SYS_READ:
		w.applyRead(s, pc, in)
		result.k = kPos
	case unix.SYS_WRITE:
		w.applyWrite(s, pc, in)
		result.k = kPos
	case unix.SYS_LSEEK, unix.SYS_GETDENTS64, unix.SYS_READLINKAT, unix.SYS_SENDFILE, unix.SYS_PWRITE64:
		result.k = kPos
	case unix.SYS_SOCKET:
		result.k = kPlain
		if w.x.own&^s.got&unix.CLONE_NEWNET != 0 {
			result.k = kHost // it stays in the host's network
		}
	case unix.SYS_MEMFD_CREATE:
		result.k = kMem
	case unix.SYS_IOCTL:
		result = value{}
		if imm(in, 1) == unix.TIOCGPTPEER {
			result.k = kTty
		}
	default:
		return value{}, false
	}
	return result, true
}

// applyProcess is apply for the calls that are about the process itself.
func (w *walker) applyProcess(s *state, pc int, in *program.Instr) value {
	switch in.NR {
	case unix.SYS_SETSID:
		s.done(fSession)
		w.note(pc, Session)
		return value{k: kPos}
	case unix.SYS_KEYCTL:
		return w.applyKeyctl(s, pc, in)
	case unix.SYS_UMASK:
		return w.applyUmask(s, pc, in)
	case unix.SYS_WAIT4:
		return value{k: kPos}
	case unix.SYS_SECCOMP:
		s.done(fFilter)
		s.may |= mayFilter
		w.note(pc, FilterLoaded)
		w.note(pc, FilterLast)
		if w.e.Notify {
			return value{k: kListener}
		}
		return value{k: kConst}
	case unix.SYS_SETNS, unix.SYS_UNSHARE:
		w.applyNamespaces(s, pc, in)
		return value{k: kConst}
	case unix.SYS_PRCTL:
		w.applyPrctl(s, pc, in)
		return value{k: kConst}
	case unix.SYS_CAPSET:
		s.effective, s.permitted, s.inheritable, _ = w.capsetOf(in)
		s.ambient &= s.permitted & s.inheritable
		s.capSet = true
		w.note(pc, AfterDrop)
		return value{k: kConst}
	case unix.SYS_PRLIMIT64:
		w.applyLimit(s, pc, in)
		return value{k: kConst}
	case unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK:
		w.applySignals(s, pc, in)
		return value{k: kConst}
	case unix.SYS_SCHED_SETAFFINITY:
		w.applyAffinity(s, pc, in)
		return value{k: kConst}
	case unix.SYS_PERSONALITY:
		w.applySetting(s, pc, in)
		return value{k: kPos}
	}
	w.applySetting(s, pc, in)
	return value{k: kConst}
}
