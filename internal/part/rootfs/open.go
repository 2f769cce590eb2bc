package rootfs

import (
	"path"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/program/call/idiom"
)

// source is what is known of a mount before the child runs.
type source struct {
	o    options
	dest string      // clean, from "/"
	tree program.Reg // its mount: of a bind from the beginning, else once made, where a descriptor is needed
	// inside is the source of a bind as the container sees it, when it lies below an earlier
	// mount of the container: it is there only when that is. Else empty.
	inside  string
	link    string // a copy of the source, a symbolic link, is made: where it leads; else empty
	atMount bool   // the source of a bind is opened when it is attached
	again   bool   // a later entry remounts it
	mapped  bool   // its ids are
	root    bool   // it is on "/", and the container's root
	rootRO  bool   // of that: it is made read-only by Finish
	gone    bool   // a later mount on "/" covers it, and it is not made
}

// destination returns a mount's destination, clean and absolute.
func destination(d string) string {
	if strings.HasPrefix(d, "/") {
		return path.Clean(d)
	}
	return path.Clean("/" + d)
}

// Open emits the opening of the root's tree and of the sources of binds, in the
// parent section or, without SourcesInParent, later by Mount. Reports of what is
// wrong in the configuration come by Builder.Program.
func (r *Root) Open(b *program.Builder) {
	linux := r.c.Spec.Linux
	r.prop = propagation{flag: unix.MS_SLAVE, recursive: true}
	paths := 0
	if linux != nil {
		if err := checkMasks(linux.MaskedPaths); err != nil {
			b.Fault(err)
		}
		paths = len(linux.MaskedPaths) + len(linux.ReadonlyPaths)
		if linux.RootfsPropagation != "" {
			p, ok := propagationOf(linux.RootfsPropagation)
			if !ok {
				b.Fault(errPropagation(linux.RootfsPropagation))
			}
			r.prop = p
		}
	}
	r.many = r.c.FewFiles || len(r.c.Spec.Mounts)+paths > manyFds
	r.parseMounts(b)
	r.made = r.nodes()
	if r.c.SourcesInParent {
		b.InParent(func() { r.open(b) })
	}
}

// parseMounts reads the options of the mounts, and reports what is wrong in them.
func (r *Root) parseMounts(b *program.Builder) {
	r.mounts = make([]source, len(r.c.Spec.Mounts))
	top := OnRoot(r.c.Spec.Mounts)
	for i := range r.c.Spec.Mounts {
		m, src := &r.c.Spec.Mounts[i], &r.mounts[i]
		if err := checkPlace(i, m); err != nil {
			b.Fault(err)
		}
		if src.gone = i < top; src.gone {
			continue
		}
		src.dest, src.o = destination(m.Destination), parseOptions(m.Options)
		src.link, src.mapped = r.c.Links[i], idmapped(m, src)
		src.inside = r.inside(i, src)
		src.atMount = r.opensAtMount(m, src)
		if i == top {
			r.takeRoot(i, src)
		}
	}
	for i := range r.mounts {
		if j := r.remounted(i); j >= 0 {
			r.mounts[j].again = true
		}
	}
	if n := len(r.c.Spec.Mounts); n > maxMounts {
		b.Fault(fault.New("mounts", strconv.Itoa(n)+" are more than "+strconv.Itoa(maxMounts), "leave some out"))
	}
}

// openBinds emits the opening of the sources of binds that are opened at once.
func (r *Root) openBinds(b *program.Builder) {
	for i := range r.mounts {
		s := &r.mounts[i]
		switch {
		case s.gone, s.root: // which openRoot opens
		case s.opens() && !s.atMount:
			r.openBind(b, i, s)
		case !s.o.bind && r.c.SourcesInParent && (r.c.Userns && r.mapsNew(i) || r.c.Running && namesFiles(r.c.Spec.Mounts[i].Type)):
			r.openNew(b, i)
		}
	}
}

// NotifyAttributes are those that the mount of Config.NotifyDir has beside its source's.
const NotifyAttributes = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC

// open emits the opening of all that comes from the host.
func (r *Root) open(b *program.Builder) {
	r.openRoot(b)
	r.openBinds(b)
	r.openDevices(b)
	r.openMasks(b)
	if r.c.NotifyDir != "" {
		b := b.Element(program.T("process.env")).Doing(program.T("bind %s on %s, for NOTIFY_SOCKET", r.c.NotifyDir, r.c.NotifyTarget))
		step := b.Step(program.T("open it"))
		r.notify = source{o: options{bind: true, change: change{set: NotifyAttributes}, prop: unix.MS_PRIVATE}, dest: r.c.NotifyTarget, tree: treeAt(step, r.c.NotifyDir, false, 0)}
		r.attributes(b, &r.notify)
	}
}

// opens reports whether the mount is a bind whose source of the host is opened.
func (s *source) opens() bool { return s.o.bind && !s.o.remount && s.inside == "" && s.link == "" }

// follow returns what the option src-nofollow adds to the flags of open_tree.
func (s *source) follow() uint64 {
	if s.o.srcNoFollow {
		return unix.AT_SYMLINK_NOFOLLOW
	}
	return 0
}

