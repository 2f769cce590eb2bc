package list

import (
	"encoding/binary"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/calls"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/sigaction"
)

// maxArray is how many elements of an array a listing reads.
const maxArray = 4096

// long returns the word at off that has the size of a pointer.
func (l *lister) long(off uint64) (uint64, bool) {
	return l.uint(off, uint64(unsafe.Sizeof(uintptr(0))))
}

// uint returns the unsigned number of n bytes at off, where they are there.
func (l *lister) uint(off, n uint64) (uint64, bool) {
	buf := l.bytes(off, n)
	switch {
	case buf == nil:
		return 0, false
	case n == 1:
		return uint64(buf[0]), true
	case n == 2:
		return uint64(binary.NativeEndian.Uint16(buf)), true
	case n == 4:
		return uint64(binary.NativeEndian.Uint32(buf)), true
	}
	return binary.NativeEndian.Uint64(buf), true
}

// fields writes a structure as {a, b}: parts that say nothing are left out.
func fields(parts ...string) string {
	out := parts[:0]
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return "{" + strings.Join(out, ", ") + "}"
}

// field writes name and the number of n bytes at off: the register's name where
// an instruction stores there, and nothing for 0.
func (l *lister) field(name string, off, n uint64, write func(uint64) string) string {
	if name != "" {
		name += " "
	}
	if r := l.regs[off]; r.stored && r.name != "" {
		return name + r.name
	}
	if v, _ := l.uint(off, n); v != 0 {
		return name + write(v)
	}
	return ""
}

func writeFlags(kind calls.Kind) func(uint64) string {
	return func(v uint64) string { return flagWords(v, flagSet(kind)) }
}

func signed32(v uint64) string { return intWord(uint64(int64(int32(v)))) }

// structure writes the structure of the kind, empty when there is none or the arena has
// not all of it.
func (l *lister) structure(off uint64, kind calls.Kind) string {
	sizes := [...]struct {
		kind  calls.Kind
		n     uint64
		write func(uint64) string
	}{
		{calls.How, 24, l.how},
		{calls.MountAttr, 32, l.mountAttr},
		{calls.Rlimit, 16, l.rlimit},
		{calls.CapHead, 8, l.capHead},
		{calls.CapData, 24, l.capData},
		{calls.SchedAttr, 48, l.schedAttr},
		{calls.Sigset, sigaction.SetSize, l.sigset},
		{calls.Sigaction, 8, l.sigaction},
		{calls.Fprog, uint64(unsafe.Sizeof(unix.SockFprog{})), l.fprog},
		{calls.Winsize, 8, l.winsize},
		{calls.Ifreq, 18, l.ifreq},
		{calls.Int32, 4, func(off uint64) string { v, _ := l.uint(off, 4); return "&" + signed32(v) }},
	}
	for _, s := range sizes {
		if s.kind == kind && l.bytes(off, s.n) != nil {
			return s.write(off)
		}
	}
	return ""
}

// how writes struct open_how of openat2(2).
func (l *lister) how(off uint64) string {
	flags, _ := l.uint(off, 8)
	mode := l.field("", off+8, 8, octWord)
	return fields(openWord(flags), mode, l.field("", off+16, 8, writeFlags(calls.Resolve)))
}

// mountAttr writes struct mount_attr of mount_setattr(2).
func (l *lister) mountAttr(off uint64) string {
	userns := ""
	if set, _ := l.uint(off, 8); set&unix.MOUNT_ATTR_IDMAP != 0 {
		fd, _ := l.uint(off+24, 8)
		if userns = l.field("userns", off+24, 8, intWord); userns == "" {
			userns = "userns " + intWord(fd)
		}
	}
	return fields(l.field("set", off, 8, writeFlags(calls.Attr)), l.field("clear", off+8, 8, writeFlags(calls.Attr)),
		l.field("", off+16, 8, func(v uint64) string {
			return flagWords(v, append([]constant{{unix.MS_REC, "MS_REC"}}, enumSet(calls.Propagation)...))
		}), userns)
}

func (l *lister) rlimit(off uint64) string {
	word := func(v uint64) string {
		if v == unix.RLIM_INFINITY {
			return "unlimited"
		}
		return strconv.FormatUint(v, 10)
	}
	soft, _ := l.uint(off, 8)
	hard, _ := l.uint(off+8, 8)
	return fields("soft "+word(soft), "hard "+word(hard))
}

// capHead writes cap_user_header_t of capset(2).
func (l *lister) capHead(off uint64) string {
	version, _ := l.uint(off, 4)
	return fields(enumWord(version, []constant{{unix.LINUX_CAPABILITY_VERSION_3, "version 3"}}), l.field("pid", off+4, 4, signed32))
}

