package user

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// NamesTag is the tag by which a process sends the parent the container's passwd and group
// files, piece by piece, and waits for one byte after each. A message without data is the
// end of a file: its value is 0, or the negated errno of one that cannot be read.
const NamesTag = 0x101

// The files of accounts, in the order in which they are sent.
//
// Source: passwd(5), group(5).
var NameFiles = [...]string{"/etc/passwd", "/etc/group"}

// SendNames emits the sending of the files of accounts.
func SendNames(b *program.Builder) {
	for _, path := range NameFiles {
		b := b.Doing(program.T("read %s of the container", path))
		data, r := b.Zero(program.MaxData), b.Reg()
		piece, end, done, missing, refused := b.Label(), b.Label(), b.Label(), b.Label(), b.Label()
		fd := openRegular(b, path, r, missing, refused)
		b.Bind(piece)
		call.Read(b, call.In(fd), data).To(r).Ignore()
		b.If(r, program.Lt, 1, end)
		b.TellData(NamesTag, data, r)
		b.Wait(NamesTag, b.Zero(1))
		b.Jump(piece)
		b.Bind(missing)
		b.Tell(NamesTag, fd)
		b.Wait(NamesTag, b.Zero(1))
		b.Jump(done)
		b.Bind(refused)
		b.Tell(NamesTag, b.RegOf(-int64(unix.EINVAL)))
		b.Wait(NamesTag, b.Zero(1))
		b.Jump(done)
		b.Bind(end)
		b.Tell(NamesTag, r)
		b.Wait(NamesTag, b.Zero(1))
		b.Bind(done)
		// It is left open: the process ends when it has sent the files.
	}
}

// Account is who a process is to be.
type Account struct {
	UID, GID uint32
	Groups   []uint32 // additional ones
}

// entry is a line of a file of accounts in its fields.
type entry []string

// entries calls yield with each line of a file until it returns false.
func entries(file []byte, yield func(entry) bool) {
	for line := range bytes.Lines(file) {
		if fields := strings.Split(strings.TrimRight(string(line), "\r\n"), ":"); !yield(fields) {
			return
		}
	}
}

// byName returns the first entry of the name that has the fields, and the names that there
// are.
func byName(file []byte, name string, fields int) (found entry, names []string) {
	entries(file, func(e entry) bool {
		if len(e) < fields || e[0] == "" {
			return true
		}
		if e[0] == name {
			found = e
			return false
		}
		names = append(names, e[0])
		return true
	})
	return found, names
}

// Unknown is the error of a name that a file has not.
type Unknown struct {
	Name, File string
	Names      []string // those that the file has
}

func (e *Unknown) Error() string {
	return fmt.Sprintf("%s is not in %s", fault.Quote(e.Name), e.File)
}

// Find returns the account of user, a name or a number, by the text of the passwd file. Its
// group, and the additional ones, are those of the group file, unless group, a name or a
// number, is given.
//
// Source: passwd(5), group(5), initgroups(3).
func Find(user, group string, passwd, groups []byte) (a Account, err error) {
	// A number is none of the names that a file of the image may have.
	if id, ok := Number(user); ok {
		a.UID = id
	} else {
		e, names := byName(passwd, user, 4)
		if e == nil {
			return a, &Unknown{user, NameFiles[0], names}
		}
		uid, ok := Number(e[2])
		gid, both := Number(e[3])
		if !ok || !both {
			return a, fmt.Errorf("%s has no user and group in %s", fault.Quote(user), NameFiles[0])
		}
		a.UID, a.GID = uid, gid
	}
	if group == "" {
		a.Groups = groupsOf(groups, user)
		return a, nil
	}
	if id, ok := Number(group); ok {
		a.GID = id
		return a, nil
	}
	e, names := byName(groups, group, 3)
	if e == nil {
		return a, &Unknown{group, NameFiles[1], names}
	}
	gid, ok := Number(e[2])
	if !ok {
		return a, fmt.Errorf("%s has no number in %s", fault.Quote(group), NameFiles[1])
	}
	a.GID = gid
	return a, nil
}

// NameOf returns the first name that the passwd file has for a number, "" where there is none.
func NameOf(passwd []byte, id uint32) (name string) {
	entries(passwd, func(e entry) bool {
		if len(e) > 3 {
			if n, ok := Number(e[2]); ok && n == id {
				name = e[0]
			}
		}
		return name == ""
	})
	return name
}

// maxGroups is how many additional groups the kernel takes.
//
// Source: setgroups(2), NGROUPS_MAX.
const maxGroups = 1 << 16

// groupsOf returns the groups that the user is a member of.
func groupsOf(file []byte, user string) (ids []uint32) {
	entries(file, func(e entry) bool {
		if len(e) < 4 {
			return true
		}
		if id, ok := Number(e[2]); ok {
			for member := range strings.SplitSeq(e[3], ",") {
				if member == user {
					ids = append(ids, id)
					break
				}
			}
		}
		return len(ids) < maxGroups
	})
	return ids
}

// Number returns the id that text is: decimal digits alone, and not -1, which to the kernel
// means no change.
func Number(text string) (uint32, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err == nil && uint32(n) != 1<<32-1
}
