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
	Clone3     bool // clone makes processes, which enter their cgroup v2 by themselves
	Fsopen     bool // or fsconfig, or fsmount: mount makes file systems
	CloseRange bool // descriptors are closed one by one
	Keyctl     bool // there are no keyrings, for the container either
	Link       bool // open_tree, mount_setattr or memfd_create: the executable is copied

	others string // names of those for which there is no other way
}

// Calls returns what is denied to this process.
func Calls() Denied { return denied.of(askDenied) }

var denied once[Denied]

// Filtered reports whether there is a seccomp filter around this process. Without one no call
// is asked for, since Hutch needs a kernel that has them.
//
// Source: PR_GET_SECCOMP(2const).
func Filtered() bool {
	mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0)
	if err == unix.EINVAL { // the kernel has no filters
		return false
	}
	return err != nil || mode != 0 // a filter may deny this call, too
}

func askDenied() (d Denied) {
	if !Filtered() {
		return Denied{}
	}
	var others []string
	for i := range newerCalls {
		c := &newerCalls[i]
		switch {
		case c.flag != nil: // what is taken for denied without being so costs nothing but speed
			flag := c.flag(&d)
			*flag = *flag || refused(c.nr, c.args[:]...)
		case c.named && c.refused():
			others = append(others, c.name)
			d.Link = d.Link || c.link
		}
	}
	d.others = strings.Join(others, ", ")
	return d
}

// newer is a call that filters deny, how it is asked for, and what is done without it.
type newer struct {
	name  string
	nr    uintptr
	args  [3]uintptr
	mount bool // the kernel itself answers EPERM to who may not mount

	instead string              // in words, empty where there is no other way
	flag    func(*Denied) *bool // of programs that are made of other calls
	named   bool                // errors name it: it has no other way, or not for all
	link    bool                // selfexe's link takes it
}

func (c *newer) refused() bool {
	return refused(c.nr, c.args[:]...) && !(c.mount && !mayMount())
}

func fsopenOf(d *Denied) *bool { return &d.Fsopen }

// newFS is what is done without the calls that make a file system.
const newFS = "mount, on / of the child's own mount namespace"

var newerCalls = [...]newer{
	{name: "clone3", nr: unix.SYS_CLONE3, instead: "clone; the child enters its cgroup v2 by itself",
		flag: func(d *Denied) *bool { return &d.Clone3 }},
	{name: "fsopen", nr: unix.SYS_FSOPEN, args: [3]uintptr{0, none}, mount: true, instead: newFS, flag: fsopenOf},
	{name: "fsconfig", nr: unix.SYS_FSCONFIG, args: [3]uintptr{none, none}, mount: true, instead: newFS, flag: fsopenOf},
	{name: "fsmount", nr: unix.SYS_FSMOUNT, args: [3]uintptr{none, none}, mount: true, instead: newFS, flag: fsopenOf},
	{name: "keyctl", nr: unix.SYS_KEYCTL, args: [3]uintptr{none}, instead: "no session keyring",
		flag: func(d *Denied) *bool { return &d.Keyctl }},
	{name: "close_range", nr: unix.SYS_CLOSE_RANGE, args: [3]uintptr{none, none, none}, instead: "close, of one descriptor after the other",
		flag: func(d *Denied) *bool { return &d.CloseRange }},
	{name: "faccessat2", nr: unix.SYS_FACCESSAT2, args: [3]uintptr{none, 0, none}, instead: "faccessat, when the process has its ids"},
	{name: "open_tree_attr", nr: unix.SYS_OPEN_TREE_ATTR, args: [3]uintptr{none, 0, none}, instead: "open_tree and mount_setattr"},
	{name: "openat2", nr: unix.SYS_OPENAT2, args: [3]uintptr{none}, named: true},
	{name: "open_tree", nr: unix.SYS_OPEN_TREE, args: [3]uintptr{none, 0, none}, named: true, link: true},
	{name: "mount_setattr", nr: unix.SYS_MOUNT_SETATTR, args: [3]uintptr{none, 0, none}, named: true, link: true},
	{name: "move_mount", nr: unix.SYS_MOVE_MOUNT, args: [3]uintptr{none, 0, none}, mount: true, named: true},
	{name: "memfd_create", nr: unix.SYS_MEMFD_CREATE, args: [3]uintptr{0, none}, named: true, link: true,
		instead: "an overlay of the executable's directory, for root of the host; startContainer hooks have no other way"},
	{name: "statx", nr: unix.SYS_STATX, args: [3]uintptr{none, 0, none}, named: true},
	{name: "pidfd_open", nr: unix.SYS_PIDFD_OPEN, args: [3]uintptr{none}, named: true},
	{name: "pidfd_send_signal", nr: unix.SYS_PIDFD_SEND_SIGNAL, args: [3]uintptr{none}, named: true},
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

// Explain returns an error that may come of a denied call with the name of that call.
func Explain(err error) error {
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	if others := Calls().others; others != "" {
		return fmt.Errorf("%w (a seccomp filter around the runtime denies %s, for which there is no other way)", err, others)
	}
	return err
}
