package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program/spawn"
)

// maxLinks bounds the symbolic links on the way to a target, as the kernel does.
const maxLinks = 40

// IsTag reports whether Handle answers the messages of tag.
func IsTag(tag uint32) bool { return tag >= TargetTag && tag < endTag }

// Handle does what an event of TargetTag or CopyUpTag asks for; init waits for
// one byte when more is false.
func (r *Root) Handle(c *spawn.Child, e spawn.Event) (more bool, err error) {
	if e.Tag >= CopyUpTag && e.Tag < endTag {
		return true, r.handleCopyUp(c, e)
	}
	if !IsTag(e.Tag) {
		return false, fmt.Errorf("program: init told the unknown tag %#x", e.Tag)
	}
	i := int(e.Tag-TargetTag) &^ asDir
	if i >= len(r.targets) {
		return false, fmt.Errorf("program: init asks for the unknown target %d", i)
	}
	w := r.targets[i]
	root := e.Fd
	if r.c.SourcesInParent {
		root = c.Kept(r.Fd) // our own, in place of one that is told
	} else {
		defer unix.Close(root)
	}
	return false, MakeTarget(root, w.dest, w.dir || e.Tag&asDir != 0, r.c.RootUID, r.c.RootGID)
}

// MakeTarget makes the directory or file dest below the descriptor root, with the
// directories on the way, as uid and gid. Symbolic links are followed as if root
// were "/", also those that lead to nothing yet. Nothing outside of root is
// reached, whatever is renamed meanwhile: each step is one openat2 or mkdirat
// below root.
func MakeTarget(root int, dest string, dir bool, uid, gid int) error {
	return asOwner(uid, gid, func(resolve uint64) error {
		parts := strings.Split(strings.Trim(path.Clean(dest), "/"), "/")
		at := "/" // clean, of directories that are there and no links
		links := 0
		for len(parts) > 0 {
			part := parts[0]
			parts = parts[1:]
			if part == ".." {
				at = path.Dir(at)
				continue
			}
			to, err := step(root, at, part, dir || len(parts) > 0, resolve)
			if errors.Is(err, unix.EACCES) {
				err = fmt.Errorf("%w: the root file system is somebody else's; make it there, or make the root file system the container's", err)
			}
			if err != nil {
				return fmt.Errorf("make %s in the container: %w", path.Join(at, part), err)
			}
			if to == "" {
				at = path.Join(at, part)
				continue
			}
			if links++; links > maxLinks {
				return fmt.Errorf("make %s in the container: %w", dest, unix.ELOOP)
			}
			if strings.HasPrefix(to, "/") {
				at = "/"
			}
			var more []string
			for p := range strings.SplitSeq(to, "/") {
				if p != "" && p != "." {
					more = append(more, p)
				}
			}
			parts = append(more, parts...)
		}
		return nil
	})
}

// step makes sure that name is in the directory at. When it is a symbolic link
// it returns where to.
func step(root int, at, name string, dir bool, resolve uint64) (link string, err error) {
	d, err := unix.Openat2(root, at, &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: inRoot | unix.RESOLVE_NO_SYMLINKS | resolve})
	if err != nil {
		return "", err
	}
	defer unix.Close(d)
	buf := make([]byte, unix.PathMax)
	if n, err := unix.Readlinkat(d, name, buf); err == nil {
		return string(buf[:n]), nil
	} else if err != unix.ENOENT && err != unix.EINVAL {
		return "", err
	} else if err == unix.EINVAL {
		return "", nil // there, and no link
	}
	err = makeIn(d, name, dir)
	if err == unix.EACCES {
		err = makeInReadOnly(d, name, dir)
	}
	return "", err
}

// makeIn makes the directory or file name in the directory d unless it is there.
func makeIn(d int, name string, dir bool) (err error) {
	mode := uint32(unix.S_IFDIR | 0o755)
	if dir {
		err = unix.Mkdirat(d, name, 0o755)
	} else {
		mode = unix.S_IFREG | 0o644
		err = unix.Mknodat(d, name, mode, 0)
	}
	if err == unix.EEXIST {
		return nil
	}
	if err != nil {
		return err
	}
	return unmask(d, name, mode)
}

// lockTries and lockPause bound the wait for another runtime that makes a mount point in
// the same directory.
const (
	lockTries = 200
	lockPause = 5 * time.Millisecond
)

// makeInReadOnly is makeIn for a directory that its owner may not write to, as the root
// of many images (mode 0555). The container's root could, by CAP_DAC_OVERRIDE in its user
// namespace, where this thread is not; but it is the owner, and so may change the mode
// for a moment. Others who make something there at the same time wait for the lock, lest
// they take the mode in between for the directory's own.
//
// Source: chmod(2), flock(2).
func makeInReadOnly(d int, name string, dir bool) error {
	self := "/proc/self/fd/" + strconv.Itoa(d)
	fd, err := unix.Open(self, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return unix.EACCES
	}
	defer unix.Close(fd) // and with it the lock
	// Whoever has the directory open could hold the lock for ever.
	for tries := 0; unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) != nil; tries++ {
		if tries == lockTries {
			return unix.EACCES
		}
		time.Sleep(lockPause)
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || unix.Fchmod(fd, st.Mode|0o300) != nil {
		return unix.EACCES
	}
	err = makeIn(d, name, dir)
	if e := unix.Fchmod(fd, st.Mode); err == nil {
		err = e
	}
	return err
}

// unmask sets the whole mode of what was made just now: a mount point that the
// caller's umask had closed would keep the container's users out.
func unmask(dir int, name string, mode uint32) error {
	fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode == mode || st.Mode&unix.S_IFMT != mode&unix.S_IFMT { // another file is not ours to change
		return nil
	}
	return unix.Chmod("/proc/self/fd/"+strconv.Itoa(fd), mode&0o777)
}

// asOwner runs f with the file system ids of the container's root, which f makes
// files as. Where those may not, f runs again with the caller's: an image that
// belongs to the host's root stays the host's. It is then to resolve paths with
// RESOLVE_NO_XDEV: what is mounted in the root is not the image's, and a link of the
// image must not have the runtime write to what is bound there.
//
// Source: setfsuid(2), which is for the thread alone.
func asOwner(uid, gid int, f func(resolve uint64) error) error {
	euid, egid := os.Geteuid(), os.Getegid()
	if uid == euid && gid == egid {
		return f(0)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	_ = unix.Setfsgid(gid) // both tell no errors; where they do nothing the
	_ = unix.Setfsuid(uid) // files belong to the caller
	err := f(0)
	_ = unix.Setfsuid(euid)
	_ = unix.Setfsgid(egid)
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		err = f(unix.RESOLVE_NO_XDEV)
	}
	return err
}
