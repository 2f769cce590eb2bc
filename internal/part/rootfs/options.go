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

	copyLink     bool // a source that is a symbolic link is copied
	srcNoFollow  bool // or is mounted as it is
	destNoFollow bool // a symbolic link at the destination is mounted on as it is
}

// change is a pair of attribute sets for mount_setattr.
type change struct{ set, clr uint64 }

func (c change) empty() bool { return c.set|c.clr == 0 }

// merge returns c followed by d, as one change.
func (c change) merge(d change) change {
	return change{c.set&^d.clr | d.set, c.clr&^d.set | d.clr}
}

// without is c with mode taken out, a mode of access times that an option takes back.
func (c change) without(mode uint64) change {
	if mode != 0 && c.set&unix.MOUNT_ATTR__ATIME == mode {
		c.set, c.clr = c.set&^mode, c.clr&^unix.MOUNT_ATTR__ATIME
	}
	return c
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
	if name == "" || forMountHelpers(name) {
		return
	}
	row, tree := findOption(name)
	switch {
	case row == nil:
		o.data = append(o.data, name)
	case row.kind == ofMount && tree:
		o.below = o.below.merge(row.attrs).without(row.back)
	case row.kind == ofMount:
		o.change, o.named = o.change.merge(row.attrs).without(row.back), true
	case row.kind == ofFileSystem && row.undoes:
		o.legacy &^= row.flag
		o.flags = slices.DeleteFunc(o.flags, func(word string) bool { return word == row.word })
	case row.kind == ofFileSystem:
		o.legacy |= row.flag
		if row.word != "" {
			o.flags = append(o.flags, row.word)
		}
	case row.kind == ofPropagation:
		o.prop, o.propRecursive = uint64(row.flag), tree
	default:
		row.take(o, tree)
	}
}

// forMountHelpers reports whether the option is for user space, and never for the
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

// hasData reports whether the file system's option key is there.
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

// name returns the name of the propagation type.
func (p propagation) name() string {
	for i := range mountOptions {
		row := &mountOptions[i]
		switch {
		case row.kind != ofPropagation || uint64(row.flag) != p.flag:
		case p.recursive:
			return "r" + row.name
		default:
			return row.name
		}
	}
	return ""
}

// propagationOf returns the propagation type of a name.
func propagationOf(name string) (p propagation, ok bool) {
	row, tree := findOption(name)
	if row == nil || row.kind != ofPropagation {
		return p, false
	}
	return propagation{uint64(row.flag), tree}, true
}