// capData writes the pair of cap_user_data_t of capset(2).
func (l *lister) capData(off uint64) string {
	set := func(name string, at uint64) string {
		lo, _ := l.uint(off+at, 4)
		hi, _ := l.uint(off+12+at, 4)
		return name + " " + capWords(hi<<32|lo)
	}
	return fields(set("effective", 0), set("permitted", 4), set("inheritable", 8))
}

// capWords writes a set of capabilities.
func capWords(v uint64) string {
	if v == 0 {
		return "none"
	}
	var out []string
	for i := range uint64(64) {
		if v&(1<<i) != 0 {
			out = append(out, capabilityWord(i))
		}
	}
	return strings.Join(out, "|")
}

// schedAttr writes struct sched_attr of sched_setattr(2).
func (l *lister) schedAttr(off uint64) string {
	policy, _ := l.uint(off+4, 4)
	return fields(enumWord(policy, enumSet(calls.Sched)), l.field("flags", off+8, 8, hexWord), l.field("nice", off+16, 4, signed32),
		l.field("priority", off+20, 4, intWord), l.field("runtime", off+24, 8, intWord),
		l.field("deadline", off+32, 8, intWord), l.field("period", off+40, 8, intWord))
}

// sigset writes the kernel's set of signals.
func (l *lister) sigset(off uint64) string {
	v, _ := l.uint(off, sigaction.SetSize)
	if v == 1<<sigaction.Last-1 {
		return "{all}"
	}
	var out []string
	for i := range uint64(sigaction.Last) {
		if v&(1<<i) != 0 {
			out = append(out, signalWord(i+1))
		}
	}
	return fields(out...)
}

// sigaction writes the kernel's struct sigaction, whose handler comes first.
func (l *lister) sigaction(off uint64) string {
	v, _ := l.uint(off, uint64(unsafe.Sizeof(uintptr(0))))
	if v > 1 {
		return fields("a handler that ends the process") // its address differs from build to build
	}
	return fields(enumWord(v, []constant{{0, "SIG_DFL"}, {1, "SIG_IGN"}}))
}

// fprog writes struct sock_fprog of seccomp(2).
func (l *lister) fprog(off uint64) string {
	n, _ := l.uint(off, 2)
	return fields(intWord(n) + " instructions")
}

func (l *lister) winsize(off uint64) string {
	rows, _ := l.uint(off, 2)
	cols, _ := l.uint(off+2, 2)
	return fields(intWord(rows)+" rows", intWord(cols)+" columns")
}

// ifreq writes struct ifreq of netdevice(7), with flags.
func (l *lister) ifreq(off uint64) string {
	return fields(l.str(off), l.field("", off+16, 2, func(v uint64) string {
		return flagWords(v, []constant{{unix.IFF_UP, "IFF_UP"}, {unix.IFF_RUNNING, "IFF_RUNNING"}})
	}))
}

// groups writes the array of setgroups(2).
func (l *lister) groups(off uint64, n program.Arg) string {
	if n.Kind() != program.ArgImm || n.Word() > maxArray || l.bytes(off, n.Word()*4) == nil {
		return ""
	}
	out := make([]string, n.Word())
	for i := range out {
		v, _ := l.uint(off+uint64(i)*4, 4)
		out[i] = strconv.FormatUint(v, 10)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// bits writes a bit mask of n bytes, as a list of ranges.
func (l *lister) bits(off, n uint64) string {
	b := l.bytes(off, n)
	if b == nil || n > maxArray {
		return ""
	}
	has := func(i int) bool { return i < len(b)*8 && b[i/8]&(1<<(i%8)) != 0 }
	var out []string
	for i := 0; i < len(b)*8; i++ {
		if !has(i) {
			continue
		}
		first := i
		for has(i + 1) {
			i++
		}
		s := strconv.Itoa(first)
		if i > first {
			s += "-" + strconv.Itoa(i)
		}
		out = append(out, s)
	}
	return "{" + strings.Join(out, ",") + "}"
}

// cloneArgs writes struct clone_args of clone3(2), of n bytes.
func (l *lister) cloneArgs(off, n uint64) string {
	if n < 64 || l.bytes(off, n) == nil {
		return ""
	}
	flags, _ := l.uint(off, 8)
	cgroup := ""
	if n >= 88 && flags&unix.CLONE_INTO_CGROUP != 0 {
		cgroup = l.field("cgroup", off+80, 8, intWord)
	}
	return fields(flagWords(flags, flagSet(calls.CloneFlags)), l.field("exit", off+32, 8, signalWord), cgroup)
}
