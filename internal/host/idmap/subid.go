package idmap

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Subordinate returns the mappings of a container whose root is the user, who is called
// name, with the ids behind it that /etc/subuid and /etc/subgid give to the user. The error
// says why there are none: what is missing of the two files and of the programs that write
// such mappings.
//
// Source: subuid(5), subgid(5), newuidmap(1).
func Subordinate(uid, gid int, name string) (uids, gids []specs.LinuxIDMapping, err error) {
	for _, tool := range [...]string{"newuidmap", "newgidmap"} {
		if _, err := find(helperDirs(), tool); err != nil {
			return nil, nil, err
		}
	}
	if uids, err = subordinate("/etc/subuid", uid, uid, name); err != nil {
		return nil, nil, err
	}
	if gids, err = subordinate("/etc/subgid", gid, uid, name); err != nil {
		return nil, nil, err
	}
	return uids, gids, nil
}

// subordinate maps 0 to own, and the ids from 1 on to the ranges that the file has for the
// user.
func subordinate(file string, own, uid int, name string) ([]specs.LinuxIDMapping, error) {
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, err
	}
	out := append(Alone(own), ranges(string(text), uid, name)...)
	if len(out) == 1 {
		return nil, fmt.Errorf("%s has no ids for user %d (%s); add some with usermod --add-subuids and --add-subgids", file, uid, name)
	}
	return out, nil
}

// Alone returns a mapping of 0 to id, and of no other.
func Alone(id int) []specs.LinuxIDMapping {
	return []specs.LinuxIDMapping{{ContainerID: 0, HostID: uint32(id), Size: 1}}
}

// ranges maps the ids from 1 on to the ranges of a user, by name or number, in a text whose
// lines are USER:FIRST:NUMBER.
func ranges(text string, uid int, name string) (out []specs.LinuxIDMapping) {
	next := uint64(1)
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 3 || f[0] != strconv.Itoa(uid) && (f[0] != name || name == "") {
			continue
		}
		first, err := strconv.ParseUint(f[1], 10, 32)
		if err != nil {
			continue
		}
		size, err := strconv.ParseUint(f[2], 10, 32)
		if err != nil || size == 0 || first+size > math.MaxUint32 || next+size > math.MaxUint32 || len(out) == maxLines-1 {
			continue
		}
		out = append(out, specs.LinuxIDMapping{ContainerID: uint32(next), HostID: uint32(first), Size: uint32(size)})
		next += size
	}
	return out
}

// Own returns the mappings by which a new user namespace has all ids that the caller's has,
// from the map of the caller's.
func Own(list []specs.LinuxIDMapping) []specs.LinuxIDMapping {
	list = slices.Clone(list[:min(len(list), maxLines)])
	for i := range list {
		list[i].HostID = list[i].ContainerID
	}
	return list
}
