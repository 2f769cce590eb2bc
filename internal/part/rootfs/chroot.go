package rootfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/seat"
	"github.com/hutch-project/hutch/internal/sys"
)

// A runtime in a chroot, as of an installer, a rescue system or an initramfs, has a "/" that
// is a directory of some mount, or a mount in another one. The propagation of that mount, and
// of those above it, can be changed at its own root alone; pivot_root wants a mount as the
// root, and leaves those above. Who joins a mount
// namespace has its top as the root directory; so the child joins its own, a copy that nobody
// else is in, for what concerns all of it.
//
// Source: setns(2), "Mount namespaces"; chroot(2); pivot_root(2).

// leaveChroot emits that the root directory is the top of the mount namespace.
func leaveChroot(b *program.Builder) {
	step := b.Step(program.T("open the mount namespace"))
	ns := call.Openat(step, call.Cwd(), call.PathTo(b, selfMounts), unix.O_RDONLY|unix.O_CLOEXEC).Fd()
	call.Setns(b.Step(program.T("go to its top, out of the chroot")), call.In(ns), unix.CLONE_NEWNS)
	call.Close(b, call.In(ns))
}

const selfMounts = "/proc/self/ns/mnt"

// propagateAll emits the propagation of all mounts of the namespace. In a chroot the caller's
// root directory is then the root again: paths of the configuration are taken from there.
func (r *Root) propagateAll(b *program.Builder, flag uint64) {
	if !r.c.Chrooted {
		call.MountPropagation(b, call.PathTo(b, "/"), unix.MS_REC|flag)
		return
	}
	step := b.Step(program.T("open the root directory"))
	old := call.Openat(step, call.Cwd(), call.PathTo(b, "/"), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC).Fd()
	leaveChroot(b)
	call.MountPropagation(b, call.PathTo(b, "/"), unix.MS_REC|flag)
	step = b.Step(program.T("go back to the chroot"))
	call.Fchdir(step, call.In(old))
	call.Chroot(step, call.PathTo(b, "."))
	call.Close(step, call.In(old))
}

// Chrooted reports whether the caller's root directory is not the top of its mount
// namespace.
//
// Source: statx(2), STATX_ATTR_MOUNT_ROOT and STATX_MNT_ID (Linux 5.8).
func Chrooted() bool {
	own, err := rootMount("/")
	switch {
	case err != nil:
		return false // Linux 5.8 is older than what is needed
	case !own.top:
		return true
	case !seat.Capable(unix.CAP_SYS_ADMIN):
		return false // in a chroot nobody makes a user namespace, which would be needed
	case seat.InitialPids():
		// The first process of the host is at the top, and so is the kernel's own first thread,
		// which is asked where the process has more rights. It costs no thread of ours to ask.
		for _, path := range [...]string{"/proc/1/root", "/proc/2/root"} {
			if first, err := rootMount(path); err == nil && first == own {
				return false
			}
		}
	}
	var top mountRoot
	look := func() (err error) {
		top, err = rootMount("/")
		return err
	}
	if err = atTop(look); errors.Is(err, unix.EPERM) {
		// The mount namespace is somebody else's: root of a user namespace has a copy of it.
		err = sys.Apart(func() (err error) {
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				return err
			}
			if own, err = rootMount("/"); err != nil {
				return err
			}
			return goToTop("/proc/thread-self/ns/mnt", look)
		})
	}
	return err == nil && top != own // who may do neither makes no mount namespace
}

// mountRoot is the mount that a directory is on, and whether it is the top of that.
type mountRoot struct {
	mount uint64
	top   bool
}

func rootMount(path string) (mountRoot, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_NO_AUTOMOUNT, unix.STATX_TYPE|unix.STATX_MNT_ID, &st); err != nil {
		return mountRoot{}, err
	}
	if st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT == 0 || st.Mask&unix.STATX_MNT_ID == 0 {
		return mountRoot{}, unix.ENOSYS
	}
	return mountRoot{st.Mnt_id, st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0}, nil
}

// ReadMountInfo returns the text of mountinfo, with whole also of the mounts that the caller,
// who is in a chroot, does not see.
func ReadMountInfo(whole bool) (string, error) {
	if !whole {
		text, err := os.ReadFile("/proc/self/mountinfo")
		return string(text), err
	}
	// Opened before: the path may lead elsewhere from the top.
	self, err := os.Open("/proc/self")
	if err != nil {
		return "", err
	}
	defer self.Close()
	var text []byte
	err = atTop(func() error {
		fd, err := unix.Openat(int(self.Fd()), "task/"+strconv.Itoa(unix.Gettid())+"/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open mountinfo: %w", err)
		}
		f := os.NewFile(uintptr(fd), "mountinfo")
		defer f.Close()
		text, err = io.ReadAll(f)
		return err
	})
	return string(text), err
}

// atTop calls do in a thread whose root directory is the top of the mount namespace.
func atTop(do func() error) error {
	return sys.Apart(func() error {
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return fmt.Errorf("unshare CLONE_FS: %w", err)
		}
		return goToTop(selfMounts, do)
	})
}

// goToTop makes the top of the mount namespace the root directory of the thread, which
// shares that with no other, and calls do.
func goToTop(file string, do func() error) error {
	ns, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", file, err)
	}
	defer unix.Close(ns)
	if err := unix.Setns(ns, unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("setns: %w", err)
	}
	return do()
}
