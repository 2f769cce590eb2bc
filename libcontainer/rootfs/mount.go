package rootfs

import (
	"fmt"
	"path"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
)

// source is what is known of a mount before the child runs.
type source struct {
	o    options
	dest string      // clean, from "/"
	tree program.Reg // detached tree of a bind; 0 for a new file system
	stat program.Mem // statx of the tree's root
}

// destination is a mount's destination, clean and absolute.
func destination(d string) string { return path.Clean("/" + d) }

// Open emits the opening of the root's tree and of the sources of binds. Reports
// of what is wrong in the configuration come by Builder.Program.
func (r *Root) Open(b *program.Builder) {
	if r.c.SourcesInParent {
		b.InParent(func() { r.open(b) })
	}
	r.prop = propagation{flag: unix.MS_SLAVE, recursive: true}
	if l := r.c.Spec.Linux; l != nil && l.RootfsPropagation != "" {
		r.prop, _ = propagationOf(l.RootfsPropagation)
	}
}

func (r *Root) open(b *program.Builder) {
	b.Element(program.T("root.path"))
	b.Doing(program.T("open the root file system %s", r.c.Rootfs))
	r.Fd = treeAt(b, r.c.Rootfs, true)
	r.trees = make([]source, len(r.c.Spec.Mounts))
	for i := range r.c.Spec.Mounts {
		m := &r.c.Spec.Mounts[i]
		b.Element(program.N("mounts[%d]", i))
		s := &r.trees[i]
		var err error
		if s.o, err = parseOptions(m.Options); err != nil {
			b.Fault(err)
			return
		}
		s.dest = destination(m.Destination)
		s.o.bind = s.o.bind || m.Type == "bind"
		if err := checkDestination(m, s); err != nil {
			b.Fault(err)
			return
		}
		if s.o.bind {
			b.Doing(program.T("bind %s on %s", m.Source, m.Destination))
			b.Step(program.T("open source %s", m.Source))
			s.tree = treeAt(b, m.Source, s.o.recursive)
			s.stat = b.Zero(statxSize)
			statx(b, s.tree, s.stat)
		}
		r.openIdmap(b, i, m, s)
	}
	r.openCgroup(b)
	r.openDevices(b)
	r.openMasks(b)
	if r.c.NotifyDir != "" {
		b.Element(program.T("NOTIFY_SOCKET"))
		b.Doing(program.T("open %s", r.c.NotifyDir))
		r.notify = treeAt(b, r.c.NotifyDir, false)
	}
}

// openIdmap emits the idmapping of a bind's tree.
func (r *Root) openIdmap(b *program.Builder, i int, m *specs.Mount, s *source) {
	if len(m.UIDMappings) == 0 && len(m.GIDMappings) == 0 && !s.o.idmap {
		return
	}
	if !s.o.bind {
		b.Fault(fmt.Errorf("idmapped mounts are binds; add bind or rbind to options"))
		return
	}
	b.Step(program.T("map the ids of %s (needs Linux 5.12 and a file system that can: mount_setattr MOUNT_ATTR_IDMAP)", m.Source))
	m2 := program.Struct(b, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP})
	const usernsFd = 24 // offset in struct mount_attr
	r.Idmaps = append(r.Idmaps, Idmap{Mount: i, Fd: m2.Reg(usernsFd), UIDs: m.UIDMappings, GIDs: m.GIDMappings})
	flags := unix.AT_EMPTY_PATH
	if s.o.ridmap {
		flags |= unix.AT_RECURSIVE
	}
	b.Sys(unix.SYS_MOUNT_SETATTR, program.Val(s.tree), b.Str(""), program.Imm(flags), m2.Arg(), program.Imm(sizeofMountAttr))
}

// underProc are the files of procfs that may be covered: what lxcfs provides.
var underProc = [...]string{
	"/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime", "/proc/loadavg",
	"/proc/slabinfo", "/proc/net/dev", "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled",
}

