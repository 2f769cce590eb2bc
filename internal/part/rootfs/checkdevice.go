package rootfs

import (
	"path"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/fault"
)

// Largest numbers of a device that mknod takes, which has 12 and 20 bits.
const (
	maxMajor = 1<<12 - 1
	maxMinor = 1<<20 - 1
)

// CheckDevices checks linux.devices. A path that stands twice is tolerated where
// both ask for the same node: engines merge lists.
//
// Source: runtime-spec config-linux.md "Devices".
func CheckDevices(c *check.Config) error {
	for i := range c.Linux.Devices {
		c.Add(checkDevice(c, i, &c.Linux.Devices[i]))
	}
	return nil
}

// checkDevice checks the element i.
func checkDevice(conf *check.Config, i int, dev *specs.LinuxDevice) error {
	const name = "linux.devices"
	if !check.IsAbsolute(dev.Path) {
		return check.Absolute(fault.At(name, i)+".path", dev.Path)
	}
	if path.Clean(dev.Path) == "/" {
		return fault.New(fault.At(name, i)+".path", fault.Quote(dev.Path)+" is the root of the container", "give the path of the node")
	}
	switch dev.Type {
	case "p":
	case "c", "b", "u":
		if dev.Major < 0 || dev.Major > maxMajor {
			return fault.New(fault.At(name, i)+".major", check.Number(dev.Major)+" is out of range", "give a number from 0 to 4095")
		}
		if dev.Minor < 0 || dev.Minor > maxMinor {
			return fault.New(fault.At(name, i)+".minor", check.Number(dev.Minor)+" is out of range", "give a number from 0 to 1048575")
		}
	default:
		return check.Unknown(fault.At(name, i)+".type", dev.Type, "c, b, u or p")
	}
	if err := checkOwner(conf, i, dev); err != nil {
		return err
	}
	for j := range conf.Linux.Devices[:i] {
		if o := &conf.Linux.Devices[j]; o.Path == dev.Path && !sameNode(o, dev) {
			return fault.New(fault.At(name, i)+".path", fault.Quote(dev.Path)+" is another device in "+fault.At(name, j), "remove one")
		}
	}
	return nil
}

// checkOwner checks a device's ids and mode. Bits of the mode beside those that
// chmod takes are dropped: engines copy the type's bits from the host's node.
func checkOwner(c *check.Config, i int, d *specs.LinuxDevice) error {
	const name = "linux.devices"
	if d.UID != nil && *d.UID > check.MaxID {
		return check.ID(fault.At(name, i)+".uid", *d.UID)
	}
	if d.GID != nil && *d.GID > check.MaxID {
		return check.ID(fault.At(name, i)+".gid", *d.GID)
	}
	if d.FileMode != nil && uint32(*d.FileMode)&^0o177777 != 0 {
		c.Warn(fault.At(name, i)+".fileMode", check.Number(uint32(*d.FileMode))+" has bits that no mode of a file has, ignoring them")
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
