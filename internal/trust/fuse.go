package trust

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/mountinfo"
	"github.com/hutch-project/hutch/internal/sys"
	"github.com/hutch-project/hutch/internal/uidmap"
)

// fuseMagic is FUSE_SUPER_MAGIC, the type of FUSE's file systems and of virtiofs.
//
// Source: linux/magic.h.
const fuseMagic = 0x65735546

// IsFUSE reports whether the file system is one of FUSE.
func IsFUSE(fs *unix.Statfs_t) bool { return uint32(fs.Type) == fuseMagic }

// unknown is the owner of what is on a FUSE file system whose user is not known: nobody.
const unknown = 1<<32 - 1

// Fstat is fstat(2), but the owner of a file on a FUSE file system of another user than root and
// the caller is that user. Whose the files there are, its server says, and it may say root's.
//
// Source: mount.fuse3(8), "allow_other".
func Fstat(fd int, st *unix.Stat_t) error { return FstatBeside(0, fd, st) }

// FstatBeside is Fstat for a file that may be on the device of another one which is open, and for
// which Fstat was called: then the kernel is not asked again.
func FstatBeside(dev uint64, fd int, st *unix.Stat_t) error {
	if err := unix.Fstat(fd, st); err != nil || st.Dev == dev {
		return err
	}
	return own(fd, st)
}

// Lstat is lstat(2) with the owner that Fstat has.
func Lstat(path string, st *unix.Stat_t) error {
	fd, err := sys.Open(unix.AT_FDCWD, path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return Fstat(fd, st)
}

// ownAt is own for name below the directory dir.
func ownAt(dir int, name string, st *unix.Stat_t) error {
	var fs unix.Statfs_t // one call in place of three
	if unix.Statfs("/proc/self/fd/"+strconv.Itoa(dir)+"/"+name, &fs) == nil && !IsFUSE(&fs) {
		return nil
	}
	fd, err := sys.Open(dir, name, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return own(fd, st)
}

// own sets the owner in st, which is of fd, to the user of its FUSE file system, if it is on one
// of another user than root and the caller.
func own(fd int, st *unix.Stat_t) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return fmt.Errorf("fstatfs: %w", err)
	}
	if !IsFUSE(&fs) {
		return nil
	}
	text, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return err
	}
	if uid := mounter(string(text), st.Dev); uid != 0 && int(uid) != os.Geteuid() && !outside(uid) {
		st.Uid = uid
	}
	return nil
}

// outside reports whether the user is the caller by the numbers of the host, which a file system
// has that was mounted there.
func outside(uid uint32) bool {
	list, err := uidmap.Read("/proc/self/uid_map")
	return err == nil && !uidmap.Initial(list) && uidmap.OutsideOr(list, uint32(os.Geteuid()), unknown) == uid
}

// mounter returns the user whose FUSE file system the device is, by a mountinfo file; unknown
// where the file does not say. A virtiofs has none: it is the machine's, as its disks are.
//
// Source: Linux fs/fuse/inode.c, fuse_show_options.
func mounter(text string, dev uint64) uint32 {
	number := fmt.Sprintf("%d:%d", unix.Major(dev), unix.Minor(dev))
	for _, m := range mountinfo.Parse(text) {
		if m.Dev != number {
			continue
		}
		if m.Type == "virtiofs" {
			return 0
		}
		for o := range strings.SplitSeq(m.Super, ",") {
			if id, ok := strings.CutPrefix(o, "user_id="); ok {
				if uid, err := strconv.ParseUint(id, 10, 32); err == nil {
					return uint32(uid)
				}
			}
		}
	}
	return unknown
}
