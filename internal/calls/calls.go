// Package calls is the table of the system calls that programs are made of: a row
// each, with the name, what the arguments are and what the result is. It says what
// the kernel does, not who asks for it: the typed functions that emit the calls
// (internal/program/call), the listing and the verifier all go by it.
//
// Source: the man page of each call.
package calls

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Call is a row of the table.
type Call struct {
	Name   string
	Args   [6]Kind // None behind the last
	Least  uint8   // arguments that are always passed, where some calls pass fewer than Args has
	Result Result
}

// Result is what a call returns that succeeds.
type Result uint8

const (
	Nothing Result = iota // 0
	Count                 // of bytes, or a place in a file
	NewFd                 // a descriptor that the call has opened
	SameFd                // the descriptor that an argument names
	Pid                   // a process, 0 in a new one
	Former                // the value that was there before
	Varies                // by an argument: see program.Instr.GivesFd
	Never                 // it does not return
)

// Of returns the row of the system call nr, nil where there is none.
func Of(nr uint32) *Call {
	if nr < uint32(len(table)) && table[nr].Name != "" {
		return &table[nr]
	}
	return nil
}

// Limit returns a number above that of each call of the table.
func Limit() uint32 { return uint32(len(table)) }

// Arg returns what argument i is; Any where the table does not say.
func (c *Call) Arg(i int) Kind {
	if c == nil || uint(i) >= uint(len(c.Args)) || c.Args[i] == None {
		return Any
	}
	return c.Args[i]
}

// Len returns the number of arguments.
func (c *Call) Len() int {
	for i, k := range c.Args {
		if k == None {
			return i
		}
	}
	return len(c.Args)
}

// Find returns the first argument of the kind k, -1 where there is none.
func (c *Call) Find(k Kind) int {
	for i := 0; c != nil && i < len(c.Args); i++ {
		if c.Args[i] == k {
			return i
		}
	}
	return -1
}

// Path returns the argument that is the path number n of the call, from 0 on, and the
// one that is the directory it is resolved from: -1 where that is the working directory.
// Both are -1 where the call has no such path.
func (c *Call) Path(n int) (dir, path int) {
	for i := 0; c != nil && i < len(c.Args); i++ {
		switch {
		case c.Args[i] != Path:
		case n > 0:
			n--
		case i > 0 && c.Args[i-1] == Dir:
			return i - 1, i
		default:
			return -1, i
		}
	}
	return -1, -1
}

// Out returns how many bytes the kernel writes to where argument i points: n, or as
// many as the argument from says, which is -1 where the number is fixed. ok is false for
// an argument that is read, or is no address.
func (c *Call) Out(i int) (n uint32, from int, ok bool) {
	switch c.Arg(i) {
	case OutNext:
		return 0, i + 1, true
	case OutStatus:
		return 4, -1, true
	case OutStatx:
		return uint32(unsafe.Sizeof(unix.Statx_t{})), -1, true
	case OutStatfs:
		return uint32(unsafe.Sizeof(unix.Statfs_t{})), -1, true
	case OutRusage:
		return uint32(unsafe.Sizeof(unix.Rusage{})), -1, true
	case OutRlimit:
		return uint32(unsafe.Sizeof(unix.Rlimit{})), -1, true
	case OutSigaction:
		return 32, -1, true
	}
	return 0, -1, false
}
