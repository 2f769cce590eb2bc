package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/program/spawn"
	"github.com/hutch-project/hutch/internal/sys"
)

// maxLinks bounds the symbolic links on the way to a target, as the kernel does.
const maxLinks = 40

// IsTag reports whether Handle answers the messages of tag.
func IsTag(tag uint32) bool { return tag >= TargetTag && tag < TagsEnd }

// Handle does what an event of TargetTag or CopyUpTag asks for; init waits for
// one byte when more is false.
func (r *Root) Handle(child *spawn.Child, event spawn.Event) (more bool, err error) {
	if event.Tag >= CopyUpTag && event.Tag < TagsEnd {
		return true, r.handleCopyUp(child, event)
	}
	if !IsTag(event.Tag) {
		return false, fmt.Errorf("program: init told the unknown tag %#x", event.Tag)
	}
	i := int(event.Tag-TargetTag) &^ AsDir
	if i >= len(r.targets) {
		return false, fmt.Errorf("program: init asks for the unknown target %d", i)
	}
	w := r.targets[i]
	root := event.Fd
	if r.rootInParent() {
		root = child.Kept(r.Fd) // our own, in place of one that is told
	} else {
		defer unix.Close(root)
	}
	m := &maker{root: root, dest: w.dest, dir: w.dir || event.Tag&AsDir != 0, to: w.link, mounts: r.before(w)}
	// A container that runs may have mounted on "/" what it likes, as a directory of the host
	// that is bound: only in the image the runtime's own rights count.
	m.foreign = r.c.Running && !sys.IsFile(root, r.c.Rootfs)
	return false, m.make(r.c.RootUID, r.c.RootGID)
}

// mounted is a mount of the configuration that is there when a target is made.
type mounted struct {
	dest  string
	fresh bool // a file system of the container's own, and no directory of the host
}

// before returns the mounts that come before a target.
func (r *Root) before(w missingTarget) []mounted {
	var out []mounted
	for i := range r.mounts[:w.done] {
		if r.mounts[i].link != "" || r.mounts[i].gone || r.mounts[i].root {
			continue
		}
		out = append(out, mounted{r.mounts[i].dest, !r.mounts[i].o.bind})
	}
	return out
}

// maker makes one target below the descriptor root.
type maker struct {
	root    int
	dest    string
	dir     bool
	to      string // a symbolic link to there is made; else empty
	mounts  []mounted
	foreign bool   // the root is not the image: nothing is made there with the runtime's own rights
	resolve uint64 // how directories are opened, beside below the root
	linked  bool   // a symbolic link was on the way
}

// MakeTarget makes the directory or file dest below the descriptor root, with the
// directories on the way, as uid and gid. Symbolic links are followed as if root
// were "/", also those that lead to nothing yet. Nothing outside of root is
// reached, whatever is renamed meanwhile: each step is one openat2 or mkdirat
// below root. Behind a link nothing is made in what is mounted in root, but for mounts.
func MakeTarget(root int, dest string, dir bool, uid, gid int, mounts ...mounted) error {
	return (&maker{root: root, dest: dest, dir: dir, mounts: mounts}).make(uid, gid)
}

// make makes the target as uid and gid.
func (m *maker) make(uid, gid int) error {
	return asOwner(uid, gid, m.foreign, func(resolve uint64) error {
		m.resolve, m.linked = resolve, false
		return m.walk()
	})
}