// checkDestination refuses mounts below /proc, where what Hutch and the
// container's programs trust would be covered.
func checkDestination(m *specs.Mount, s *source) error {
	switch {
	case s.dest == "/":
		return fmt.Errorf("destination: %q is the root itself; name a directory below it", m.Destination)
	case s.dest == "/proc" && m.Type != "proc" && !s.o.bind:
		return fmt.Errorf("destination: only a file system of type proc, or a bind of one, may be mounted on /proc")
	case strings.HasPrefix(s.dest, "/proc/") && !allowedUnderProc(s.dest):
		return fmt.Errorf("destination: %q cannot be mounted because it is inside /proc", m.Destination)
	}
	return nil
}

func allowedUnderProc(dest string) bool {
	for _, p := range underProc {
		if p == dest {
			return true
		}
	}
	return false
}

// Mount emits, in the child, the attaching of the root and all mounts, then the
// devices.
func (r *Root) Mount(b *program.Builder) {
	b.Element(program.T("linux.rootfsPropagation"))
	b.Doing(program.T("stop mounts from propagating to the host"))
	flags := program.Imm(unix.AT_RECURSIVE)
	b.Sys(unix.SYS_MOUNT_SETATTR, program.Imm(unix.AT_FDCWD), b.Str("/"), flags, program.Struct(b, &unix.MountAttr{Propagation: unix.MS_SLAVE}).Arg(), program.Imm(sizeofMountAttr))
	if !r.c.SourcesInParent {
		r.open(b)
	}
	if r.Fd == 0 {
		return // a fault was found
	}
	b.Element(program.T("root.path"))
	b.Doing(program.T("attach the root file system %s", r.c.Rootfs))
	b.Step(program.T("set its propagation"))
	build := uint64(unix.MS_SLAVE)
	if r.prop.flag == unix.MS_PRIVATE || r.prop.flag == unix.MS_UNBINDABLE {
		build = unix.MS_PRIVATE
	}
	setattr(b, r.Fd, true, &unix.MountAttr{Propagation: build})
	// On top of "/" of the namespace: nothing has to be known of the mount that
	// the root lies on, nor may its parents bar the way.
	b.Step(program.T("move_mount on /"))
	b.Sys(unix.SYS_MOVE_MOUNT, program.Val(r.Fd), b.Str(""), program.Imm(unix.AT_FDCWD), b.Str("/"), program.Imm(unix.MOVE_MOUNT_F_EMPTY_PATH))
	b.Doing(program.T("set the umask for what is made"))
	b.Step(program.Text{})
	r.umask = b.Reg()
	b.Sys(unix.SYS_UMASK, program.Imm(0)).To(r.umask)
	for i := range r.c.Spec.Mounts {
		r.mount(b, i)
	}
	r.mountNotify(b)
	r.devices(b)
	b.Element(program.T("process.user.umask"))
	b.Doing(program.T("restore the umask"))
	b.Sys(unix.SYS_UMASK, program.Val(r.umask))
}

func (r *Root) mount(b *program.Builder, i int) {
	m, s := &r.c.Spec.Mounts[i], &r.trees[i]
	b.Element(program.N("mounts[%d]", i))
	if s.o.bind {
		b.Doing(program.T("bind %s on %s", m.Source, m.Destination))
	} else {
		b.Doing(program.T("mount %s on %s", m.Type, m.Destination))
	}
	switch {
	case s.o.bind:
		r.bind(b, i, s)
	case m.Type == "cgroup" || m.Type == "cgroup2":
		r.mountCgroup(b, i, m, s)
	default:
		r.newFS(b, i, m, s)
	}
}

func (r *Root) bind(b *program.Builder, i int, s *source) {
	r.attributes(b, s.tree, s)
	target := r.target(b, i, s.dest, kindOf{stat: s.stat}, false)
	r.attachTo(b, s.tree, target, s)
	r.keepPropagation(b, s.tree, s)
}

// attributes emits the attributes of a bind's tree.
func (r *Root) attributes(b *program.Builder, tree program.Reg, s *source) {
	if s.o.set|s.o.clr != 0 {
		b.Step(program.T("set its options"))
		setattr(b, tree, false, &unix.MountAttr{Attr_set: s.o.set, Attr_clr: s.o.clr})
	}
	r.recursive(b, tree, s)
}

