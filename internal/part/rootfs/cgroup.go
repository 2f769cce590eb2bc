package rootfs

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// mountCgroup emits a mount of type cgroup: what the host's layout has. With a
// cgroup namespace the container sees its own cgroups as the root of new mounts,
// and otherwise by binds of their directories.
//
// Source: runtime-spec config-linux.md "Default Filesystems"; cgroups(7),
// cgroup_namespaces(7).
func (r *Root) mountCgroup(b *program.Builder, i int) {
	m, src := &r.c.Spec.Mounts[i], &r.mounts[i]
	target := r.target(b, place{dest: src.dest, plain: true})
	fs := r.newFS(m, src)
	if c := r.c.Cgroup; c == nil || c.V2 || m.Type == "cgroup2" {
		fs.kind = "cgroup2"
		if m.Type == "cgroup" {
			fs.data = nil // names of v1 hierarchies
		}
		dir := ""
		if c != nil {
			dir = c.Dir
		}
		r.cgroupAt(b, fs, dir, target)
		return
	}
	r.hierarchies(b, fs, src, target)
}

// cgroupAt emits one cgroup file system, or the bind of dir in its place. dir may
// be empty when there is no cgroup of the container.
func (r *Root) cgroupAt(b *program.Builder, fs *newFS, dir string, target program.Reg) {
	tree, bind, attached, done := b.RegOf(-1), b.Label(), b.Label(), b.Label()
	if r.c.NewCgroupNS || dir == "" {
		refused := bind
		if dir == "" {
			refused = noLabel
		}
		if fs.attrs&unix.MOUNT_ATTR_RDONLY == 0 {
			slow := b.Label()
			fs.mountOn(b, target, slow)
			b.Jump(done)
			b.Bind(slow)
		}
		r.makeFS(b, fs, tree, refused)
		b.Jump(attached)
	}
	b.Bind(bind)
	if dir != "" {
		// In the child: only now is the cgroup there for sure. "/" is still the
		// host's.
		step := b.Step(program.T("open the cgroup %s", dir))
		flags, attrs := uint64(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC), fs.attrs&^unix.MOUNT_ATTR__ATIME // the host's stays
		if r.c.Cgroup.Callers {
			flags, attrs = flags|unix.AT_RECURSIVE, attrs|unix.MOUNT_ATTR_RDONLY
		}
		call.OpenTree(step, call.Cwd(), call.PathTo(b, dir), flags).To(tree)
		step = b.Step(program.T("set its options"))
		setattr(step, tree, flags&unix.AT_RECURSIVE != 0, &unix.MountAttr{Attr_set: attrs, Propagation: r.innerPropagation()})
	}
	b.Bind(attached)
	attach(b.Step(program.T("attach it")), tree, target)
	b.Bind(done)
}

// hierarchies emits a tmpfs with the v1 hierarchies below. ro is for all of them,
// at the end.
func (r *Root) hierarchies(b *program.Builder, fs *newFS, src *source, target program.Reg) {
	// Writable for now: the directories and links are made in it.
	top := &newFS{kind: "tmpfs", source: "tmpfs", data: []string{"mode=755"}, attrs: fs.attrs &^ unix.MOUNT_ATTR_RDONLY}
	if l := r.c.Spec.Linux; l != nil {
		top.label, top.context = l.MountLabel, contextType(r.c.Spec)
	}
	src.tree = b.RegOf(-1)
	r.makeFS(b, top, src.tree, noLabel)
	attach(b.Step(program.T("attach it")), src.tree, target)
	for i := range r.c.Cgroup.Hierarchies {
		h := &r.c.Cgroup.Hierarchies[i]
		call.Mkdirat(b.Step(program.T("make %s", h.Name)), call.In(src.tree), call.PathTo(b, h.Name), 0o755)
		step := b.Step(program.T("open %s", h.Name))
		dir := open(step, src.tree, h.Name, unix.O_PATH|unix.O_DIRECTORY, plain).Fd()
		r.cgroupAt(b, h.fs(top.attrs), h.Dir, dir)
		for _, l := range h.Links {
			step := b.Step(program.T("link %s to %s", l, h.Name))
			call.Symlinkat(step, call.TextOf(b, h.Name), call.In(src.tree), call.PathTo(b, l))
		}
	}
	if fs.attrs&unix.MOUNT_ATTR_RDONLY != 0 {
		step := b.Step(program.T("make it read-only"))
		setattr(step, src.tree, true, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
	}
	if src.o.prop != 0 {
		step := b.Step(program.T("set its propagation"))
		setattr(step, src.tree, src.o.propRecursive, &unix.MountAttr{Propagation: src.o.prop})
	}
}

// fs returns the file system of a hierarchy.
func (h *Hierarchy) fs(attrs uint64) *newFS {
	f := &newFS{kind: "cgroup", source: "cgroup", attrs: attrs, data: strings.Split(h.Options, ",")}
	if strings.HasPrefix(h.Options, "name=") {
		f.data = append([]string{"none"}, f.data...)
	}
	return f
}
