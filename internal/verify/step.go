package verify

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// step does the instruction pc to s and returns the next one. goesOn is false where the
// way ends.
func (w *walker) step(s *state, pc int) (next int, goesOn bool) {
	in := &w.code[pc]
	if !w.inParent {
		w.seen[pc] = true
	}
	if in.Op != program.OpClose && (in.Op != program.OpSys || in.NR != unix.SYS_CLOSE_RANGE) {
		s.wanted, s.closed = -1, 0 // what comes between two ranges may get a number of the first
	}
	switch in.Op {
	case program.OpSys:
		return w.system(s, pc, in)
	case program.OpJump:
		return int(in.To), true
	case program.OpIf:
		return w.compare(s, pc, in)
	case program.OpTell, program.OpTellData, program.OpTellFd:
		w.tell(s, pc, in)
		return pc + 1, true
	case program.OpWait:
		w.wait(s, pc, in)
		return pc + 1, true
	case program.OpClose:
		w.ranged(s, pc, in)
		return pc + 1, w.fail == nil
	case program.OpFail:
		return 0, false
	case program.OpExit:
		if status, _ := in.Args[0].Imm(); status == 0 && !s.alone && !(w.e.Reads && s.capSet && s.permitted == 0 && s.told == 0 && s.has(fJoined)) {
			if !w.e.Adds && !w.e.Removes || s.told != 0 {
				w.refuse(s, pc, Ends, "the process ends well without having executed anything")
				return 0, false
			}
			w.mustMounts(s, pc)
		}
		return 0, false
	}
	w.refuse(s, pc, Known, "it is no instruction")
	return 0, false
}

// end is the end of the section.
func (w *walker) end(s *state, pc int) {
	if w.inParent {
		w.ends = append(w.ends, w.copy(s))
		return
	}
	w.refuse(s, pc-1, Ends, "the program comes to its end without having executed anything")
}

// system does a call: what it needs is checked, then each outcome is followed.
func (w *walker) system(s *state, pc int, in *program.Instr) (int, bool) {
	w.check(s, pc, in)
	if w.fail != nil {
		return 0, false
	}
	for _, o := range w.outputs(in) {
		w.overwrite(s, o.off, o.n)
	}
	if in.Dst != 0 {
		s.forget(uint32(in.Dst), 8)
	}
	if in.NR == unix.SYS_CLONE3 || in.NR == unix.SYS_CLONE {
		w.clone(s, pc, in)
		return pc + 1, w.fail == nil
	}
	if in.NR == unix.SYS_CLOSE_RANGE {
		w.ranged(s, pc, in)
		return pc + 1, w.fail == nil
	}
	dst := w.reg(in.Dst)
	var child *state
	switch in.OnErr {
	case program.Next:
		child = w.branch(s, pc, pc+1)
		if in.Dst != 0 {
			w.set(child, dst, w.failure(s, in, 0))
		}
		w.failed(child, pc, in, 0)
	case program.JumpOn:
		child = w.branch(s, pc, int(in.To))
		if in.Dst != 0 {
			w.set(child, dst, w.failure(s, in, in.Errno))
		}
		w.failed(child, pc, in, in.Errno)
	}
	if in.NR == unix.SYS_EXECVE {
		return 0, false
	}
	v := w.apply(s, pc, in)
	w.follow(s, pc, in, v)
	if v.k.isFd() || in.Dst != 0 {
		w.set(s, dst, v)
	}
	if v.k.isFd() && !v.k.inside() && s.visible {
		w.refuse(s, pc, FdClone, "it opens "+v.k.String()+" where the container's processes can reach this one")
	}
	if w.fail != nil {
		return 0, false
	}
	if child != nil && child.atPC == pc+1 && child.mode == s.mode && child.desc == s.desc && slices.Equal(child.regs, s.regs) {
		join(s, child) // nobody looks at the result
		w.drop(child)
	}
	return pc + 1, true
}

// follow refuses a call whose descriptor would be lost sight of: v is what apply has made
// of its result.
func (w *walker) follow(s *state, pc int, in *program.Instr, v value) {
	if in.GivesFd() && !v.k.isFd() {
		w.refuse(s, pc, Known, "it opens a descriptor, and the verifier does not know what it leads to")
	}
}

// failure returns the value of a result that is an error; it remembers which path was not
// opened.
func (w *walker) failure(s *state, in *program.Instr, errno unix.Errno) value {
	v := value{k: kErr, num: -int64(errno)}
	if in.NR == unix.SYS_OPENAT2 {
		v.path = w.sought(s, in)
	}
	if in.NR == unix.SYS_KEYCTL && imm(in, 0) == unix.KEYCTL_JOIN_SESSION_KEYRING {
		v.proof = pKeyring
	}
	return v
}

