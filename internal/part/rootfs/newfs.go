package rootfs

import (
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/machine"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/program/call/idiom"
)

// A new file system is mounted in one of two ways. mount(2) on the working
// directory takes two calls, and has the kernel parse the options; the mount API
// takes one for each option and says which one is wrong, and gives a descriptor of
// the mount. The first is used where no descriptor is needed, and the second when
// the first has failed: it then finds the reason, or succeeds.

// mountNew emits a mount of a new file system.
func (r *Root) mountNew(b *program.Builder, i int) {
	m, src := &r.c.Spec.Mounts[i], &r.mounts[i]
	at, mode := place{dest: src.dest, plain: m.Type == "proc" || m.Type == "sysfs"}, program.Reg(0)
	if src.tree == 0 && r.looksAtMode(i) {
		at.mode, mode = modeOfPoint(b)
	}
	target := r.target(b, at)
	defer r.closeUsed(b, target)
	if src.tree != 0 {
		attach(b.Step(program.T("attach it")), src.tree, target)
		return
	}
	fs := r.newFSWithMode(i)
	if fs.tooLong() && !r.mapsNew(i) {
		fs.mountOn(b, target, noLabel)
		return
	}
	if r.needsHandle(i) {
		src.tree = b.RegOf(-1)
		r.build(b, i, fs, target, mode)
		attach(b.Step(program.T("attach it")), src.tree, target)
		return
	}
	r.put(b, fs, target)
}

func (r *Root) newFSWithMode(i int) *newFS {
	f := r.newFS(&r.c.Spec.Mounts[i], &r.mounts[i])
	if mode := r.c.Modes[i]; mode != 0 {
		f.data = append(slices.Clip(f.data), "mode="+strconv.FormatUint(uint64(mode), 8))
	}
	return f
}

// openNew emits a new file system in the parent section: one with mappings of its own, where
// the container has a user namespace, since nobody in that has rights over the one that
// stands for the mappings; and of a container that runs one that names files.
//
// Source: linux/fs/namespace.c, can_idmap_mount and build_mount_idmapped.
func (r *Root) openNew(b *program.Builder, i int) {
	m, src := &r.c.Spec.Mounts[i], &r.mounts[i]
	b = b.Element(program.N("mounts[%d]", i)).Doing(program.T("mount %s on %s", m.Type, m.Destination))
	if src.o.copyUp {
		b.Fault(fault.New(fault.At("mounts", i)+".options", "tmpcopyup with uidMappings and gidMappings needs a container without a user namespace",
			"leave out one of them"))
		return
	}
	src.tree = b.RegOf(-1)
	r.newFSWithMode(i).mountAPI(b, src.tree, noLabel)
	if r.mapsNew(i) {
		r.mapIDs(b, i, src, m.Type)
	}
	if src.o.prop != 0 {
		step := b.Step(program.T("set its propagation"))
		setattr(step, src.tree, src.o.propRecursive, &unix.MountAttr{Propagation: src.o.prop})
	}
}

// needsHandle reports whether the mount i needs a descriptor: something is to be done
// to it or in it that must not go by its name.
func (r *Root) needsHandle(i int) bool {
	m, s := &r.c.Spec.Mounts[i], &r.mounts[i]
	if s.again || r.c.Running || r.mapsNew(i) {
		return true
	}
	switch m.Type {
	case "proc", "sysfs":
		return true // masks are made in it
	case "tmpfs":
		return s.dest == "/dev" || r.looksAtMode(i) || s.o.copyUp || r.readonly(s) || s.o.prop != 0 || r.parentOfMount(i)
	}
	return s.dest == "/dev" || s.o.prop != 0 || r.readonly(s) && ownReadonly(m.Type)
}

// mapsNew reports whether the new mount i gets a mapping of its own. The one of the
// container, which the option idmap stands for, its file system has already where that is
// made in the container's user namespace.
func (r *Root) mapsNew(i int) bool {
	m := &r.c.Spec.Mounts[i]
	return idmapped(m, &r.mounts[i]) && (len(m.UIDMappings) > 0 || !r.c.Userns)
}