// innerPropagation returns the propagation of the root's tree while mounts are made in it, and
// of binds that have no other: nothing of it reaches the host.
func (r *Root) innerPropagation() uint64 {
	if r.c.SharedMounts || r.prop.flag == unix.MS_PRIVATE || r.prop.flag == unix.MS_UNBINDABLE {
		return unix.MS_PRIVATE
	}
	return unix.MS_SLAVE
}

// openBind emits the opening of a bind's source and all that is to be changed of
// it. It is a clone of the host's mount: with the option shared it stays in the
// host's peer group.
func (r *Root) openBind(b *program.Builder, i int, src *source) {
	m := &r.c.Spec.Mounts[i]
	b = b.Element(program.N("mounts[%d]", i)).Doing(program.T("bind %s on %s", m.Source, m.Destination))
	step := b.Step(program.T("open source %s", m.Source))
	src.tree = treeAt(step, m.Source, src.o.recursive, src.follow())
	if src.dest == "/proc" {
		step := b.Step(program.T("source %s: only a procfs may be bound on /proc", m.Source))
		idiom.MustBeOn(step, src.tree, unix.PROC_SUPER_MAGIC, unix.EINVAL)
	}
	if idmapped(m, src) {
		r.mapIDs(b, i, src, m.Source)
	}
	r.attributes(b, src)
}

// idmapped reports whether the mount is idmapped.
func idmapped(m *specs.Mount, s *source) bool {
	return s.o.idmap || len(m.UIDMappings)+len(m.GIDMappings) > 0
}

// mapIDs emits the mapping of the ids of a mount that is not attached yet: the kernel
// changes no other.
func (r *Root) mapIDs(b *program.Builder, i int, s *source, what string) {
	m := &r.c.Spec.Mounts[i]
	step := b.Step(program.T("map the ids of %s (needs Linux %s and a file system that can: mount_setattr MOUNT_ATTR_IDMAP)", what, SetattrSince))
	attr := program.Struct(b, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP})
	const usernsFd = 24 // offset in struct mount_attr
	r.Idmaps = append(r.Idmaps, Idmap{Mount: i, Fd: attr.Reg(usernsFd), UIDs: m.UIDMappings, GIDs: m.GIDMappings})
	flags := uint64(unix.AT_EMPTY_PATH)
	if s.o.ridmap {
		flags |= unix.AT_RECURSIVE
	}
	call.MountSetattrIn(step, call.In(s.tree), call.PathTo(b, ""), flags, attr)
}

// inside returns what source.inside says of the bind i.
//
// Source: runtime-spec config.md "Mounts": they are made in the listed order.
func (r *Root) inside(i int, s *source) string {
	m := &r.c.Spec.Mounts[i]
	if !s.o.bind || s.o.remount || s.dest == "/proc" || s.o.srcNoFollow || s.link != "" || r.onRoot != nil || r.c.Userns && idmapped(m, s) { // mapped by the parent
		return ""
	}
	return madeBefore(r.c.Spec.Mounts, i, r.c.Rootfs)
}

// madeBefore returns the path in the container of the source of mount i, where an earlier
// mount is on it or above it; empty for any other source.
func madeBefore(mounts []specs.Mount, i int, root string) string {
	rel, ok := strings.CutPrefix(path.Clean(mounts[i].Source), strings.TrimSuffix(root, "/")+"/")
	if !ok || !below(mounts[:i], "/"+rel) {
		return ""
	}
	return "/" + rel
}

// MappedBeneath returns the binds with a mapping of ids whose source is in an earlier mount
// of the container. In a user namespace that is taken from what the mount covers, as by the
// peers: the mapping takes rights over the file system that only the caller has, who opens
// the source before that mount is there.
func MappedBeneath(mounts []specs.Mount, root string) (list []int) {
	for i := range mounts {
		m := &mounts[i]
		if !IsBind(m) || madeBefore(mounts, i, root) == "" {
			continue
		}
		if s := (source{o: parseOptions(m.Options)}); idmapped(m, &s) {
			list = append(list, i)
		}
	}
	return list
}

// opensAtMount reports what source.atMount is: where there are many mounts, one descriptor is
// open at a time. The child's copy of the host's tree is not shared with the host, and idmapped
// mounts need the parent.
func (r *Root) opensAtMount(m *specs.Mount, s *source) bool {
	return r.many && (r.c.SourcesInChild || !r.c.SourcesInParent) && s.opens() &&
		s.o.prop != unix.MS_SHARED && !idmapped(m, s)
}

// openInside emits the opening of a source in the container. No symbolic link may lead to
// it: what is mounted there may be anybody's, and a link in it would choose what of the
// container is bound, a procfs without its masks or a read-only directory made writable.
func (r *Root) openInside(b *program.Builder, i int, s *source) {
	step := b.Step(program.T("open source %s in the container, which no symbolic link may lead to", s.inside))
	fd := open(step, r.Fd, s.inside, unix.O_PATH, plain).Fd()
	s.tree = cloneTree(step, fd, s.o.recursive).Fd()
	if idmapped(&r.c.Spec.Mounts[i], s) {
		r.mapIDs(b, i, s, s.inside)
	}
	r.attributes(b, s)
	r.closeUsed(b, fd)
}

