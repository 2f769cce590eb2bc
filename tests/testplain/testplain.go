// Package testplain gives a test process the state of a program that was started from a
// login shell, whatever the state of its caller is: a test starts from a state that it
// has set itself, and does not fail under nohup, a daemon or another umask.
//
// What the product makes of its caller's state is not tested so, but by
// tests/integration, which gives the binary each odd state, and tests/surroundings.
package testplain

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lastSignal is the highest signal of Linux on the architectures that Go has.
const lastSignal = 64

// variable marks a process that has executed itself again: what is odd still cannot be
// helped.
const variable = "HUTCH_TEST_PLAIN"

// Main is a TestMain that runs the tests in the plain state.
func Main(m *testing.M) {
	Start()
	os.Exit(m.Run())
}

// Start sets the state. Where a signal is ignored or blocked it executes the test
// binary again, with the same arguments, and does not return: os/signal cannot undo
// what it has found at its start, and a mask is each thread's own.
func Start() {
	if err := start(); err != nil {
		fmt.Fprintln(os.Stderr, "tests/testplain:", err)
		os.Exit(1)
	}
}

func start() error {
	unix.Umask(0o022)
	environment()
	// Nothing is known of what the caller has left open; it is not handed on.
	if err := unix.CloseRange(3, 1<<31-1, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close_range: %w", err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	odd, err := oddSignals()
	if err != nil {
		return err
	}
	again := os.Getenv(variable) != ""
	os.Unsetenv(variable)
	if len(odd) == 0 {
		return nil
	}
	if again {
		return fmt.Errorf("signals %v are still ignored or blocked", odd)
	}
	for _, s := range odd {
		if err := Default(s); err != nil {
			return err
		}
	}
	if err := Block(); err != nil {
		return err
	}
	os.Setenv(variable, "1")
	return fmt.Errorf("execute this program again: %w", unix.Exec("/proc/self/exe", os.Args, os.Environ()))
}

// oddSignals are those that the process ignores, or the thread blocks.
func oddSignals() (list []unix.Signal, err error) {
	var mask unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, nil, &mask); err != nil {
		return nil, fmt.Errorf("rt_sigprocmask: %w", err)
	}
	for s := unix.Signal(1); s <= lastSignal; s++ {
		ignored, err := Ignored(s)
		if err != nil {
			return nil, err
		}
		if ignored || contains(&mask, s) {
			list = append(list, s)
		}
	}
	return list, nil
}

// action has room for the kernel's struct sigaction of each architecture. It begins
// with the handler; all zero it stands for the default.
type action [8]uint64

const ignore = 1 // SIG_IGN

// Ignored reports whether the process ignores s.
//
// Source: rt_sigaction(2).
func Ignored(s unix.Signal) (bool, error) {
	var a action
	if err := sigaction(s, nil, &a); err != nil {
		return false, err
	}
	return *(*uintptr)(unsafe.Pointer(&a)) == ignore, nil
}

// Default gives s its default effect, past os/signal; it is for a process that
// executes another program next.
func Default(s unix.Signal) error { return sigaction(s, &action{}, nil) }

// Ignore has the process ignore s, past os/signal.
func Ignore(s unix.Signal) error {
	var a action
	*(*uintptr)(unsafe.Pointer(&a)) = ignore
	return sigaction(s, &a, nil)
}

func sigaction(s unix.Signal, set, old *action) error {
	_, _, e := syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
	if e != 0 {
		return fmt.Errorf("rt_sigaction of signal %d: %w", int(s), e)
	}
	return nil
}

// Block has the calling thread block these signals and no others.
func Block(signals ...unix.Signal) error {
	var mask unix.Sigset_t
	for _, s := range signals {
		mask.Val[bit(s)/wordBits] |= 1 << (bit(s) % wordBits)
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &mask, nil); err != nil {
		return fmt.Errorf("rt_sigprocmask: %w", err)
	}
	return nil
}

func contains(mask *unix.Sigset_t, s unix.Signal) bool {
	return mask.Val[bit(s)/wordBits]>>(bit(s)%wordBits)&1 != 0
}

const wordBits = uint(unsafe.Sizeof(unix.Sigset_t{}.Val[0]) * 8)

func bit(s unix.Signal) uint { return uint(s) - 1 }

// environment takes out what changes the behaviour of programs, and has programs, home
// and temporary files where they are on any machine.
func environment() {
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, "LC_") || slices.Contains([]string{"LANG", "LANGUAGE", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "CDPATH", "ENV", "BASH_ENV"}, name) {
			os.Unsetenv(name)
		}
	}
	os.Setenv("PATH", path(os.Getenv("PATH")))
	if !directory(os.Getenv("HOME")) {
		os.Setenv("HOME", "/root")
	}
	// A socket's path has room for 108 bytes.
	if dir := os.Getenv("TMPDIR"); dir != "" && (!directory(dir) || len(dir) > 40) {
		os.Unsetenv("TMPDIR")
	}
}

// path is the search path with what is no absolute directory left out, and the usual
// ones at the end.
func path(old string) string {
	var list []string
	usual := []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}
	for _, dir := range append(filepath.SplitList(old), usual...) {
		if directory(dir) && !slices.Contains(list, dir) {
			list = append(list, dir)
		}
	}
	return strings.Join(list, string(filepath.ListSeparator))
}

func directory(path string) bool {
	st, err := os.Stat(path)
	return filepath.IsAbs(path) && err == nil && st.IsDir()
}
