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
// A command calls Protect first of all, which returns at once where one of the
// first two can be had; whoever makes a child for a container calls Shield.
//
// The package protects the file, not the process.
package selfexe

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// ErrWritable is returned when a container could write to the executable.
var ErrWritable = errors.New("the runtime's executable is not proven unwritable for the container: call selfexe.Protect when the program starts, or install it on a read-only file system or with fs-verity")

// Shield makes sure that the child of b does not lead the container to the
// executable: where that is not proven unwritable, it appends to b what EmitLink
// does, and is to be called before anything else is appended to the child's
// section. The Link may be nil, which Open takes. The error is ErrWritable where
// nothing helps: a library does not execute its caller's program again.
func Shield(b *program.Builder) (*Link, error) {
	proof, err := Prove()
	if err != nil {
		return nil, fmt.Errorf("prove the executable unwritable: %w", err)
	}
	if proof != None {
		return nil, nil
	}
	l, err := EmitLink(b)
	if errors.Is(err, ErrNoLink) {
		return nil, fmt.Errorf("%w (%w)", ErrWritable, err)
	}
	return l, err
}

// guardEnv has, in a program that was executed from a copy, its process id,
// which an execution does not change. It proves nothing: it only ends a loop.
const guardEnv = "_HUTCH_EXECUTED_FROM_COPY"

// Protect returns nil when Shield will do. Otherwise it executes the program from
// the start, with the arguments args, the environment env and the same process
// id, from a copy that no container can write, and does not return. So a command
// that makes processes in containers calls it before anything that cannot be
// done twice. Descriptors that are close-on-exec are lost. The error says why
// there is no such copy.
//
// The copy is a read-only overlay of the executable's directory, which shares
// the executable's memory, or, where that cannot be had (without CAP_SYS_ADMIN,
// on a file system that overlayfs does not take), a sealed memfd, which costs the
// executable's size in memory for as long as the program runs.
//
// Source: runc's CVE-2019-5736; overlayfs.rst, memfd_create(2).
func Protect(args, env []string) error {
	again := slices.Contains(env, guard())
	if !again && canLink() {
		if _, err := readSegments(); err == nil {
			return nil
		}
	}
	return protect(args, env, again)
}

// protect is Protect without Link.
func protect(args, env []string, again bool) error {
	proof, err := Prove()
	switch {
	case err != nil:
		return fmt.Errorf("prove the executable unwritable: %w", err)
	case proof != None && again:
		return settle(args, proof)
	case proof != None:
		return nil
	case again:
		return fmt.Errorf("%w; the copy that this program was executed from is not proven either", ErrWritable)
	}
	overlayErr := executeOverlay(args, env)
	memfdErr := executeMemfd(args, env)
	return fmt.Errorf("protect the executable from the container: by a read-only overlay: %w; by a sealed memfd: %w", overlayErr, memfdErr)
}

func guard() string { return guardEnv + "=" + strconv.Itoa(os.Getpid()) }

// settle takes back what the execution from a copy has changed beside the
// executable.
func settle(args []string, p Proof) error {
	if err := os.Unsetenv(guardEnv); err != nil {
		return err
	}
	if p != SealedMemfd || len(args) == 0 {
		return nil
	}
	// The kernel has named the process for the number of the memfd. Tools that
	// look for it by name are all that suffers when that cannot be mended.
	if fd, err := unix.Open("/proc/self/comm", unix.O_WRONLY|unix.O_CLOEXEC, 0); err == nil {
		_, _ = unix.Write(fd, []byte(filepath.Base(args[0])))
		unix.Close(fd)
	}
	return nil
}

// execute executes path as this program. It returns only an error.
func execute(path string, args, env []string) error {
	env = append(slices.Clip(env), guard())
	// syscall.Exec rather than execveat: it waits for threads that are being
	// made and restores the limit of open files that the Go runtime has raised.
	if err := syscall.Exec(path, args, env); err != nil {
		return fmt.Errorf("execve %s: %w", path, err)
	}
	return nil
}
