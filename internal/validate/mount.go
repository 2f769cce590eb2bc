package validate

import (
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// mounts checks the entries of mounts, each on its own: later ones may be below
// earlier ones or over them.
//
// Source: runtime-spec config.md "Mounts".
func (c *checker) mounts() error {
	for i := range c.Mounts {
		if err := c.mount(i, &c.Mounts[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) mount(i int, m *specs.Mount) error {
	if err := c.destination(i, m.Destination); err != nil {
		return err
	}
	for j, o := range m.Options {
		if strings.IndexByte(o, 0) >= 0 {
			return cstring(at(at("mounts", i)+".options", j), o, 0)
		}
	}
	if strings.IndexByte(m.Type, 0) >= 0 {
		return cstring(at("mounts", i)+".type", m.Type, 0)
	}
	if len(m.Source) > maxPath || strings.IndexByte(m.Source, 0) >= 0 {
		return cstring(at("mounts", i)+".source", m.Source, maxPath)
	}
	if !slices.Contains(m.Options, "remount") {
		if err := source(i, m); err != nil {
			return err
		}
	}
	return c.idmap(i, m)
}

// destination: "This value SHOULD be an absolute path. [...] it MAY be a
// relative path, in which case it MUST be interpreted as relative to "/"."
func (c *checker) destination(i int, d string) error {
	switch {
	case d == "":
		return fault(at("mounts", i)+".destination", "missing", "give an absolute path in the container")
	case path.Clean("/"+d) == "/":
		return fault(at("mounts", i)+".destination", quote(d)+" is the root of the container", "set root.path instead")
	case len(d) > maxPath || strings.IndexByte(d, 0) >= 0:
		return cstring(at("mounts", i)+".destination", d, maxPath)
	case d[0] != '/':
		c.warn(at("mounts", i)+".destination", quote(d)+" is not absolute, taken from /; relative paths are deprecated")
	}
	return nil
}

// source checks that there is something to mount. A bind mount takes no options
// of a file system: the kernel would ignore them without a word.
func source(i int, m *specs.Mount) error {
	bind := slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind")
	switch {
	case bind && m.Source == "":
		return fault(at("mounts", i)+".source", "missing", "give the file or directory to bind")
	case bind:
		for j, o := range m.Options {
			if o != "" && !mountOption(o) {
				return fault(at(at("mounts", i)+".options", j), quote(o)+" is not an option for bind mounts, which take none of a file system",
					"remove it, or bind and rbind")
			}
		}
	case m.Type == "":
		return fault(at("mounts", i)+".type", "missing", "name a file system, or add the option bind or rbind")
	case m.Type == "bind":
		return fault(at("mounts", i)+".type", "bind is not a file system", "add the option bind or rbind")
	}
	return nil
}

// idmap checks a mount's own mappings: uidMappings, "if specified, MUST be
// specified along with gidMappings", and that the options idmap and ridmap find
// a mapping.
func (c *checker) idmap(i int, m *specs.Mount) error {
	if len(m.UIDMappings) == 0 && len(m.GIDMappings) == 0 {
		if c.spaces[userSpace] == nil && (slices.Contains(m.Options, "idmap") || slices.Contains(m.Options, "ridmap")) {
			return fault(at("mounts", i), "the option idmap or ridmap has no mapping to apply",
				"give the mount uidMappings and gidMappings, or the container a user namespace")
		}
		return nil
	}
	name := at("mounts", i)
	if len(m.UIDMappings) == 0 || len(m.GIDMappings) == 0 {
		return fault(name, "has one of uidMappings and gidMappings only", "give both")
	}
	if err := mappings(name+".uidMappings", m.UIDMappings); err != nil {
		return err
	}
	return mappings(name+".gidMappings", m.GIDMappings)
}

// mountOption tells whether o is an option of the mount itself, not of its file
// system.
//
// Source: runtime-spec config.md "Linux mount options".
func mountOption(o string) bool {
	switch o {
	case "async", "atime", "bind", "defaults", "dev", "diratime", "dirsync", "exec", "iversion", "lazytime", "loud", "mand",
		"noatime", "nodev", "nodiratime", "noexec", "noiversion", "nolazytime", "nomand", "norelatime", "nostrictatime",
		"nosuid", "nosymfollow", "rbind", "relatime", "remount", "ro", "rw", "silent", "strictatime", "suid", "symfollow", "sync",
		"private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable",
		"ratime", "rdev", "rdiratime", "rexec", "rnoatime", "rnodev", "rnodiratime", "rnoexec", "rnorelatime", "rnostrictatime",
		"rnosuid", "rnosymfollow", "rrelatime", "rro", "rrw", "rstrictatime", "rsuid", "rsymfollow",
		"tmpcopyup", "idmap", "ridmap":
		return true
	}
	return false
}
