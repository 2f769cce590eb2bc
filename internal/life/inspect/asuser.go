package inspect

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/nearest"
	"github.com/hutch-project/hutch/internal/seat"
)

// identity is a user of the host.
type identity struct {
	uid, gid int
	groups   []int
}

// AsUser makes this process one of the user that text names: an id, or a name of the host's
// passwd file, and behind a colon another group than the user's. It comes before all else,
// and cannot be taken back.
func AsUser(text string) error {
	id, err := parseUser(text, read("/etc/passwd"), read("/etc/group"))
	if err != nil {
		return err
	}
	if os.Geteuid() == id.uid && os.Getegid() == id.gid {
		return nil
	}
	return seat.Become(id.uid, id.gid, id.groups)
}

// parseUser reads text by the host's files.
func parseUser(text, passwd, group string) (id identity, err error) {
	name, groupName, other := strings.Cut(text, ":")
	user := entry(passwd, name)
	switch n, err := parseID(name); {
	case len(user) > 3:
		id.uid, _ = strconv.Atoi(user[2])
		id.gid, _ = strconv.Atoi(user[3])
		id.groups = groupsOf(group, user[0])
	case err == nil:
		id.uid, id.gid = int(n), int(n)
	default:
		return id, fmt.Errorf("%q is neither an id nor a user of this host%s", name, hint(passwd,
			name))
	}
	if !other {
		return id, nil
	}
	if g := entry(group, groupName); len(g) > 2 {
		id.gid, err = strconv.Atoi(g[2])
		return id, err
	}
	n, err := parseID(groupName)
	if err != nil {
		return id, fmt.Errorf("%q is neither an id nor a group of this host%s", groupName,
			hint(group, groupName))
	}
	id.gid = int(n)
	return id, nil
}

func parseID(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err == nil && n > check.MaxID {
		err = strconv.ErrRange
	}
	return uint32(n), err
}

// entry returns the fields of the line of a name, or of an id, nil where there is none.
func entry(text, name string) []string {
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) > 2 && (f[0] == name || f[2] == name) {
			return f
		}
	}
	return nil
}

// groupsOf returns the groups that list the user.
func groupsOf(group, user string) (ids []int) {
	for line := range strings.Lines(group) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) > 3 && slices.Contains(strings.Split(f[3], ","), user) {
			if n, err := strconv.Atoi(f[2]); err == nil {
				ids = append(ids, n)
			}
		}
	}
	return ids
}

// hint returns "; did you mean NAME?" for a name that is like one of a file.
func hint(text, name string) string {
	var names []string
	for line := range strings.Lines(text) {
		first, _, _ := strings.Cut(line, ":")
		names = append(names, first)
	}
	if h := nearest.Hint(name, names); h != "" {
		return "; " + h
	}
	return ""
}
