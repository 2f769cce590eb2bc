package rootfs

import (
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
)

// openCgroup emits the opening of the container's cgroups, where its namespaces
// let it have no mount of its own of them.
func (r *Root) openCgroup(b *program.Builder) {
	if r.c.Cgroup == nil || r.c.NewCgroupNS || !r.hasCgroupMount() {
		return
	}
	b.Element(program.T("linux.cgroupsPath"))
	if r.c.Cgroup.V2 {
		b.Doing(program.T("open %s", r.c.Cgroup.Dir))
		r.cgroups = []program.Reg{treeAt(b, r.c.Cgroup.Dir, false)}
		return
	}
	for _, h := range r.c.Cgroup.Hierarchies {
		b.Doing(program.T("open %s", h.Dir))
		r.cgroups = append(r.cgroups, treeAt(b, h.Dir, false))
	}
}

func (r *Root) hasCgroupMount() bool {
	for i := range r.c.Spec.Mounts {
		if t := r.c.Spec.Mounts[i].Type; (t == "cgroup" || t == "cgroup2") && !r.trees[i].o.bind {
			return true
		}
	}
	return false
}

// mountCgroup emits a mount of type cgroup: what the container's layout has.
//
// Source: runtime-spec config-linux.md "Default Filesystems"; cgroups(7).
func (r *Root) mountCgroup(b *program.Builder, i int, m *specs.Mount, s *source) {
	target := r.target(b, i, s.dest, kindOf{dir: true}, true)
	if r.c.Cgroup == nil || r.c.Cgroup.V2 || m.Type == "cgroup2" {
		r.attachTo(b, r.cgroup2(b, s), target, &source{})
		return
	}
	s.tree = newFS(b, "tmpfs", []param{{"source", "tmpfs"}, {"mode", "755"}}, s.o.set&^unix.MOUNT_ATTR_RDONLY)
	r.attachTo(b, s.tree, target, &source{})
	for j, h := range r.c.Cgroup.Hierarchies {
		r.hierarchy(b, j, &h, s)
	}
	if s.o.set&unix.MOUNT_ATTR_RDONLY != 0 {
		b.Step(program.T("make it read-only"))
		setattr(b, s.tree, false, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	}
	r.keepPropagation(b, s.tree, s)
}

func (r *Root) cgroup2(b *program.Builder, s *source) program.Reg {
	if len(r.cgroups) > 0 {
		b.Step(program.T("set its options"))
		setattr(b, r.cgroups[0], false, &unix.MountAttr{Attr_set: s.o.set})
		return r.cgroups[0]
	}
	return newFS(b, "cgroup2", []param{{"source", "cgroup"}}, s.o.set)
}

// hierarchy emits the mount of one v1 hierarchy below the tmpfs.
func (r *Root) hierarchy(b *program.Builder, j int, h *Hierarchy, s *source) {
	b.Step(program.T("make %s", h.Name))
	b.Sys(unix.SYS_MKDIRAT, program.Val(s.tree), b.Str(h.Name), program.Imm(0o755))
	dir := open(b, s.tree, h.Name, unix.O_PATH|unix.O_DIRECTORY, inRoot|unix.RESOLVE_NO_SYMLINKS).Fd()
	var tree program.Reg
	switch {
	case len(r.cgroups) > 0:
		tree = r.cgroups[j]
		b.Step(program.T("set the options of %s", h.Name))
		setattr(b, tree, false, &unix.MountAttr{Attr_set: s.o.set})
	case h.Options == "":
		tree = newFS(b, "cgroup2", []param{{"source", "cgroup2"}}, s.o.set)
	default:
		params := []param{{"source", "cgroup"}}
		if strings.HasPrefix(h.Options, "name=") {
			params = append(params, param{key: "none"})
		}
		for o := range strings.SplitSeq(h.Options, ",") {
			k, v, _ := strings.Cut(o, "=")
			params = append(params, param{k, v})
		}
		tree = newFS(b, "cgroup", params, s.o.set)
	}
	b.Step(program.T("attach %s", h.Name))
	attach(b, tree, dir)
	for _, l := range h.Links {
		b.Step(program.T("link %s to %s", l, h.Name))
		b.Sys(unix.SYS_SYMLINKAT, b.Str(h.Name), program.Val(s.tree), b.Str(l))
	}
}
