package list

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/calls"
	"github.com/hutch-project/hutch/internal/enum"
)

// constant is one constant of the kernel's and its name.
type constant struct {
	v    uint64
	name string
}

// flagWords writes the bits of v by the names of set, in its order, joined by |.
// Names of several bits come first in a set. What has no name is a number.
func flagWords(v uint64, set []constant) string {
	var out []string
	for _, f := range set {
		if f.v != 0 && v&f.v == f.v {
			out = append(out, f.name)
			v &^= f.v
		}
	}
	if v != 0 || len(out) == 0 {
		out = append(out, hexWord(v))
	}
	return strings.Join(out, "|")
}

// enumWord returns the name of the one value v, or its number.
func enumWord(v uint64, set []constant) string {
	for _, f := range set {
		if f.v == v {
			return f.name
		}
	}
	return intWord(v)
}

func intWord(v uint64) string { return strconv.FormatInt(int64(v), 10) }

func hexWord(v uint64) string {
	if v < 10 {
		return strconv.FormatUint(v, 10)
	}
	return "0x" + strconv.FormatUint(v, 16)
}

func octWord(v uint64) string {
	if v == 0 {
		return "0"
	}
	return "0" + strconv.FormatUint(v, 8)
}

// modeWord writes a file mode: the type by name, the permissions in octal.
func modeWord(v uint64) string {
	switch t := v & unix.S_IFMT; t {
	case 0:
		return octWord(v)
	case unix.S_IFREG, unix.S_IFDIR, unix.S_IFCHR, unix.S_IFBLK, unix.S_IFIFO, unix.S_IFLNK, unix.S_IFSOCK:
		return enumWord(t, []constant{{unix.S_IFREG, "S_IFREG"}, {unix.S_IFDIR, "S_IFDIR"}, {unix.S_IFCHR, "S_IFCHR"},
			{unix.S_IFBLK, "S_IFBLK"}, {unix.S_IFIFO, "S_IFIFO"}, {unix.S_IFLNK, "S_IFLNK"}, {unix.S_IFSOCK, "S_IFSOCK"}}) +
			"|" + octWord(v&^unix.S_IFMT)
	}
	return octWord(v)
}

// openWord writes the flags of an open: the way of access comes first, and is
// left out with O_PATH, which takes none.
func openWord(v uint64) string {
	access := ""
	switch acc := v & unix.O_ACCMODE; {
	case acc == unix.O_WRONLY:
		access = "O_WRONLY"
	case acc == unix.O_RDWR:
		access = "O_RDWR"
	case acc == unix.O_RDONLY && v&unix.O_PATH == 0:
		access = "O_RDONLY"
	}
	if rest := v &^ uint64(unix.O_ACCMODE); rest != 0 {
		if access != "" {
			access += "|"
		}
		return access + flagWords(rest, flagSet(calls.Open))
	}
	return access
}

// signalWord returns the name of a signal.
func signalWord(v uint64) string {
	if s := unix.SignalName(unix.Signal(v)); v < 65 && s != "" {
		return s
	}
	return intWord(v)
}

// socketWord writes the type of a socket and its flags.
func socketWord(v uint64) string {
	const flags = unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK
	s := enumWord(v&^flags, []constant{{unix.SOCK_STREAM, "SOCK_STREAM"}, {unix.SOCK_DGRAM, "SOCK_DGRAM"}, {unix.SOCK_SEQPACKET, "SOCK_SEQPACKET"}, {unix.SOCK_RAW, "SOCK_RAW"}})
	if v&flags != 0 {
		s += "|" + flagWords(v&flags, []constant{{unix.SOCK_CLOEXEC, "SOCK_CLOEXEC"}, {unix.SOCK_NONBLOCK, "SOCK_NONBLOCK"}})
	}
	return s
}

// policyWord writes the mode of a memory policy and its flags.
func policyWord(v uint64) string {
	const flags = unix.MPOL_F_STATIC_NODES | unix.MPOL_F_RELATIVE_NODES | unix.MPOL_F_NUMA_BALANCING
	s := enumWord(v&^flags, enumSet(calls.MemPolicy))
	if v&flags != 0 {
		s += "|" + flagWords(v&flags, words(enum.MemoryFlags, ""))
	}
	return s
}

// ioprioWord writes an I/O priority.
//
// Source: ioprio_set(2); linux/ioprio.h.
func ioprioWord(v uint64) string {
	class := enumWord(v>>13, append(words(enum.IOClasses, ""), constant{0, "IOPRIO_CLASS_NONE"}))
	return class + "|" + intWord(v&(1<<13-1))
}

// capabilityWord returns the name of the capability n, or its number.
func capabilityWord(n uint64) string {
	if name := enum.Capabilities.Name(n); name != "" {
		return name
	}
	return intWord(n)
}
