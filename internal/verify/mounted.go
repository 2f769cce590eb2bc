package verify

import (
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// applyMounts does what a call on mounts does, and reports false for another call.
func (w *walker) applyMounts(s *state, pc int, in *program.Instr) (value, bool) {
	switch in.NR {
	case unix.SYS_FSOPEN:
		t, _ := w.str(in.Args[0])
		return value{k: kCtx, fs: fsType(t), path: w.text(t), attr: w.own(s, fsType(t))}, true
	case unix.SYS_FSCONFIG:
		w.applyFsconfig(s, in)
	case unix.SYS_FSMOUNT:
		v := w.value(s, in.Args[0])
		v.k, v.attr = kMnt, v.attr&(aSuperRO|aOwn)|attrBits(imm(in, 2))
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
		w.configures(s, in, w.ref(s, i))
	default:
		w.configures(s, in, w.ref(s, i))
	}
}

func (w *walker) applyTree(s *state, in *program.Instr) value {
	loc := w.place(s, in, 0)
	tree := value{}
	if w.onStage(s, in) {
		return s.stage
	}
	if imm(in, 2)&unix.OPEN_TREE_CLONE == 0 {
		if m := w.boundOn(s, &loc); m != nil {
			s.undo(m.bound) // it is taken from there
			return value{k: kHostTree, path: m.source, attr: aWhole}
		}
	}
	switch {
	case loc.where == atHost && loc.name == "": // of a directory that is open
		tree = value{k: kHostTree, path: loc.dir.path, proof: loc.dir.proof & pNoLink}
	case loc.where == atHost:
		tree = value{k: kHostTree, path: loc.path}
		if imm(in, 2)&unix.AT_SYMLINK_NOFOLLOW != 0 {
			tree.attr |= aNoFollow
		}
	case loc.where == atTree || loc.dir.k == kBound && loc.name == "":
		tree = loc.dir
		tree.k, tree.attr = kHostTree, tree.attr&^aAttached
		if loc.dir.k == kBound {
			tree.k = kHostTree
			tree.path, tree.num = int32(loc.dir.num), 0 // where it came from
		}
	case loc.where == atMnt || loc.dir.k == kMnt:
		tree = w.cloneOfOwn(&loc)
	default:
		tree = value{k: kContTree, path: loc.path, proof: loc.dir.proof & pNoLink}
		if loc.dir.k == kTty {
			tree.proof |= pDevpts
		}
	}
	if imm(in, 2)&unix.AT_RECURSIVE != 0 {
		tree.attr |= aWhole
	}
	if in.NR == unix.SYS_OPEN_TREE_ATTR {
		set, clr, _, _ := w.mountAttr(in)
		tree.attr = tree.attr&^attrBits(clr) | attrBits(set)
		if set&unix.MOUNT_ATTR_RDONLY != 0 && tree.attr&aWhole != 0 {
			tree.attr |= aDeep
		}
	}
	return tree
}

func (w *walker) applySetattr(s *state, pc int, in *program.Instr) {
	dir, _ := pathArgs(in, 0)
	i := w.at(dir)
	if i < 0 {
		return
	}
	mount := w.ref(s, i)
	set, clr, prop, _ := w.mountAttr(in)
	mount.attr = mount.attr&^attrBits(clr) | attrBits(set)
	if set&unix.MOUNT_ATTR_RDONLY != 0 && imm(in, 2)&unix.AT_RECURSIVE != 0 {
		mount.attr |= aDeep
	}
	if set&unix.MOUNT_ATTR_IDMAP != 0 {
		mount.attr |= aMapped
	}
	if prop == unix.MS_PRIVATE || prop == unix.MS_SLAVE || prop == unix.MS_UNBINDABLE {
		mount.attr |= aPrivate
	}
	if mount.k == kRoot {
		if f, ok := w.x.readonly[w.x.slash]; ok && mount.attr&(aRO|aDeep) == aRO|aDeep {
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
	if mount.k != kCont && mount.attr&aAttached == 0 {
		return
	}
	for j := range w.x.mounts {
		listed := &w.x.mounts[j]
		if listed.dest != mount.path || mount.mount != 0 && int(mount.mount) != j+1 && !listed.remount || mount.mount == 0 && mount.attr&aCovered != 0 {
			continue
		}
		if listed.fs == fsCgroup && imm(in, 2)&unix.AT_RECURSIVE == 0 {
			continue // the hierarchies are mounts of their own
		}
		again := listed.remount && mount.attr&aCovered == 0
		if again && listed.attrs&^mount.attr == 0 {
			s.done(listed.done)
			w.note(pc, MountConfig)
		}
		if set&unix.MOUNT_ATTR_RDONLY != 0 && (again || s.has(listed.done)) {
			s.done(listed.roDone)
			w.note(pc, MountConfig)
		}
	}
}

func (w *walker) applyMove(s *state, pc int, in *program.Instr) {
	dir, _ := pathArgs(in, 0)
	i := w.at(dir)
	mount := w.ref(s, i)
	l := w.place(s, in, 1)
	if l.where == atHost {
		if s.root == rootHost {
			w.becomesRoot(s, pc, mount)
		} else if mount.k != kRoot {
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
	at, src := target.path, *mount
	if target.attr&aCovered == 0 { // else nobody sees it
		mount.mount = w.attached(s, pc, src, at, target.attr&aLink != 0)
	}
	switch mount.k {
	case kHostTree:
		mount.k, mount.num = kBound, int64(src.path)
	case kMnt, kProc:
		mount.k, mount.num = kMnt, int64(src.path)
	}
	mount.path, mount.attr = at, mount.attr&^aCovered|aAttached|target.attr&aCovered
}

// attached records what a mount on a path of the container does for the configuration.
// link says that it is on what may be a symbolic link itself.
func (w *walker) attached(s *state, pc int, v value, at int32, link bool) (mount int16) {
	if f, ok := w.x.masked[at]; ok && at != w.x.slash && ((v.k == kHostTree || v.k == kMnt) && v.attr&aRO != 0 && v.proof&pNullDevice == pNullDevice || v.k == kMnt && v.fs == fsTmp && v.attr&aRO != 0) {
		s.done(f)
		w.note(pc, Masked)
		return 0
	}
	if f, ok := w.x.readonly[at]; ok && at != w.x.slash && v.k == kContTree && v.path == at && v.attr&(aRO|aWhole|aDeep) == aRO|aWhole|aDeep {
		s.done(f)
		w.note(pc, ReadOnly)
		return 0
	}
	w.covers(s, at)
	for i := range w.x.mounts {
		m := &w.x.mounts[i]
		if m.dest != at || m.remount || s.has(m.done) || m.destLink != link || !w.fits(m, &v) {
			continue
		}
		w.mountedAs(s, pc, m, &v)
		return int16(i + 1)
	}
	return 0
}

// fits reports whether v is what the configuration mounts.
func (w *walker) fits(m *mountOf, v *value) bool {
	switch {
	case m.link != 0 || m.srcLink != (v.attr&aNoFollow != 0):
		return false
	case m.bind:
		return v.attr&aWhole == m.whole && (v.attr&aMapped != 0) == m.mapped &&
			(v.k == kHostTree && v.path == m.source || v.k == kContTree && m.inside != 0 && v.path == m.inside && v.proof&pNoLink != 0)
	case v.k == kContTree:
		return false
	case m.fs == fsCgroup:
		return v.k == kHostTree || v.fs == fsCgroup || v.fs == fsTmp
	case v.k == kHostTree:
		return m.fs == fsSys || m.fs == fsProc
	}
	return w.isOf(m, w.texts[v.path])
}

func (w *walker) applyMount(s *state, pc int, in *program.Instr) {
	if m := w.boundBy(in); m != nil {
		s.done(m.bound)
		return
	}
	if f, ok := w.hidden(s, in); ok {
		s.done(f)
		w.note(pc, RootChange)
		return
	}
	flags := imm(in, 3)
	const propagation = unix.MS_SHARED | unix.MS_SLAVE | unix.MS_PRIVATE | unix.MS_UNBINDABLE
	if at, _ := w.pathText(in, 0); at == "/" && flags&propagation == 0 {
		s.stage = w.mounting(s, in)
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
	w.attached(s, pc, w.mounting(s, in), s.cwdPath, false)
}

// mounting returns the file system that a mount(2) makes.
func (w *walker) mounting(s *state, in *program.Instr) value {
	t, _ := w.fromMount(in)
	fs := fsType(typeOf(t))
	return value{k: kMnt, fs: fs, path: w.text(t), attr: flagBits(imm(in, 3)) | w.own(s, fs)}
}

// cloneOfOwn returns a clone of a file system of the program's own, or of a file in it.
func (w *walker) cloneOfOwn(l *location) value {
	v := value{k: kMnt, attr: l.dir.attr &^ aAttached, fs: l.dir.fs, path: l.dir.path, proof: l.dir.proof}
	if l.dir.k == kMnt && l.dir.attr&aAttached != 0 {
		v.path = int32(l.dir.num)
	}
	if l.name != "" { // a file of it, not the file system
		v.fs, v.path, v.num = fsOther, 0, w.nodes[l.name]
		if v.num == nullDevice {
			v.proof = pNullDevice
		}
	}
	return v
}
