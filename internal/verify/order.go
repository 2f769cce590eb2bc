package verify

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

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
	for _, c := range [...]struct {
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
		if c.needed && !s.has(c.fact) {
			w.refuse(s, pc, Barrier, c.what)
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
