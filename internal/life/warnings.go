package life

import (
	"fmt"
	"maps"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/nearest"
	"github.com/hutch-project/hutch/internal/part/capability"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/part/sysctl"
	"github.com/hutch-project/hutch/internal/probe"
	"github.com/hutch-project/hutch/internal/seat"
)

// warnOfUnknown warns of capabilities that no kernel has: the container goes without them.
func (r *Runtime) warnOfUnknown(p *specs.Process) {
	if p != nil {
		for _, n := range capability.Unknown(p.Capabilities) {
			r.warn(nearest.Or(n, enum.Capabilities.Names(), fmt.Sprintf("process.capabilities: %q is no capability of Linux, ignoring", n)))
		}
	}
}

// warnOfBeneath warns of sources that are not what they look like.
func (r *Runtime) warnOfBeneath(b *bundle) {
	if !has(b.spec, specs.UserNamespace) && !seat.Nested() {
		return
	}
	for _, i := range rootfs.MappedBeneath(b.spec.Mounts, b.rootfs) {
		r.warn(fmt.Sprintf("mounts[%d].source: %s lies in an earlier mount, and is taken from what that covers: "+
			"in a user namespace a bind with mappings of its own is made before the others; name the source by its path on the host", i, b.spec.Mounts[i].Source))
	}
}

// changesHost refuses what would change the host: the root, a kernel parameter, or a name, of
// a namespace that is joined by a path which leads to the runtime's own. A name that the
// host has already changes nothing.
func changesHost(spec *specs.Spec) error {
	if spec.Linux == nil {
		return nil
	}
	if err := changesRoot(spec.Linux.Namespaces); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(spec.Linux.Sysctl)) {
		if n := hostsOwn(spec, sysctl.Namespace(key)); n != nil {
			return fmt.Errorf("config.json: linux.sysctl[%q]: the %s namespace %s is the host's; give the container one of its own", key, n.Type, n.Path)
		}
	}
	if spec.Hostname == "" && spec.Domainname == "" {
		return nil
	}
	ns := hostsOwn(spec, specs.UTSNamespace)
	if ns == nil {
		return nil
	}
	is, err := probe.Uname()
	if err != nil {
		return err
	}
	for _, name := range [...][3]string{
		{"hostname", spec.Hostname, is.Nodename}, {"domainname", spec.Domainname, is.Domainname},
	} {
		if name[1] != "" && name[1] != name[2] {
			return fmt.Errorf("config.json: %s: the uts namespace %s is the host's; give the container one of its own, or leave %[1]s out", name[0], ns.Path)
		}
	}
	return nil
}

// changesRoot refuses a mount namespace that is joined by a path and is the runtime's own, or
// the one of the first process: pivot_root changes the root of all who are there, and the
// host's tree is unmounted then. Who can see neither cannot join it.
//
// Source: pivot_root(2).
func changesRoot(list []specs.LinuxNamespace) error {
	for i := range list {
		n := &list[i]
		if n.Type != specs.MountNamespace || n.Path == "" {
			continue
		}
		if sameFile(n.Path, "/proc/self/ns/mnt") || sameFile(n.Path, "/proc/1/ns/mnt") {
			return fault.New(fault.At("linux.namespaces", i)+".path",
				"the mount namespace "+fault.Name(n.Path)+" is the host's, whose root would become the container's",
				"leave path out for a new one")
		}
	}
	return nil
}

// hostsOwn returns the namespace of the type t when it is joined by a path and is the
// runtime's own, else nil.
func hostsOwn(s *specs.Spec, t specs.LinuxNamespaceType) *specs.LinuxNamespace {
	file := namespace.File(t)
	for i := range s.Linux.Namespaces {
		if n := &s.Linux.Namespaces[i]; file != "" && n.Type == t && n.Path != "" && sameFile(n.Path, "/proc/self/ns/"+file) {
			return n
		}
	}
	return nil
}

func sameFile(a, b string) bool {
	var s, t unix.Stat_t
	return unix.Stat(a, &s) == nil && unix.Stat(b, &t) == nil && s.Dev == t.Dev && s.Ino == t.Ino
}
