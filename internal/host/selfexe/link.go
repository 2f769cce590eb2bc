package selfexe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/proc"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/rotree"
	"github.com/hutch-project/hutch/internal/seat"
	"github.com/hutch-project/hutch/internal/sys"
)

// Link is a change of the child's link /proc/PID/exe: to an empty sealed file in
// the place of the runtime's executable, as long as the child has not executed
// the container's program. It does what Protect does for a container, without a
// second start of the program: the link was all that led from the child to the
// file.
//
// The kernel changes the link only when nothing of the old executable is mapped
// any more. The child runs on its text, so it maps each segment anew in its own
// place, from the same file by way of another mount, which makes it another file
// for that check. All is shared with the page cache. The segments with data are
// as they were at the start of the program then, which is nothing to the
// interpreter: it looks at prepared memory only.
//
// Source: PR_SET_MM(2const), PR_SET_MM_MAP; Linux kernel/sys.c
// replace_mm_exe_file, which compares the paths of the mappings.
type Link struct {
	segments []segment
	text     program.Reg // descriptor of the executable by way of another mount
	exe      program.Reg // word of prctlMap with the new executable in its upper half
}

// segment is a part of the executable that is mapped.
type segment struct {
	addr, length, offset uint64
	prot                 uint64
}

// ErrNoLink is returned where the link cannot be changed.
var ErrNoLink = errors.New("the kernel cannot change /proc/PID/exe for this program")

// prctlMap is struct prctl_mm_map on 64-bit architectures.
//
// Source: PR_SET_MM(2const), PR_SET_MM_MAP; linux/prctl.h.
type prctlMap struct {
	startCode, endCode, startData, endData, startBrk, brk, startStack uint64
	argStart, argEnd, envStart, envEnd                                uint64
	_                                                                 uint64 // auxv: stays
	_, _                                                              uint32 // auxvSize, exeFd: see prctlMapLast
}

const (
	prctlMapLen  = 104
	prctlMapLast = 96 // offset of auxvSize and exeFd
)

// EmitLink appends to the child's section what changes its link; Open makes the
// descriptors for that before the clone. It is to come first: nothing is closed
// yet, and the child has the caller's capabilities, or all of a new user
// namespace. It needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE there. The error is
// ErrNoLink where this cannot be had: then Protect is what is
// left.
func EmitLink(b *program.Builder) (*Link, error) {
	if !canLink() {
		return nil, ErrNoLink
	}
	segments, err := readSegments()
	if err != nil {
		return nil, err
	}
	link := &Link{segments: segments, text: b.RegOf(-1)}
	b = b.Element(program.T("process")).Doing(program.T("take the runtime's executable from /proc/self/exe"))
	for i := range segments {
		s := &segments[i]
		step := b.Step(program.T("map segment %s of it from another mount", strconv.Itoa(i)))
		m := call.Mapping{Addr: s.addr, Length: s.length, Prot: s.prot, Flags: unix.MAP_FIXED | unix.MAP_PRIVATE, Offset: s.offset}
		call.Mmap(step, m, call.In(link.text))
	}
	m := program.Struct(b, newMap(segments))
	link.exe = m.Reg(prctlMapLast)
	call.PrctlMmMap(b.Step(program.T("prctl PR_SET_MM_MAP")), m)
	return link, nil
}

// Register returns the register that Open gives the descriptor of the executable; 0 of a nil
// Link.
func (l *Link) Register() program.Reg {
	if l == nil {
		return 0
	}
	return l.text
}

// canLink reports whether kernel and architecture have PR_SET_MM_MAP in the form
// that is known here: the kernel is built with CONFIG_CHECKPOINT_RESTORE. And a
// clone of the executable's mount needs the right over the caller's mounts.
func canLink() bool {
	if !seat.Mounts() || seat.Calls().Link {
		return false
	}
	switch runtime.GOARCH {
	case "amd64", "arm64", "riscv64", "ppc64le", "loong64":
	default: // the structure, or mmap, is another
		return false
	}
	size, err := proc.PrctlMapSize()
	return err == nil && size == prctlMapLen
}

// newMap describes the child's memory as it is, but for arguments and
// environment: until it executes the container's program it shows neither.
func newMap(segments []segment) *prctlMap {
	m := &prctlMap{startCode: segments[0].addr, endCode: segments[0].addr + segments[0].length}
	last := segments[len(segments)-1]
	m.startData, m.endData = last.addr, last.addr+last.length
	m.startBrk = m.endData + uint64(os.Getpagesize()) // never used by Go; kernels want it behind the data
	m.brk = m.startBrk
	nothing := m.startData
	m.startStack, m.argStart, m.argEnd, m.envStart, m.envEnd = nothing, nothing, nothing, nothing, nothing
	return m
}

// atEntry is the entry of the auxiliary vector with the address of the program's
// first instruction.
const atEntry = 9