// looksAtMode reports whether mount i is a tmpfs that takes the mode of a mount point which
// is not known before.
func (r *Root) looksAtMode(i int) bool {
	_, known := r.c.Modes[i]
	return r.c.Spec.Mounts[i].Type == "tmpfs" && !r.mounts[i].o.hasData("mode") && !known
}

// readonly reports whether the options make the new mount read-only.
func (r *Root) readonly(s *source) bool {
	return s.o.change.merge(s.o.below).set&unix.MOUNT_ATTR_RDONLY != 0
}

// ownReadonly reports whether ro must be for the mount alone. Their superblock is
// shared by all mounts of a namespace: were it read-only, so would the other
// containers' mounts be.
func ownReadonly(kind string) bool {
	switch kind {
	case "proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2":
		return true
	}
	return false
}

// build emits a mount with a descriptor, and what is to be done to it before it is
// attached. The register mode, unless it is 0, holds the mode of the mount point, or 0.
func (r *Root) build(b *program.Builder, i int, fs *newFS, target, mode program.Reg) {
	mnt, src := &r.c.Spec.Mounts[i], &r.mounts[i]
	if r.readonly(src) && (mnt.Type == "tmpfs" || src.dest == "/dev") {
		// Not before all is in it.
		fs.attrs &^= unix.MOUNT_ATTR_RDONLY
		fs.flags = slices.DeleteFunc(fs.flags, func(w string) bool { return w == "ro" })
		r.filled = append(r.filled, filled{i, src.tree})
	}
	bind, done := b.Label(), b.Label()
	fallback := r.fallbackSource(mnt)
	if fallback != "" {
		r.makeFS(b, fs, src.tree, bind)
		b.Jump(done)
		b.Bind(bind)
		step := b.Step(program.T("bind the host's %s instead", fallback))
		call.OpenTree(step, call.Cwd(), call.PathTo(b, fallback), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE).To(src.tree)
		set := fs.attrs
		if mnt.Type == "sysfs" { // the host's, and not the container's to write to
			set |= unix.MOUNT_ATTR_RDONLY
		}
		setattr(step, src.tree, true, &unix.MountAttr{Attr_set: set, Propagation: r.innerPropagation()})
		b.Bind(done)
	} else {
		r.makeFS(b, fs, src.tree, noLabel)
	}
	if mode != 0 { // before it is attached: nobody sees it with another mode
		step, made := b.Step(program.T("give it the mode of the mount point")), b.Label()
		step.If(mode, program.Eq, 0, made)
		call.Fchmodat(step, call.In(src.tree), call.PathTo(b, "."), call.Value(mode))
		b.Bind(made)
	}
	if src.o.copyUp && mnt.Type == "tmpfs" {
		r.copyUp(b, i, src, target)
	}
	if r.mapsNew(i) { // after what is made in it: the ids in the file system are those of the image
		r.mapIDs(b, i, src, mnt.Type)
	}
	if src.o.prop != 0 {
		step := b.Step(program.T("set its propagation"))
		setattr(step, src.tree, src.o.propRecursive, &unix.MountAttr{Propagation: src.o.prop})
	}
}

// modeOfPoint returns a buffer for statx of a mount point, and the register that holds the
// mode then in its lowest 16 bits, which are all that chmod looks at, and 0 until then.
func modeOfPoint(b *program.Builder) (buf program.Mem, mode program.Reg) {
	// The two bytes of the mode must be the lowest of an aligned word.
	shift, at := uint32(4), uint32(32)
	if machine.BigEndian() {
		shift, at = 2, 24
	}
	whole := b.Zero(idiom.StatxSize + 8)
	return program.Mem{Off: whole.Off + shift, Len: idiom.StatxSize}, whole.Reg(at)
}

// fallbackSource returns what of the host is bound when the kernel allows no new mount of the
// type, as in a user namespace which does not own what it shows: empty for nothing.
// A procfs of the host shows its processes, so it is none where the container has
// its own.
func (r *Root) fallbackSource(m *specs.Mount) string {
	switch {
	case !r.c.Userns:
	case m.Type == "sysfs" && !r.c.NewNet:
		return "/sys"
	case m.Type == "proc" && !r.ownPids():
		return "/proc"
	}
	return ""
}

func (r *Root) ownPids() bool {
	l := r.c.Spec.Linux
	return l != nil && slices.ContainsFunc(l.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.PIDNamespace })
}

