package user

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/fault"
)

// CheckMapped checks that the ids of the process are mapped, where the mapping is in the
// configuration. Without a process nothing is checked.
func CheckMapped(conf *check.Config) error {
	proc := conf.Process
	if proc == nil {
		return nil
	}
	if space := conf.Namespace(specs.UserNamespace); space == nil || space.Path != "" {
		return nil
	}
	if !check.Mapped(conf.Linux.UIDMappings, proc.User.UID) {
		conf.Add(unmapped("process.user.uid", proc.User.UID, "linux.uidMappings"))
	}
	if !check.Mapped(conf.Linux.GIDMappings, proc.User.GID) {
		conf.Add(unmapped("process.user.gid", proc.User.GID, "linux.gidMappings"))
	}
	for i, g := range proc.User.AdditionalGids {
		if !check.Mapped(conf.Linux.GIDMappings, g) {
			conf.Add(unmapped(fault.At("process.user.additionalGids", i), g, "linux.gidMappings"))
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
