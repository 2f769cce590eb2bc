package verify

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// checkMounts refuses a call on mounts that breaks a rule, and reports false for another
// call.
func (w *walker) checkMounts(s *state, pc int, in *program.Instr) bool {
	switch in.NR {
	case unix.SYS_FSOPEN:
		if _, ok := w.str(in.Args[0]); !ok {
			w.refuse(s, pc, MountConfig, "the type is not known")
		}
	case unix.SYS_FSCONFIG, unix.SYS_FSMOUNT:
		v, ok := w.fd(s, pc, in.Args[0], FdUse)
		if ok && v.k != kCtx {
			w.refuse(s, pc, FdUse, v.k.String()+" is no file system that is being made")
		}
		if ok && in.NR == unix.SYS_FSMOUNT && v.attr&aMade == 0 {
			w.refuse(s, pc, FdUse, "the file system is not made")
		}
		if in.NR == unix.SYS_FSCONFIG && imm(in, 1) == unix.FSCONFIG_SET_FD {
			w.fd(s, pc, in.Args[4], FdUse)
		}
	case unix.SYS_OPEN_TREE, unix.SYS_OPEN_TREE_ATTR:
		w.checkTree(s, pc, in)
	case unix.SYS_MOUNT_SETATTR:
		w.checkSetattr(s, pc, in)
	case unix.SYS_MOVE_MOUNT:
		w.checkMove(s, pc, in)
	case unix.SYS_MOUNT:
		w.checkMount(s, pc, in)
	case unix.SYS_UMOUNT2:
		p, ok := w.pathText(in, 0)
		host := ok && w.top(s) && slices.Contains(w.x.points, w.text(p)) && s.root != rootIn
		here := ok && p == "." && (s.root == rootPivoted || s.cwd == cwdStore && s.store)
		if w.e.Removes && w.removed(s, in) != nil || w.onStage(s, in) && imm(in, 1) == unix.MNT_DETACH {
			break
		}
		if imm(in, 1)&unix.MNT_DETACH == 0 || !host && !here || host && !s.has(fRootOnTop) {
			w.refuse(s, pc, MountPath, "it unmounts something else than the host's tree")
		}
	case unix.SYS_PIVOT_ROOT:
		a, _ := w.pathText(in, 0)
		b, _ := w.pathText(in, 1)
		if a != "." || b != "." || s.store || s.cwd != cwdRoot || s.root != rootAttached || !w.top(s) || w.e.Chrooted && !s.has(fRootOnTop) {
			w.refuse(s, pc, RootChange, "the working directory is not the root that is attached")
		}
	case unix.SYS_CHROOT:
		if p, _ := w.pathText(in, 0); p != "." {
			w.refuse(s, pc, RootChange, "it goes by a path")
		}
	default:
		return false
	}
	return true
}

func (w *walker) checkTree(s *state, pc int, in *program.Instr) {
	l := w.place(s, in, 0)
	flags := imm(in, 2)
	switch {
	case w.onStage(s, in) && flags&unix.OPEN_TREE_CLONE != 0:
	case l.where == atBad:
		dir, _ := pathArgs(in, 0)
		v, ok := w.fd(s, pc, dir, FdUse)
		if ok && (v.k != kTty || flags&unix.AT_EMPTY_PATH == 0) {
			w.refuse(s, pc, FdUse, v.k.String()+" is nothing to clone a mount from")
		}
	case l.dir.attr&aLink != 0:
		w.refuse(s, pc, PathFollow, "it clones what may be a symbolic link")
	case l.where == atCont && l.name != "":
		w.refuse(s, pc, MountPath, "a mount of the container is cloned by a path")
	case l.where == atCont && l.cwd:
		w.refuse(s, pc, MountPath, "a mount of the container is cloned by a path")
	case flags&unix.OPEN_TREE_CLONE == 0 && w.boundOn(s, &l) == nil:
		w.refuse(s, pc, MountPath, "it does not clone")
	}
}

