package seccomp

//go:generate go run github.com/hutch-project/hutch/internal/gen/syscalls -extra ../../internal/gen/syscalls/extra.txt -o table_gen.go

// column is the system call numbers of an architecture.
type column uint8

// How the table writes numbers; the generator has the same constants.
const (
	absent  = 0xffff
	private = 0xf000 // stands for 0x0f0000, ARM's private calls
	plain   = 560    // slots below it are numbers
	slots   = 568    // of an architecture: all its numbers, ARM's private ones last
)

func word(text string, i int) int { return int(text[2*i])<<8 | int(text[2*i+1]) }

// rowName returns the name in a row of the table.
func rowName(row int) string { return nameText[word(nameStart, row):word(nameStart, row+1)] }

// findRow returns the row of a name, or -1.
func findRow(name string) int {
	low, high := 0, rows
	for low < high {
		mid := (low + high) / 2
		if rowName(mid) < name {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low < rows && rowName(low) == name {
		return low
	}
	return -1
}

// slot returns where the call of a row stands among an architecture's calls. Slots
// have the order of the numbers.
func (c column) slot(row int) (int, bool) {
	n := word(numberText, int(c)*rows+row)
	if n >= private {
		return plain + n&7, n != absent
	}
	return n, true
}

// slotNumber returns the number of the call in a slot, without the base of the ABI.
func slotNumber(slot int) uint32 {
	if slot >= plain {
		return 0x0f0000 + uint32(slot-plain)
	}
	return uint32(slot)
}
