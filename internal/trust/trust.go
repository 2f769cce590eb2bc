// Package trust reports who beside root and the caller may change a file, or put another one
// in its place: a file that the runtime acts on, with the caller's rights, must be nobody else's.
//
// What a rule lets pass beside depends on what the file is for; each caller says so.
package trust

import (
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sys"
	"github.com/hutch-project/hutch/internal/uidmap"
)

// Doubt is why a file is not to be trusted.
type Doubt int

const (
	None     Doubt = iota
	Foreign        // it belongs to another user
	Writable       // another user may write to it
)

// Rule says whose hands beside those of root and the caller a file may be in.
type Rule struct {
	Owners []int // user ids
	Groups []int // ids of groups that may write: nobody else is taken to be in them
	// Sticky lets others make files in a directory with the sticky bit, as /tmp, where they
	// can do nothing to those that are there.
	Sticky bool
}

// Of returns the doubt that the rule leaves of a file.
//
// Root is that of the caller's user namespace. An owner without a number there is shown as
// the overflow id, and is another user.
//
// Source: inode(7), "S_ISVTX"; unlink(2), EPERM; user_namespaces(7), "Unmapped user and group IDs".
func (r Rule) Of(st *unix.Stat_t) Doubt {
	uid := int(st.Uid)
	group := st.Mode&unix.S_IWGRP != 0 && !slices.Contains(r.Groups, int(st.Gid))
	sticky := r.Sticky && st.Mode&unix.S_IFMT == unix.S_IFDIR && st.Mode&unix.S_ISVTX != 0
	switch {
	case uid != 0 && uid != os.Geteuid() && !slices.Contains(r.Owners, uid):
		return Foreign
	case (group || st.Mode&unix.S_IWOTH != 0) && !sticky:
		return Writable
	}
	return None
}

// overflow is how the owner of a file looks who is not in the user namespace.
const overflow = 65534

// Above returns an error where another user may have put something else into the place of
// the directory dir, or of one above it: each of those has to be the caller's or root's, and
// nobody else's to write, but for what has the sticky bit, where others rename nothing that
// is not theirs. dev is the device of dir where Fstat was called for that, else 0.
//
// Source: rename(2), EPERM; inode(7), "S_ISVTX".
func Above(dir int, dev uint64) error {
	last := unix.Stat_t{Dev: dev}
	for up := ".."; ; up += "/.." { // one call a directory: each command pays for it
		var st unix.Stat_t
		if err := unix.Fstatat(dir, up, &st, 0); err != nil {
			return err
		}
		if st.Dev == last.Dev && st.Ino == last.Ino { // the top is above itself
			return nil
		}
		if st.Dev != last.Dev { // whose files are all of one user, if any of them are
			if err := ownAt(dir, up, &st); err != nil {
				return err
			}
		}
		if !keepsNames(&st) {
			return fmt.Errorf("another user may exchange what is in %s, which belongs to user %d and has the mode %04o",
				nameOf(dir, up), st.Uid, st.Mode&0o7777)
		}
		last = st
	}
}

// nameOf returns the path of a directory that is known from dir, for an error.
func nameOf(dir int, up string) string {
	fd, err := sys.Open(dir, up, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return up
	}
	defer unix.Close(fd)
	name, _ := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	return name
}

// keepsNames reports whether nobody but the caller and root renames what is in the directory.
// The caller's own group, and root's, is taken for them: many users have one for themselves.
func keepsNames(st *unix.Stat_t) bool {
	rule := Rule{Groups: []int{0}, Sticky: true}
	sticky := st.Mode&unix.S_ISVTX != 0                      // who may write renames nothing
	if !sticky && st.Mode&unix.S_IWGRP != 0 && st.Gid != 0 { // the id costs a call
		rule.Groups = append(rule.Groups, os.Getegid())
	}
	if st.Uid == overflow && Known(st.Uid, st.Mode&unix.S_IWOTH != 0 && !sticky) { // and its group has no id here, either
		rule.Owners, rule.Groups = []int{overflow}, append(rule.Groups, int(st.Gid))
	}
	return rule.Of(st) == None
}

// Known reports whether the user is the caller or root, as the owner of a directory, or of what
// is in one. In a user namespace the host's root may have no id: then those of its like are taken
// for it, unless the directory is one that everybody may write.
func Known(uid uint32, everybody bool) bool {
	if uid == 0 || int(uid) == os.Geteuid() {
		return true
	}
	if uid != overflow || everybody {
		return false
	}
	list, err := uidmap.Read("/proc/self/uid_map")
	return err == nil && !uidmap.Initial(list)
}
