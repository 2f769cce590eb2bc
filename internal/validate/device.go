package validate

import (
	"path"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Largest numbers of a device that mknod takes, which has 12 and 20 bits.
const (
	maxMajor = 1<<12 - 1
	maxMinor = 1<<20 - 1
)

// devices checks linux.devices. A path that stands twice is tolerated where
// both ask for the same node: engines merge lists.
//
// Source: runtime-spec config-linux.md "Devices".
func (c *checker) devices() error {
	const name = "linux.devices"
	for i := range c.linux.Devices {
		d := &c.linux.Devices[i]
		if !isAbsolute(d.Path) {
			return absolute(at(name, i)+".path", d.Path)
		}
		if path.Clean(d.Path) == "/" {
			return fault(at(name, i)+".path", quote(d.Path)+" is the root of the container", "give the path of the node")
		}
		switch d.Type {
		case "p":
		case "c", "b", "u":
			if d.Major < 0 || d.Major > maxMajor {
				return fault(at(name, i)+".major", number(d.Major)+" is out of range", "give a number from 0 to 4095")
			}
			if d.Minor < 0 || d.Minor > maxMinor {
				return fault(at(name, i)+".minor", number(d.Minor)+" is out of range", "give a number from 0 to 1048575")
			}
		default:
			return unknown(at(name, i)+".type", d.Type, "c, b, u or p")
		}
		if err := c.owner(i, d); err != nil {
			return err
		}
		for j := range c.linux.Devices[:i] {
			if o := &c.linux.Devices[j]; o.Path == d.Path && !sameNode(o, d) {
				return fault(at(name, i)+".path", quote(d.Path)+" is another device in "+at(name, j), "remove one")
			}
		}
	}
	return nil
}

// owner checks a device's ids and mode. Bits of the mode beside those that
// chmod takes are dropped: engines copy the type's bits from the host's node.
func (c *checker) owner(i int, d *specs.LinuxDevice) error {
	const name = "linux.devices"
	if d.UID != nil && *d.UID > maxID {
		return badID(at(name, i)+".uid", *d.UID)
	}
	if d.GID != nil && *d.GID > maxID {
		return badID(at(name, i)+".gid", *d.GID)
	}
	if d.FileMode != nil && uint32(*d.FileMode)&^0o177777 != 0 {
		c.warn(at(name, i)+".fileMode", number(uint32(*d.FileMode))+" has bits that no mode of a file has, ignoring them")
	}
	return nil
}

func sameNode(a, b *specs.LinuxDevice) bool {
	charA, charB := a.Type, b.Type
	if charA == "u" { // another name of c
		charA = "c"
	}
	if charB == "u" {
		charB = "c"
	}
	return charA == charB && (charA == "p" || a.Major == b.Major && a.Minor == b.Minor)
}
