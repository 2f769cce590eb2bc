package program

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/proc"
)

// memory is what a fork is to copy, and what not.
type memory struct {
	without [3]segment // the caller's: heap, package-level variables, mappings
	with    [4]segment // the child's: arena, code, stack, and the trace, if any
}

// segment is a range of addresses.
type segment struct{ at, n uintptr }

// heapPart is the part of the address space around the program that is taken for
// Go's heap. The heap grows upwards, in arenas of 64 MiB, from an address far above
// the executable; nothing else is near.
//
// Source: Go runtime/malloc.go, "Arenas".
const heapPart = 1 << 30

func memoryOf(m *machine, stack []byte) *memory {
	arena := segment{uintptr(m.arena), uintptr(m.size)}
	variables, mappings := callers()
	return &memory{
		without: [...]segment{{arena.at &^ (heapPart - 1), heapPart}, variables, mappings},
		with: [...]segment{
			arena,
			{uintptr(m.code), uintptr(m.n) * unsafe.Sizeof(Instr{})},
			{uintptr(unsafe.Pointer(&stack[0])), uintptr(len(stack))},
			{uintptr(m.trace), uintptr(m.n) * 16},
		},
	}
}

// keep keeps the caller's memory out of the children to come, which need the
// program and nothing else: the kernel does not copy its page tables, the caller
// does not pay a fault for each page that it writes next, and the child has nothing
// to give away. give takes it back. Both come under syscall.ForkLock.
//
// Source: madvise(2), MADV_DONTFORK.
func (m *memory) keep() {
	for i := range m.without {
		m.without[i].advise(unix.MADV_DONTFORK)
	}
	for i := range m.with {
		m.with[i].advise(unix.MADV_DOFORK)
	}
}

func (m *memory) give() {
	for i := range m.without {
		m.without[i].advise(unix.MADV_DOFORK)
	}
}

// advise rounds to pages, outwards. Parts that are not mapped are passed over, and
// what cannot be advised is copied, which costs time only.
func (s segment) advise(advice int) {
	if s.at == 0 {
		return
	}
	const page = 4096
	end := (s.at + s.n + page - 1) &^ (page - 1)
	at := s.at &^ (page - 1)
	_, _, _ = syscall.RawSyscall(syscall.SYS_MADVISE, at, end-at, uintptr(advice))
}

// callers finds the executable's writable segment by the program headers, which the
// kernel has mapped with it, and where Go's runtime has its own mappings: below the
// vDSO and the pages before that, which are the kernel's. An executable with shared
// libraries has code there too, which is left alone.
//
// Source: getauxval(3); elf(5), Phdr; vdso(7).
func callers() (variables, mappings segment) {
	const (
		atPhdr, atPhnum, atSysinfoEhdr = 3, 5, 33
		ptLoad, ptInterp, pfW          = 1, 3, 2
		kernels, below                 = 32 << 10, 4 << 30
	)
	type header struct {
		kind, flags                            uint32
		offset, vaddr, paddr, filesz, memsz, _ uint64
	}
	if vdso, ok := proc.Aux(atSysinfoEhdr); ok {
		mappings = segment{vdso - kernels - below, below}
	}
	table, ok := proc.Aux(atPhdr)
	n, _ := proc.Aux(atPhnum)
	if !ok {
		return segment{}, segment{}
	}
	for i := range n {
		h := (*header)(unsafe.Add(*(*unsafe.Pointer)(unsafe.Pointer(&table)), i*unsafe.Sizeof(header{})))
		switch {
		case h.kind == ptInterp: // its own place is not in the headers either
			return segment{}, segment{}
		case h.kind == ptLoad && h.flags&pfW != 0:
			variables = segment{uintptr(h.vaddr), uintptr(h.memsz)}
		}
	}
	return variables, mappings
}