func (w *walker) checkSetattr(s *state, pc int, in *program.Instr) {
	dir, _ := pathArgs(in, 0)
	v, ok := w.fd(s, pc, dir, FdUse)
	if !ok {
		return
	}
	name, known := w.pathText(in, 0)
	_, clr, _, attr := w.mountAttr(in)
	switch {
	case !known || name != "" || imm(in, 2)&unix.AT_EMPTY_PATH == 0:
		w.refuse(s, pc, MountPath, "it changes a mount by a path")
	case !attr:
		w.refuse(s, pc, MountConfig, "struct mount_attr is not known")
	case v.k == kHost || v.attr&aLink != 0:
		w.refuse(s, pc, MountPath, "it changes a mount of the host")
	case v.k == kCont && v.proof&pNoLink == 0:
		w.refuse(s, pc, MountPath, "it changes a mount that was found by a name, to which a symbolic link may lead")
	case clr&unix.MOUNT_ATTR_RDONLY != 0 && v.k == kRoot:
		w.refuse(s, pc, RootReadOnly, "it makes the root writable")
	}
}

func (w *walker) checkMove(s *state, pc int, in *program.Instr) {
	dir, _ := pathArgs(in, 0)
	v, ok := w.fd(s, pc, dir, FdUse)
	if !ok {
		return
	}
	from, known := w.pathText(in, 0)
	flags := imm(in, 4)
	if !known || from != "" || flags&unix.MOVE_MOUNT_F_EMPTY_PATH == 0 {
		w.refuse(s, pc, MountPath, "what is attached is told by a path")
		return
	}
	toTop := v.k == kRoot && (w.e.NoPivot || w.e.Chrooted && s.atTop) // with what hides the host to come
	if v.k != kHostTree && !toTop && v.k != kMnt && v.k != kProc && v.k != kContTree && v.k != kBound {
		w.refuse(s, pc, FdUse, v.k.String()+" is no detached mount")
		return
	}
	l := w.place(s, in, 1)
	if l.where == atHost {
		w.checkAttachRoot(s, pc, v, &l)
		return
	}
	to, _ := pathArgs(in, 1)
	t, ok := w.fd(s, pc, to, FdUse)
	switch {
	case !ok:
	case l.name != "" || flags&unix.MOVE_MOUNT_T_EMPTY_PATH == 0:
		w.refuse(s, pc, MountPath, "where it is attached is told by a path")
	case t.attr&aLink != 0 && !w.onLink(t.path):
		w.refuse(s, pc, PathFollow, "it is attached on what may be a symbolic link")
	case t.k != kCont || l.where != atCont:
		w.refuse(s, pc, FdUse, "it is attached on "+t.k.String())
	default:
		w.note(pc, PathFollow)
		w.note(pc, MountPath)
		if v.k == kHostTree {
			w.checkHostTree(s, pc, v, t.path)
		}
	}
}

// checkAttachRoot refuses to attach anything in the host's tree but the root's.
func (w *walker) checkAttachRoot(s *state, pc int, v value, l *location) {
	isRoot := w.isRoot(&v)
	ownMount := v.k == kMnt && v.attr&aAttached == 0 && l.path == w.x.slash && s.root == rootAttached && !s.store
	onSlash := l.path == w.x.slash && !w.x.shared
	atRootfs := l.path == w.x.rootfs || l.name == "" && l.dir.k == kHost && l.dir.path == w.x.rootfs
	switch {
	case ownMount && (s.has(fSlave) || w.x.shared):
	case v.k == kRoot && s.root == rootAttached && onSlash: // it is moved
	case s.root != rootHost || !isRoot || !onSlash && !atRootfs:
		w.refuse(s, pc, MountPath, "it is attached in the host's tree, and is not the root at its place")
	case !w.x.shared && !s.has(fSlave):
		w.refuse(s, pc, MountSlave, "mounts of the new mount namespace propagate to the host")
	case w.e.NoPivot && !w.x.shared && !s.has(fPrivate):
		w.refuse(s, pc, MountSlave, "later mounts of the host come to beneath the root, where the host's tree stays")
	case v.attr&aPrivate == 0:
		w.refuse(s, pc, MountSlave, "the root propagates to the host")
	default:
		w.note(pc, MountSlave)
		w.note(pc, RootChange)
	}
}

