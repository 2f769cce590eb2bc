package rootfs

import (
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/probe"
)

// What the table of mount options says of attributes of a mount, MOUNT_ATTR_ bits.

// SetattrSince is the first kernel that has mount_setattr(2).
const SetattrSince = "5.12"

// accessTimes are the attributes of access times, which the kernel locks together.
const accessTimes = unix.MOUNT_ATTR__ATIME | unix.MOUNT_ATTR_NODIRATIME

// stNoSymfollow is ST_NOSYMFOLLOW of linux/statfs.h.
const stNoSymfollow = 0x2000

// restrictions returns all attributes but those of access times: a bind with options of its
// own does not take them over from its source.
func restrictions() (attrs uint64) {
	for i := range mountOptions {
		attrs |= mountOptions[i].attrs.set &^ accessTimes
	}
	return attrs
}

// younger returns the attributes that not all kernels with mount_setattr(2) have.
func younger() (attrs uint64) {
	for i := range mountOptions {
		if row := &mountOptions[i]; row.since != "" {
			attrs |= row.attrs.set
		}
	}
	return attrs
}

// attrsSince returns the first kernel on which mount_setattr(2) takes all attributes of c.
func attrsSince(c change) string {
	since := SetattrSince
	for i := range mountOptions {
		row := &mountOptions[i]
		if row.since != "" && row.attrs.set&(c.set|c.clr) != 0 && probe.ParseKernel(row.since).Has(since) {
			since = row.since
		}
	}
	return since
}

// mountFlags returns the MS_ flags of mount(2) for attributes.
func mountFlags(attrs uint64) (flags uintptr) {
	for i := range mountOptions {
		if row := &mountOptions[i]; attrs&row.attrs.set != 0 {
			flags |= row.flag
		}
	}
	return flags
}

// statfsFlags returns the flags of statfs(2) for attributes.
func statfsFlags(attrs uint64) (flags uint64) {
	for i := range mountOptions {
		if row := &mountOptions[i]; attrs&row.attrs.set != 0 {
			flags |= row.seen
		}
	}
	return flags
}

// attrsSeen returns the attributes of a mount by its flags of statfs(2).
func attrsSeen(flags uint64) uint64 {
	attrs := uint64(unix.MOUNT_ATTR_STRICTATIME) // which is no flag there
	for i := range mountOptions {
		if row := &mountOptions[i]; flags&row.seen != 0 {
			attrs = attrs&^row.attrs.clr | row.attrs.set
		}
	}
	return attrs
}
