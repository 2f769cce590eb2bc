//go:build (amd64 || arm64) && !plain && !race

package spawn

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/proc"
	"github.com/hutch-project/hutch/internal/program"
)

// memory is what a fork is to copy, and what not.
type memory struct {
	without [3]program.Range // the caller's: heap, package-level variables, mappings
	with    [4]program.Range // the child's: arena, code, stack, and the trace, if any
}

// heapPart is the part of the address space around the program that is taken for
// Go's heap. The heap grows upwards, in arenas of 64 MiB, from an address far above
// the executable; nothing else is near.
//
// Source: Go runtime/malloc.go, "Arenas".
const heapPart = 1 << 30

func memoryOf(m *program.Machine, stack []byte) *memory {
	needs := m.Memory()
	variables, mappings := callers()
	return &memory{
		without: [...]program.Range{{At: needs[0].At &^ (heapPart - 1), Len: heapPart}, variables, mappings},
		with: [...]program.Range{
			needs[0], needs[1], needs[2],
			{At: uintptr(unsafe.Pointer(&stack[0])), Len: uintptr(len(stack))},
		},
	}
}

// withhold keeps the caller's memory out of the children to come, which need the
// program and nothing else: the kernel does not copy its page tables, the caller
// does not pay a fault for each page that it writes next, and the child has nothing
// to give away. giveBack ends that. Both come under syscall.ForkLock.
//
// Source: madvise(2), MADV_DONTFORK.
func (m *memory) withhold() {
	for i := range m.without {
		advise(m.without[i], unix.MADV_DONTFORK)
	}
	for i := range m.with {
		advise(m.with[i], unix.MADV_DOFORK)
	}
}

func (m *memory) giveBack() {
	for i := range m.without {
		advise(m.without[i], unix.MADV_DOFORK)
	}
}

// advise rounds to pages, outwards. Parts that are not mapped are passed over. What
// cannot be withheld is copied, which costs time only; what the child needs is memory
// that the kernel takes the advice for.
func advise(r program.Range, advice int) {
	if r.At == 0 {
		return
	}
	page := uintptr(os.Getpagesize())
	end := (r.At + r.Len + page - 1) &^ (page - 1)
	at := r.At &^ (page - 1)
	_, _, _ = syscall.RawSyscall(syscall.SYS_MADVISE, at, end-at, uintptr(advice))
}

// callers finds the executable's writable segment by the program headers, which the
// kernel has mapped with it, and where Go's runtime has its own mappings: below the
// vDSO and the pages before that, which are the kernel's. An executable with shared
// libraries has code there too, which is left alone.
//
// Source: getauxval(3); elf(5), Phdr; vdso(7).
func callers() (variables, mappings program.Range) {
	const (
		atPhdr, atPhnum, atSysinfoEhdr = 3, 5, 33
		ptLoad, ptInterp, pfW          = 1, 3, 2
		kernels, below                 = 8, 4 << 30 // pages of the kernel's, bytes of Go's
	)
	type header struct {
		kind, flags                            uint32
		offset, vaddr, paddr, filesz, memsz, _ uint64
	}
	if vdso, ok := proc.Aux(atSysinfoEhdr); ok {
		mappings = program.Range{At: vdso - uintptr(kernels*os.Getpagesize()) - below, Len: below}
	}
	table, ok := proc.Aux(atPhdr)
	n, _ := proc.Aux(atPhnum)
	if !ok {
		return program.Range{}, program.Range{}
	}
	for i := range n {
		h := (*header)(unsafe.Add(*(*unsafe.Pointer)(unsafe.Pointer(&table)), i*unsafe.Sizeof(header{})))
		switch {
		case h.kind == ptInterp: // its own place is not in the headers either
			return program.Range{}, program.Range{}
		case h.kind == ptLoad && h.flags&pfW != 0:
			variables = program.Range{At: uintptr(h.vaddr), Len: uintptr(h.memsz)}
		}
	}
	return variables, mappings
}