func (r *Root) recursive(b *program.Builder, tree program.Reg, s *source) {
	if s.o.rset|s.o.rclr != 0 {
		b.Step(program.T("set its recursive options"))
		setattr(b, tree, true, &unix.MountAttr{Attr_set: s.o.rset, Attr_clr: s.o.rclr})
	}
}

// keepPropagation emits a mount's propagation. A bind without the option gets
// that of the root: changes of the host's mounts come in, or do not.
func (r *Root) keepPropagation(b *program.Builder, tree program.Reg, s *source) {
	p := propagation{s.o.prop, s.o.propRecursive}
	if p.flag == 0 {
		if !s.o.bind {
			return
		}
		p = propagation{unix.MS_SLAVE, true}
		switch r.prop.flag {
		case unix.MS_PRIVATE, unix.MS_UNBINDABLE:
			p.flag = unix.MS_PRIVATE
		case unix.MS_SHARED:
			return
		}
	}
	b.Step(program.T("set its propagation"))
	setattr(b, tree, p.recursive, &unix.MountAttr{Propagation: p.flag})
}

// attachTo emits the attaching. The kernel has one errno for all mismatches of
// source and target, of which engines look for another.
func (r *Root) attachTo(b *program.Builder, tree, target program.Reg, s *source) {
	b.Step(program.T("attach"))
	if !s.o.bind {
		attach(b, tree, target)
		return
	}
	mismatch, done := b.Label(), b.Label()
	attach(b, tree, target).On(unix.EINVAL, mismatch)
	b.Jump(done)
	b.Bind(mismatch)
	b.Step(program.T("attach: source and target are not both directories or both files: are you trying to mount a directory onto a file (or vice-versa)?"))
	b.Fail(unix.ENOTDIR)
	b.Bind(done)
}

// newFS emits a mount of a new file system.
func (r *Root) newFS(b *program.Builder, i int, m *specs.Mount, s *source) {
	special := m.Type == "proc" || m.Type == "sysfs"
	target := r.target(b, i, s.dest, kindOf{dir: true}, special)
	if r.tooLong(m, s) {
		r.legacy(b, m, s, target)
		return
	}
	attrs := s.o.set
	if m.Type == "tmpfs" {
		attrs &^= unix.MOUNT_ATTR_RDONLY // set by Finish, when all is in it
		if attrs != s.o.set {
			defer func() { r.deferred = append(r.deferred, late{i, s.tree}) }()
		}
	}
	if m.Type == "sysfs" && r.c.Userns && !r.c.NewNet {
		r.sysfsOrBind(b, m, s, attrs)
	} else {
		s.tree = newFS(b, m.Type, r.params(m, s), attrs)
	}
	r.recursive(b, s.tree, s)
	if s.o.copyUp && m.Type == "tmpfs" {
		r.copyUp(b, i, s)
	}
	r.attachTo(b, s.tree, target, s)
	r.keepPropagation(b, s.tree, s)
}

// late is a mount that is made read-only by Finish.
type late struct {
	mount int
	tree  program.Reg
}

// params are the options for fsconfig.
func (r *Root) params(m *specs.Mount, s *source) []param {
	var out []param
	if m.Source != "" {
		out = append(out, param{"source", m.Source})
	}
	for _, f := range s.o.flags {
		out = append(out, param{key: f})
	}
	if s.o.set&unix.MOUNT_ATTR_RDONLY != 0 && !shared(m.Type) {
		out = append(out, param{key: "ro"})
	}
	for _, d := range s.o.data {
		k, v, _ := strings.Cut(d, "=")
		out = append(out, param{k, v})
	}
	if l := r.c.Spec.Linux; l != nil && l.MountLabel != "" && !shared(m.Type) || l != nil && l.MountLabel != "" && m.Type == "tmpfs" {
		out = append(out, param{"context", l.MountLabel})
	}
	return out
}

// shared says whether mounts of the type share a superblock, or one that must
// stay writable: ro is then for the mount alone.
func shared(kind string) bool {
	switch kind {
	case "proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2":
		return true
	}
	return false
}

