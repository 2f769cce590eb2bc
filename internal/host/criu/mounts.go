package criu

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/mountinfo"
)

// External returns those of a container's mounts that CRIU shall not write down, since they
// show what is not the container's: a file system that the host has mounted too, or one of
// which the container has a part alone. Where several are on one point it is returned once,
// and none on "/", since the root has a way of its own.
//
// CRIU writes down a file system of the container's own, and mounts of parts of it; a
// cgroup only in a cgroup namespace.
func External(container, host []mountinfo.Mount, cgroupNS bool) (out []mountinfo.Mount) {
	seen := map[string]bool{"/": true}
	for _, m := range Foreign(container, host, cgroupNS) {
		if !seen[m.Point] {
			seen[m.Point] = true
			out = append(out, m)
		}
	}
	return out
}

// Foreign returns all of a container's mounts that are as those of External, the root and several
// on one point included.
func Foreign(container, host []mountinfo.Mount, cgroupNS bool) (out []mountinfo.Mount) {
	foreign, whole := map[string]bool{}, map[string]bool{}
	for i := range host {
		foreign[host[i].Dev] = true
	}
	for i := range container {
		if container[i].Root == "/" {
			whole[container[i].Dev] = true
		}
	}
	for _, m := range container {
		if isExternal(m, foreign, whole, cgroupNS) {
			out = append(out, m)
		}
	}
	return out
}

func isExternal(m mountinfo.Mount, foreign, whole map[string]bool, cgroupNS bool) bool {
	switch m.Type {
	case "cgroup", "cgroup2":
		return !cgroupNS
	case "proc", "sysfs", "mqueue":
		// One of the host's namespaces shows the same as a new one that is mounted in it.
		return !whole[m.Dev]
	case "tmpfs", "devpts", "binfmt_misc":
		return foreign[m.Dev] || !whole[m.Dev]
	}
	return true
}

// Key returns the name by which CRIU knows the i-th thing that it does not write down. It
// is a number: what the image, or a configuration, calls the thing is no part of it.
func Key(i int) string { return "hutch" + strconv.Itoa(i) }

// KeyNumber returns the number of a Key.
func KeyNumber(key string) (int, bool) {
	text, ok := strings.CutPrefix(key, "hutch")
	n, err := strconv.Atoi(text)
	return n, ok && err == nil && n >= 0 && Key(n) == key
}

// DumpMount returns the option by which CRIU does not write down the mount at point, but
// its key. CRIU looks for "mnt[" point "]" at the beginning of its options, up to a colon:
// a point with "]:" in it would be two.
//
// Source: CRIU's external.c; CVE-2026-119101, CVE-2026-115520.
func DumpMount(point, key string) (string, error) {
	if strings.Contains(point, "]:") {
		return "", fmt.Errorf("the mount at %s has \"]:\" in its name, which CRIU takes for an end of the name; mount it at another place",
			fault.Name(point))
	}
	return "mnt[" + point + "]:" + key, nil
}

// RestoreMount returns the option by which CRIU mounts what is at source where it has the
// key written down. The source is a path of the runtime's making.
func RestoreMount(key, source string) string { return "mnt[" + key + "]:" + source }

// DumpNamespace returns the option by which CRIU does not write down the namespace of the
// type, "net" or "pid", but its key.
func DumpNamespace(kind string, inode uint64, key string) string {
	return kind + "[" + strconv.FormatUint(inode, 10) + "]:" + key
}

// DumpFile returns the option by which CRIU does not look for the file of an inode, open on
// a mount that is not the container's. It is also the key of the descriptor that takes its
// place in a restore, as for a pipe CRIU's own name is.
func DumpFile(mount int, inode uint64) string {
	return "file[" + strconv.FormatInt(int64(mount), 16) + ":" + strconv.FormatUint(inode, 16) + "]"
}

// DumpTerminal returns the option by which CRIU does not write down a terminal that is not
// the container's, by the number of the device and that of the file system. It is also the
// key of the descriptor that takes its place in a restore.
func DumpTerminal(device, fs uint64) string {
	return "tty[" + strconv.FormatUint(device, 16) + ":" + strconv.FormatUint(fs, 16) + "]"
}

// IsTerminal reports whether s is what DumpTerminal returns.
func IsTerminal(s string) bool {
	id, ok := strings.CutPrefix(s, "tty[")
	id, end := strings.CutSuffix(id, "]")
	device, fs, both := strings.Cut(id, ":")
	d, err := strconv.ParseUint(device, 16, 64)
	f, e := strconv.ParseUint(fs, 16, 64)
	return ok && end && both && err == nil && e == nil && DumpTerminal(d, f) == s
}

// IsStream reports whether s is a key that a standard stream may have.
func IsStream(s string) bool {
	id, ok := strings.CutPrefix(s, "file[")
	id, end := strings.CutSuffix(id, "]")
	mount, inode, both := strings.Cut(id, ":")
	m, err := strconv.ParseInt(mount, 16, 64)
	n, e := strconv.ParseUint(inode, 16, 64)
	return IsPipe(s) || IsTerminal(s) || ok && end && both && err == nil && e == nil && DumpFile(int(m), n) == s
}

// IsPipe reports whether s is the name that a pipe has in /proc/PID/fd, which is also
// CRIU's key for it.
func IsPipe(s string) bool {
	n, ok := strings.CutPrefix(s, "pipe:[")
	n, end := strings.CutSuffix(n, "]")
	_, err := strconv.ParseUint(n, 10, 64)
	return ok && end && err == nil
}