// checkHostTree refuses to hand over what the configuration does not bind.
func (w *walker) checkHostTree(s *state, pc int, v value, at int32) {
	source, ro := w.texts[v.path], v.attr&aRO != 0
	if ro && v.proof&pNullDevice == pNullDevice {
		w.note(pc, HostInode)
		return
	}
	for i := range w.x.mounts {
		m := &w.x.mounts[i]
		switch {
		case m.dest != at:
		case m.bind && m.source == v.path,
			m.fs == fsCgroup && !m.bind && slices.Contains(w.x.cgroups, v.path),
			m.fs == fsSys && !m.bind && (w.e.Userns || w.e.Nested) && source == "/sys" && ro,
			m.fs == fsProc && !m.bind && (w.e.Userns || w.e.Nested) && source == "/proc" && w.x.own&unix.CLONE_NEWPID == 0:
			w.note(pc, HostInode)
			return
		}
	}
	switch {
	case w.x.devices[at] && ro, w.x.notify != 0 && v.path == w.x.notify && ro && w.texts[at] == "/run/notify":
	case slices.Contains(w.x.cgroups, v.path) && w.underCgroup(at):
	default:
		w.refuse(s, pc, HostInode, source+" of the host is attached on "+w.texts[at]+", writable or without the configuration's asking")
		return
	}
	w.note(pc, HostInode)
}

// underCgroup reports whether at lies below a mount of type cgroup.
func (w *walker) underCgroup(at int32) bool {
	for i := range w.x.mounts {
		if m := &w.x.mounts[i]; m.fs == fsCgroup && !m.bind && w.beneath(at, m.dest) {
			return true
		}
	}
	return false
}

func (w *walker) checkMount(s *state, pc int, in *program.Instr) {
	at, ok := w.pathText(in, 0)
	flags := imm(in, 3)
	const propagation = unix.MS_SHARED | unix.MS_SLAVE | unix.MS_PRIVATE | unix.MS_UNBINDABLE
	switch _, hidden := w.hidden(in); {
	case ok && at == "/" && flags&(unix.MS_BIND|unix.MS_MOVE|unix.MS_REMOUNT|propagation) == 0 && !hidden:
		w.checkStage(s, pc, in)
	case ok && at == "/" && s.root == rootHost && (flags == unix.MS_REC|unix.MS_SLAVE || flags == unix.MS_REC|unix.MS_PRIVATE):
		switch {
		case s.got&unix.CLONE_NEWNS == 0:
			w.refuse(s, pc, MountSlave, "the host's own mounts are changed")
		case !w.top(s):
			w.refuse(s, pc, MountSlave, "the root directory is no mount")
		}
	case ok && s.root == rootAttached && s.has(fSlave) && s.got&unix.CLONE_NEWNS != 0 && w.boundBy(in) != nil:
		w.note(pc, MountPath)
	case ok && hidden && w.top(s) && s.root != rootIn && flags&unix.MS_RDONLY != 0 && flags&(unix.MS_BIND|unix.MS_MOVE|propagation) == 0:
	case !ok || at != "." || s.cwd != cwdIn || s.root != rootAttached || flags&(unix.MS_BIND|unix.MS_MOVE|propagation) != 0:
		w.refuse(s, pc, MountPath, "it goes by a path, or the working directory is no mount point of the container")
	default:
		w.note(pc, MountPath)
	}
}