// tooLong says whether an option is longer than fsconfig takes, as the lower
// directories of an overlay may be.
func (r *Root) tooLong(m *specs.Mount, s *source) bool {
	for _, d := range s.o.data {
		if len(d) >= 256 {
			return true
		}
	}
	return len(m.Source) >= 256
}

// legacy emits mount(2) on the working directory, which is the target.
func (r *Root) legacy(b *program.Builder, m *specs.Mount, s *source, target program.Reg) {
	back := b.RegOf(-1)
	b.Step(program.T("keep the working directory"))
	b.Sys(unix.SYS_OPENAT, program.Imm(unix.AT_FDCWD), b.Str("."), program.Imm(unix.O_PATH|unix.O_CLOEXEC)).To(back)
	b.Step(program.T("fchdir to the target"))
	b.Sys(unix.SYS_FCHDIR, program.Val(target))
	flags := s.o.legacy
	for _, f := range [...]struct {
		attr uint64
		ms   uintptr
	}{{unix.MOUNT_ATTR_RDONLY, unix.MS_RDONLY}, {unix.MOUNT_ATTR_NOSUID, unix.MS_NOSUID}, {unix.MOUNT_ATTR_NODEV, unix.MS_NODEV}, {unix.MOUNT_ATTR_NOEXEC, unix.MS_NOEXEC}, {unix.MOUNT_ATTR_NOATIME, unix.MS_NOATIME}} {
		if s.o.set&f.attr != 0 {
			flags |= f.ms
		}
	}
	b.Step(program.T("mount"))
	b.Sys(unix.SYS_MOUNT, b.Str(m.Source), b.Str("."), b.Str(m.Type), program.Imm(flags), b.Str(strings.Join(s.o.data, ",")))
	b.Step(program.T("fchdir back"))
	b.Sys(unix.SYS_FCHDIR, program.Val(back))
}

// sysfsOrBind emits a sysfs where the user namespace may not own the network
// namespace: then the kernel allows only a bind of the host's.
func (r *Root) sysfsOrBind(b *program.Builder, m *specs.Mount, s *source, attrs uint64) {
	ctx, bind, done := b.Reg(), b.Label(), b.Label()
	s.tree = b.RegOf(-1)
	b.Step(program.T("fsopen sysfs"))
	b.Sys(unix.SYS_FSOPEN, b.Str("sysfs"), program.Imm(unix.FSOPEN_CLOEXEC)).To(ctx)
	b.Step(program.T("create the sysfs file system"))
	b.Sys(unix.SYS_FSCONFIG, program.Val(ctx), program.Imm(unix.FSCONFIG_CMD_CREATE), program.Imm(0), program.Imm(0), program.Imm(0)).On(unix.EPERM, bind)
	b.Step(program.T("fsmount sysfs"))
	b.Sys(unix.SYS_FSMOUNT, program.Val(ctx), program.Imm(unix.FSMOUNT_CLOEXEC), program.Imm(attrs)).To(s.tree).On(unix.EPERM, bind)
	b.Jump(done)
	b.Bind(bind)
	b.Step(program.T("bind the host's /sys, since the network namespace is the host's"))
	b.Sys(unix.SYS_OPEN_TREE, program.Imm(unix.AT_FDCWD), b.Str("/sys"), program.Imm(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)).To(s.tree)
	setattr(b, s.tree, true, &unix.MountAttr{Attr_set: attrs | unix.MOUNT_ATTR_RDONLY})
	b.Bind(done)
}

// mountNotify emits the bind of the notification socket's directory.
func (r *Root) mountNotify(b *program.Builder) {
	if r.notify == 0 {
		return
	}
	b.Element(program.T("NOTIFY_SOCKET"))
	b.Doing(program.T("bind %s on /run/notify", r.c.NotifyDir))
	s := &source{o: options{bind: true, set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC}, tree: r.notify}
	r.attributes(b, s.tree, s)
	target := r.target(b, len(r.c.Spec.Mounts), "/run/notify", kindOf{dir: true}, false)
	r.attachTo(b, s.tree, target, s)
	r.keepPropagation(b, s.tree, s)
}
