// Package seat knows who the runtime is: which user, of which user namespace, with
// which capabilities. That a process is user 0 says nothing: the one of a user
// namespace that an unprivileged user has made may make no device node, and writes no
// cgroup of the host.
//
// Each answer is asked of the kernel once, and only when somebody wants it.
//
// Source: user_namespaces(7), capabilities(7).
package seat

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/uidmap"
)

// initialUserNS is the inode of the initial user namespace, which is the same on all
// kernels since 3.8.
//
// Source: Linux include/linux/proc_ns.h, PROC_USER_INIT_INO.
const initialUserNS = 0xEFFFFFFD

// once holds an answer of the kernel.
type once[T any] struct {
	sync.Once
	is T
}

// of returns the answer, after asking for it by ask the first time.
func (o *once[T]) of(ask func() T) T {
	o.Do(func() { o.is = ask() })
	return o.is
}

var (
	initial once[bool]
	mounts  once[bool]
	held    once[Caps]
	user    once[int]
)

// Initial reports whether this process is in the initial user namespace.
func Initial() bool { return initial.of(askInitial) }

func askInitial() bool {
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/user", &st); err == nil {
		return st.Ino == initialUserNS
	}
	text, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return true // a kernel without user namespaces has neither file
	}
	list, err := uidmap.Parse(string(text))
	return err == nil && uidmap.Initial(list)
}

// InitialPids reports whether this process is in the initial pid namespace, whose first
// process is the host's. Its inode, too, is the same on all kernels since 3.8.
//
// Source: Linux include/linux/proc_ns.h, PROC_PID_INIT_INO.
func InitialPids() bool {
	const initialPidNS = 0xEFFFFFFC
	var st unix.Stat_t
	return unix.Stat("/proc/self/ns/pid", &st) == nil && st.Ino == initialPidNS
}

// euid is the effective user of this process.
func euid() int { return user.of(unix.Geteuid) }

// HostRoot reports whether this process is root of the initial user namespace: the
// devices, the cgroups and /run of the host are its.
func HostRoot() bool { return euid() == 0 && Initial() }

// User reports whether this process is not root, of any user namespace.
func User() bool { return euid() != 0 }

// Nested reports whether this process is root of a user namespace that is not the
// initial one.
func Nested() bool { return euid() == 0 && !Initial() }

// Capable reports whether this process has the capability in its own user namespace.
func Capable(capability int) bool {
	c := Capabilities()
	return c.Err != nil || c.Effective&(1<<capability) != 0 // what cannot be told may be tried
}

// Caps are capability sets of this process, a bit for each number.
type Caps struct {
	Effective, Permitted uint64
	Err                  error
}

// Capabilities returns the sets of this process.
//
// Source: capget(2).
func Capabilities() Caps {
	return held.of(func() (c Caps) {
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		c.Err = unix.Capget(&head, &data[0])
		c.Effective = uint64(data[0].Effective) | uint64(data[1].Effective)<<32
		c.Permitted = uint64(data[0].Permitted) | uint64(data[1].Permitted)<<32
		return c
	})
}

// MakesNodes reports whether this process can make device nodes, which takes CAP_MKNOD
// in the initial user namespace.
//
// Source: mknod(2), EPERM.
func MakesNodes() bool { return HostRoot() && Capable(unix.CAP_MKNOD) }

// Mounts reports whether this process may clone the mounts of its mount namespace: the
// namespace belongs to its user namespace. Root of a user namespace may be in a mount
// namespace of somebody else, as behind unshare -Ur without -m.
//
// Source: mount_namespaces(7); fsopen(2), which asks for the same right.
func Mounts() bool {
	switch {
	case euid() != 0:
		return false
	case Initial():
		return true
	}
	return mounts.of(askMounts)
}

func askMounts() bool {
	if Calls().Fsopen {
		return mayMount()
	}
	fd, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err == nil {
		unix.Close(fd)
	}
	return err == nil
}

// OutsideUID returns the user that this process is outside of its user namespace, its own
// user in the initial one. What is above that namespace again is not known.
func OutsideUID() int {
	uid := euid()
	if Initial() {
		return uid
	}
	list, err := uidmap.Read("/proc/self/uid_map")
	if err != nil {
		return uid
	}
	return int(uidmap.OutsideOr(list, uint32(uid), uint32(uid)))
}
