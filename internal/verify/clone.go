package verify

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// ranged does one close_range of a CloseExcept, whose only error that may be passed over is
// that of an empty range, or what stands in its place where that is denied.
//
// Source: close_range(2), "EINVAL".
func (w *walker) ranged(s *state, pc int, in *program.Instr) {
	if in.Op == program.OpSys && (in.OnErr == program.Next || in.OnErr == program.JumpOn && (in.Errno != unix.EINVAL || int(in.To) != pc+1)) {
		w.refuse(s, pc, FdName, "its error leaves descriptors open")
		return
	}
	if flags, ok := in.Args[2].Imm(); in.Op == program.OpSys && (!ok || flags != 0) {
		w.refuse(s, pc, FdName, "descriptors are marked, and not closed")
		return
	}
	lo, _ := in.Args[0].Reg()
	hi, _ := in.Args[1].Reg()
	for i := range w.closings {
		closing := &w.closings[i]
		for k := 0; k+1 < len(closing.Bounds); k += 2 {
			if closing.Bounds[k] != lo || closing.Bounds[k+1] != hi {
				continue
			}
			switch {
			case k == 0:
				s.wanted, s.closed = int16(i), 1
			case int(s.wanted) == i && int(s.closed) == k/2:
				s.closed++
			default:
				s.wanted, s.closed = -1, 0
			}
			if int(s.wanted) == i && int(s.closed) == len(closing.Bounds)/2 {
				s.wanted, s.closed = -1, 0
				w.closeAll(s, pc, closing)
			}
			return
		}
	}
	w.refuse(s, pc, Known, "it closes what is not known")
}

func (w *walker) closeAll(s *state, pc int, c *program.Closing) {
	for _, n := range c.Numbers {
		if !slices.Contains(w.e.Preserved, n) {
			w.refuse(s, pc, FdExec, "a descriptor stays open that is not preserved")
			return
		}
	}
	if w.setsAny(c.Bounds) {
		w.refuse(s, pc, FdExec, "what it closes is not known when the child is made")
		return
	}
	if w.setsAny(c.Keep) {
		w.refuse(s, pc, FdExec, "a descriptor is kept whose number is not known when the child is made")
		return
	}
	keep := make([]bool, len(w.regs))
	for _, r := range c.Keep {
		if i := w.reg(r); i >= 0 {
			keep[i] = true
		}
	}
	for i := range s.regs {
		if v := &s.regs[i]; v.k.isFd() && !keep[v.owner-1] {
			*v = value{k: kDone, owner: v.owner}
		}
	}
	s.lost = 0
	w.note(pc, FdExec)
	w.note(pc, FdName)
}

// setsAny reports whether an instruction of the child sets one of the registers, or has it
// written.
func (w *walker) setsAny(regs []program.Reg) bool {
	for i := range w.p.Child {
		in := &w.p.Child[i]
		if slices.Contains(regs, in.Dst) {
			return true
		}
		for _, o := range w.outputs(in) {
			if slices.ContainsFunc(regs, func(r program.Reg) bool { return uint32(r) < o.off+o.n && o.off < uint32(r)+8 }) {
				return true
			}
		}
	}
	return false
}

// clone makes the second process and follows both.
func (w *walker) clone(s *state, pc int, in *program.Instr) {
	if in.OnErr != program.Fail {
		w.refuse(s, pc, Known, "the error of a clone is not told")
		return
	}
	flags, ok := w.cloneFlags(s, pc, in)
	if !ok {
		return
	}
	dst := w.reg(in.Dst)
	const all = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP
	if in.NR == unix.SYS_CLONE3 {
		w.checkCloneArgs(s, pc, in)
	}
	w.checkMade(s, pc, flags)
	if flags&unix.CLONE_PARENT == 0 {
		s.hooks++
	}
	child := w.branch(s, pc, pc+1)
	child.proc++
	w.set(child, dst, value{k: kConst})
	if flags&unix.CLONE_PARENT != 0 {
		child.child = true
		child.undo(fSession) // which the first process leads
		child.got |= flags & all
		if flags&unix.CLONE_NEWNS != 0 {
			child.undo(fSlave)
		}
		if s.pidJoined {
			child.got |= unix.CLONE_NEWPID
			child.visible = w.waive[FdClone] == ""
			child.pidJoined = false
		}
		w.note(pc, Namespaces)
	} else {
		child.hook = true
	}
	w.set(s, dst, value{k: kConst, num: 1 << 30}) // some number above 0
}

// cloneFlags returns the flags of a clone, which share nothing with the first process.
func (w *walker) cloneFlags(s *state, pc int, in *program.Instr) (flags uint64, ok bool) {
	if in.NR == unix.SYS_CLONE3 {
		b := w.bytes(in.Args[0], 8)
		if b == nil {
			w.refuse(s, pc, Known, "struct clone_args is not known")
			return 0, false
		}
		flags = word64(b, 0)
	} else if flags = imm(in, 0) | imm(in, 1); flags != uint64(unix.SIGCHLD) && flags&unix.CLONE_PARENT == 0 {
		w.refuse(s, pc, Known, "a hook's process is cloned with flags")
		return 0, false
	}
	if flags&unix.CLONE_INTO_CGROUP != 0 {
		w.refuse(s, pc, Cgroup, "the clone is born in another cgroup")
		return 0, false
	}
	const writes = unix.CLONE_PIDFD | unix.CLONE_PARENT_SETTID | unix.CLONE_CHILD_SETTID | unix.CLONE_CHILD_CLEARTID | unix.CLONE_SETTLS
	if flags&writes != 0 {
		w.refuse(s, pc, Known, "the clone writes to memory")
		return 0, false
	}
	const shared = unix.CLONE_VM | unix.CLONE_FILES | unix.CLONE_FS | unix.CLONE_THREAD | unix.CLONE_SIGHAND
	if flags&shared != 0 {
		w.refuse(s, pc, Known, "the clone shares more than it may")
		return 0, false
	}
	return flags, true
}