// checkStage refuses to mount a file system on "/" but for a moment, in a mount namespace
// that nobody else is in.
func (w *walker) checkStage(s *state, pc int, in *program.Instr) {
	_, known := w.str(in.Args[2])
	switch {
	case !known:
		w.refuse(s, pc, MountConfig, "the type is not known")
	case s.got&unix.CLONE_NEWNS == 0 || w.x.shared || w.e.Kind != Init:
		w.refuse(s, pc, MountPath, "it is mounted on / of a mount namespace that others are in")
	case !s.has(fSlave):
		w.refuse(s, pc, MountSlave, "mounts of the new mount namespace propagate to the host")
	}
}

// onStage reports whether the call is of what is mounted on "/" for a moment.
func (w *walker) onStage(s *state, in *program.Instr) bool {
	p, ok := w.pathText(in, 0)
	return ok && p == "/.." && s.stage.k != 0
}

// applyMounts does what a call on mounts does, and reports false for another call.
func (w *walker) applyMounts(s *state, pc int, in *program.Instr) (value, bool) {
	switch in.NR {
	case unix.SYS_FSOPEN:
		t, _ := w.str(in.Args[0])
		return value{k: kCtx, fs: fsType(t), path: w.text(t)}, true
	case unix.SYS_FSCONFIG:
		w.applyFsconfig(s, in)
	case unix.SYS_FSMOUNT:
		v := w.value(s, in.Args[0])
		v.k, v.attr = kMnt, v.attr&aSuperRO|attrBits(imm(in, 2))
		if v.fs == fsProc {
			v.k, v.proof = kProc, pProc
		}
		return v, true
	case unix.SYS_OPEN_TREE, unix.SYS_OPEN_TREE_ATTR:
		return w.applyTree(s, in), true
	case unix.SYS_MOUNT_SETATTR:
		w.applySetattr(s, pc, in)
	case unix.SYS_MOVE_MOUNT:
		w.applyMove(s, pc, in)
	case unix.SYS_MOUNT:
		w.applyMount(s, pc, in)
	case unix.SYS_UMOUNT2:
		if w.onStage(s, in) {
			s.stage = value{}
			break
		}
		w.note(pc, RootChange)
		if m := w.removed(s, in); w.e.Removes && m != nil {
			s.done(m.done)
			s.done(m.roDone)
			w.note(pc, MountConfig)
			break
		}
		switch p, _ := w.pathText(in, 0); {
		case p != ".":
			w.hides(s, p)
		case s.cwd == cwdStore:
			s.store = false
		default:
			s.root = rootIn
		}
	case unix.SYS_PIVOT_ROOT:
		s.root = rootPivoted
		w.note(pc, RootChange)
	default:
		return value{}, false
	}
	return value{k: kConst}, true
}

func (w *walker) applyFsconfig(s *state, in *program.Instr) {
	i := w.at(in.Args[0])
	if i < 0 {
		return
	}
	switch imm(in, 1) {
	case unix.FSCONFIG_CMD_CREATE:
		w.ref(s, i).attr |= aMade
	case unix.FSCONFIG_SET_FLAG:
		if key, _ := w.str(in.Args[2]); key == "ro" {
			w.ref(s, i).attr |= aSuperRO
		}
	}
}

