package verify

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/program"
)

func (w *walker) checkPrctl(s *state, pc int, in *program.Instr) {
	switch imm(in, 0) {
	case unix.PR_SET_DUMPABLE:
		if imm(in, 1) != 0 && (!w.e.Opens || s.loose || s.hook || s.proc != 0) {
			w.refuse(s, pc, Dumpable, "the process is made dumpable")
		}
	case unix.PR_SET_NO_NEW_PRIVS:
		if w.x.proc == nil || !w.x.proc.NoNewPrivileges {
			w.refuse(s, pc, NoNewPrivs, "the configuration does not ask for it")
		}
	case unix.PR_CAPBSET_DROP:
		if n := imm(in, 1); n < 64 && w.x.bounding&(1<<n) != 0 {
			w.refuse(s, pc, Bounding, enum.Capabilities.Name(n)+" is the configuration's")
		}
	case unix.PR_CAP_AMBIENT:
		if op := imm(in, 1); op != unix.PR_CAP_AMBIENT_RAISE && op != unix.PR_CAP_AMBIENT_CLEAR_ALL {
			w.refuse(s, pc, Ambient, "a capability is taken out of the set")
		}
	case unix.PR_SET_MM:
		if w.e.Exe == 0 {
			w.refuse(s, pc, Known, "another file becomes the process's executable")
		}
	case unix.PR_SET_KEEPCAPS:
	default:
		w.refuse(s, pc, Known, fmt.Sprintf("the verifier does not know the option %d", imm(in, 0)))
	}
}

func (w *walker) applyPrctl(s *state, pc int, in *program.Instr) {
	switch imm(in, 0) {
	case unix.PR_SET_DUMPABLE:
		s.done(fDumpable)
		s.loose, s.ajar = false, imm(in, 1) != 0
		w.note(pc, Dumpable)
	case unix.PR_SET_NO_NEW_PRIVS:
		if imm(in, 1) == 1 {
			s.done(fNoNewPrivs)
			w.note(pc, NoNewPrivs)
		}
	case unix.PR_CAPBSET_DROP:
		s.undo(fUid) // the change of ids has to come after: what became root of a namespace was none
		s.dropped |= 1 << (imm(in, 1) & 63)
		w.note(pc, Bounding)
	case unix.PR_CAP_AMBIENT:
		switch imm(in, 1) {
		case unix.PR_CAP_AMBIENT_CLEAR_ALL:
			s.ambient = 0
			if s.has(fUid) {
				s.done(fAmbient)
				w.note(pc, Ambient)
			}
		case unix.PR_CAP_AMBIENT_RAISE:
			s.ambient |= 1 << (imm(in, 2) & 63)
			w.note(pc, Ambient)
		}
	}
}

// capsetOf returns the sets of capset(2).
func (w *walker) capsetOf(in *program.Instr) (effective, permitted, inheritable uint64, ok bool) {
	head, data := w.bytes(in.Args[0], 8), w.bytes(in.Args[1], 24)
	if head == nil || data == nil || word32(head, 0) != unix.LINUX_CAPABILITY_VERSION_3 || word32(head, 4) != 0 {
		return 0, 0, 0, false
	}
	set := func(at int) uint64 { return uint64(word32(data, at)) | uint64(word32(data, at+12))<<32 }
	return set(0), set(4), set(8), true
}

func (w *walker) checkCapset(s *state, pc int, in *program.Instr) {
	effective, permitted, inheritable, ok := w.capsetOf(in)
	switch hold := w.hold(); {
	case !ok:
		w.refuse(s, pc, Capset, "the sets are not known")
	case !s.has(fUid):
		w.refuse(s, pc, Capset, "it comes before the change of ids")
	case permitted&^(w.x.permitted|hold) != 0 || effective&^(w.x.effective|hold) != 0 || inheritable&^w.x.inheritable != 0:
		w.refuse(s, pc, Capset, fmt.Sprintf("there are capabilities in it that the configuration has not: %#x", (permitted|effective)&^(w.x.permitted|w.x.effective)|inheritable&^w.x.inheritable))
	default:
		w.note(pc, Capset)
	}
}

// hold returns what may be held beyond the configuration's capabilities until execve.
func (w *walker) hold() uint64 {
	if w.x.proc == nil {
		return 0
	}
	var set uint64
	if w.e.Filter && !w.x.proc.NoNewPrivileges {
		set |= 1 << unix.CAP_SYS_ADMIN
	}
	if w.x.joinedPid && w.x.proc.Scheduler != nil {
		set |= 1 << unix.CAP_SYS_NICE
	}
	return set
}

