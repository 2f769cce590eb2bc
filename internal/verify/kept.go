package verify

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// checkKept refuses to open a descriptor that execve does not close: what it leads to may be the
// container's, but it was opened with other rights than the process has in the end.
func (w *walker) checkKept(s *state, pc int, in *program.Instr) {
	flag, at := uint64(unix.O_CLOEXEC), -1
	switch in.NR {
	case unix.SYS_OPENAT:
		at = 2
	case unix.SYS_OPENAT2:
		if flags, _, _, ok := w.howOf(in); ok && flags&flag == 0 {
			w.refuse(s, pc, FdExec, "execve does not close what it opens")
		}
	case unix.SYS_OPEN_TREE, unix.SYS_OPEN_TREE_ATTR: // OPEN_TREE_CLOEXEC is O_CLOEXEC
		at = 2
	case unix.SYS_FSOPEN, unix.SYS_FSMOUNT:
		flag, at = unix.FSOPEN_CLOEXEC, 1
	case unix.SYS_SOCKET: // SOCK_CLOEXEC is O_CLOEXEC
		at = 1
	case unix.SYS_MEMFD_CREATE:
		flag, at = unix.MFD_CLOEXEC, 1
	case unix.SYS_DUP3:
		if _, std := in.Args[1].Imm(); !std {
			at = 2
		}
	case unix.SYS_IOCTL:
		if imm(in, 1) == unix.TIOCGPTPEER {
			at = 2
		}
	}
	if at >= 0 && imm(in, at)&flag == 0 {
		w.refuse(s, pc, FdExec, "execve does not close what it opens")
	}
}

// checkRead refuses to read what is not the container's: it could be handed on.
func (w *walker) checkRead(s *state, pc int, a program.Arg, maybe bool) {
	v := w.value(s, a)
	switch {
	case maybe && (v.below() || (v.k == kDone || v.k == kAny) && w.served(pc, a)):
	case !v.k.isFd() || v.attr&aMaybe != 0 && !maybe:
		w.refuse(s, pc, FdUse, "the register holds "+v.k.String()+" and no open descriptor")
	case v.k != kCont && v.k != kMnt && v.k != kMem && v.k != kGo:
		w.refuse(s, pc, FdUse, "it reads "+v.k.String())
	}
}

// checkCloneArgs refuses a clone with anything in struct clone_args but flags and a signal: a
// stack, or a number for the process.
func (w *walker) checkCloneArgs(s *state, pc int, in *program.Instr) {
	b := w.bytes(in.Args[0], uint32(imm(in, 1)))
	const exitSignal = 4 // word of struct clone_args
	for at := 1; at < len(b)/8; at++ {
		if at != exitSignal && word64(b, 8*at) != 0 {
			w.refuse(s, pc, Known, fmt.Sprintf("the verifier does not know word %d of struct clone_args", at))
			return
		}
	}
}

// checkMade refuses a namespace that the configuration has not, one in the place of one that the
// process is in, or is to join, and a cgroup namespace before the process is in its cgroups.
func (w *walker) checkMade(s *state, pc int, flags uint64) {
	made := flags & newNamespaces
	switch {
	case made == 0:
	case w.e.Kind != Init:
		if made != unix.CLONE_NEWNS || !w.e.Copies || s.got&(unix.CLONE_NEWNS|unix.CLONE_NEWUSER) != unix.CLONE_NEWUSER {
			w.refuse(s, pc, Namespaces, "a process that joins a container makes a namespace")
		}
	case made&^w.x.own != 0:
		w.refuse(s, pc, Namespaces, fmt.Sprintf("it makes the namespaces %#x, which the configuration has not", made&^w.x.own))
	case made&w.joined() != 0:
		w.refuse(s, pc, Namespaces, "it makes a namespace in the place of one that is joined")
	case made&s.got != 0:
		w.refuse(s, pc, Namespaces, fmt.Sprintf("it makes the namespaces %#x a second time", made&s.got))
	case made&unix.CLONE_NEWCGROUP != 0 && !w.inCgroups(s):
		w.refuse(s, pc, Cgroup, "the root of the cgroup namespace is not the container's cgroup")
	}
}

// joined returns the namespaces that are joined.
func (w *walker) joined() (flags uint64) {
	for _, f := range w.x.ns {
		flags |= f
	}
	return flags
}

// makes reports whether the container has a namespace of the kind that nobody else was in before.
func (w *walker) makes(flag uint64) bool {
	return w.e.Kind == Init && w.x.own&^w.joined()&flag != 0
}

const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID |
	unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP | unix.CLONE_NEWTIME

// inCgroups reports whether the process has entered its cgroups, and the runtime has had the time
// to move it.
func (w *walker) inCgroups(s *state) bool {
	for _, f := range w.x.tasks {
		if !s.has(f) {
			return false
		}
	}
	return !w.e.Attended || s.has(fBorn)
}