// readSegments reads which parts of the executable the kernel has mapped where.
//
// Source: elf(5), PT_LOAD; getauxval(3), AT_ENTRY.
func readSegments() ([]segment, error) {
	own.Do(func() { own.segments, own.err = lookAtSegments() })
	return own.segments, own.err
}

// own is what was read: the executable of a process that runs stays what it is.
var own struct {
	sync.Once
	segments []segment
	err      error
}

func lookAtSegments() ([]segment, error) {
	fd, err := unix.Open(self, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", self, err)
	}
	defer unix.Close(fd)
	head := make([]byte, 1024)
	n, err := unix.Pread(fd, head, 0)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", self, err)
	}
	entry, ok := proc.Aux(atEntry)
	if !ok {
		return nil, errors.New("auxiliary vector: AT_ENTRY is absent")
	}
	return parseSegments(head[:n], uint64(entry), uint64(os.Getpagesize()))
}

// Types of segments. Package debug/elf has them too, and much more.
const (
	ptLoad   = 1
	ptInterp = 3
)

// parseSegments takes the head of a 64-bit little-endian ELF file that is loaded
// with its entry at the address entry.
func parseSegments(head []byte, entry, page uint64) ([]segment, error) {
	le := binary.LittleEndian
	bad := fmt.Errorf("%w: it is not a static ELF file", ErrNoLink)
	if len(head) < 64 || string(head[:6]) != "\x7fELF\x02\x01" {
		return nil, bad
	}
	bias := entry - le.Uint64(head[24:])
	off, size, n := le.Uint64(head[32:]), uint64(le.Uint16(head[54:])), uint64(le.Uint16(head[56:]))
	if size < 56 || off > uint64(len(head)) || off+size*n > uint64(len(head)) {
		return nil, bad
	}
	var out []segment
	for i := range n {
		h := head[off+i*size:]
		kind, flags := le.Uint32(h), le.Uint32(h[4:])
		offset, addr, length := le.Uint64(h[8:]), le.Uint64(h[16:])+bias, le.Uint64(h[32:])
		if kind == ptInterp { // the dynamic linker maps more
			return nil, bad
		}
		if kind != ptLoad || length == 0 {
			continue
		}
		in := addr % page
		out = append(out, segment{
			addr: addr - in, offset: offset - in, length: (in + length + page - 1) / page * page, prot: protection(flags),
		})
	}
	if len(out) == 0 {
		return nil, bad
	}
	return out, nil
}

// protection is that of mmap for a segment's flags.
func protection(flags uint32) uint64 {
	const x, w, r = 1, 2, 4
	p := uint64(0)
	if flags&r != 0 {
		p |= unix.PROT_READ
	}
	if flags&w != 0 {
		p |= unix.PROT_WRITE
	}
	if flags&x != 0 {
		p |= unix.PROT_EXEC
	}
	return p
}

// Open makes the descriptors that p needs. The caller calls done after the clone. A nil Link
// needs none.
//
// Source: open_tree(2), memfd_create(2).
func (l *Link) Open(prog *program.Program) (done func(), err error) {
	if l == nil {
		return func() {}, nil
	}
	text, err := otherMount()
	if err != nil {
		return nil, err
	}
	empty, err := emptyProgram()
	if err != nil {
		unix.Close(text)
		return nil, err
	}
	prog.Set(l.text, int64(text))
	prog.Set(l.exe, int64(empty)<<32)
	return func() {
		unix.Close(text)
		unix.Close(empty)
	}, nil
}

// otherMount opens the executable by way of a detached mount of its own.
func otherMount() (int, error) {
	// What the child maps can be opened again by /proc/PID/map_files: not for writing.
	fd, err := detached(self)
	if !errors.Is(err, unix.EINVAL) {
		return fd, err
	}
	// Its mount is of another mount namespace, from which the program was executed by a
	// descriptor, or it cannot be bound. By its name there may be another mount.
	name, nameErr := os.Readlink(self)
	if nameErr != nil {
		return -1, err
	}
	fd, nameErr = detached(name)
	if nameErr == nil && !sys.IsFile(fd, self) {
		unix.Close(fd)
		nameErr = errors.New("is another file")
	}
	if nameErr != nil {
		return -1, fmt.Errorf("%w (it is of another mount namespace, or unbindable), and %s: %w; start it from a mount of this namespace", err, name, nameErr)
	}
	return fd, nil
}

// detached opens a file by way of a detached mount of its own.
func detached(path string) (int, error) {
	tree, err := rotree.Clone(unix.AT_FDCWD, path, 0)
	if err != nil {
		return -1, fmt.Errorf("clone the mount of %s: %w", path, err)
	}
	defer unix.Close(tree)
	fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(tree), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s in a detached mount: %w", path, err)
	}
	return fd, nil
}

// emptyProgram makes a sealed empty file that may be executed, which gives
// ENOEXEC.
func emptyProgram() (int, error) {
	fd, err := createMemfd("none")
	if err != nil {
		return -1, err
	}
	if err := seal(fd); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
