package rootfs

import (
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// optionKind is what an option of mounts[].options is about.
type optionKind uint8

const (
	ofMount       optionKind = iota // attributes of the mount itself
	ofFileSystem                    // the file system, but no data for it
	ofPropagation                   // the propagation type of the mount
	ofWay                           // the way in which it is mounted
)

// option is a row of the table of mount options.
type option struct {
	name  string
	kind  optionKind
	tree  bool   // with an r before the name it is for the whole tree
	since string // the first kernel that has it, empty where all that Hutch runs on have

	attrs  change  // ofMount: what mount_setattr(2) sets and clears
	back   uint64  // ofMount: the mode of access times that it takes back
	flag   uintptr // the flag of mount(2): of attrs.set, of the file system, or the propagation type
	seen   uint64  // ofMount: the flag of statfs(2) for attrs.set
	word   string  // ofFileSystem: the word of fsconfig(2), empty where there is none
	undoes bool    // ofFileSystem: it takes flag and word back
	take   func(o *options, tree bool)
}

// mountOptions are all options that are no data for a file system: the check, the emission,
// what is restored and the list for engines read it.
//
// The kernel changes the mode of access times as a whole: what sets one of them clears
// all bits, which is relatime. To take a mode back is to name none.
//
// What is crun's and not of the specification: copy-symlink, src-nofollow, dest-nofollow,
// and the options of a file system with an r, which are what they are without it.
//
// Source: runtime-spec config.md "Linux mount options"; mount_setattr(2), mount(2), statfs(2),
// mount(8); crun(1).
var mountOptions = [...]option{
	{name: "ro", tree: true, attrs: change{unix.MOUNT_ATTR_RDONLY, 0}, flag: unix.MS_RDONLY, seen: unix.ST_RDONLY},
	{name: "rw", tree: true, attrs: change{0, unix.MOUNT_ATTR_RDONLY}},
	{name: "nosuid", tree: true, attrs: change{unix.MOUNT_ATTR_NOSUID, 0}, flag: unix.MS_NOSUID, seen: unix.ST_NOSUID},
	{name: "suid", tree: true, attrs: change{0, unix.MOUNT_ATTR_NOSUID}},
	{name: "nodev", tree: true, attrs: change{unix.MOUNT_ATTR_NODEV, 0}, flag: unix.MS_NODEV, seen: unix.ST_NODEV},
	{name: "dev", tree: true, attrs: change{0, unix.MOUNT_ATTR_NODEV}},
	{name: "noexec", tree: true, attrs: change{unix.MOUNT_ATTR_NOEXEC, 0}, flag: unix.MS_NOEXEC, seen: unix.ST_NOEXEC},
	{name: "exec", tree: true, attrs: change{0, unix.MOUNT_ATTR_NOEXEC}},
	{name: "nosymfollow", tree: true, attrs: change{unix.MOUNT_ATTR_NOSYMFOLLOW, 0}, flag: unix.MS_NOSYMFOLLOW, seen: stNoSymfollow, since: "5.14"},
	{name: "symfollow", tree: true, attrs: change{0, unix.MOUNT_ATTR_NOSYMFOLLOW}, since: "5.14"},
	{name: "nodiratime", tree: true, attrs: change{unix.MOUNT_ATTR_NODIRATIME, 0}, flag: unix.MS_NODIRATIME, seen: unix.ST_NODIRATIME},
	{name: "diratime", tree: true, attrs: change{0, unix.MOUNT_ATTR_NODIRATIME}},
	{name: "noatime", tree: true, attrs: change{unix.MOUNT_ATTR_NOATIME, unix.MOUNT_ATTR__ATIME}, flag: unix.MS_NOATIME, seen: unix.ST_NOATIME},
	{name: "atime", tree: true, back: unix.MOUNT_ATTR_NOATIME},
	{name: "relatime", tree: true, attrs: change{unix.MOUNT_ATTR_RELATIME, unix.MOUNT_ATTR__ATIME}, seen: unix.ST_RELATIME},
	{name: "norelatime", tree: true},
	{name: "strictatime", tree: true, attrs: change{unix.MOUNT_ATTR_STRICTATIME, unix.MOUNT_ATTR__ATIME}, flag: unix.MS_STRICTATIME},
	{name: "nostrictatime", tree: true, back: unix.MOUNT_ATTR_STRICTATIME},

	{name: "sync", kind: ofFileSystem, tree: true, word: "sync", flag: unix.MS_SYNCHRONOUS},
	{name: "async", kind: ofFileSystem, tree: true, word: "sync", flag: unix.MS_SYNCHRONOUS, undoes: true},
	{name: "dirsync", kind: ofFileSystem, tree: true, word: "dirsync", flag: unix.MS_DIRSYNC},
	{name: "mand", kind: ofFileSystem, tree: true, word: "mand", flag: unix.MS_MANDLOCK},
	{name: "nomand", kind: ofFileSystem, tree: true, word: "mand", flag: unix.MS_MANDLOCK, undoes: true},
	{name: "lazytime", kind: ofFileSystem, word: "lazytime", flag: unix.MS_LAZYTIME},
	{name: "nolazytime", kind: ofFileSystem, word: "lazytime", flag: unix.MS_LAZYTIME, undoes: true},
	{name: "iversion", kind: ofFileSystem, flag: unix.MS_I_VERSION}, // fsconfig has no word for it
	{name: "noiversion", kind: ofFileSystem, flag: unix.MS_I_VERSION, undoes: true},
	{name: "silent", kind: ofFileSystem, flag: unix.MS_SILENT}, // nor for this
	{name: "loud", kind: ofFileSystem, flag: unix.MS_SILENT, undoes: true},
	{name: "defaults", kind: ofFileSystem}, // takes nothing back, as in runc and crun

	{name: "shared", kind: ofPropagation, tree: true, flag: unix.MS_SHARED},
	{name: "slave", kind: ofPropagation, tree: true, flag: unix.MS_SLAVE},
	{name: "private", kind: ofPropagation, tree: true, flag: unix.MS_PRIVATE},
	{name: "unbindable", kind: ofPropagation, tree: true, flag: unix.MS_UNBINDABLE},

	{name: "bind", kind: ofWay, tree: true, take: func(o *options, tree bool) { o.bind, o.recursive = true, o.recursive || tree }},
	{name: "remount", kind: ofWay, take: func(o *options, _ bool) { o.remount = true }},
	{name: "tmpcopyup", kind: ofWay, take: func(o *options, _ bool) { o.copyUp = true }},
	{name: "copy-symlink", kind: ofWay, take: func(o *options, _ bool) { o.copyLink = true }},
	{name: "src-nofollow", kind: ofWay, take: func(o *options, _ bool) { o.srcNoFollow = true }},
	{name: "dest-nofollow", kind: ofWay, take: func(o *options, _ bool) { o.destNoFollow = true }},
	{name: "idmap", kind: ofWay, tree: true, take: func(o *options, tree bool) { o.idmap, o.ridmap = true, o.ridmap || tree }},
}

// findOption returns the row of a mount option, nil for what is data of a file system,
// and reports whether the option is for the whole tree.
func findOption(name string) (row *option, tree bool) {
	for i := range mountOptions {
		row := &mountOptions[i]
		switch {
		case name == row.name:
			return row, false
		case row.tree && len(name) > 0 && name[0] == 'r' && name[1:] == row.name:
			return row, true
		}
	}
	return nil, false
}

// OptionSince returns the first kernel that has a mount option, as 5.14: empty where all that
// Hutch runs on have it, and for data of a file system.
func OptionSince(name string) string {
	row, _ := findOption(name)
	if row == nil {
		return ""
	}
	return row.since
}

// IsData reports whether an option is data for the file system, which the kernel judges.
func IsData(option string) bool {
	row, _ := findOption(option)
	return row == nil && option != "" && !forMountHelpers(option) && !strings.HasPrefix(option, "idmap=") && !strings.HasPrefix(option, "ridmap=")
}

// MountOptions returns the names of all options that are no data for a file system, in
// alphabetical order.
func MountOptions() []string {
	var names []string
	for i := range mountOptions {
		names = append(names, mountOptions[i].name)
		if mountOptions[i].tree {
			names = append(names, "r"+mountOptions[i].name)
		}
	}
	slices.Sort(names)
	return names
}

// propagations returns the names of the propagation types as a text for errors.
func propagations() string {
	names := propagationNames()
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

func propagationNames() (names []string) {
	for i := range mountOptions {
		if mountOptions[i].kind == ofPropagation {
			names = append(names, mountOptions[i].name)
		}
	}
	return names
}

// IsBind reports whether m is a bind mount: by its options alone, since "bind" is no type
// of a file system.
//
// Source: runtime-spec config.md "Mounts".
func IsBind(m *specs.Mount) bool {
	return slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind")
}

// BindsTree reports whether m binds a whole tree.
func BindsTree(m *specs.Mount) bool { return slices.Contains(m.Options, "rbind") }
