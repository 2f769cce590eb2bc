package verify

import (
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// apply does to s what a call does that succeeds, and gives its result.
func (w *walker) apply(s *state, pc int, in *program.Instr) value {
	switch uint64(in.NR) {
	case setgroups, setresuid, setresgid:
		w.applyIDs(s, pc, in)
		return value{k: kConst}
	case fchown:
		return value{k: kConst}
	}
	switch in.NR {
	case unix.SYS_OPENAT, unix.SYS_OPENAT2:
		return w.applyOpen(s, in)
	case unix.SYS_MKNODAT:
		w.makesNode(s, in)
		return value{k: kConst}
	case unix.SYS_SYMLINKAT:
		w.applySymlink(s, pc, in)
		return value{k: kConst}
	case unix.SYS_CLOSE:
		return w.applyClose(s, in)
	case unix.SYS_DUP:
		return value{k: kCopy}
	case unix.SYS_DUP3:
		w.applyDup3(s, in)
		return value{k: kPos}
	case unix.SYS_STATFS:
		if l := w.place(s, in, 0); l.where == atCont && (s.root == rootIn || s.root == rootChroot) {
			s.describe(outArg(in), in.NR, -1, l.path)
		}
		return value{k: kConst}
	case unix.SYS_SETSID:
		s.done(fSession)
		w.note(pc, Session)
		return value{k: kPos}
	case unix.SYS_KEYCTL:
		if imm(in, 0) == unix.KEYCTL_JOIN_SESSION_KEYRING {
			if _, named := in.Args[1].Addr(); named && w.e.Kind != Init { // it may be another's
				s.undo(fKeyring)
				return value{k: kPos, proof: pNamed}
			}
			s.done(fKeyring)
			w.note(pc, Keyring)
		}
		return value{k: kPos}
	case unix.SYS_FSTATFS, unix.SYS_STATX:
		w.describes(s, in)
		return value{k: kConst}
	case unix.SYS_GETCWD:
		s.describe(outArg(in), in.NR, -1, 0)
		return value{k: kPos}
	case unix.SYS_FCHDIR:
		w.applyFchdir(s, in)
		return value{k: kConst}
	case unix.SYS_CHROOT:
		w.applyChroot(s, pc)
		return value{k: kConst}
	case unix.SYS_READ:
		if w.value(s, in.Args[0]).k == kGo {
			if !s.has(fReady) {
				w.refuse(s, pc, Barrier, "start is waited for before the runtime was told that all is ready")
			}
			s.done(fGo)
			w.note(pc, Barrier)
		}
		return value{k: kPos}
	case unix.SYS_WRITE:
		w.applyWrite(s, pc, in)
		return value{k: kPos}
	case unix.SYS_UMASK:
		return w.applyUmask(s, pc, in)
	case unix.SYS_SOCKET:
		if w.x.own&^s.got&unix.CLONE_NEWNET != 0 {
			return value{k: kHost} // it stays in the host's network
		}
		return value{k: kPlain}
	case unix.SYS_MEMFD_CREATE:
		return value{k: kMem}
	case unix.SYS_IOCTL:
		if imm(in, 1) == unix.TIOCGPTPEER {
			return value{k: kTty}
		}
		return value{}
	}
	if v, ok := w.applyMounts(s, pc, in); ok {
		return v
	}
	return w.applyProcess(s, pc, in)
}

// applyProcess is apply for the calls that are about the process itself.
func (w *walker) applyProcess(s *state, pc int, in *program.Instr) value {
	switch in.NR {
	case unix.SYS_SECCOMP:
		s.done(fFilter)
		s.may |= mayFilter
		w.note(pc, FilterLoaded)
		w.note(pc, FilterLast)
		if w.e.Notify {
			return value{k: kListener}
		}
		return value{k: kConst}
	case unix.SYS_SETNS, unix.SYS_UNSHARE:
		w.applyNamespaces(s, pc, in)
		return value{k: kConst}
	case unix.SYS_PRCTL:
		w.applyPrctl(s, pc, in)
		return value{k: kConst}
	case unix.SYS_CAPSET:
		s.effective, s.permitted, s.inheritable, _ = w.capsetOf(in)
		s.ambient &= s.permitted & s.inheritable
		s.capSet = true
		w.note(pc, AfterDrop)
		return value{k: kConst}
	case unix.SYS_PRLIMIT64:
		w.applyLimit(s, pc, in)
		return value{k: kConst}
	case unix.SYS_LSEEK, unix.SYS_GETDENTS64, unix.SYS_READLINKAT, unix.SYS_SENDFILE, unix.SYS_PWRITE64,
		unix.SYS_WAIT4:
		return value{k: kPos}
	case unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK:
		w.applySignals(s, pc, in)
		return value{k: kConst}
	case unix.SYS_SCHED_SETAFFINITY:
		w.applyAffinity(s, pc, in)
		return value{k: kConst}
	case unix.SYS_PERSONALITY:
		w.applySetting(s, pc, in)
		return value{k: kPos}
	}
	w.applySetting(s, pc, in)
	return value{k: kConst}
}

// value returns what an argument that is a descriptor in a register holds.
func (w *walker) value(s *state, a program.Arg) value {
	if r, ok := a.Reg(); ok {
		if i := w.reg(r); i >= 0 {
			return w.get(s, i)
		}
	}
	if n, ok := a.Imm(); ok && n < 3 {
		return value{k: s.std[n]}
	}
	return value{}
}

// at returns the register of a descriptor argument, -1 for none.
func (w *walker) at(a program.Arg) int {
	if r, ok := a.Reg(); ok {
		return w.reg(r)
	}
	return -1
}

func (w *walker) applyOpen(s *state, in *program.Instr) value {
	l := w.place(s, in, 0)
	var flags, resolve uint64
	if in.NR == unix.SYS_OPENAT {
		flags = imm(in, 2)
	} else {
		flags, _, resolve, _ = w.howOf(in)
	}
	v := value{path: l.path, attr: l.dir.attr & aCovered}
	if flags&unix.O_PATH == 0 {
		v.attr |= aData
	}
	if flags&(unix.O_WRONLY|unix.O_RDWR) != 0 {
		v.attr |= aWrite
	}
	switch l.where {
	case atHost:
		v.k = kHost
		if resolve&unix.RESOLVE_NO_SYMLINKS != 0 {
			v.proof |= pNoLink
		}
		switch {
		case l.name == "/proc/self/ns/time_for_children", l.name == selfMounts && w.e.Chrooted && s.got&unix.CLONE_NEWNS != 0:
			v.k = kSelfNS
		case w.opensOwnRoot(s, &l):
			v.proof |= pOldRoot
		}
	case atProc:
		v.k = kProcFile
	case atTree:
		v.k = kHost
		if ro := l.dir.attr & (aRO | aWhole | aDeep); (ro == aRO || ro == aRO|aWhole|aDeep) && l.single() && resolve&unix.RESOLVE_NO_SYMLINKS != 0 {
			v.k = kNull
		}
	case atMnt:
		v.k, v.fs, v.path = kMnt, l.dir.fs, 0
		if l.dir.attr&aRO != 0 && w.nodes[l.name] == nullDevice && resolve&unix.RESOLVE_NO_SYMLINKS != 0 {
			v.k = kNull // of a node that the program has made
		}
	default:
		v.k = kCont
		if l.dir.k == kContTree && l.dir.attr&aAttached == 0 {
			v.attr |= aCovered // nobody sees a clone
		}
		if resolve&unix.RESOLVE_NO_SYMLINKS != 0 {
			v.proof |= pNoLink
		}
		v.proof |= w.near(&l, resolve)
		if flags&unix.O_PATH != 0 && flags&unix.O_NOFOLLOW != 0 {
			v.attr |= aLink
		}
	}
	return v
}

// nullDevice is the null device as a node.
const nullDevice = unix.S_IFCHR<<32 | 1<<8 | 3

// makesNode learns which devices the names in a file system of the program's own are; 0 for one
// that is several.
func (w *walker) makesNode(s *state, in *program.Instr) {
	l := w.place(s, in, 0)
	if l.where != atMnt || l.dyn {
		return
	}
	node := int64(imm(in, 2)&unix.S_IFMT<<32 | imm(in, 3))
	if was, ok := w.nodes[l.name]; ok && was != node {
		node = 0
	}
	if w.nodes == nil {
		w.nodes = make(map[string]int64)
	}
	w.nodes[l.name] = node
}

func (w *walker) applyClose(s *state, in *program.Instr) value {
	if i := w.at(in.Args[0]); i >= 0 {
		if i == w.reg(w.p.Sync()) {
			s.socket = kDone
		}
		w.put(s, i, value{k: kDone})
	}
	return value{k: kConst}
}

func (w *walker) applyDup3(s *state, in *program.Instr) {
	v := w.value(s, in.Args[0])
	if v.k == kAny && w.e.Kind == Hook {
		v.k = kStdHost
	}
	if n, ok := in.Args[1].Imm(); ok {
		if n < 3 {
			s.std[n] = v.k
		}
		return
	}
	if i := w.at(in.Args[1]); i >= 0 {
		if i == w.reg(w.p.Sync()) {
			s.socket = v.k
		}
		w.put(s, i, v) // what was there is closed
	}
}

func (w *walker) describes(s *state, in *program.Instr) {
	fd := in.Args[0]
	if in.NR == unix.SYS_STATX {
		if name, ok := w.pathText(in, 0); !ok || name != "" {
			return
		}
		fd, _ = pathArgs(in, 0)
	}
	if i := w.at(fd); i >= 0 {
		s.describe(outArg(in), in.NR, i, 0)
	}
}

func (w *walker) applyFchdir(s *state, in *program.Instr) {
	v := w.value(s, in.Args[0])
	s.undo(fCwd)
	s.cwdPath, s.cwdPlain = 0, w.e.Removes && v.proof&pNoLink != 0
	if v.attr&aCovered != 0 {
		v.path = 0 // it is not what programs see by the path
	}
	switch {
	case v.k == kRoot:
		s.cwd = cwdRoot
	case v.k == kCont || v.k == kMnt && v.attr&aAttached != 0:
		s.cwd, s.cwdPath = cwdIn, v.path
	case v.k == kMnt:
		s.cwd = cwdStore
	case v.k == kHost && s.root == rootTop && w.rootOfHook(&v):
		s.cwd = cwdInit
	case v.k == kHost && s.root == rootHost && w.e.InitCwd && w.ofInit(v.path, "cwd"):
		s.cwd, s.cwdPath = cwdIn, w.x.slash // the container's root, until the pivot
	case v.k == kHost && v.proof&pOldRoot != 0:
		s.cwd = cwdOld
	default:
		s.cwd = cwdHost
	}
}

// ofInit reports whether a path of the host is the directory name of init.
func (w *walker) ofInit(path int32, name string) bool {
	return w.texts[path] == "/proc/"+strconv.Itoa(w.e.Pid)+"/"+name
}

// selfMounts is the mount namespace of the process itself.
const selfMounts = "/proc/self/ns/mnt"

// top reports whether "/" stands for all of the mount namespace.
func (w *walker) top(s *state) bool { return !w.e.Chrooted || s.atTop }

func (w *walker) applyChroot(s *state, pc int) {
	switch {
	case s.cwd == cwdOld && s.root == rootHost && s.atTop:
		s.atTop = false
		return
	case s.cwd == cwdRoot && s.root == rootAttached && !s.store && w.top(s) && (!w.e.Chrooted || s.has(fRootOnTop)) && (w.e.NoPivot || w.x.shared):
		s.root = rootChroot
	case s.cwd == cwdInit && w.e.InitCwd:
		s.root = rootHost
	case s.cwd == cwdInit:
		s.root = rootChroot
	default:
		w.refuse(s, pc, RootChange, "it does not change to the container's root")
		return
	}
	w.note(pc, RootChange)
}

func (w *walker) applyWrite(s *state, pc int, in *program.Instr) {
	v := w.value(s, in.Args[0])
	switch v.k {
	case kTasks:
		for i, r := range w.e.Tasks {
			if a, _ := in.Args[0].Reg(); a == r {
				if i != int(v.num) {
					continue // another's, by dup3
				}
				s.done(w.x.tasks[i])
				w.note(pc, Cgroup)
			}
		}
	case kProcFile:
		data := w.bytes(in.Args[1], uint32(imm(in, 2)))
		is := func(label int32) bool { return label != 0 && string(data) == w.texts[label] }
		switch path := w.texts[v.path]; {
		case path == "self/attr/apparmor/exec" && is(w.x.apparmor):
			s.done(fAppArmor)
			w.note(pc, Label)
		case path == "self/attr/exec" && is(w.x.selinux):
			s.done(fSELinux)
			w.note(pc, Label)
		case path == "self/oom_score_adj":
			s.done(fOOM)
			w.note(pc, Settings)
		case path == "self/attr/apparmor/exec" || path == "self/attr/exec":
			w.refuse(s, pc, Label, "another label than the configuration's is written")
		}
	}
}

// restored is the proof of a register that holds the umask of the caller.
const restored = pDir | pReg

func (w *walker) applyUmask(s *state, pc int, in *program.Instr) value {
	was := value{k: kPos}
	if s.umask == -1 {
		was.proof = restored
	}
	if m, ok := in.Args[0].Imm(); ok {
		s.umask = int32(m & 0o777)
		if w.x.proc != nil && w.x.proc.User.Umask != nil && s.umask == int32(*w.x.proc.User.Umask) {
			w.note(pc, Umask)
		}
		return was
	}
	s.umask = 0
	if v := w.value(s, in.Args[0]); v.k == kPos && v.proof == restored {
		s.umask = -1
		w.note(pc, Umask)
	}
	return was
}

func (w *walker) applyNamespaces(s *state, pc int, in *program.Instr) {
	w.note(pc, Namespaces)
	if in.NR == unix.SYS_UNSHARE {
		flags := imm(in, 0)
		if flags&unix.CLONE_NEWNS != 0 {
			s.undo(fSlave)
		}
		s.got |= flags &^ (unix.CLONE_NEWTIME | unix.CLONE_NEWPID)
		if flags&unix.CLONE_NEWTIME != 0 {
			s.done(fTimeMade)
		}
		return
	}
	flags := imm(in, 1)
	if w.value(s, in.Args[0]).k == kSelfNS && flags == unix.CLONE_NEWNS { // its own
		s.atTop, s.cwd, s.cwdPath = true, cwdHost, 0
		return
	}
	if w.value(s, in.Args[0]).k == kSelfNS && !s.has(fTimeMade) {
		flags = 0 // it is there already
	}
	s.got |= flags &^ unix.CLONE_NEWPID // which takes a clone
	s.pidJoined = s.pidJoined || flags&unix.CLONE_NEWPID != 0
	if flags&unix.CLONE_NEWNS != 0 {
		s.undo(fSlave)
		s.cwd, s.cwdPath = cwdHost, 0
		switch {
		case w.e.Kind == Init:
		case w.e.OwnRoot:
			s.root = rootTop
		default:
			s.root, s.cwd = rootIn, cwdRoot
		}
	}
}

func (w *walker) applyPrctl(s *state, pc int, in *program.Instr) {
	switch imm(in, 0) {
	case unix.PR_SET_DUMPABLE:
		s.done(fDumpable)
		s.loose, s.ajar = false, imm(in, 1) != 0
		w.note(pc, Dumpable)
	case unix.PR_SET_NO_NEW_PRIVS:
		if imm(in, 1) == 1 {
			s.done(fNoNewPrivs)
			w.note(pc, NoNewPrivs)
		}
	case unix.PR_CAPBSET_DROP:
		s.undo(fUid) // the change of ids has to come after: what became root of a namespace was none
		s.dropped |= 1 << (imm(in, 1) & 63)
		w.note(pc, Bounding)
	case unix.PR_CAP_AMBIENT:
		switch imm(in, 1) {
		case unix.PR_CAP_AMBIENT_CLEAR_ALL:
			s.ambient = 0
			if s.has(fUid) {
				s.done(fAmbient)
				w.note(pc, Ambient)
			}
		case unix.PR_CAP_AMBIENT_RAISE:
			s.ambient |= 1 << (imm(in, 2) & 63)
			w.note(pc, Ambient)
		}
	}
}

// applyIDs follows the order groups, group, user: each undoes what has to come after.
func (w *walker) applyIDs(s *state, pc int, in *program.Instr) {
	s.undo(fDumpable)
	s.undo(fAmbient)
	s.loose = s.loose || uint64(in.NR) != setgroups
	three := func() (uint32, bool) {
		a, b, c := imm(in, 0), imm(in, 1), imm(in, 2)
		return uint32(a), a == b && b == c
	}
	if uint64(in.NR) == setgroups && w.e.KeepGroups {
		w.refuse(s, pc, IDs, "the groups of the caller are to be kept")
		return
	}
	if w.dropsGroups(s, in) {
		s.done(fNoGroups)
		w.note(pc, IDs)
		return
	}
	p := w.x.proc
	if p == nil {
		return
	}
	switch uint64(in.NR) {
	case setgroups:
		s.undo(fGid)
		s.undo(fUid)
		n := imm(in, 0)
		if b := w.bytes(in.Args[1], uint32(4*n)); int(n) == len(p.User.AdditionalGids) && b != nil {
			for i, g := range p.User.AdditionalGids {
				if word32(b, 4*i) != g {
					return
				}
			}
			s.done(fGroups)
			w.note(pc, IDs)
		}
	case setresgid:
		s.undo(fUid)
		if id, same := three(); same && id == p.User.GID && s.has(fGroups) {
			s.done(fGid)
			w.note(pc, IDs)
		}
	case setresuid:
		if id, same := three(); same && id == p.User.UID && s.has(fGid) {
			s.done(fUid)
			w.note(pc, IDs)
		} else {
			s.undo(fUid)
		}
	}
}

// dropsGroups reports whether in drops all groups on the way to a user namespace that is
// joined: what is done there later may be denied.
func (w *walker) dropsGroups(s *state, in *program.Instr) bool {
	n, ok := in.Args[0].Imm()
	return uint64(in.NR) == setgroups && ok && n == 0 && w.x.joinsUser && s.got&unix.CLONE_NEWUSER == 0
}

func (w *walker) applyLimit(s *state, pc int, in *program.Instr) {
	b := w.bytes(in.Args[2], 16)
	for _, l := range w.x.limits {
		if l.nr != imm(in, 1) {
			continue
		}
		if b != nil && imm(in, 0) == 0 && word64(b, 0) == l.soft && word64(b, 8) == l.hard {
			s.done(l.done)
			w.note(pc, Rlimits)
		} else {
			s.undo(l.done)
		}
	}
}