func (w *walker) applyTree(s *state, in *program.Instr) value {
	l := w.place(s, in, 0)
	v := value{}
	if w.onStage(s, in) {
		return s.stage
	}
	if imm(in, 2)&unix.OPEN_TREE_CLONE == 0 {
		if m := w.boundOn(s, &l); m != nil {
			s.undo(m.bound) // it is taken from there
			return value{k: kHostTree, path: m.source, attr: aWhole}
		}
	}
	switch {
	case l.where == atHost && l.name == "": // of a directory that is open
		v = value{k: kHostTree, path: l.dir.path}
	case l.where == atHost:
		v = value{k: kHostTree, path: l.path}
		if imm(in, 2)&unix.AT_SYMLINK_NOFOLLOW != 0 {
			v.attr |= aNoFollow
		}
	case l.where == atTree || l.dir.k == kBound && l.name == "":
		v = l.dir
		v.k, v.attr = kHostTree, v.attr&^aAttached
		if l.dir.k == kBound {
			v.k = kHostTree
			v.path, v.num = int32(l.dir.num), 0 // where it came from
		}
	case l.where == atMnt || l.dir.k == kMnt:
		v = value{k: kMnt, attr: l.dir.attr &^ aAttached, fs: l.dir.fs, path: l.dir.path, proof: l.dir.proof}
		if l.dir.k == kMnt && l.dir.attr&aAttached != 0 {
			v.path = int32(l.dir.num)
		}
		if l.name != "" { // a file of it, not the file system
			v.fs, v.path = fsOther, 0
			if w.nulls[l.name] {
				v.proof = pNullDevice
			}
		}
	default:
		v = value{k: kContTree, path: l.path, proof: l.dir.proof & pNoLink}
	}
	if imm(in, 2)&unix.AT_RECURSIVE != 0 {
		v.attr |= aWhole
	}
	if in.NR == unix.SYS_OPEN_TREE_ATTR {
		set, clr, _, _ := w.mountAttr(in)
		v.attr = v.attr&^attrBits(clr) | attrBits(set)
	}
	return v
}

func (w *walker) applySetattr(s *state, pc int, in *program.Instr) {
	dir, _ := pathArgs(in, 0)
	i := w.at(dir)
	if i < 0 {
		return
	}
	v := w.ref(s, i)
	set, clr, prop, _ := w.mountAttr(in)
	v.attr = v.attr&^attrBits(clr) | attrBits(set)
	if set&unix.MOUNT_ATTR_RDONLY != 0 && imm(in, 2)&unix.AT_RECURSIVE != 0 {
		v.attr |= aDeep
	}
	if prop == unix.MS_PRIVATE || prop == unix.MS_SLAVE || prop == unix.MS_UNBINDABLE {
		v.attr |= aPrivate
	}
	if v.k == kRoot {
		if f, ok := w.x.readonly[w.x.slash]; ok && v.attr&(aRO|aDeep) == aRO|aDeep {
			s.done(f)
			w.note(pc, ReadOnly)
		}
		if set&unix.MOUNT_ATTR_RDONLY != 0 {
			s.done(fRootRO)
			w.note(pc, RootReadOnly)
			if w.x.onRoot != nil {
				s.done(w.x.onRoot.roDone)
				w.note(pc, MountConfig)
			}
		}
		return
	}
	if v.k != kCont && v.attr&aAttached == 0 {
		return
	}
	for j := range w.x.mounts {
		m := &w.x.mounts[j]
		if m.dest != v.path {
			continue
		}
		again := m.remount && v.attr&aCovered == 0
		if again && m.attrs&^v.attr == 0 {
			s.done(m.done)
			w.note(pc, MountConfig)
		}
		if set&unix.MOUNT_ATTR_RDONLY != 0 && (again || s.has(m.done)) {
			s.done(m.roDone)
			w.note(pc, MountConfig)
		}
	}
}

func (w *walker) applyMove(s *state, pc int, in *program.Instr) {
	dir, _ := pathArgs(in, 0)
	i := w.at(dir)
	v := w.ref(s, i)
	l := w.place(s, in, 1)
	if l.where == atHost {
		if s.root == rootHost {
			w.becomesRoot(s, pc, v)
		} else if v.k != kRoot {
			s.store = true
			return
		}
		if l.path == w.x.slash && w.top(s) {
			s.done(fRootOnTop)
		}
		return
	}
	to, _ := pathArgs(in, 1)
	target := w.value(s, to)
	at, src := target.path, *v
	if target.attr&aCovered == 0 { // else nobody sees it
		w.attached(s, pc, src, at, target.attr&aLink != 0)
	}
	switch v.k {
	case kHostTree:
		v.k, v.num = kBound, int64(src.path)
	case kMnt, kProc:
		v.k, v.num = kMnt, int64(src.path)
	}
	v.path, v.attr = at, v.attr&^aCovered|aAttached|target.attr&aCovered
}

