package verify

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// value returns what an argument that is a descriptor in a register holds.
func (w *walker) value(s *state, a program.Arg) value {
	if i := w.at(a); i >= 0 {
		return w.get(s, i)
	}
	if n, ok := a.Imm(); ok && n < 3 {
		return value{k: s.std[n]}
	}
	return value{}
}

// at returns the register of a descriptor argument, -1 for none.
func (w *walker) at(a program.Arg) int {
	if r, ok := a.Reg(); ok {
		return w.reg(r)
	}
	return -1
}

// served reports whether the descriptor is one of a loop in which the parent says what is done
// next: whether it is open, the parent knows.
func (w *walker) served(pc int, a program.Arg) bool {
	i := w.at(a)
	return i >= 0 && w.inLoop[pc] && w.lives[i].inLoop
}

// checkClose refuses to close what is not known: it might be a standard descriptor, or
// one that has got the number meanwhile.
func (w *walker) checkClose(s *state, pc int, in *program.Instr) {
	v := w.value(s, in.Args[0])
	switch {
	case w.at(in.Args[0]) < 0:
		w.refuse(s, pc, FdUse, "it closes a standard descriptor, whose number the next one gets")
	case v.k.isFd() && (v.attr&aMaybe == 0 || in.OnErr != program.Fail), in.OnErr != program.Fail && (v.below() || (v.k == kDone || v.k == kAny) && w.served(pc, in.Args[0])):
	default:
		w.refuse(s, pc, FdUse, "it closes "+v.k.String()+", which is no descriptor that is open")
	}
}

func (w *walker) applyClose(s *state, in *program.Instr) {
	if i := w.at(in.Args[0]); i >= 0 {
		if i == w.reg(w.p.Sync()) {
			s.socket = kDone
		}
		w.put(s, i, value{k: kDone})
	}
}

func (w *walker) checkDup3(s *state, pc int, in *program.Instr) {
	if n, ok := in.Args[0].Imm(); ok && w.e.Kind == Hook && n > 2 && s.lost&(1<<kHost) != 0 {
		return // the caller's, for the hook
	}
	file, ok := w.fd(s, pc, in.Args[0], FdUse)
	if !ok {
		return
	}
	if n, ok := in.Args[1].Imm(); ok {
		switch {
		case imm(in, 2) != 0:
			w.refuse(s, pc, Stdio, "execve closes it, and the first file that is opened takes its place")
		case n > 2:
			w.refuse(s, pc, FdUse, "it takes the number of a descriptor that is not known")
		case file.k == kNull && file.proof&pNullDevice != pNullDevice:
			w.refuse(s, pc, Stdio, "it is not proven to be the null device")
		case file.k != kNull && file.k != kTty && file.k != kMem && w.e.Kind != Hook:
			w.refuse(s, pc, Stdio, file.k.String()+" becomes a standard descriptor")
		default:
			w.note(pc, Stdio)
		}
		return
	}
	t, ok := w.fd(s, pc, in.Args[1], FdUse)
	if ok && t.k == kSocket && file.k != kResult {
		w.refuse(s, pc, FdUse, file.k.String()+" takes the place of the socket")
	}
}

func (w *walker) applyDup3(s *state, in *program.Instr) {
	file := w.value(s, in.Args[0])
	if file.k == kAny && w.e.Kind == Hook {
		file.k = kStdHost
	}
	if n, ok := in.Args[1].Imm(); ok {
		if n < 3 {
			s.std[n] = file.k
		}
		return
	}
	if i := w.at(in.Args[1]); i >= 0 {
		if i == w.reg(w.p.Sync()) {
			s.socket = file.k
		}
		w.put(s, i, file) // what was there is closed
	}
}

func (w *walker) checkFchown(s *state, pc int, in *program.Instr) {
	v, ok := w.fd(s, pc, in.Args[0], HostInode)
	if !ok {
		return
	}
	if v.k != kTty && v.k != kStdHost {
		w.refuse(s, pc, HostInode, v.k.String()+" is given to the user")
		return
	}
	if p := w.x.proc; p == nil || uint32(imm(in, 1)) != p.User.UID || uint32(imm(in, 2)) != ^uint32(0) {
		w.refuse(s, pc, HostInode, v.k.String()+" is given to another than the user")
		return
	}
	w.note(pc, HostInode)
}

func (w *walker) checkIoctl(s *state, pc int, in *program.Instr) {
	file, ok := w.fd(s, pc, in.Args[0], FdUse)
	if !ok {
		return
	}
	switch request := imm(in, 1); request {
	case unix.NS_GET_NSTYPE:
	case unix.TIOCGPTPEER, unix.TIOCSPTLCK, unix.TIOCSWINSZ:
		if file.k != kTty && (file.k != kCont || file.proof&pDevpts == 0) {
			w.refuse(s, pc, FdUse, "the file is not proven to be one of a devpts of the container")
		}
	case unix.TIOCSCTTY:
		if file.k != kTty {
			w.refuse(s, pc, FdUse, file.k.String()+" becomes the controlling terminal")
		}
	case unix.SIOCSIFFLAGS:
		if file.k != kPlain || s.got&unix.CLONE_NEWNET == 0 || !w.makes(unix.CLONE_NEWNET) {
			w.refuse(s, pc, Namespaces, "an interface is changed in a network namespace that is not the container's alone")
		} else if name := w.bytes(in.Args[2], 3); string(name) != "lo\x00" {
			w.refuse(s, pc, Namespaces, "another interface than lo is changed")
		}
	default:
		w.refuse(s, pc, Known, fmt.Sprintf("the verifier does not know the request %#x", request))
	}
}

func (w *walker) describes(s *state, in *program.Instr) {
	fd := in.Args[0]
	if in.NR == unix.SYS_STATX {
		if name, ok := w.pathText(in, 0); !ok || name != "" {
			return
		}
		fd, _ = pathArgs(in, 0)
	}
	if i := w.at(fd); i >= 0 {
		s.describe(outArg(in), in.NR, i, 0)
	}
}