// failed does what an error of a call brings.
func (w *walker) failed(s *state, pc int, in *program.Instr, errno unix.Errno) {
	switch {
	case in.NR == unix.SYS_OPENAT2 && errno == unix.ENOENT:
		w.missing(s, pc, w.sought(s, in))
	case w.dropsGroups(s, in) && errno == unix.EPERM: // the caller has no right to, and so no groups but a user's
		s.done(fNoGroups)
		w.note(pc, IDs)
	case uint64(in.NR) == setgroups && errno == unix.EPERM:
		if n, _ := in.Args[0].Imm(); n == 0 && w.x.proc != nil && len(w.x.proc.User.AdditionalGids) == 0 {
			s.done(fGroups)
			w.note(pc, IDs)
		}
	case in.NR == unix.SYS_SCHED_SETAFFINITY && isMask(w.bytes(in.Args[2], maskSize), everyCPU()):
		w.applyAffinity(s, pc, in)
	case in.NR == unix.SYS_OPEN_TREE && w.inParent && errno == unix.EPERM:
		s.keepsNull = true
		w.note(pc, Stdio)
	case in.NR == unix.SYS_MOUNT && errno == unix.ENOENT:
		if f, ok := w.hidden(s, in); ok {
			s.done(f)
		}
	case in.NR == unix.SYS_STATFS && errno == unix.ENOENT:
		if f, ok := w.hidden(s, in); ok { // nothing is there to be hidden
			s.done(f)
		}
	}
}

// sought returns the path of the container that is opened, 0 where that is none which
// programs see, or where an error does not say that nothing is there.
func (w *walker) sought(s *state, in *program.Instr) int32 {
	l := w.place(s, in, 0)
	flags, _, _, ok := w.howOf(in)
	_, name := pathArgs(in, 0)
	text, known := w.str(name)
	switch {
	case !ok || !known || l.where != atCont || l.dir.attr&aCovered != 0 || l.dir.k == kContTree:
		return 0
	case flags&unix.O_DIRECTORY != 0, clean(text) != "/"+strings.TrimPrefix(text, "/"):
		return 0 // a file that is there fails, too
	}
	return l.path
}

// missing records that there is nothing at a path of the container.
func (w *walker) missing(s *state, pc int, path int32) {
	if path == 0 || path == w.x.slash { // the root is there
		return
	}
	if f, ok := w.x.masked[path]; ok {
		s.done(f)
		w.note(pc, Masked)
	}
	if f, ok := w.x.readonly[path]; ok {
		s.done(f)
		w.note(pc, ReadOnly)
	}
}

// overwrite forgets the registers in memory that somebody else writes.
func (w *walker) overwrite(s *state, off, n uint32) {
	for at := off / 8; n > 0 && at <= (off+n-1)/8 && int(at) < len(w.index); at++ {
		if i := int(w.index[at]); i >= 0 {
			w.set(s, i, value{})
		}
	}
	s.forget(off, n)
}

// forget takes nothing any more from what the kernel has told in memory that is written.
func (s *state) forget(off, n uint32) {
	for i := range s.desc {
		if d := &s.desc[i]; d.off != 0 && d.off < off+n && off < d.off+256 {
			*d = described{}
		}
	}
}

// fd returns what the descriptor argument a leads to.
func (w *walker) fd(s *state, pc int, a program.Arg, r Rule) (value, bool) {
	if n, ok := a.Imm(); ok {
		switch fd := int32(n); {
		case fd >= 0 && fd < 3 && s.std[fd] != kAny:
			return value{k: s.std[fd]}, true
		case int(fd) == w.e.Pidfd && w.e.Kind != Init && !w.inParent && s.lost&(1<<kPidfd) != 0:
			return value{k: kPidfd}, true
		}
		w.refuse(s, pc, r, fmt.Sprintf("descriptor %d is not known to be open", int32(n)))
		return value{}, false
	}
	reg, ok := a.Reg()
	i := w.reg(reg)
	if !ok || i < 0 {
		w.refuse(s, pc, r, "the argument is no descriptor")
		return value{}, false
	}
	v := w.get(s, i)
	if v.attr&aMaybe != 0 {
		w.refuse(s, pc, r, "the register holds "+v.k.String()+" on some ways only")
		return v, false
	}
	if !v.k.isFd() {
		w.refuse(s, pc, r, "the register holds "+v.k.String()+" and no open descriptor")
		return v, false
	}
	return v, true
}

// open returns the set of kinds of descriptors that may be open beside the standard ones.
func (s *state) open() uint64 {
	set := s.lost
	for i := range s.regs {
		if k := s.regs[i].k; k.isFd() {
			set |= 1 << k
		}
	}
	return set
}

// outside returns the set of those that lead out of the container.
func (s *state) outside() uint64 {
	return s.open() & (1<<kMnt - 1)
}

func kindWords(set uint64) string {
	var out []string
	for set != 0 {
		k := bits.TrailingZeros64(set)
		out = append(out, kind(k).String())
		set &^= 1 << k
	}
	return strings.Join(out, ", ")
}

// words returns the state for people.
func (w *walker) words(s *state) string {
	roots := [...]string{"the host's", "the host's, with the container's attached", "the container's, on the host's", "the container's", "the container's, by chroot", "the top of the joined mount namespace"}
	out := []string{"root: " + roots[s.root]}
	if s.regs != nil {
		out = append(out, "open: "+kindWords(s.open()))
	}
	if s.capSet {
		out = append(out, fmt.Sprintf("permitted: %#x", s.permitted))
	}
	if s.got != 0 {
		out = append(out, fmt.Sprintf("namespaces: %#x", s.got))
	}
	if s.visible {
		out = append(out, "within reach of the container")
	}
	if s.may&mayFilter != 0 {
		out = append(out, "filter loaded")
	}
	for i := range s.regs {
		if v := &s.regs[i]; v.k.isFd() && v.path > 0 {
			out = append(out, fmt.Sprintf("$%d: %s (%s)", w.regs[v.owner-1], v.k, w.texts[v.path]))
		}
	}
	return strings.Join(out, "; ")
}
