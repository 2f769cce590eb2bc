package user

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/fault"
)

// CheckMapped checks that the ids of the process are mapped, where the mapping is in the
// configuration. Without a process nothing is checked.
func CheckMapped(c *check.Config) error {
	p := c.Process
	if p == nil {
		return nil
	}
	if space := c.Namespace(specs.UserNamespace); space == nil || space.Path != "" {
		return nil
	}
	if !check.Mapped(c.Linux.UIDMappings, p.User.UID) {
		c.Add(unmapped("process.user.uid", p.User.UID, "linux.uidMappings"))
	}
	if !check.Mapped(c.Linux.GIDMappings, p.User.GID) {
		c.Add(unmapped("process.user.gid", p.User.GID, "linux.gidMappings"))
	}
	for i, g := range p.User.AdditionalGids {
		if !check.Mapped(c.Linux.GIDMappings, g) {
			c.Add(unmapped(fault.At("process.user.additionalGids", i), g, "linux.gidMappings"))
		}
	}
	return nil
}

func unmapped(element string, id uint32, mappings string) error {
	return fault.New(element, check.Number(id)+" is not mapped in the user namespace", "add it to "+mappings)
}

// Check checks process.user.
func Check(p *check.Process) error {
	u := &p.User
	if u.UID > check.MaxID {
		p.Add(check.ID("process.user.uid", u.UID))
	}
	if u.GID > check.MaxID {
		p.Add(check.ID("process.user.gid", u.GID))
	}
	for i, g := range u.AdditionalGids {
		if g > check.MaxID {
			p.Add(check.ID(fault.At("process.user.additionalGids", i), g))
		}
	}
	if u.Umask != nil && *u.Umask > 0o777 {
		return fault.New("process.user.umask", check.Number(*u.Umask)+" has other bits than those for permissions",
			"give at most 511, which is 0777 in octal")
	}
	return nil
}
