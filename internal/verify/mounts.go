package verify

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// checkMounts refuses a call on mounts that breaks a rule, and reports false for another
// call.
func (w *walker) checkMounts(s *state, pc int, in *program.Instr) bool {
	switch in.NR {
	case unix.SYS_FSOPEN:
		w.checkType(s, pc, in.Args[0])
	case unix.SYS_FSCONFIG, unix.SYS_FSMOUNT:
		v, ok := w.fd(s, pc, in.Args[0], FdUse)
		if ok && v.k != kCtx {
			w.refuse(s, pc, FdUse, v.k.String()+" is no file system that is being made")
		}
		if ok && in.NR == unix.SYS_FSMOUNT && v.attr&aMade == 0 {
			w.refuse(s, pc, FdUse, "the file system is not made")
		}
		if ok && in.NR == unix.SYS_FSCONFIG {
			w.checkConfig(s, pc, in)
		}
	case unix.SYS_OPEN_TREE, unix.SYS_OPEN_TREE_ATTR:
		w.checkTree(s, pc, in)
	case unix.SYS_MOUNT_SETATTR:
		w.checkSetattr(s, pc, in)
	case unix.SYS_MOVE_MOUNT:
		w.checkJoined(s, pc)
		w.checkMove(s, pc, in)
	case unix.SYS_MOUNT:
		w.checkMount(s, pc, in)
	case unix.SYS_UMOUNT2:
		w.checkJoined(s, pc)
		p, ok := w.pathText(in, 0)
		host := ok && w.top(s) && slices.Contains(w.x.points, w.text(p)) && !s.inside()
		here := ok && p == "." && (s.root == rootPivoted && s.cwd == cwdRoot || s.cwd == cwdStore && s.store)
		if w.e.Removes && w.removed(s, in) != nil || w.onStage(s, in) && imm(in, 1) == unix.MNT_DETACH {
			break
		}
		if w.onlyJoins() || imm(in, 1)&^unix.UMOUNT_NOFOLLOW != unix.MNT_DETACH || !host && !here || host && !s.has(fRootOnTop) {
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
	loc := w.place(s, in, 0)
	flags := imm(in, 2)
	switch {
	case w.onStage(s, in) && flags&unix.OPEN_TREE_CLONE != 0:
	case loc.where == atBad:
		dir, _ := pathArgs(in, 0)
		v, ok := w.fd(s, pc, dir, FdUse)
		if ok && (v.k != kTty || flags&unix.AT_EMPTY_PATH == 0) {
			w.refuse(s, pc, FdUse, v.k.String()+" is nothing to clone a mount from")
		}
	case loc.dir.attr&aLink != 0:
		w.refuse(s, pc, PathFollow, "it clones what may be a symbolic link")
	case loc.where == atCont && loc.name != "":
		w.refuse(s, pc, MountPath, "a mount of the container is cloned by a path")
	case loc.where == atCont && loc.cwd:
		w.refuse(s, pc, MountPath, "a mount of the container is cloned by a path")
	case flags&unix.OPEN_TREE_CLONE == 0 && w.boundOn(s, &loc) == nil:
		w.refuse(s, pc, MountPath, "it does not clone")
	default:
		w.checkCallersRoot(s, pc, &loc)
	}
}

func (w *walker) checkSetattr(s *state, pc int, in *program.Instr) {
	dir, _ := pathArgs(in, 0)
	tree, ok := w.fd(s, pc, dir, FdUse)
	if !ok {
		return
	}
	name, known := w.pathText(in, 0)
	set, clr, _, attr := w.mountAttr(in)
	lost := attrBits(clr) &^ attrBits(set)
	switch {
	case !known || name != "" || imm(in, 2)&unix.AT_EMPTY_PATH == 0:
		w.refuse(s, pc, MountPath, "it changes a mount by a path")
	case !attr:
		w.refuse(s, pc, MountConfig, "struct mount_attr is not known")
	case tree.k == kHost || tree.attr&aLink != 0:
		w.refuse(s, pc, MountPath, "it changes a mount of the host")
	case tree.k == kCont && tree.proof&pNoLink == 0:
		w.refuse(s, pc, MountPath, "it changes a mount that was found by a name, to which a symbolic link may lead")
	case clr&unix.MOUNT_ATTR_RDONLY != 0 && tree.k == kRoot:
		w.refuse(s, pc, RootReadOnly, "it makes the root writable")
	case set&unix.MOUNT_ATTR_IDMAP != 0 && !slices.ContainsFunc(w.x.mounts, func(m mountOf) bool { return m.mapped }):
		w.refuse(s, pc, MountConfig, "the configuration has no mount whose ids are mapped")
	case (tree.attr&aAttached != 0 || tree.k == kCont) && lost != 0 && !slices.ContainsFunc(w.x.mounts, func(m mountOf) bool { return m.remount && m.dest == tree.path }):
		w.refuse(s, pc, MountConfig, "it takes attributes away from a mount that is attached")
	}
}

func (w *walker) checkMove(s *state, pc int, in *program.Instr) {
	dir, _ := pathArgs(in, 0)
	tree, ok := w.fd(s, pc, dir, FdUse)
	if !ok {
		return
	}
	from, known := w.pathText(in, 0)
	flags := imm(in, 4)
	if w.onlyJoins() || flags&^(unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH) != 0 {
		w.refuse(s, pc, MountPath, "it is attached by a process that only joins, beneath what is there, or by a link")
		return
	}
	if !known || from != "" || flags&unix.MOVE_MOUNT_F_EMPTY_PATH == 0 {
		w.refuse(s, pc, MountPath, "what is attached is told by a path")
		return
	}
	if tree.attr&aAttached != 0 && tree.k != kRoot {
		w.refuse(s, pc, MountPath, "a mount is taken away from where it is attached")
		return
	}
	toTop := tree.k == kRoot && (w.e.NoPivot || w.e.Chrooted && s.atTop) // with what hides the host to come
	if tree.k != kHostTree && !toTop && tree.k != kMnt && tree.k != kProc && tree.k != kContTree && tree.k != kBound {
		w.refuse(s, pc, FdUse, tree.k.String()+" is no detached mount")
		return
	}
	loc := w.place(s, in, 1)
	if loc.where == atHost {
		w.checkAttachRoot(s, pc, tree, &loc)
		return
	}
	to, _ := pathArgs(in, 1)
	target, ok := w.fd(s, pc, to, FdUse)
	switch {
	case !ok:
	case loc.name != "" || flags&unix.MOVE_MOUNT_T_EMPTY_PATH == 0:
		w.refuse(s, pc, MountPath, "where it is attached is told by a path")
	case target.attr&aLink != 0 && !w.onLink(target.path):
		w.refuse(s, pc, PathFollow, "it is attached on what may be a symbolic link")
	case target.k != kCont || loc.where != atCont:
		w.refuse(s, pc, FdUse, "it is attached on "+target.k.String())
	default:
		w.note(pc, PathFollow)
		w.note(pc, MountPath)
		switch tree.k {
		case kHostTree:
			w.checkHostTree(s, pc, tree, target.path)
		case kProc, kMnt:
			w.checkOwnFS(s, pc, &tree, target.path)
		case kContTree:
			w.checkPart(s, pc, &tree, target.path)
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
			if v.attr&aPrivate == 0 && !m.shared && !w.rootShared() {
				w.refuse(s, pc, MountSlave, source+" of the host is attached, and what is mounted in it propagates to the host")
			}
			return
		}
	}
	switch {
	case w.x.devices[at] != 0 && v.path == at && ro, w.x.notify != 0 && v.path == w.x.notify && ro && w.texts[at] == "/run/notify":
	case slices.Contains(w.x.cgroups, v.path) && w.underCgroup(at):
	default:
		w.refuse(s, pc, HostInode, source+" of the host is attached on "+w.texts[at]+", writable or without the configuration's asking")
		return
	}
	w.note(pc, HostInode)
}

// checkType refuses a file system of a type that neither the configuration has nor the
// runtime needs: it may be one of the host's disks.
func (w *walker) checkType(s *state, pc int, a program.Arg) {
	t, ok := w.str(a)
	switch {
	case !ok:
		w.refuse(s, pc, MountConfig, "the type is not known")
	case t == "proc" || t == "tmpfs":
	case !slices.ContainsFunc(w.x.mounts, func(m mountOf) bool { return m.typ == t || m.fs == fsCgroup && fsType(t) == fsCgroup }):
		w.refuse(s, pc, MountConfig, "a file system of the type "+t+" is none of the configuration")
	}
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
	switch _, hidden := w.hidden(s, in); {
	case w.onlyJoins():
		w.refuse(s, pc, MountPath, "a process that only joins a container mounts something")
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
	case ok && hidden && w.top(s) && !s.inside() && w.isTmpfs(in) && flags&unix.MS_RDONLY != 0 && flags&(unix.MS_BIND|unix.MS_MOVE|propagation) == 0:
	case !ok || at != "." || s.cwd != cwdIn || s.root != rootAttached || flags&(unix.MS_BIND|unix.MS_MOVE|propagation) != 0:
		w.refuse(s, pc, MountPath, "it goes by a path, or the working directory is no mount point of the container")
	case flags&unix.MS_REMOUNT != 0:
		if !slices.ContainsFunc(w.x.mounts, func(m mountOf) bool { return m.remount && m.dest == s.cwdPath }) {
			w.refuse(s, pc, MountPath, "it changes a mount that the configuration does not change")
			return
		}
		w.note(pc, MountPath)
	default:
		if w.checkType(s, pc, in.Args[2]); w.fail == nil {
			v := w.mounting(s, in)
			w.checkOwnFS(s, pc, &v, s.cwdPath)
		}
		w.note(pc, MountPath)
	}
}

// checkStage refuses to mount a file system on "/" but for a moment, in a mount namespace
// that nobody else is in.
func (w *walker) checkStage(s *state, pc int, in *program.Instr) {
	w.checkType(s, pc, in.Args[2])
	switch {
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

// onlyJoins reports whether the process only joins a container, in whose tree it changes nothing.
func (w *walker) onlyJoins() bool { return w.e.Kind != Init && !w.e.Adds && !w.e.Removes }

// isTmpfs reports whether mount(2) makes an empty file system, which hides what lies beneath.
func (w *walker) isTmpfs(in *program.Instr) bool {
	t, _ := w.str(in.Args[2])
	return t == "tmpfs"
}

// inside reports whether the root directory is the container's, and names lead into it.
func (s *state) inside() bool { return s.root == rootIn || s.root == rootChroot }

// rootShared reports whether the root, with what is mounted in it, is to propagate.
func (w *walker) rootShared() bool {
	return strings.Contains(w.x.lin.RootfsPropagation, "shared") || w.x.onRoot != nil && w.x.onRoot.shared
}
