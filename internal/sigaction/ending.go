package sigaction

import "unsafe"

// Ending returns the kernel's struct sigaction of a handler that ends the process, with 128
// and the signal's number as its exit status. Unlike the default action it has an effect on
// the first process of a pid namespace; execve takes it away.
//
// Where the stack has no room for the handler's frame the kernel ends the process by SIGSEGV.
//
// Source: rt_sigaction(2); pid_namespaces(7), "The namespace init process"; execve(2),
// "dispositions of any signals that are being caught are reset".
func Ending() (a [Size / 8]uint64) {
	// amd64 refuses a handler without a restorer, which this one never comes to. Where there
	// is none in the structure the mask has its place, which does not matter either.
	const restorer = 0x04000000 // SA_RESTORER
	*(*[3]uintptr)(unsafe.Pointer(&a)) = [...]uintptr{ender(), restorer, ender()}
	return a
}

// ender returns the address of the handler. The kernel calls it as C does; it needs nothing
// of Go's.
func ender() uintptr
