package rootfs

import (
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/nearest"
)

// CheckRoot checks root.
//
// Source: runtime-spec config.md "Root".
func CheckRoot(c *check.Config) error {
	if c.Root == nil {
		return fault.New("root", "missing", `give an object with the path of the root file system, as "root": {"path": "rootfs"}`)
	}
	if c.Root.Path == "" {
		return fault.New("root.path", "missing", "give the path of the root file system, absolute or relative to the bundle")
	}
	return check.String("root.path", c.Root.Path, check.MaxPath)
}

// CheckMounts checks the entries of mounts, each on its own: later ones may be below
// earlier ones or over them.
//
// Source: runtime-spec config.md "Mounts".
func CheckMounts(c *check.Config) error {
	for i := range c.Mounts {
		c.Add(checkMount(c, i, &c.Mounts[i]))
	}
	return nil
}

func checkMount(conf *check.Config, i int, mnt *specs.Mount) error {
	if err := checkDestination(conf, i, mnt.Destination); err != nil {
		return err
	}
	for j, o := range mnt.Options {
		if check.HasNUL(o) {
			return check.String(fault.At(fault.At("mounts", i)+".options", j), o, 0)
		}
	}
	if check.HasNUL(mnt.Type) {
		return check.String(fault.At("mounts", i)+".type", mnt.Type, 0)
	}
	if len(mnt.Source) > check.MaxPath || check.HasNUL(mnt.Source) {
		return check.String(fault.At("mounts", i)+".source", mnt.Source, check.MaxPath)
	}
	if !slices.Contains(mnt.Options, "remount") {
		if err := checkSource(i, mnt); err != nil {
			return err
		}
	}
	conf.Add(checkIdmap(conf, i, mnt))
	checkOwners(conf, i, mnt)
	return checkPlace(i, mnt)
}

// checkOwners finds ids of a new file system that the container's user namespace does not map:
// the kernel refuses them with all options of some file systems at once, as invalid.
func checkOwners(conf *check.Config, i int, mnt *specs.Mount) {
	space := conf.Namespace(specs.UserNamespace)
	if space == nil || space.Path != "" || IsBind(mnt) {
		return
	}
	for j, o := range mnt.Options {
		key, value, _ := strings.Cut(o, "=")
		list, maps := conf.Linux.UIDMappings, "linux.uidMappings"
		if key == "gid" {
			list, maps = conf.Linux.GIDMappings, "linux.gidMappings"
		}
		id, err := strconv.ParseUint(value, 10, 32)
		if key != "uid" && key != "gid" || err != nil || check.Mapped(list, uint32(id)) {
			continue
		}
		conf.Add(fault.New(fault.At(fault.At("mounts", i)+".options", j),
			fault.Quote(o)+" of "+mnt.Destination+" is not mapped in the user namespace", "add it to "+maps+", or leave the option out"))
	}
}

// checkDestination: "This value SHOULD be an absolute path. [...] it MAY be a
// relative path, in which case it MUST be interpreted as relative to "/"."
func checkDestination(c *check.Config, i int, d string) error {
	switch {
	case d == "":
		return fault.New(fault.At("mounts", i)+".destination", "missing", "give an absolute path in the container")
	case len(d) > check.MaxPath || check.HasNUL(d):
		return check.String(fault.At("mounts", i)+".destination", d, check.MaxPath)
	case d[0] != '/':
		c.Warn(fault.At("mounts", i)+".destination", fault.Quote(d)+" is not absolute, taken from /; relative paths are deprecated")
	}
	return nil
}

// checkSource checks that there is something to mount.
func checkSource(i int, m *specs.Mount) error {
	bind := IsBind(m)
	switch {
	case bind && m.Source == "":
		return fault.New(fault.At("mounts", i)+".source", "missing", "give the file or directory to bind")
	case bind:
		return nil
	case m.Type == "":
		return fault.New(fault.At("mounts", i)+".type", "missing", "name a file system, or add the option bind or rbind")
	case m.Type == "bind":
		return fault.New(fault.At("mounts", i)+".type", "bind is not a file system", "add the option bind or rbind")
	}
	return nil
}

// underProc are the files of procfs that may be covered: what lxcfs provides.
var underProc = [...]string{
	"/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime", "/proc/loadavg",
	"/proc/slabinfo", "/proc/net/dev", "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled",
}

func allowedUnderProc(dest string) bool {
	for _, p := range underProc {
		if p == dest {
			return true
		}
	}
	return false
}

// checkPlace refuses what cannot be meant, and mounts below /proc, where what Hutch and the
// container's programs trust would be covered. The emission asks it, too: it must hold for
// whatever is emitted.
func checkPlace(i int, mnt *specs.Mount) error {
	dest, bind := destination(mnt.Destination), IsBind(mnt)
	if dest == "/" {
		if err := checkOnRoot(i, mnt); err != nil {
			return err
		}
	}
	switch {
	case dest == "/proc" && mnt.Type != "proc" && !bind:
		return fault.New(fault.At("mounts", i)+".destination",
			"only a file system of type proc, or a bind of one, may be mounted on /proc", "")
	case strings.HasPrefix(dest, "/proc/") && !allowedUnderProc(dest):
		return fault.New(fault.At("mounts", i)+".destination",
			fault.Quote(mnt.Destination)+" cannot be mounted because it is inside /proc", "name another directory")
	case !bind && unmappable(mnt):
		return fault.New(fault.At("mounts", i)+".options", "a remount, or a mount of type cgroup, has no mappings of its own",
			"remove uidMappings, gidMappings, idmap and ridmap")
	case !bind && slices.ContainsFunc(mnt.Options, ofBind):
		o := mnt.Options[slices.IndexFunc(mnt.Options, ofBind)]
		return fault.New(fault.At("mounts", i)+".options", fault.Quote(o)+" is for bind mounts alone", "add bind or rbind")
	case bind:
		return checkBindOptions(i, mnt)
	}
	return nil
}