// attributes emits the options and the propagation of a bind's tree, in as few
// calls as it can.
func (r *Root) attributes(b *program.Builder, src *source) {
	prop, propBelow := src.o.prop, uint64(0)
	if prop == 0 && (r.prop.flag != unix.MS_SHARED || src.root) {
		propBelow = r.innerPropagation()
	} else if src.o.propRecursive {
		prop, propBelow = 0, prop
	}
	top, below := r.bindChanges(src)
	if !src.o.recursive { // then there is nothing below
		top, below, prop, propBelow = top.merge(below), change{}, prop|propBelow, 0
	}
	since := attrsSince(src.o.change.merge(src.o.below))
	step := b.Step(program.T("set its options (needs Linux %s: mount_setattr)", since))
	if !top.empty() || prop != 0 {
		r.changeBind(step, src, top, prop)
	}
	if !below.empty() || propBelow != 0 {
		setattr(step, src.tree, true, &unix.MountAttr{Attr_set: below.set, Attr_clr: below.clr, Propagation: propBelow})
	}
}

// bindChanges returns what the options change of a bind's own mount, and then of its tree.
func (r *Root) bindChanges(src *source) (top, below change) {
	top, below = r.bindChange(src), src.o.below
	if r.c.Userns { // what is mounted below keeps what the host has restricted
		top, below.clr = top.merge(change{clr: below.clr}), below.clr&unix.MOUNT_ATTR__ATIME
	}
	return top, below
}

// bindChange returns what the plain options change of a bind. As soon as they name an
// attribute, to set it or to clear it, the mount has exactly those that they set, as by
// mount(2)'s MS_BIND|MS_REMOUNT; the mode of access times is one of its own. In a user
// namespace what the host has restricted stays.
//
// Source: what runc and crun do; mount(2), "Remounting an existing mount".
func (r *Root) bindChange(s *source) change {
	attrs := s.o.change
	if !s.o.named || r.c.Userns {
		return attrs
	}
	attrs.clr |= restrictions() &^ attrs.set
	if s.rootRO { // the source's own is not taken back for the time until Finish
		attrs.clr &^= unix.MOUNT_ATTR_RDONLY
	}
	if attrs.set&accessTimes != 0 || attrs.clr&unix.MOUNT_ATTR__ATIME != 0 {
		attrs.clr |= unix.MOUNT_ATTR__ATIME | unix.MOUNT_ATTR_NODIRATIME&^attrs.set
	}
	return attrs
}

// changeBind emits the change of one mount. What the kernel has locked, because
// the mount came from a more privileged namespace, stays as it is when the options
// do not name it, and so do younger attributes where the kernel cannot change them.
//
// Source: mount_namespaces(7), "Restrictions on mount namespaces"; mount_setattr(2).
func (r *Root) changeBind(b *program.Builder, src *source, attrs change, prop uint64) {
	if r.c.Userns && r.c.SourcesInParent && !r.inChild {
		r.keepLocked(b, src.tree, attrs.clr&^attrs.set)
	}
	call := setattr(b, src.tree, false, &unix.MountAttr{Attr_set: attrs.set, Attr_clr: attrs.clr, Propagation: prop})
	kept := change{attrs.set, attrs.clr &^ (restrictions() &^ src.o.change.clr)}
	if kept == attrs {
		return
	}
	locked, done := b.Label(), b.Label()
	if unnamed := attrs.clr &^ src.o.change.clr & younger(); unnamed != 0 {
		older := b.Label()
		call.On(0, older)
		b.Jump(done)
		b.Bind(older)
		call = setattr(b, src.tree, false, &unix.MountAttr{Attr_set: attrs.set, Attr_clr: attrs.clr &^ unnamed, Propagation: prop})
	}
	call.On(unix.EPERM, locked) // something that the options do not name is locked: left as it is
	b.Jump(done)
	b.Bind(locked)
	setattr(b, src.tree, false, &unix.MountAttr{Attr_set: kept.set, Attr_clr: kept.clr, Propagation: prop})
	b.Bind(done)
}

// keepLocked emits a refusal to clear attributes that the host's mount has, in the place
// of the kernel's: that looks at the caller, who made the mount before it was in the user
// namespace.
//
// Source: mount_namespaces(7), "Restrictions on mount namespaces".
func (r *Root) keepLocked(b *program.Builder, tree program.Reg, clr uint64) {
	const lockable = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC
	flags := int64(statfsFlags(clr & lockable))
	if flags == 0 {
		return
	}
	buf, free := b.Zero(idiom.StatfsSize), b.Label()
	step := b.Step(program.T("look at the options of the source"))
	call.Fstatfs(step, call.In(tree), buf)
	step.IfWord(idiom.StatfsFlags(buf), flags, program.Eq, 0, free)
	step = b.Step(program.T("the source has ro, nosuid, nodev or noexec, which cannot be taken back in a user namespace"))
	step.Fail(unix.EPERM)
	b.Bind(free)
}
