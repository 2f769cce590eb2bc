package rootfs

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// options are a mount's options, sorted by what the kernel takes them for.
type options struct {
	bind, recursive bool // bind, rbind
	set, clr        uint64
	rset, rclr      uint64 // of the recursive options
	prop            uint64 // MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE or 0
	propRecursive   bool
	flags           []string // of the file system, without a value
	legacy          uintptr  // MS_ flags for mount(2)
	data            []string // for the file system
	copyUp          bool
	idmap, ridmap   bool
}

// attribute is an option that sets or clears attributes of a mount.
type attribute struct {
	name     string
	set, clr uint64
}

// attributes are those of the mount. With an "r" before the name they are for
// the whole tree.
//
// Source: runtime-spec config.md "Linux mount options"; mount_setattr(2).
func attributes() []attribute {
	const atime = unix.MOUNT_ATTR__ATIME
	return []attribute{
		{"ro", unix.MOUNT_ATTR_RDONLY, 0}, {"rw", 0, unix.MOUNT_ATTR_RDONLY},
		{"nosuid", unix.MOUNT_ATTR_NOSUID, 0}, {"suid", 0, unix.MOUNT_ATTR_NOSUID},
		{"nodev", unix.MOUNT_ATTR_NODEV, 0}, {"dev", 0, unix.MOUNT_ATTR_NODEV},
		{"noexec", unix.MOUNT_ATTR_NOEXEC, 0}, {"exec", 0, unix.MOUNT_ATTR_NOEXEC},
		{"nodiratime", unix.MOUNT_ATTR_NODIRATIME, 0}, {"diratime", 0, unix.MOUNT_ATTR_NODIRATIME},
		{"noatime", unix.MOUNT_ATTR_NOATIME, atime}, {"atime", 0, unix.MOUNT_ATTR_NOATIME},
		{"relatime", unix.MOUNT_ATTR_RELATIME, atime}, {"norelatime", 0, 0},
		{"strictatime", unix.MOUNT_ATTR_STRICTATIME, atime}, {"nostrictatime", 0, unix.MOUNT_ATTR_STRICTATIME},
		{"nosymfollow", unix.MOUNT_ATTR_NOSYMFOLLOW, 0}, {"symfollow", 0, unix.MOUNT_ATTR_NOSYMFOLLOW},
	}
}

// super are the options of the file system that are no data: the word for
// fsconfig, empty for what is only taken back, and the flag for mount(2).
func super(name string) (word string, flag uintptr, ok bool) {
	switch name {
	case "sync":
		return "sync", unix.MS_SYNCHRONOUS, true
	case "dirsync":
		return "dirsync", unix.MS_DIRSYNC, true
	case "mand":
		return "mand", unix.MS_MANDLOCK, true
	case "lazytime":
		return "lazytime", unix.MS_LAZYTIME, true
	case "iversion":
		return "", unix.MS_I_VERSION, true // the kernel has no fsconfig word: always on where it matters
	case "silent":
		return "", unix.MS_SILENT, true
	case "async", "nomand", "nolazytime", "noiversion", "loud", "defaults", "remount":
		return "", 0, true
	}
	return "", 0, false
}

// parseOptions sorts the options of a mount.
func parseOptions(list []string) (o options, err error) {
	attrs := attributes()
	for _, name := range list {
		if name == "defaults" { // rw, suid, dev, exec, async, of mount(8)
			for _, n := range [...]string{"rw", "suid", "dev", "exec"} {
				o.attribute(attrs, n)
			}
			name = "async"
		}
		if o.mode(name) || o.attribute(attrs, name) {
			continue
		}
		if word, flag, ok := super(name); ok {
			o.legacy |= flag
			if word != "" {
				o.flags = append(o.flags, word)
			}
			if bare, no := strings.CutPrefix(name, "no"); no || name == "async" || name == "loud" {
				o.without(bare)
			}
			continue
		}
		if name != "" {
			o.data = append(o.data, name)
		}
	}
	if o.bind && len(o.data) > 0 {
		return o, fmt.Errorf("a bind takes no options of a file system: %q", strings.Join(o.data, ","))
	}
	return o, nil
}

// without takes back what the option "no" + name, or async for sync, undoes.
func (o *options) without(name string) {
	undone := map[string]uintptr{"mand": unix.MS_MANDLOCK, "lazytime": unix.MS_LAZYTIME, "iversion": unix.MS_I_VERSION, "loud": unix.MS_SILENT, "async": unix.MS_SYNCHRONOUS}
	flag, ok := undone[name]
	if !ok {
		return
	}
	o.legacy &^= flag
	if name == "async" {
		name = "sync"
	}
	o.flags = slices.DeleteFunc(o.flags, func(f string) bool { return f == name })
}

// mode takes the options that say what kind of mount it is.
func (o *options) mode(name string) bool {
	prop, isProp := propagationOf(name)
	switch {
	case name == "bind":
		o.bind = true
	case name == "rbind":
		o.bind, o.recursive = true, true
	case name == "tmpcopyup":
		o.copyUp = true
	case name == "idmap":
		o.idmap = true
	case name == "ridmap":
		o.idmap, o.ridmap = true, true
	case isProp:
		o.prop, o.propRecursive = prop.flag, prop.recursive
	default:
		return false
	}
	return true
}

func (o *options) attribute(attrs []attribute, name string) bool {
	for _, a := range attrs {
		switch name {
		case a.name:
			o.set, o.clr = a.apply(o.set, o.clr)
			return true
		case "r" + a.name:
			o.rset, o.rclr = a.apply(o.rset, o.rclr)
			return true
		}
	}
	return false
}

// apply adds the attribute to a pair of sets. The kernel changes the mode of
// access times as a whole: it is cleared with all its bits.
func (a attribute) apply(set, clr uint64) (uint64, uint64) {
	const atime = unix.MOUNT_ATTR__ATIME
	set, clr = set&^a.clr|a.set, clr&^a.set|a.clr
	if clr&(unix.MOUNT_ATTR_NOATIME|unix.MOUNT_ATTR_STRICTATIME) != 0 {
		clr |= atime
	}
	return set, clr
}

// propagation is a propagation type.
type propagation struct {
	flag      uint64
	recursive bool
}

// propagationOf parses the name of a propagation type.
func propagationOf(name string) (p propagation, ok bool) {
	bare, rec := strings.CutPrefix(name, "r")
	switch bare {
	case "shared":
		p.flag = unix.MS_SHARED
	case "slave":
		p.flag = unix.MS_SLAVE
	case "private":
		p.flag = unix.MS_PRIVATE
	case "unbindable":
		p.flag = unix.MS_UNBINDABLE
	default:
		return p, false
	}
	p.recursive = rec
	return p, true
}