// unmappable reports whether the mount, which is no bind, asks for mappings that it cannot
// have: the kernel gives them to a mount that is not attached yet, and the cgroups' may be
// several.
func unmappable(m *specs.Mount) bool {
	asked := slices.Contains(m.Options, "idmap") || slices.Contains(m.Options, "ridmap") || len(m.UIDMappings)+len(m.GIDMappings) > 0
	return asked && (slices.Contains(m.Options, "remount") || m.Type == "cgroup" || m.Type == "cgroup2")
}

// ofBind reports whether the option means something for binds alone.
func ofBind(o string) bool {
	switch o {
	case "copy-symlink", "src-nofollow", "dest-nofollow":
		return true
	}
	return false
}

// checkBindOptions refuses options of a file system: the kernel would ignore them without
// a word. What is for mount(8) alone does no harm to a remount.
func checkBindOptions(i int, m *specs.Mount) error {
	remount := slices.Contains(m.Options, "remount")
	for j, o := range m.Options {
		if row, _ := findOption(o); o == "" || row != nil || remount && forMountHelpers(o) {
			continue
		}
		return fault.New(fault.At(fault.At("mounts", i)+".options", j),
			fault.Quote(o)+" is not an option for bind mounts, which take none of a file system",
			nearest.Or(o, MountOptions(), "remove it, or bind and rbind"))
	}
	return nil
}

// checkIdmap checks a mount's own mappings: uidMappings, "if specified, MUST be
// specified along with gidMappings", and that the options idmap and ridmap find
// a mapping.
func checkIdmap(c *check.Config, i int, mnt *specs.Mount) error {
	if len(mnt.UIDMappings) == 0 && len(mnt.GIDMappings) == 0 {
		if c.Namespace(specs.UserNamespace) == nil && (slices.Contains(mnt.Options, "idmap") || slices.Contains(mnt.Options, "ridmap")) {
			return fault.New(fault.At("mounts", i), "the option idmap or ridmap has no mapping to apply",
				"give the mount uidMappings and gidMappings, or the container a user namespace")
		}
		return nil
	}
	name := fault.At("mounts", i)
	if len(mnt.UIDMappings) == 0 || len(mnt.GIDMappings) == 0 {
		return fault.New(name, "has one of uidMappings and gidMappings only", "give both")
	}
	if err := check.Mappings(name+".uidMappings", mnt.UIDMappings); err != nil {
		return err
	}
	return check.Mappings(name+".gidMappings", mnt.GIDMappings)
}

// CheckPaths checks linux.maskedPaths and linux.readonlyPaths: "The values MUST be
// absolute paths in the container namespace."
func CheckPaths(conf *check.Config) error {
	for i, lists := 0, [...][]string{conf.Linux.MaskedPaths, conf.Linux.ReadonlyPaths}; i < len(lists); i++ {
		name := [...]string{"linux.maskedPaths", "linux.readonlyPaths"}[i]
		if len(lists[i]) > 0 && conf.Namespace(specs.MountNamespace) == nil {
			conf.Add(fault.New(name, "needs a mount namespace", `add {"type": "mount"} to linux.namespaces`))
		}
		for j, p := range lists[i] {
			if !check.IsAbsolute(p) {
				conf.Add(check.Absolute(fault.At(name, j), p))
			}
		}
	}
	return checkMasks(conf.Linux.MaskedPaths)
}

// checkMasks refuses to mask the root: what covered it would not be seen, since "/" leads
// to what lies beneath. The emission asks it, too.
func checkMasks(paths []string) error {
	i := slices.IndexFunc(paths, isRoot)
	if i < 0 {
		return nil
	}
	return fault.New(fault.At("linux.maskedPaths", i),
		fault.Quote(paths[i])+" is the root of the container, which cannot be masked", "name the directories in it")
}

// CheckLabel checks linux.mountLabel.
func CheckLabel(c *check.Config) error {
	if name := contextType(c.Spec); !slices.Contains(contextTypes[:], name) {
		return fault.New("annotations["+ContextType+"]", fault.Quote(name)+" is no option for a label", "use "+strings.Join(contextTypes[:], ", "))
	}
	return check.String("linux.mountLabel", c.Linux.MountLabel, 0)
}

// CheckPropagation checks linux.rootfsPropagation.
func CheckPropagation(c *check.Config) error {
	name := c.Linux.RootfsPropagation
	if _, ok := propagationOf(name); ok || name == "" {
		return nil
	}
	return errPropagation(name)
}

// errPropagation returns the fault of a propagation type that is none.
func errPropagation(name string) error {
	return fault.New("linux.rootfsPropagation", fault.Quote(name)+" is not known",
		nearest.Or(name, propagationNames(), "use "+propagations()+", or one of these with an r before it"))
}
