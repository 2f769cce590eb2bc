// Package selfexe keeps the runtime's own executable out of a container's hands.
//
// A process that a container can look into has the executable as /proc/PID/exe,
// and a container that makes the runtime execute /proc/self/exe (as the
// interpreter of a script, for one) has it as its own. Root of a container
// without a user namespace can then write to the file on the host, once nobody
// executes it any more: CVE-2019-5736.
//
// That init is not dumpable keeps /proc/PID/exe from processes without
// CAP_SYS_PTRACE, but not the execution of /proc/self/exe, which the kernel looks
// up for init itself before its memory is replaced. There are three ways out, the
// cheapest first; Shield takes the first that can be had:
//
//   - Prove: the executable lies where nothing can write it.
//   - Link: the child's link is made to lead elsewhere before it enters the
//     container. Costs a tenth of a millisecond.
//   - Protect: the program executes itself again from a copy that nothing can
//     write. Costs a second start of the program, more than a millisecond.
//
// The package protects the file, not the process.
package selfexe

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
)

// Shield makes sure that the child of b does not lead the container to the
// executable: it appends to b what is needed, or executes the program again as
// Protect does. It is to be called before anything else is appended to the
// child's section, and before anything is done that cannot be done twice. The
// Link may be nil, which its methods take.
func Shield(b *program.Builder) (*Link, error) {
	proof, err := Prove()
	if err != nil {
		return nil, fmt.Errorf("prove the executable unwritable: %w", err)
	}
	if proof != None {
		return nil, Protect() // returns at once
	}
	l, err := EmitLink(b)
	if errors.Is(err, ErrNoLink) {
		return nil, Protect()
	}
	return l, err
}

// guardEnv has, in a program that was executed from a copy, its process id,
// which an execution does not change. It proves nothing: it only ends a loop.
const guardEnv = "_HUTCH_EXECUTED_FROM_COPY"

// Protect returns nil when the executable is proven unwritable for containers.
// Otherwise it executes the program from the start, with the same arguments,
// environment and process id, from a copy that is, and does not return; so it is
// to be called before anything that cannot be done twice. Descriptors that are
// close-on-exec are lost. The error says why there is no such copy.
//
// Arguments and environment are the process's own: this is the one place below
// the commands that takes them from there, since they are not the caller's to
// choose but those with which the process was started.
//
// The copy is a read-only overlay of the executable's directory, which shares
// the executable's memory, or, where that cannot be had (without CAP_SYS_ADMIN,
// on a file system that overlayfs does not take), a sealed memfd, which costs the
// executable's size in memory for as long as the program runs.
//
// Source: runc's CVE-2019-5736; overlayfs.rst, memfd_create(2).
func Protect() error {
	proof, err := Prove()
	if err != nil {
		return fmt.Errorf("prove the executable unwritable: %w", err)
	}
	again := os.Getenv(guardEnv) == strconv.Itoa(os.Getpid())
	switch {
	case proof != None && again:
		return settle(proof)
	case proof != None:
		return nil
	case again:
		return errors.New("the copy that this program was executed from is not proven unwritable: give the program a place on a read-only file system, or fs-verity")
	}
	overlayErr := executeOverlay()
	memfdErr := executeMemfd()
	return fmt.Errorf("protect the executable from the container: by a read-only overlay: %w; by a sealed memfd: %w", overlayErr, memfdErr)
}

// settle takes back what the execution from a copy has changed beside the
// executable.
func settle(p Proof) error {
	if err := os.Unsetenv(guardEnv); err != nil {
		return err
	}
	if p != SealedMemfd {
		return nil
	}
	// The kernel has named the process for the number of the memfd. Tools that
	// look for it by name are all that suffers when that cannot be mended.
	if fd, err := unix.Open("/proc/self/comm", unix.O_WRONLY|unix.O_CLOEXEC, 0); err == nil {
		_, _ = unix.Write(fd, []byte(filepath.Base(os.Args[0])))
		unix.Close(fd)
	}
	return nil
}

// execute executes path as this program. It returns only an error.
func execute(path string) error {
	env := append(os.Environ(), guardEnv+"="+strconv.Itoa(os.Getpid()))
	// syscall.Exec rather than execveat: it waits for threads that are being
	// made and restores the limit of open files that the Go runtime has raised.
	if err := syscall.Exec(path, os.Args, env); err != nil {
		return fmt.Errorf("execve %s: %w", path, err)
	}
	return nil
}
