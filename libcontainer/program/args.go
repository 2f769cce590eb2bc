package program

import (
	"bytes"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxShown is how many bytes of data a listing shows.
const maxShown = 256

// args writes the arguments of a system call.
func (l *lister) args(in *Instr) []string {
	words, _ := signature(in.NR)
	kinds := strings.Fields(words)
	out := make([]string, in.nargs())
	for i := range out {
		kind := "any"
		if i < len(kinds) {
			kind = kinds[i]
		}
		out[i] = l.word(in, i, kind)
	}
	return out
}

// word writes argument i of in, which is of the kind that a signature names.
func (l *lister) word(in *Instr, i int, kind string) string {
	a := in.Args[i]
	switch kind {
	case "ioctlarg":
		kind = ioctlKind(in.Args[1].v)
	case "fcntlarg":
		kind = fcntlKind(in.Args[1].v)
	case "fsvalue":
		kind = fsconfigKind(in.Args[1].v)
	case "prctlarg":
		kind = prctlKind(in.Args[0].v, in.Args[1].v, i)
	case "keyctlarg":
		kind = keyctlKind(in.Args[0].v)
	}
	switch a.kind {
	case argReg:
		return l.value(a.v)
	case argAddr:
		return l.pointed(in, i, kind)
	}
	return number(a.v, kind)
}

// plain writes an argument that is no system call's.
func (l *lister) plain(a Arg) string {
	switch a.kind {
	case argReg:
		return l.value(a.v)
	case argAddr:
		return l.address(a.v)
	}
	return intWord(a.v)
}

// number writes an immediate.
func number(v uint64, kind string) string {
	switch kind {
	case "int", "ifreq", "winsize":
		return intWord(v)
	case "fd":
		if int32(v) == unix.AT_FDCWD {
			return "AT_FDCWD"
		}
		return intWord(uint64(int64(int32(v))))
	case "fdmax": // of close_range
		if uint32(v) >= 1<<31-1 {
			return "max"
		}
		return intWord(v)
	case "any", "hex":
		if int64(v) < 0 && int64(v) > -4096 {
			return intWord(v)
		}
		return hexWord(v)
	case "open":
		return openWord(v)
	case "mode":
		return modeWord(v)
	case "dev":
		return strconv.FormatUint(uint64(unix.Major(v)), 10) + ":" + strconv.FormatUint(uint64(unix.Minor(v)), 10)
	case "signal":
		return signalWord(v)
	case "socktype":
		return socketWord(v)
	case "mempolicy":
		return policyWord(v)
	case "ioprio":
		return ioprioWord(v)
	case "capability":
		return capability(v)
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
func (l *lister) pointed(in *Instr, i int, kind string) string {
	off := in.Args[i].v
	s := ""
	switch kind {
	case "str":
		s = l.str(off)
	case "strv":
		s = l.strv(off)
	case "in":
		s = l.data(off, next(in, i))
	case "out":
		return "&" + l.place(off, outLen(in, i))
	case "groups":
		s = l.groups(off, in.Args[0])
	case "bits":
		s = l.bits(off, in.Args[1].v)
	case "nodes":
		s = l.bits(off, (next(in, i).v+7)/8)
	case "cloneargs":
		s = l.cloneArgs(off, next(in, i).v)
	case "pollfds":
		s = l.pollfds(off, next(in, i).v)
	case "sockaddr":
		s = l.sockaddr(off, next(in, i).v)
	case "msghdr":
		s = l.msghdr(off, in.NR == unix.SYS_SENDMSG)
	default:
		s = l.structure(off, kind)
	}
	if s == "" {
		return l.address(off)
	}
	return s
}

// next is the argument after i, which often has the length of what i points to.
func next(in *Instr, i int) Arg {
	if i+1 < in.nargs() {
		return in.Args[i+1]
	}
	return Arg{}
}

// outLen is the number of bytes that a call writes through argument i; 8, a
// register's, where the call does not say.
func outLen(in *Instr, i int) uint64 {
	switch in.NR {
	case unix.SYS_READ, unix.SYS_PREAD64, unix.SYS_READLINKAT, unix.SYS_GETDENTS64, unix.SYS_RECVFROM:
		if a := next(in, i); a.kind == argImm {
			return a.v
		}
	case unix.SYS_FSTAT:
		return uint64(unsafe.Sizeof(unix.Stat_t{}))
	case unix.SYS_STATX:
		return uint64(unsafe.Sizeof(unix.Statx_t{}))
	case unix.SYS_FSTATFS, unix.SYS_STATFS:
		return uint64(unsafe.Sizeof(unix.Statfs_t{}))
	case unix.SYS_WAITID, unix.SYS_WAIT4:
		return uint64(outWait(in.NR, i))
	case unix.SYS_PRLIMIT64, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_CLOCK_GETTIME:
		return 16
	case unix.SYS_CAPGET:
		return 24
	case unix.SYS_SCHED_GETAFFINITY:
		return in.Args[1].v
	case unix.SYS_STATMOUNT:
		return in.Args[2].v
	case unix.SYS_LISTMOUNT:
		return in.Args[2].v * 8
	case unix.SYS_RT_SIGACTION:
		return 32
	}
	return 8
}

// outWait is the length of wait4's status and rusage, waitid's siginfo and rusage.
func outWait(nr uint32, i int) uintptr {
	switch {
	case nr == unix.SYS_WAIT4 && i == 1:
		return 4
	case nr == unix.SYS_WAITID && i == 2:
		return 128
	}
	return unsafe.Sizeof(unix.Rusage{})
}

// str writes the string at off, empty when it has no end.
func (l *lister) str(off uint64) string {
	if off >= uint64(len(l.p.arena)) {
		return ""
	}
	n := bytes.IndexByte(l.p.arena[off:], 0)
	if n < 0 {
		return ""
	}
	return strconv.Quote(string(l.p.arena[off : off+uint64(n)]))
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
func (l *lister) data(off uint64, n Arg) string {
	if n.kind != argImm || l.regs[off].stored || l.inBuffer(off) >= 0 {
		return ""
	}
	b := l.bytes(off, n.v)
	if b == nil {
		return ""
	}
	if len(b) > maxShown {
		return strconv.Quote(string(b[:maxShown])) + "..."
	}
	return strconv.Quote(string(b))
}

func ioctlKind(request uint64) string {
	switch request {
	case unix.TIOCGPTPEER:
		return "open"
	case unix.TIOCSWINSZ:
		return "winsize"
	case unix.SIOCSIFFLAGS:
		return "ifreq"
	case unix.TIOCSPTLCK:
		return "int32"
	case unix.TIOCSCTTY, unix.TIOCNOTTY, unix.NS_GET_NSTYPE:
		return "int"
	}
	return "any"
}

func fcntlKind(cmd uint64) string {
	switch cmd {
	case unix.F_SETFD:
		return "fdflag"
	case unix.F_SETFL:
		return "open"
	case unix.F_ADD_SEALS:
		return "seal"
	}
	return "int"
}

func fsconfigKind(cmd uint64) string {
	switch cmd {
	case unix.FSCONFIG_SET_STRING, unix.FSCONFIG_SET_PATH, unix.FSCONFIG_SET_PATH_EMPTY:
		return "str"
	case unix.FSCONFIG_SET_BINARY:
		return "in"
	}
	return "ptr"
}

// prctlKind is the kind of argument i of a prctl.
func prctlKind(option, second uint64, i int) string {
	switch {
	case option == unix.PR_SET_PDEATHSIG && i == 1:
		return "signal"
	case (option == unix.PR_CAPBSET_READ || option == unix.PR_CAPBSET_DROP) && i == 1:
		return "capability"
	case option == unix.PR_CAP_AMBIENT && i == 1:
		return "ambient"
	case option == unix.PR_CAP_AMBIENT && i == 2 && second != unix.PR_CAP_AMBIENT_CLEAR_ALL:
		return "capability"
	case option == unix.PR_SET_NAME && i == 1:
		return "str"
	case option == unix.PR_SET_SECUREBITS && i == 1:
		return "securebits"
	case option == unix.PR_SET_SECCOMP && i == 2:
		return "fprog"
	}
	return "int"
}

func keyctlKind(op uint64) string {
	switch op {
	case unix.KEYCTL_JOIN_SESSION_KEYRING:
		return "str"
	case unix.KEYCTL_GET_KEYRING_ID:
		return "keyring"
	}
	return "int"
}
