package seat

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Denied are the newer system calls that are not to be had: a seccomp filter around this
// process, of an outer container or a service manager, answers in the kernel's place.
//
// What is programmed for other calls then stands in the program, where hutch plan shows it.
type Denied struct {
	Clone3 bool // clone makes processes, which enter their cgroup v2 by themselves
	Fsopen bool // or fsconfig, or fsmount: mount makes file systems
	Keyctl bool // there are no keyrings, for the container either
	Link   bool // open_tree, mount_setattr or memfd_create: the executable is copied

	others string // names of those for which there is no other way
}

// Calls returns what is denied to this process. Without a filter nothing is asked, since
// Hutch needs a kernel that has the calls.
//
// Source: PR_GET_SECCOMP(2const).
func Calls() Denied { return denied.of(askDenied) }

var denied once[Denied]

func askDenied() (d Denied) {
	if mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0); err == nil && mode == 0 {
		return Denied{}
	}
	d = Denied{
		Clone3: refused(unix.SYS_CLONE3, 0, 0),
		Fsopen: refused(unix.SYS_FSOPEN, 0, none) || refused(unix.SYS_FSCONFIG, none, none) || refused(unix.SYS_FSMOUNT, none, none),
		Keyctl: refused(unix.SYS_KEYCTL, none),
	}
	var others []string
	for _, c := range &without {
		if c.refused() {
			others = append(others, c.name)
			d.Link = d.Link || c.link
		}
	}
	d.others = strings.Join(others, ", ")
	return d
}

// newer is a call that filters deny, and how it is asked for.
type newer struct {
	name  string
	nr    uintptr
	args  [3]uintptr
	link  bool // selfexe's link takes it
	mount bool // the kernel itself answers EPERM to who may not mount
}

func (c *newer) refused() bool {
	return refused(c.nr, c.args[:]...) && !(c.mount && !mayMount())
}

// without are the calls that have no other way, or not for all.
var without = [...]newer{
	{"openat2", unix.SYS_OPENAT2, [3]uintptr{none}, false, false},
	{"open_tree", unix.SYS_OPEN_TREE, [3]uintptr{none, 0, none}, true, false},
	{"mount_setattr", unix.SYS_MOUNT_SETATTR, [3]uintptr{none, 0, none}, true, false},
	{"move_mount", unix.SYS_MOVE_MOUNT, [3]uintptr{none, 0, none}, false, true},
	{"memfd_create", unix.SYS_MEMFD_CREATE, [3]uintptr{0, none}, true, false},
	{"close_range", unix.SYS_CLOSE_RANGE, [3]uintptr{none, none, none}, false, false},
	{"statx", unix.SYS_STATX, [3]uintptr{none, 0, none}, false, false},
	{"pidfd_open", unix.SYS_PIDFD_OPEN, [3]uintptr{none}, false, false},
	{"pidfd_send_signal", unix.SYS_PIDFD_SEND_SIGNAL, [3]uintptr{none}, false, false},
}

// none is what no call takes as a descriptor, or as flags.
const none = ^uintptr(0)

// refused reports whether a call with arguments that the kernel finds wrong fails as one
// does which it does not come to. A caller who may not mount cannot tell EPERM of the
// kernel's own: what is taken for denied is done by the other calls, which serve as well.
func refused(nr uintptr, args ...uintptr) bool {
	var all [6]uintptr
	copy(all[:], args)
	_, _, errno := unix.RawSyscall6(nr, all[0], all[1], all[2], all[3], all[4], all[5])
	return errno == unix.ENOSYS || errno == unix.EPERM
}

// mayMount reports whether this process may change the mounts of its mount namespace, by a
// change that is refused to who may for flags that exclude each other.
func mayMount() bool {
	return unix.Mount("", "/", "", unix.MS_SHARED|unix.MS_PRIVATE, "") == unix.EINVAL
}

// Explain adds to an error that may come of a denied call which one that is.
func Explain(err error) error {
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	if others := Calls().others; others != "" {
		return fmt.Errorf("%w (a seccomp filter around the runtime denies %s, for which there is no other way)", err, others)
	}
	return err
}