// filled is a mount that is made read-only by Finish, when all is in it.
type filled struct {
	mount int
	tree  program.Reg
}

// noLabel is no label at all.
const noLabel = program.Label(-1)

// newFS is a new file system with its mount.
type newFS struct {
	kind, source string
	data         []string // key=value or a word
	flags        []string // words for fsconfig
	legacy       uintptr  // the same for mount(2)
	attrs        uint64
	label        string // SELinux label of all files, or empty
	context      string // the option that takes it
	pidNS        program.Reg
	whole        bool // the kernel shows it only to who sees all of another
}

// newFS returns the file system that a mount of the configuration asks for.
func (r *Root) newFS(mnt *specs.Mount, s *source) *newFS {
	fs := &newFS{kind: mnt.Type, source: mnt.Source, data: s.o.data, flags: s.o.flags, legacy: s.o.legacy, attrs: s.o.change.merge(s.o.below).set}
	if mnt.Type == "proc" {
		fs.pidNS = r.c.PidNS
	}
	fs.whole = r.c.Userns && (mnt.Type == "proc" || mnt.Type == "sysfs")
	if fs.source == "" {
		fs.source = mnt.Type // mountinfo would have an empty field
	}
	if r.readonly(s) && !ownReadonly(mnt.Type) {
		fs.flags = append(slices.Clip(fs.flags), "ro")
	}
	if l := r.c.Spec.Linux; l != nil && labelled(mnt.Type) {
		fs.label, fs.context = l.MountLabel, contextType(r.c.Spec)
	}
	return fs
}

// ContextType is the annotation that names the option which new file systems take
// linux.mountLabel by.
//
// Source: crun(1), "run.oci.mount_context_type"; mount(8), "context=".
const ContextType = "run.oci.mount_context_type"

// contextTypes are its values, the usual one first.
var contextTypes = [...]string{"context", "fscontext", "defcontext", "rootcontext"}

func contextType(s *specs.Spec) string {
	if name := s.Annotations[ContextType]; name != "" {
		return name
	}
	return contextTypes[0]
}

// labelled reports whether files of the type take the label of the mount option
// context; the kernel labels those of the others itself.
func labelled(kind string) bool {
	switch kind {
	case "proc", "sysfs", "mqueue", "cgroup", "cgroup2":
		return false
	}
	return true
}

// tooLong reports whether something is longer than fsconfig takes, as the lower
// directories of an overlay may be.
func (f *newFS) tooLong() bool {
	const limit = 256
	return len(f.source) >= limit || slices.ContainsFunc(f.data, func(d string) bool {
		_, v, _ := strings.Cut(d, "=")
		return len(v) >= limit || len(d)-len(v) >= limit
	})
}

// put emits a mount on the target, in two calls where all goes well.
func (r *Root) put(b *program.Builder, f *newFS, target program.Reg) {
	slow, done, tree := b.Label(), b.Label(), b.RegOf(-1)
	f.mountOn(b, target, slow)
	b.Jump(done)
	b.Bind(slow)
	r.makeFS(b, f, tree, noLabel)
	attach(b.Step(program.T("attach it")), tree, target)
	b.Bind(done)
}

// mountOn emits a mount on the target by mount(2), which goes on at failed when
// there is an error and failed is not noLabel.
func (f *newFS) mountOn(b *program.Builder, target program.Reg, failed program.Label) {
	or := func(c program.Call) {
		if failed != noLabel {
			c.On(0, failed)
		}
	}
	or(call.Fchdir(b.Step(program.T("fchdir to the target")), call.In(target)))
	or(call.Mount(b.Step(program.T("mount")), f.old(), call.PathTo(b, "."), uint64(f.legacy|mountFlags(f.attrs))))
}

// old returns f as mount(2) takes it.
func (f *newFS) old() call.FileSystem {
	data := strings.Join(f.data, ",")
	if f.label != "" {
		if data != "" {
			data += ","
		}
		data += f.context + `="` + f.label + `"`
	}
	return call.FileSystem{Source: f.source, Type: f.kind, Data: data}
}

