package rootfs

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Attributes of a mount are MOUNT_ATTR_ bits here. CRIU gives a mount those that it had at the
// checkpoint, and the container's processes may have taken some of the configuration's off.

// AttributesOf returns those of the mount that the file is on.
//
// Source: statfs(2), f_flags.
func AttributesOf(fd int) (attrs uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return 0, fmt.Errorf("statfs: %w", err)
	}
	return attrsSeen(uint64(st.Flags)), nil
}

// Recorded returns the attributes of a mount whose options a mountinfo file has so.
func Recorded(mountinfo string) uint64 {
	c := parseOptions(strings.Split(mountinfo, ",")).change
	if c.clr&unix.MOUNT_ATTR__ATIME == 0 {
		return c.set | unix.MOUNT_ATTR_STRICTATIME
	}
	return c.set
}

// Loosest returns what both a and b restrict, with the access times of a.
func Loosest(a, b uint64) uint64 { return a&b&restrictions() | a&accessTimes }

// SetAttributes gives the mount that is open at fd the attributes, and no other. Access times
// that the kernel has locked, as it does with a mount that has come into a user namespace,
// stay as they are.
//
// Source: mount_namespaces(7), "Restrictions on mount namespaces"; mount_setattr(2).
func SetAttributes(fd int, attrs uint64) error {
	has, err := AttributesOf(fd)
	if err != nil {
		return err
	}
	set := func(set, clr uint64) error {
		return unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: set, Attr_clr: clr})
	}
	plain := change{attrs & restrictions(), restrictions() &^ attrs}
	plain.clr &^= younger() &^ has // which this kernel may not know
	times := change{}
	if (has^attrs)&accessTimes != 0 {
		times = change{attrs & accessTimes, unix.MOUNT_ATTR__ATIME | unix.MOUNT_ATTR_NODIRATIME&^attrs}
	}
	err = set(plain.set|times.set, plain.clr|times.clr)
	if err == unix.EPERM && !times.empty() {
		err = set(plain.set, plain.clr)
	}
	if err != nil {
		return fmt.Errorf("mount_setattr: %w", err)
	}
	return nil
}

// Attributes returns those that the configuration gives the mount of the bind i, or with below
// one that comes with it, by those of the source.
func (r *Restored) Attributes(i int, below bool, source uint64) uint64 {
	c := r.changes(i, below)
	for k := i + 1; k < len(r.emit.mounts); k++ {
		if r.emit.mounts[k].o.bind && r.emit.remounted(k) == i {
			c = c.merge(r.changes(k, below))
		}
	}
	return r.apply(c, source)
}

// New returns what the configuration restricts of the mount of the new file system i.
func (r *Restored) New(i int) uint64 {
	o := &r.emit.mounts[i].o
	return o.change.merge(o.below).set & restrictions()
}

// changes returns what the options of the entry i change of a mount.
func (r *Restored) changes(i int, below bool) change {
	top, tree := r.emit.bindChanges(&r.emit.mounts[i])
	if r.emit.mounts[i].o.remount {
		top = r.emit.mounts[i].o.change
	}
	if below {
		return tree
	}
	return top.merge(tree)
}

// apply returns what is made of the attributes of a source. In a user namespace what the host
// has restricted stays.
func (r *Restored) apply(c change, source uint64) uint64 {
	if r.emit.c.Userns {
		c.clr &^= restrictions()
	}
	return source&^c.clr | c.set
}

// SetBind gives what is mounted at fd, the bind i with what comes with it, the attributes of the
// configuration.
func (r *Restored) SetBind(i, fd int) error {
	has, err := AttributesOf(fd)
	if err != nil {
		return err
	}
	if err := SetAttributes(fd, r.apply(r.changes(i, false), has)); err != nil {
		return err
	}
	tree := r.changes(i, true)
	if tree.empty() || !r.emit.mounts[i].o.recursive {
		return nil
	}
	attr := unix.MountAttr{Attr_set: tree.set, Attr_clr: tree.clr}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr); err != nil {
		return fmt.Errorf("mount_setattr of what is mounted below: %w", err)
	}
	return nil
}

// Cgroup returns the attributes of a mount of a cgroup directory, by those of the directory's: of
// the mount of the configuration that it is at or below. With callers it is the caller's.
func (r *Restored) Cgroup(at string, callers bool, source uint64) uint64 {
	for i := range r.emit.mounts {
		s := &r.emit.mounts[i]
		if t := r.emit.c.Spec.Mounts[i].Type; (t == "cgroup" || t == "cgroup2") && (at == s.dest || strings.HasPrefix(at, s.dest+"/")) {
			source |= s.o.change.merge(s.o.below).set & restrictions()
		}
	}
	if callers {
		source |= unix.MOUNT_ATTR_RDONLY
	}
	return source
}

// Masked returns the attributes of the mount of a null device that masks a file, by those that it
// had.
func Masked(attrs uint64) uint64 { return attrs | forNode }
