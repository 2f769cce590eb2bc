package list

import (
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/calls"

	"github.com/hutch-project/hutch/internal/program"
)

// maxShown is how many bytes of data a listing shows.
const maxShown = 256

// args writes the arguments of a system call.
func (l *lister) args(in *program.Instr) []string {
	c := calls.Of(in.NR)
	out := make([]string, nargs(in))
	for i := range out {
		out[i] = l.word(in, i, c.Arg(i))
	}
	return out
}

// word writes argument i of in, which is of the kind that the table says.
func (l *lister) word(in *program.Instr, i int, kind calls.Kind) string {
	a := in.Args[i]
	switch kind {
	case calls.IoctlArg:
		kind = ioctlKind(in.Args[1].Word())
	case calls.FsValue:
		kind = fsconfigKind(in.Args[1].Word())
	case calls.PrctlArg:
		kind = prctlKind(in.Args[0].Word(), in.Args[1].Word(), i)
	case calls.KeyctlArg:
		kind = keyctlKind(in.Args[0].Word())
	}
	switch a.Kind() {
	case program.ArgReg:
		return l.value(a.Word())
	case program.ArgAddr:
		return l.pointed(in, i, kind)
	}
	return number(a.Word(), kind)
}

// plain writes an argument that is no system call's.
func (l *lister) plain(a program.Arg) string {
	switch a.Kind() {
	case program.ArgReg:
		return l.value(a.Word())
	case program.ArgAddr:
		return l.address(a.Word())
	}
	return intWord(a.Word())
}

// number writes an immediate.
func number(v uint64, kind calls.Kind) string {
	switch kind {
	case calls.Int, calls.Ifreq, calls.Winsize:
		return intWord(v)
	case calls.Fd, calls.Dir:
		if int32(v) == unix.AT_FDCWD {
			return "AT_FDCWD"
		}
		return intWord(uint64(int64(int32(v))))
	case calls.FdMax:
		if uint32(v) >= 1<<31-1 {
			return "max"
		}
		return intWord(v)
	case calls.Any, calls.Hex:
		if int64(v) < 0 && int64(v) > -4096 {
			return intWord(v)
		}
		return hexWord(v)
	case calls.Open:
		return openWord(v)
	case calls.Mode:
		return modeWord(v)
	case calls.Dev:
		return strconv.FormatUint(uint64(unix.Major(v)), 10) + ":" + strconv.FormatUint(uint64(unix.Minor(v)), 10)
	case calls.Signal:
		return signalWord(v)
	case calls.SockType:
		return socketWord(v)
	case calls.MemPolicy:
		return policyWord(v)
	case calls.IoPrio:
		return ioprioWord(v)
	case calls.Capability:
		return capabilityWord(v)
	}
	if set := flagSet(kind); set != nil {
		return flagWords(v, set)
	}
	if set := enumSet(kind); set != nil {
		return enumWord(v, set)
	}
	if v == 0 { // the kinds left are pointers
		return "NULL"
	}
	return hexWord(v)
}

// pointed writes an argument that is an address in the arena.
func (l *lister) pointed(in *program.Instr, i int, kind calls.Kind) string {
	off := in.Args[i].Word()
	if n, ok := l.out(in, i); ok {
		return "&" + l.place(off, n)
	}
	text := ""
	switch kind {
	case calls.Path, calls.Str:
		text = l.str(off)
	case calls.Strv:
		text = l.strv(off)
	case calls.In:
		text = l.data(off, next(in, i))
	case calls.Groups:
		text = l.groups(off, in.Args[0])
	case calls.Bits:
		text = l.bits(off, in.Args[1].Word())
	case calls.Nodes:
		text = l.bits(off, (next(in, i).Word()+6)/8) // the kernel takes one bit less
	case calls.CloneArgs:
		text = l.cloneArgs(off, next(in, i).Word())
	default:
		text = l.structure(off, kind)
	}
	if text == "" {
		return l.address(off)
	}
	return text
}

