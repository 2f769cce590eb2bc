package rootfs

import (
	"fmt"
	"io"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// A runtime in a chroot, as of an installer, a rescue system or an initramfs, has a "/" that
// is a directory of some mount. The propagation of that mount, and of those above it, can be
// changed at its own root alone, and pivot_root wants a mount as the root. Who joins a mount
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

// Chrooted reports whether the caller's root directory is no mount.
//
// Source: statx(2), STATX_ATTR_MOUNT_ROOT (Linux 5.8).
func Chrooted() bool {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, "/", unix.AT_NO_AUTOMOUNT, unix.STATX_TYPE, &st)
	return err == nil && st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT == 0
}

// ReadMountInfo returns the text of mountinfo, with whole also of the mounts that the caller,
// who is in a chroot, does not see.
func ReadMountInfo(whole bool) (string, error) {
	if !whole {
		text, err := os.ReadFile("/proc/self/mountinfo")
		return string(text), err
	}
	type answer struct {
		text string
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread has another root directory
		text, err := mountInfoFromTop()
		done <- answer{text, err}
	}()
	a := <-done
	return a.text, a.err
}

// mountInfoFromTop reads mountinfo in a thread that has left the chroot.
func mountInfoFromTop() (string, error) {
	self, err := os.Open("/proc/thread-self")
	if err != nil {
		return "", err
	}
	defer self.Close()
	ns, err := os.Open(selfMounts)
	if err != nil {
		return "", err
	}
	defer ns.Close()
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return "", fmt.Errorf("unshare CLONE_FS: %w", err)
	}
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNS); err != nil {
		return "", fmt.Errorf("setns: %w", err)
	}
	fd, err := unix.Openat(int(self.Fd()), "mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("open mountinfo: %w", err)
	}
	f := os.NewFile(uintptr(fd), "mountinfo")
	defer f.Close()
	text, err := io.ReadAll(f)
	return string(text), err
}