func (w *walker) checkSeccomp(s *state, pc int, in *program.Instr) {
	code, n := w.filter(in)
	const listener = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	switch {
	case imm(in, 0) != unix.SECCOMP_SET_MODE_FILTER || n == 0:
		w.refuse(s, pc, FilterLoaded, "no filter is loaded by it")
	case !w.e.Filter:
		w.refuse(s, pc, FilterLoaded, "the configuration has no filter")
	case (imm(in, 1)&listener != 0) != w.e.Notify:
		w.refuse(s, pc, FilterLoaded, "it has a listener and the configuration has none, or the other way round")
	case !bytes.Equal(code, w.e.Code) || imm(in, 1)&^listener != w.e.Flags:
		w.refuse(s, pc, FilterLoaded, "it is another filter than linux.seccomp, or has other flags")
	case !s.has(fUid) || !s.capSet:
		w.refuse(s, pc, FilterLast, "it comes before the capabilities are set")
	}
}

// filter returns the instructions of the filter that a call loads, and how many they are: nil
// where that is not known.
func (w *walker) filter(in *program.Instr) (code []byte, n int) {
	const word = strconv.IntSize / 8
	head := w.bytes(in.Args[2], 2*word)
	if head == nil {
		return nil, 0
	}
	n = int(binary.NativeEndian.Uint16(head))
	at, _ := in.Args[2].Addr()
	to, ok := w.p.Pointer(at + word)
	if !ok || w.dynamic(to, uint32(8*n)) {
		return nil, 0
	}
	return w.p.Data(to, uint32(8*n)), n
}

// checkClone refuses a clone into a pid namespace that others are in with anything that
// they might take.
func (w *walker) checkClone(s *state, pc int, in *program.Instr) {
	if s.may&mayFilter != 0 && in.NR == unix.SYS_CLONE3 {
		w.refuse(s, pc, FilterLast, "profiles of engines do not allow clone3")
		return
	}
	if s.told != 0 || s.child {
		w.refuse(s, pc, Barrier, fmt.Sprintf("%#x waits for an answer", s.told))
		return
	}
	if !s.pidJoined {
		return
	}
	if w.e.Kind == Init && w.x.mountsPid && !w.e.ProcOfPidNS {
		const why = "before Linux 6.18 a process has to be in a pid namespace to mount a procfs for it"
		w.waive[FdClone], w.waive[PowerClone] = why, why
		return
	}
	if out := s.outside(); out != 0 {
		w.refuse(s, pc, FdClone, "open are "+kindWords(out))
		return
	}
	w.note(pc, FdClone)
	if w.x.proc == nil || w.e.Kind == Hook {
		return
	}
	if what := w.power(s); what != "" {
		w.refuse(s, pc, PowerClone, what)
		return
	}
	w.note(pc, PowerClone)
}

// power is what a process has beyond the container's processes.
func (w *walker) power(s *state) string {
	switch {
	case w.undropped(s) != 0:
		return fmt.Sprintf("the bounding set still has %#x", w.undropped(s))
	case !s.has(fUid):
		return "the ids are not the configuration's"
	case !s.capSet || s.permitted&^(w.x.permitted|w.hold()) != 0:
		return "the capabilities are not the configuration's"
	case !s.has(fDumpable):
		return "the process may be dumpable"
	}
	return ""
}

// undropped returns the capabilities that are to be dropped from the bounding set yet.
func (w *walker) undropped(s *state) uint64 {
	all := uint64(1)<<(w.e.LastCap+1) - 1
	return all &^ w.x.bounding &^ s.dropped
}

// checkKeyctl refuses a keyring of another name than the container's, and one that others are
// let into.
func (w *walker) checkKeyctl(s *state, pc int, in *program.Instr) {
	const possessed, findable = 0x3f000000, 0x00080000 // KEY_POS_ALL and KEY_USR_SEARCH
	name, known := w.str(in.Args[1])
	_, named := in.Args[1].Addr()
	switch op := imm(in, 0); {
	case op == unix.KEYCTL_JOIN_SESSION_KEYRING && !w.e.Keyring:
		w.refuse(s, pc, Keyring, "the caller's is to be kept")
	case op == unix.KEYCTL_JOIN_SESSION_KEYRING && named && (!known || name != w.e.KeyringName):
		w.refuse(s, pc, Keyring, "it is not the container's by its name")
	case op == unix.KEYCTL_SETPERM && imm(in, 2)&^(possessed|findable) != 0:
		w.refuse(s, pc, Keyring, "others may look into it")
	case op != unix.KEYCTL_JOIN_SESSION_KEYRING && op != unix.KEYCTL_SETPERM:
		w.refuse(s, pc, Known, fmt.Sprintf("the verifier does not know the operation %d", op))
	}
}

func (w *walker) applyKeyctl(s *state, pc int, in *program.Instr) value {
	result := value{k: kPos}
	if imm(in, 0) != unix.KEYCTL_JOIN_SESSION_KEYRING {
		return result
	}
	if _, named := in.Args[1].Addr(); named && w.e.Kind != Init { // it may be another's
		s.undo(fKeyring)
		result.proof = pNamed
		return result
	}
	s.done(fKeyring)
	w.note(pc, Keyring)
	return result
}