// next returns the argument after i, which often has the length of what i points to.
func next(in *program.Instr, i int) program.Arg {
	if i+1 < nargs(in) {
		return in.Args[i+1]
	}
	return program.Arg{}
}

// out returns the number of bytes that the call in writes through argument i: 8, a register's,
// where an argument says the number and is no immediate. ok is false for an argument by
// which it writes nothing.
func (l *lister) out(in *program.Instr, i int) (n uint64, ok bool) {
	size, from, ok := calls.Of(in.NR).Out(i)
	switch {
	case !ok || from < 0:
		return uint64(size), ok
	case in.NR == unix.SYS_GETCWD: // of the path only the first byte is looked at
		return 8, true
	case from < nargs(in) && in.Args[from].Kind() == program.ArgImm:
		return in.Args[from].Word(), true
	}
	return 8, true
}

// str writes the string at off, empty when it has no end.
func (l *lister) str(off uint64) string {
	if off >= uint64(l.p.Size()) {
		return ""
	}
	s, ok := l.p.CString(uint32(off))
	if !ok {
		return ""
	}
	return strconv.Quote(s)
}

// strv writes an array of strings that ends with a null pointer.
func (l *lister) strv(off uint64) string {
	var out []string
	for {
		p, ok := l.long(off)
		if !ok {
			return ""
		}
		if p == 0 {
			return "[" + strings.Join(out, ", ") + "]"
		}
		s := l.str(p)
		if s == "" {
			s = l.address(p)
		}
		out = append(out, s)
		off += uint64(unsafe.Sizeof(uintptr(0)))
	}
}

// data writes bytes that a call reads, whose number is n.
func (l *lister) data(off uint64, n program.Arg) string {
	if n.Kind() != program.ArgImm || l.regs[off].stored || l.inBuffer(off) >= 0 {
		return ""
	}
	b := l.bytes(off, n.Word())
	if b == nil {
		return ""
	}
	if len(b) > maxShown {
		return strconv.Quote(string(b[:maxShown])) + "..."
	}
	return strconv.Quote(string(b))
}

func ioctlKind(request uint64) calls.Kind {
	switch request {
	case unix.TIOCGPTPEER:
		return calls.Open
	case unix.TIOCSWINSZ:
		return calls.Winsize
	case unix.SIOCSIFFLAGS:
		return calls.Ifreq
	case unix.TIOCSPTLCK:
		return calls.Int32
	case unix.TIOCSCTTY, unix.NS_GET_NSTYPE:
		return calls.Int
	}
	return calls.Any
}

func fsconfigKind(cmd uint64) calls.Kind {
	switch cmd {
	case unix.FSCONFIG_SET_STRING, unix.FSCONFIG_SET_PATH, unix.FSCONFIG_SET_PATH_EMPTY:
		return calls.Str
	case unix.FSCONFIG_SET_BINARY:
		return calls.In
	}
	return calls.Ptr
}

// prctlKind returns the kind of argument i of a prctl.
func prctlKind(option, second uint64, i int) calls.Kind {
	switch {
	case option == unix.PR_SET_PDEATHSIG && i == 1:
		return calls.Signal
	case (option == unix.PR_CAPBSET_READ || option == unix.PR_CAPBSET_DROP) && i == 1:
		return calls.Capability
	case option == unix.PR_CAP_AMBIENT && i == 1:
		return calls.Ambient
	case option == unix.PR_CAP_AMBIENT && i == 2 && second != unix.PR_CAP_AMBIENT_CLEAR_ALL:
		return calls.Capability
	case option == unix.PR_SET_NAME && i == 1:
		return calls.Str
	case option == unix.PR_SET_SECUREBITS && i == 1:
		return calls.Securebits
	case option == unix.PR_SET_SECCOMP && i == 2:
		return calls.Fprog
	}
	return calls.Int
}

func keyctlKind(op uint64) calls.Kind {
	switch op {
	case unix.KEYCTL_JOIN_SESSION_KEYRING:
		return calls.Str
	case unix.KEYCTL_GET_KEYRING_ID:
		return calls.Keyring
	}
	return calls.Int
}
