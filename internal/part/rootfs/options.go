package rootfs

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// options are a mount's options, sorted by what the kernel takes them for.
type options struct {
	bind, recursive bool // bind, rbind
	remount         bool
	change          change   // of the mount itself
	named           bool     // whether one of those that change the mount itself stands there
	below           change   // of the whole tree: the recursive options
	prop            uint64   // MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE or 0
	propRecursive   bool     // rshared and so on
	flags           []string // of the file system, words without a value
	legacy          uintptr  // the same as MS_ flags for mount(2)
	data            []string // for the file system
	copyUp          bool
	idmap, ridmap   bool
}

// change is a pair of attribute sets for mount_setattr.
type change struct{ set, clr uint64 }

func (c change) empty() bool { return c.set|c.clr == 0 }

// then is c followed by d, as one change.
func (c change) then(d change) change {
	return change{c.set&^d.clr | d.set, c.clr&^d.set | d.clr}
}

// without is c with the mode of access times that the option name takes back taken out.
func (c change) without(name string) change {
	var mode uint64
	switch name {
	case "atime":
		mode = unix.MOUNT_ATTR_NOATIME
	case "nostrictatime":
		mode = unix.MOUNT_ATTR_STRICTATIME
	}
	if mode != 0 && c.set&unix.MOUNT_ATTR__ATIME == mode {
		c.set, c.clr = c.set&^mode, c.clr&^unix.MOUNT_ATTR__ATIME
	}
	return c
}

// attribute is an option that changes attributes of a mount.
type attribute struct {
	name string
	change
}

// attributes are those of the mount. With an "r" before the name they are for
// the whole tree. The kernel changes the mode of access times as a whole: what
// sets one of them clears all bits, which is relatime. To take a mode back is to
// name none.
//
// Source: runtime-spec config.md "Linux mount options"; mount_setattr(2), mount(8).
var attributes = [...]attribute{
	{"ro", change{unix.MOUNT_ATTR_RDONLY, 0}}, {"rw", change{0, unix.MOUNT_ATTR_RDONLY}},
	{"nosuid", change{unix.MOUNT_ATTR_NOSUID, 0}}, {"suid", change{0, unix.MOUNT_ATTR_NOSUID}},
	{"nodev", change{unix.MOUNT_ATTR_NODEV, 0}}, {"dev", change{0, unix.MOUNT_ATTR_NODEV}},
	{"noexec", change{unix.MOUNT_ATTR_NOEXEC, 0}}, {"exec", change{0, unix.MOUNT_ATTR_NOEXEC}},
	{"nosymfollow", change{unix.MOUNT_ATTR_NOSYMFOLLOW, 0}}, {"symfollow", change{0, unix.MOUNT_ATTR_NOSYMFOLLOW}},
	{"nodiratime", change{unix.MOUNT_ATTR_NODIRATIME, 0}}, {"diratime", change{0, unix.MOUNT_ATTR_NODIRATIME}},
	{"noatime", change{unix.MOUNT_ATTR_NOATIME, unix.MOUNT_ATTR__ATIME}}, {"atime", change{}},
	{"relatime", change{unix.MOUNT_ATTR_RELATIME, unix.MOUNT_ATTR__ATIME}}, {"norelatime", change{}},
	{"strictatime", change{unix.MOUNT_ATTR_STRICTATIME, unix.MOUNT_ATTR__ATIME}}, {"nostrictatime", change{}},
}

// mountFlags are the MS_ flags of mount(2) for attributes.
func mountFlags(set uint64) uintptr {
	var flags uintptr
	for _, f := range [...]struct {
		attr  uint64
		flags uintptr
	}{
		{unix.MOUNT_ATTR_RDONLY, unix.MS_RDONLY}, {unix.MOUNT_ATTR_NOSUID, unix.MS_NOSUID},
		{unix.MOUNT_ATTR_NODEV, unix.MS_NODEV}, {unix.MOUNT_ATTR_NOEXEC, unix.MS_NOEXEC},
		{unix.MOUNT_ATTR_NOATIME, unix.MS_NOATIME}, {unix.MOUNT_ATTR_STRICTATIME, unix.MS_STRICTATIME},
		{unix.MOUNT_ATTR_NODIRATIME, unix.MS_NODIRATIME}, {unix.MOUNT_ATTR_NOSYMFOLLOW, unix.MS_NOSYMFOLLOW},
	} {
		if set&f.attr != 0 {
			flags |= f.flags
		}
	}
	return flags
}

// super are the options of the file system that are no data: the word for
// fsconfig, empty when there is none, and the flag for mount(2).
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
		return "", unix.MS_I_VERSION, true // fsconfig has no word for it
	case "silent":
		return "", unix.MS_SILENT, true
	}
	return "", 0, false
}

// undoes is the option of super that name takes back, empty for none.
func undoes(name string) string {
	switch name {
	case "async":
		return "sync"
	case "nomand":
		return "mand"
	case "nolazytime":
		return "lazytime"
	case "noiversion":
		return "iversion"
	case "loud":
		return "silent"
	}
	return ""
}

// parseOptions sorts the options of a mount. The last of two that contradict each
// other wins.
func parseOptions(list []string) options {
	var o options
	for _, name := range list {
		o.parse(name)
	}
	return o
}

func (o *options) parse(name string) {
	switch {
	case name == "" || forMountHelpers(name):
	case name == "defaults": // takes nothing back, as in runc and crun
	case o.mode(name) || o.attribute(name):
	case undoes(name) != "":
		word, flag, _ := super(undoes(name))
		o.legacy &^= flag
		o.flags = slices.DeleteFunc(o.flags, func(f string) bool { return f == word })
	default:
		word, flag, ok := super(name)
		if !ok {
			o.data = append(o.data, name)
			return
		}
		o.legacy |= flag
		if word != "" {
			o.flags = append(o.flags, word)
		}
	}
}

// forMountHelpers says whether the option is for user space, and never for the
// kernel.
//
// Source: mount(8), "FILESYSTEM-INDEPENDENT MOUNT OPTIONS".
func forMountHelpers(name string) bool {
	switch name {
	case "auto", "noauto", "nofail", "_netdev":
		return true
	}
	return strings.HasPrefix(name, "x-") || strings.HasPrefix(name, "X-") || strings.HasPrefix(name, "comment=")
}

// mode takes the options that say what kind of mount it is.
func (o *options) mode(name string) bool {
	prop, isProp := propagationOf(name)
	switch {
	case name == "bind":
		o.bind = true
	case name == "rbind":
		o.bind, o.recursive = true, true
	case name == "remount":
		o.remount = true
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

func (o *options) attribute(name string) bool {
	for i := range attributes {
		a := &attributes[i]
		switch {
		case name == a.name:
			o.change, o.named = o.change.then(a.change).without(name), true
			return true
		case name[0] == 'r' && name[1:] == a.name:
			o.below = o.below.then(a.change).without(name[1:])
			return true
		}
	}
	return false
}

// hasData says whether the file system's option key is given.
func (o *options) hasData(key string) bool {
	for _, d := range o.data {
		if k, _, _ := strings.Cut(d, "="); k == key {
			return true
		}
	}
	return false
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
