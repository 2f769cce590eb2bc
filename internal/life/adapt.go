package life

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/host/idmap"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/part/sysctl"
	"github.com/hutch-project/hutch/internal/part/user"
	"github.com/hutch-project/hutch/internal/seat"
	"github.com/hutch-project/hutch/internal/uidmap"
)

// A configuration that was written for root of the host can be run by others as it is. What
// follows puts into it what such a caller cannot do without: a user namespace with
// mappings, and no option with an id that nobody has there. What else cannot be had is
// refused by name when it is come to.

// adapt changes s for a caller who is not root of the host.
func (r *Runtime) adapt(s *specs.Spec) error {
	if seat.HostRoot() {
		return nil
	}
	if s.Linux == nil {
		s.Linux = &specs.Linux{}
	}
	named := has(s, specs.UserNamespace)
	if err := r.addMappings(s.Linux); err != nil {
		return err
	}
	r.dropUnmapped(s)
	if !named {
		return sysctl.CheckUnnamed(s.Linux.Sysctl, specs.UserNamespace)
	}
	return nil
}

// addMappings adds a user namespace for a user who could not make the others without one,
// and mappings to one that has none.
func (r *Runtime) addMappings(linuxPart *specs.Linux) error {
	user, joins := (*specs.LinuxNamespace)(nil), false
	for i := range linuxPart.Namespaces {
		n := &linuxPart.Namespaces[i]
		joins = joins || n.Path != ""
		if n.Type == specs.UserNamespace {
			user = n
		}
	}
	some := len(linuxPart.UIDMappings)+len(linuxPart.GIDMappings) > 0
	switch {
	case user == nil && (seat.Nested() || seat.Capable(unix.CAP_SYS_ADMIN) || joins || some):
		return nil // it is not needed, or what is joined asks for one of its own, or they contradict each other
	case user != nil && (user.Path != "" || some):
		return nil
	case user == nil:
		linuxPart.Namespaces = append(linuxPart.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		r.debug("linux.namespaces: the caller is not root, adding a user namespace")
	}
	var err error
	linuxPart.UIDMappings, linuxPart.GIDMappings, err = r.mappings()
	return err
}

// mappings returns those of a container whose configuration has none.
func (r *Runtime) mappings() (uids, gids []specs.LinuxIDMapping, err error) {
	if seat.Nested() {
		uidMap, gidMap, err := ownMaps()
		return idmap.Own(uidMap), idmap.Own(gidMap), err
	}
	uid, gid := os.Geteuid(), os.Getegid()
	uids, gids, err = idmap.Subordinate(uid, gid, userName(uid))
	if err != nil {
		r.warn(err.Error() + ": the container has the caller's own user and group alone")
		return idmap.Alone(uid), idmap.Alone(gid), nil
	}
	return uids, gids, nil
}

// ownMaps returns the caller's maps.
func ownMaps() (uids, gids []specs.LinuxIDMapping, err error) {
	if uids, err = uidmap.Read("/proc/self/uid_map"); err != nil {
		return nil, nil, err
	}
	gids, err = uidmap.Read("/proc/self/gid_map")
	return uids, gids, err
}

// userName returns what the host calls the user, empty where it does not know it.
func userName(uid int) string {
	f, err := os.Open("/etc/passwd")
	if err != nil {
		return ""
	}
	defer f.Close()
	return user.Name(f, uint32(uid))
}

// dropUnmapped takes the options uid= and gid= with ids that are not mapped off new file
// systems, which the kernel would refuse: configurations for root give group 5 to terminals.
func (r *Runtime) dropUnmapped(spec *specs.Spec) {
	uids, gids := spec.Linux.UIDMappings, spec.Linux.GIDMappings
	if !has(spec, specs.UserNamespace) {
		uidMap, gidMap, err := ownMaps()
		if err != nil {
			return
		}
		uids, gids = idmap.Own(uidMap), idmap.Own(gidMap)
	}
	if len(uids) == 0 || len(gids) == 0 {
		return // those of a namespace that is joined
	}
	for i := range spec.Mounts {
		m := &spec.Mounts[i]
		if rootfs.IsBind(m) {
			continue
		}
		m.Options = slices.DeleteFunc(m.Options, func(o string) bool {
			key, value, _ := strings.Cut(o, "=")
			ids := map[string][]specs.LinuxIDMapping{"uid": uids, "gid": gids}[key]
			id, err := strconv.ParseUint(value, 10, 32)
			if ids == nil || err != nil || check.Mapped(ids, uint32(id)) {
				return false
			}
			r.debug(fmt.Sprintf("mounts[%d].options: %s: the id is not mapped, leaving it out", i, o))
			return true
		})
	}
}
