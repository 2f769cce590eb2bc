// Package exefile explains why execve(2) has refused a file of an image: which
// interpreter is missing, for which architecture it is.
//
// It reads the beginning of the file after the failure, for a message alone. The file is
// the image's, who knows what it has become meanwhile: it is resolved in the root by
// openat2(2), and only a regular file of an ordinary file system is read. What is mounted
// in the container is not seen from here; then there is no explanation.
//
// Source: execve(2), "Interpreter scripts", "ERRORS"; elf(5).
package exefile

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"strconv"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/kernelfs"
	"github.com/hutch-project/hutch/internal/sys"
)

// head is how much of a file is read: what execve looks at is in it, and the program
// headers of what linkers write.
const head = 4096

// Explain returns what a user should know of the file name, an absolute path in root, that
// execve has refused with errno; "" where the file does not tell.
func Explain(root, name string, errno unix.Errno) string {
	if errno == unix.EACCES {
		return noBit(root, name)
	}
	if errno != unix.ENOENT && errno != unix.ENOEXEC || !strings.HasPrefix(name, "/") {
		return ""
	}
	data, ok := read(root, name)
	switch {
	case !ok:
		return ""
	case errno == unix.ENOENT:
		return missing(root, data)
	case len(data) == 0:
		return "the file is empty"
	case !isELF(data):
		return "the file is no ELF file, and a script without a first line as #!/bin/sh"
	}
	return otherMachine(data)
}

// noBit explains a file that nobody may execute.
func noBit(root, name string) string {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(dir)
	fd, err := sys.OpenInRoot(dir, name)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&0o111 != 0 {
		return ""
	}
	return "the file has no x bit; give it one with chmod +x"
}

// Inspect returns what will keep execve from running the file name, an absolute path in
// root; "" where nothing is seen. foreign is true when it is for another machine.
func Inspect(root, name string) (problem string, foreign bool) {
	data, ok := read(root, name)
	switch {
	case !ok:
		return "", false
	case isELF(data):
		if text := otherMachine(data); text != "" && !alsoRuns(data) {
			return text, true
		}
	case script(data) == "":
		return Explain(root, name, unix.ENOEXEC), false
	}
	return missing(root, data), false
}

// alsoRuns reports whether machines of this architecture run the ELF file beside their own,
// as they do programs of 32 bits.
func alsoRuns(data []byte) bool {
	return runtime.GOARCH == "amd64" && arch(data) == "386" || runtime.GOARCH == "arm64" && arch(data) == "arm"
}

// missing explains a file that is there and is not found.
func missing(root string, data []byte) string {
	what, name := "its first line names the interpreter", script(data)
	if name == "" {
		what, name = "its dynamic loader is", loader(data)
	}
	if name == "" {
		return ""
	}
	if _, ok := read(root, name); ok {
		return "" // the next one of a chain, or there by now
	}
	text := what + " " + fault.Quote(name) + ", which is missing in the root file system"
	// For the reader alone: nothing is opened by this path.
	if path, err := securejoin.SecureJoin(root, name); err == nil {
		text += " (nothing is at " + fault.Quote(path) + ")"
	}
	return text
}

// script returns the interpreter that the first line names, "" for none.
func script(data []byte) string {
	line, ok := bytes.CutPrefix(data, []byte("#!"))
	if !ok {
		return ""
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	fields := strings.Fields(string(line))
	if len(fields) == 0 {
		return ""
	}
	return fields[0]
}

func isELF(data []byte) bool { return len(data) >= 20 && string(data[:4]) == "\x7fELF" }

// order returns the byte order of an ELF file.
func order(data []byte) binary.ByteOrder {
	if data[5] == 2 {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// otherMachine explains an ELF file that is for another machine.
func otherMachine(data []byte) string {
	name := arch(data)
	if name == runtime.GOARCH {
		return ""
	}
	return "the file is for " + name + ", this machine is " + runtime.GOARCH
}

// arch returns the architecture of an ELF file, by Go's name where it is known.
func arch(data []byte) string {
	number, big := order(data).Uint16(data[18:]), data[5] == 2
	for _, m := range machines() {
		if m.number == number && m.big == big {
			return m.name
		}
	}
	return "the machine " + strconv.Itoa(int(number)) + " of elf.h"
}

// machine is an architecture of ELF files, by Go's name.
//
// Source: linux/elf-em.h.
type machine struct {
	number uint16
	big    bool
	name   string
}

func machines() [14]machine {
	return [...]machine{
		{3, false, "386"}, {62, false, "amd64"}, {40, false, "arm"}, {183, false, "arm64"}, {243, false, "riscv64"},
		{21, false, "ppc64le"}, {21, true, "ppc64"}, {20, true, "ppc"}, {22, true, "s390x"}, {258, false, "loong64"},
		{8, true, "mips"}, {8, false, "mipsle"}, {2, true, "sparc"}, {43, true, "sparc64"},
	}
}

// loader returns the program interpreter of an ELF file, "" for none.
func loader(data []byte) string {
	if !isELF(data) || len(data) < 64 {
		return ""
	}
	o, wide := order(data), data[4] == 2
	word := func(p []byte) uint64 {
		if wide {
			return o.Uint64(p)
		}
		return uint64(o.Uint32(p))
	}
	// Offsets of e_phoff, e_phentsize, e_phnum; of p_offset and p_filesz.
	phoff, entry, count, at, size := 28, 42, 44, 4, 16
	if wide {
		phoff, entry, count, at, size = 32, 54, 56, 8, 32
	}
	first, step := word(data[phoff:]), uint64(o.Uint16(data[entry:]))
	for i := range uint64(o.Uint16(data[count:])) {
		begin := first + i*step
		if begin > uint64(len(data)) || uint64(len(data))-begin < 56 {
			return ""
		}
		header := data[begin:]
		const interp = 3 // PT_INTERP
		if o.Uint32(header) != interp {
			continue
		}
		from, n := word(header[at:]), word(header[size:])
		if from > uint64(len(data)) || n > uint64(len(data))-from {
			return ""
		}
		name, _, _ := bytes.Cut(data[from:from+n], []byte{0})
		return string(name)
	}
	return ""
}

// read returns the beginning of the regular file name in root.
func read(root, name string) ([]byte, bool) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, false
	}
	defer unix.Close(dir)
	path, err := sys.OpenInRoot(dir, name)
	if err != nil {
		return nil, false
	}
	defer unix.Close(path)
	var st unix.Stat_t
	var fs unix.Statfs_t
	if unix.Fstat(path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || unix.Fstatfs(path, &fs) != nil || kernelfs.Is(uint32(fs.Type)) {
		return nil, false
	}
	fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(path), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, false
	}
	defer unix.Close(fd)
	data := make([]byte, head)
	n, err := unix.Pread(fd, data, 0)
	if err != nil {
		return nil, false
	}
	return data[:n], true
}