// attached records what a mount on a path of the container does for the configuration.
// link says that it is on what may be a symbolic link itself.
func (w *walker) attached(s *state, pc int, v value, at int32, link bool) {
	if f, ok := w.x.masked[at]; ok && at != w.x.slash && ((v.k == kHostTree || v.k == kMnt) && v.attr&aRO != 0 && v.proof&pNullDevice == pNullDevice || v.k == kMnt && v.fs == fsTmp && v.attr&aRO != 0) {
		s.done(f)
		w.note(pc, Masked)
		return
	}
	if f, ok := w.x.readonly[at]; ok && at != w.x.slash && v.k == kContTree && v.path == at && v.attr&aRO != 0 && v.attr&aWhole != 0 {
		s.done(f)
		w.note(pc, ReadOnly)
		return
	}
	w.covers(s, at)
	for i := range w.x.mounts {
		m := &w.x.mounts[i]
		if m.dest != at || m.remount || s.has(m.done) || m.destLink != link || !w.fits(m, &v) {
			continue
		}
		if m.attrs&^v.attr == 0 {
			s.done(m.done)
		}
		if v.attr&(aRO|aSuperRO) != 0 {
			s.done(m.roDone)
		}
		w.note(pc, MountConfig)
		return
	}
}

// fits reports whether v is what the configuration mounts.
func (w *walker) fits(m *mountOf, v *value) bool {
	switch {
	case m.link != 0 || m.srcLink != (v.attr&aNoFollow != 0):
		return false
	case m.bind:
		return v.k == kHostTree && v.path == m.source ||
			v.k == kContTree && m.inside != 0 && v.path == m.inside && v.proof&pNoLink != 0
	case v.k == kContTree:
		return false
	case m.fs == fsCgroup:
		return v.k == kHostTree || v.fs == fsCgroup || v.fs == fsTmp
	case v.k == kHostTree:
		return m.fs == fsSys || m.fs == fsProc
	}
	return w.texts[v.path] == m.typ
}

func (w *walker) applyMount(s *state, pc int, in *program.Instr) {
	if m := w.boundBy(in); m != nil {
		s.done(m.bound)
		return
	}
	if f, ok := w.hidden(in); ok {
		s.done(f)
		w.note(pc, RootChange)
		return
	}
	flags := imm(in, 3)
	const propagation = unix.MS_SHARED | unix.MS_SLAVE | unix.MS_PRIVATE | unix.MS_UNBINDABLE
	if at, _ := w.pathText(in, 0); at == "/" && flags&propagation == 0 {
		t, _ := w.str(in.Args[2])
		s.stage = value{k: kMnt, fs: fsType(t), path: w.text(t), attr: flagBits(flags)}
		if s.stage.fs == fsProc {
			s.stage.k, s.stage.proof = kProc, pProc
		}
		return
	} else if at == "/" {
		s.done(fSlave)
		if flags&unix.MS_PRIVATE != 0 {
			s.done(fPrivate)
		}
		w.note(pc, MountSlave)
		return
	}
	attrs := flagBits(flags)
	if flags&unix.MS_REMOUNT != 0 {
		for i := range w.x.mounts {
			if m := &w.x.mounts[i]; m.remount && m.dest == s.cwdPath && m.attrs&^attrs == 0 {
				s.done(m.done)
				if attrs&aRO != 0 {
					s.done(m.roDone)
				}
				w.note(pc, MountConfig)
			}
		}
		return
	}
	t, _ := w.str(in.Args[2])
	w.attached(s, pc, value{k: kMnt, fs: fsType(t), path: w.text(t), attr: attrs}, s.cwdPath, false)
}
