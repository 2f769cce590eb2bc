package program

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// heapArena is the piece of address space that Go's heap on 64-bit Linux consists
// of; it begins at a multiple of its size.
//
// Source: Go runtime/malloc.go, "Arenas".
const heapArena = 64 << 20

// memory is what a fork is to copy, and what not.
type memory struct {
	heap, variables segment // of the caller
	arena, code     segment // of the program, which is in the heap
}

// segment is a range of addresses.
type segment struct{ at, n uintptr }

func memoryOf(m *machine) *memory {
	return &memory{
		heap:      segment{uintptr(m.arena) &^ (heapArena - 1), heapArena},
		variables: writable(),
		arena:     segment{uintptr(m.arena), uintptr(m.size)},
		code:      segment{uintptr(m.code), uintptr(m.n) * unsafe.Sizeof(Instr{})},
	}
}

// keep keeps the caller's variables out of the children to come, which need the
// program and nothing else: the kernel does not copy their page tables, the caller
// does not pay a fault for each page that it writes next, and the child has nothing
// to give away. give takes it back. Both come under syscall.ForkLock.
//
// Source: madvise(2), MADV_DONTFORK.
func (m *memory) keep() {
	m.heap.advise(unix.MADV_DONTFORK)
	m.variables.advise(unix.MADV_DONTFORK)
	m.arena.advise(unix.MADV_DOFORK)
	m.code.advise(unix.MADV_DOFORK)
}

func (m *memory) give() {
	m.heap.advise(unix.MADV_DOFORK)
	m.variables.advise(unix.MADV_DOFORK)
}

// advise rounds to pages, outwards. What cannot be advised stays as it is, which
// costs time only. Parts of a heap arena that are not mapped are passed over.
func (s segment) advise(advice int) {
	const page = 4096
	end := (s.at + s.n + page - 1) &^ (page - 1)
	at := s.at &^ (page - 1)
	_, _, _ = syscall.RawSyscall(syscall.SYS_MADVISE, at, end-at, uintptr(advice))
}

// writable finds the executable's writable segment in the program headers, which the kernel has mapped
// with the executable; an empty one where they are not to be had.
//
// Source: getauxval(3), AT_PHDR and AT_PHNUM; elf(5), Phdr.
func writable() segment {
	const (
		atPhdr, atPhnum = 3, 5
		ptLoad, pfW     = 1, 2
	)
	type header struct {
		kind, flags                            uint32
		offset, vaddr, paddr, filesz, memsz, _ uint64
	}
	aux, err := unix.Auxv()
	if err != nil {
		return segment{}
	}
	var table unsafe.Pointer
	var n uintptr
	for _, a := range aux {
		switch a[0] {
		case atPhdr:
			table = *(*unsafe.Pointer)(unsafe.Pointer(&a[1]))
		case atPhnum:
			n = a[1]
		}
	}
	for i := range n {
		h := (*header)(unsafe.Add(table, i*unsafe.Sizeof(header{})))
		if h.kind == ptLoad && h.flags&pfW != 0 {
			return segment{uintptr(h.vaddr), uintptr(h.memsz)}
		}
	}
	return segment{}
}