// makeFS emits a mount of f that is attached nowhere; see mountAPI.
func (r *Root) makeFS(b *program.Builder, f *newFS, tree program.Reg, refused program.Label) {
	if r.c.OldMounts {
		f.mountOld(b, tree, refused)
		return
	}
	f.mountAPI(b, tree, refused)
}

// mountAPI emits a detached mount and puts its descriptor in tree. When the kernel
// does not allow it and refused is not noLabel, it goes on there.
func (f *newFS) mountAPI(b *program.Builder, tree program.Reg, refused program.Label) {
	or := func(c program.Call) {
		if refused != noLabel {
			c.On(unix.EPERM, refused)
		}
	}
	step := b.Step(program.T("fsopen %s", f.kind))
	ctx := b.RegOf(-1)
	or(call.Fsopen(step, f.kind, unix.FSOPEN_CLOEXEC).To(ctx))
	f.config(b, ctx, "source", f.source, true)
	if f.pidNS != 0 {
		step := b.Step(program.T("let it show the joined pid namespace (needs Linux 6.18)"))
		call.FsconfigFd(step, call.In(ctx), "pidns", call.In(f.pidNS))
	}
	for _, w := range f.flags {
		f.config(b, ctx, w, "", false)
	}
	for _, d := range f.data {
		k, v, isString := strings.Cut(d, "=")
		f.config(b, ctx, k, v, isString)
	}
	if f.label != "" {
		f.config(b, ctx, f.context, f.label, true)
	}
	or(call.FsconfigCreate(b.Step(program.T("create the file system %s", f.kind)), call.In(ctx)))
	step = b.Step(program.T("fsmount %s", f.kind))
	if f.whole {
		step = b.Step(program.T("fsmount %s (in a user namespace only where the caller's own is writable and nothing is mounted over it)", f.kind))
	}
	or(call.Fsmount(step, call.In(ctx), unix.FSMOUNT_CLOEXEC, f.attrs).To(tree))
}

// config emits one option: a string, also an empty one, or a word.
func (f *newFS) config(b *program.Builder, ctx program.Reg, key, value string, isString bool) {
	if !isString {
		call.FsconfigFlag(b.Step(program.T("option %s", key)), call.In(ctx), key)
		return
	}
	call.FsconfigString(b.Step(program.T("option %s=%s", key, value)), call.In(ctx), key, value)
}

// remounted returns the entry that i remounts: the last one before it that is mounted on
// the same path and is not covered by another since; -1 for none, as of a mount of the
// image, or one that comes with a recursive bind.
func (r *Root) remounted(i int) int {
	if !r.mounts[i].o.remount {
		return -1
	}
	for j := i - 1; j >= 0; j-- {
		if s := &r.mounts[j]; !s.o.remount && s.dest == r.mounts[i].dest && !r.covered(j, i) {
			return j
		}
	}
	return -1
}

// remount emits the change of a mount that is there: of a bind the attributes, of
// another also the file system's options. What the configuration has mounted is changed
// by its descriptor: by its name another mount may be found by then. Of what is not its
// own the name must not lead over symbolic links.
func (r *Root) remount(b *program.Builder, mnt *specs.Mount, i int) {
	src := &r.mounts[i]
	var target program.Reg
	if j := r.remounted(i); j >= 0 {
		target = r.mounts[j].tree
	}
	if target == 0 {
		step := b.Step(program.T("open target %s, which no symbolic link may lead to", src.dest))
		target = open(step, r.Fd, src.dest, unix.O_PATH, plain).Fd()
	}
	if src.o.bind {
		c := src.o.change
		step := b.Step(program.T("set its options"))
		if !c.empty() {
			setattr(step, target, false, &unix.MountAttr{Attr_set: c.set, Attr_clr: c.clr})
		}
		if c := src.o.below; !c.empty() {
			setattr(step, target, true, &unix.MountAttr{Attr_set: c.set, Attr_clr: c.clr})
		}
		return
	}
	f := r.newFS(mnt, src)
	f.legacy |= unix.MS_REMOUNT
	if src.dest == "/dev" && r.readonly(src) { // not before the devices are in it
		f.attrs &^= unix.MOUNT_ATTR_RDONLY
		r.filled = append(r.filled, filled{i, target})
	}
	f.mountOn(b, target, noLabel)
}
