package verify

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// checkOrder refuses what comes too late.
func (w *walker) checkOrder(s *state, pc int, in *program.Instr) {
	if s.stage.k != 0 && (in.NR != unix.SYS_OPEN_TREE && in.NR != unix.SYS_UMOUNT2 || !w.onStage(s, in)) {
		w.refuse(s, pc, MountPath, "what is mounted on / for a moment is there yet")
		return
	}
	if nr := uint64(in.NR); s.loose && nr != setresuid && nr != setresgid && in.NR != unix.SYS_PRCTL {
		w.refuse(s, pc, Dumpable, "the process may be dumpable")
		return
	}
	if s.ajar && (in.NR == unix.SYS_CLONE || in.NR == unix.SYS_CLONE3 || in.NR == unix.SYS_EXECVE) {
		w.refuse(s, pc, Dumpable, "the process is dumpable where others of the container begin")
		return
	}
	if out := s.outside(); s.ajar && out != 0 && in.NR != unix.SYS_PRCTL {
		w.refuse(s, pc, Dumpable, "the process is dumpable, and open are "+kindWords(out))
		return
	}
	if s.may&mayFilter != 0 {
		switch in.NR {
		case unix.SYS_CAPSET, unix.SYS_READ, unix.SYS_WRITE, unix.SYS_DUP3, unix.SYS_RT_SIGPROCMASK, unix.SYS_EXECVE,
			unix.SYS_LSEEK, unix.SYS_FTRUNCATE, unix.SYS_CLONE, unix.SYS_WAIT4:
		case unix.SYS_SETSID, unix.SYS_IOCTL, unix.SYS_PRLIMIT64, unix.SYS_OPENAT2, unix.SYS_FCHDIR, unix.SYS_CLOSE, unix.SYS_GETCWD,
			unix.SYS_STATX, unix.SYS_FACCESSAT2, unix.SYS_FACCESSAT:
			if s.proc == 0 { // else the compiler has found them in the profile
				w.refuse(s, pc, FilterLast, "it comes after the filter is loaded")
				return
			}
		case unix.SYS_PRCTL:
			if !w.e.Opens || imm(in, 0) != unix.PR_SET_DUMPABLE || imm(in, 1) != 0 { // else the compiler has found it in the profile
				w.refuse(s, pc, FilterLast, "it comes after the filter is loaded")
				return
			}
		default:
			w.refuse(s, pc, FilterLast, "it comes after the filter is loaded")
			return
		}
	}
	if !s.capSet || w.e.Kind == Hook {
		return
	}
	switch uint64(in.NR) {
	case setresgid, setresuid, setgroups, fchown:
		w.refuse(s, pc, AfterDrop, "it takes privileges, and comes after the capabilities are set")
		return
	}
	switch in.NR {
	case unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_OPEN_TREE_ATTR, unix.SYS_FSOPEN,
		unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_MOUNT_SETATTR, unix.SYS_SETNS, unix.SYS_UNSHARE, unix.SYS_CHROOT, unix.SYS_MKNODAT,
		unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_FCHOWNAT, unix.SYS_KEYCTL:
		w.refuse(s, pc, AfterDrop, "it takes privileges, and comes after the capabilities are set")
	case unix.SYS_PRCTL:
		if imm(in, 0) == unix.PR_CAPBSET_DROP || imm(in, 0) == unix.PR_SET_MM {
			w.refuse(s, pc, AfterDrop, "it takes privileges, and comes after the capabilities are set")
		}
	}
}

// checkReady refuses what still sets the process up when the runtime has been told that all is
// ready, and all but execve when it has been told that execve is next.
func (w *walker) checkReady(s *state, pc int, in *program.Instr) {
	if s.executing && in.NR != unix.SYS_EXECVE {
		w.refuse(s, pc, Message, "it comes after the message that the program is executed next")
		return
	}
	if w.e.Kind != Init || !s.has(fReady) {
		return
	}
	switch in.NR {
	case unix.SYS_DUP3, unix.SYS_READ, unix.SYS_WRITE, unix.SYS_LSEEK, unix.SYS_FTRUNCATE, unix.SYS_CLONE, unix.SYS_WAIT4,
		unix.SYS_RT_SIGPROCMASK, unix.SYS_PRCTL, unix.SYS_EXECVE:
	default:
		w.refuse(s, pc, Barrier, "it comes after the runtime was told that all is ready")
	}
}

// answered notes which of the runtime's answers the process has waited for.
func (w *walker) answered(s *state, tag uint32) {
	t := &w.e.Tags
	for _, f := range [...]struct {
		tag  uint32
		fact int
	}{{t.Ready, fReady}, {t.Born, fBorn}, {t.Hooks, fHooks}, {t.Offsets, fOffsets}, {t.Loading, fLoading}, {t.Joined, fJoined}} {
		if tag == f.tag {
			s.done(f.fact)
		}
	}
}

// mustHaveWaited refuses an execve of the container's process without the answers that the
// configuration makes necessary.
func (w *walker) mustHaveWaited(s *state, pc int) {
	for _, wait := range [...]struct {
		needed bool
		fact   int
		what   string
	}{
		{w.e.Kind == Init && w.e.Attended, fBorn, "the runtime was not waited for when the process was born"},
		{w.e.Kind == Init && w.hasHooks(), fHooks, "the runtime was not waited for to run hooks"},
		{w.e.Kind == Init, fReady, "the runtime was not waited for"},
		{w.e.Kind == Init && w.e.Go != 0, fGo, "start was not waited for"},
		{w.e.Kind == Exec && w.e.Notify, fLoading, "the runtime was not waited for to take the listener"},
		{!w.cloned(), fJoined, notJoined},
	} {
		if wait.needed && !s.has(wait.fact) {
			w.refuse(s, pc, Barrier, wait.what)
			return
		}
	}
	if !s.executing {
		w.refuse(s, pc, Message, "the runtime does not know that the program is executed")
	}
	if n := w.startHooks(); w.e.Kind == Init && int(s.hooks) != n {
		w.refuse(s, pc, Ends, fmt.Sprintf("%d of %d startContainer hooks are run before", s.hooks, n))
	}
}

// cloned reports whether the runtime takes the process for a child of its own by Adopt, or has
// made it: what comes by another way has to be looked at.
func (w *walker) cloned() bool { return w.e.Kind != Exec || w.e.Join&unix.CLONE_NEWPID != 0 }

// hasHooks reports whether there are hooks that see the container's mounts before the pivot.
func (w *walker) hasHooks() bool {
	h := w.e.Spec.Hooks
	return h != nil && len(h.Prestart)+len(h.CreateRuntime)+len(h.CreateContainer) > 0
}

func (w *walker) startHooks() int {
	if h := w.e.Spec.Hooks; h != nil {
		return len(h.StartContainer)
	}
	return 0
}

// makesTime reports whether the runtime writes the offsets of a time namespace that is made.
func (w *walker) makesTime() bool { return w.makes(unix.CLONE_NEWTIME) && len(w.x.lin.TimeOffsets) > 0 }

const notJoined = "the runtime was not waited for to see that init has left none of the namespaces"

// checkJoined refuses a change of the mounts of a container before the runtime has seen that the
// process is in its namespaces.
func (w *walker) checkJoined(s *state, pc int) {
	if (w.e.Adds || w.e.Removes) && !s.has(fJoined) {
		w.refuse(s, pc, Barrier, notJoined)
	}
}