// walk makes what is missing, component by component.
func (m *maker) walk() error {
	parts := strings.Split(strings.Trim(path.Clean(m.dest), "/"), "/")
	at := "/" // clean, of directories that are there and no links
	links := 0
	for len(parts) > 0 {
		part := parts[0]
		parts = parts[1:]
		if part == ".." {
			at = path.Dir(at)
			continue
		}
		if m.to != "" && len(parts) == 0 {
			if err := m.link(at, part); err != nil {
				return fmt.Errorf("make the symbolic link %s in the container: %w", fault.Name(path.Join(at, part)), err)
			}
			return nil
		}
		to, err := m.step(at, part, m.dir || len(parts) > 0)
		if errors.Is(err, unix.EACCES) {
			err = fmt.Errorf("%w: the root file system is somebody else's; make it there, or make the root file system the container's", err)
		}
		if errors.Is(err, unix.EROFS) {
			err = fmt.Errorf("%w: make the mount point before the file system is mounted so", err)
		}
		if err != nil {
			return fmt.Errorf("make %s in the container: %w", fault.Name(path.Join(at, part)), err)
		}
		if to == "" {
			at = path.Join(at, part)
			continue
		}
		if links++; links > maxLinks {
			return fmt.Errorf("make %s in the container: %w", m.dest, unix.ELOOP)
		}
		if !usual(path.Join(at, part), to) {
			m.linked = true
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
}

// usual reports whether a link to elsewhere is one that images have by
// convention: engines mount at /var/run/secrets and bind a volume at /run.
//
// Source: Filesystem Hierarchy Standard 3.0, "/var/run".
func usual(name, to string) bool {
	to = path.Clean(to)
	return name == "/var/run" && (to == "/run" || to == "../run")
}

// step makes sure that name is in the directory at. When it is a symbolic link
// it returns where to.
func (m *maker) step(at, name string, dir bool) (link string, err error) {
	d, err := m.open(at, unix.RESOLVE_NO_SYMLINKS|m.resolve)
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
	if m.linked && !m.mayMakeIn(d) {
		return "", m.elsewhere()
	}
	err = makeIn(d, name, dir)
	if err == unix.EACCES {
		err = inReadOnly(d, func() error { return makeIn(d, name, dir) })
	}
	return "", err
}

// elsewhere is the error of what is made in no directory but the container's.
func (m *maker) elsewhere() error {
	return fmt.Errorf("%w: a symbolic link of the image leads %s into what is mounted there; make it there, or name the place itself in config.json",
		unix.EXDEV, m.dest)
}

func (m *maker) open(name string, resolve uint64) (int, error) {
	return sys.Openat2(m.root, name, &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: inRoot | resolve})
}

// mayMakeIn reports whether a link of the image may have led to the directory d: it is
// on the root's own mount, on a file system that is the container's, or on a mount that
// the target lies below by its own name. Anything else may be a directory of the host,
// which the runtime may write, and the container not.
func (m *maker) mayMakeIn(d int) bool {
	id := mountOf(d)
	if id == 0 {
		return false
	}
	if id == mountOf(m.root) {
		return true
	}
	for _, mount := range m.mounts {
		resolve := uint64(unix.RESOLVE_NO_SYMLINKS) // lest another mount is taken for it
		if strings.HasPrefix(m.dest, mount.dest+"/") {
			resolve = 0
		} else if !mount.fresh {
			continue
		}
		fd, err := m.open(mount.dest, resolve)
		if err != nil {
			continue
		}
		same := mountOf(fd) == id
		unix.Close(fd)
		if same {
			return true
		}
	}
	return false
}

// mountOf returns the id of the mount that the file is on, 0 where it cannot be had.
//
// Source: statx(2), STATX_MNT_ID.
func mountOf(fd int) uint64 {
	var st unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, unix.STATX_MNT_ID, &st)
	if err != nil || st.Mask&unix.STATX_MNT_ID == 0 {
		return 0
	}
	return st.Mnt_id
}

// makeIn makes the directory or file name in the directory d unless it is there. It has
// its whole mode from the call that makes it: the thread's umask is 0. Were the mode set
// afterwards, that could be another file's, which has come to have the name.
func makeIn(d int, name string, dir bool) (err error) {
	if dir {
		err = unix.Mkdirat(d, name, 0o755)
	} else {
		err = unix.Mknodat(d, name, unix.S_IFREG|0o644, 0)
	}
	if err == unix.EEXIST {
		return nil
	}
	return err
}

// lockTries and lockPause bound the wait for another runtime that makes a mount point in
// the same directory.
const (
	lockTries = 200
	lockPause = 5 * time.Millisecond
)

// inReadOnly makes something in a directory d that its owner may not write to, as the root
// of many images (mode 0555). The container's root could, by CAP_DAC_OVERRIDE in its user
// namespace, where this thread is not; but it is the owner, and so may change the mode
// for a moment. Others who make something there at the same time wait for the lock, lest
// they take the mode in between for the directory's own.
//
// Source: chmod(2), flock(2).
func inReadOnly(d int, make func() error) error {
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
	err = make()
	if e := unix.Fchmod(fd, st.Mode); err == nil {
		err = e
	}
	return err
}

// asOwner runs f in a thread of its own, with a umask of 0 and the file system ids of
// the container's root, which f makes files as. Where those may not, f runs again with
// the caller's: an image that belongs to the host's root stays the host's. It is then to
// resolve paths with RESOLVE_NO_XDEV: what is mounted in the root is not the image's, and
// a link of the image must not have the runtime write to what is bound there. With only set
// f does not run again.
//
// The umask is the process's, and a library must leave that as it is. So the thread has a
// copy, which cannot be given back; it ends with f.
//
// Source: unshare(2), CLONE_FS; setfsuid(2), which is for the thread alone.
func asOwner(uid, gid int, only bool, f func(resolve uint64) error) error {
	return sys.Apart(func() error {
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return fmt.Errorf("have a umask of its own (unshare CLONE_FS): %w", err)
		}
		unix.Umask(0)
		return withIDs(uid, gid, only, f)
	})
}

// withIDs is asOwner in the thread.
func withIDs(uid, gid int, only bool, f func(resolve uint64) error) error {
	euid, egid := os.Geteuid(), os.Getegid()
	if uid == euid && gid == egid {
		return f(0)
	}
	_ = unix.Setfsgid(gid) // both tell no errors; where they do nothing the
	_ = unix.Setfsuid(uid) // files belong to the caller
	err := f(0)
	_ = unix.Setfsuid(euid)
	_ = unix.Setfsgid(egid)
	if !only && (errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM)) {
		err = f(unix.RESOLVE_NO_XDEV)
	}
	return err
}
