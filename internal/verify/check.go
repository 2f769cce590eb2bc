package verify

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/calls"
	"github.com/hutch-project/hutch/internal/id32"
	"github.com/hutch-project/hutch/internal/program"
)

const (
	setgroups = uint64(id32.Setgroups)
	setresuid = uint64(id32.Setresuid)
	setresgid = uint64(id32.Setresgid)
	fchown    = uint64(id32.Fchown)
)

// check refuses a call that breaks a rule where it stands, whatever comes of it.
func (w *walker) check(s *state, pc int, in *program.Instr) {
	w.checkOrder(s, pc, in)
	w.checkReady(s, pc, in)
	w.checkArgs(s, pc, in)
	w.checkKept(s, pc, in)
	if w.fail != nil {
		return
	}
	switch uint64(in.NR) {
	case setgroups, setresuid, setresgid:
		return
	case fchown:
		w.checkFchown(s, pc, in)
		return
	}
	switch in.NR {
	case unix.SYS_OPENAT, unix.SYS_OPENAT2:
		w.checkOpen(s, pc, in)
	case unix.SYS_MKDIRAT, unix.SYS_MKNODAT, unix.SYS_UNLINKAT, unix.SYS_FCHOWNAT, unix.SYS_FCHMODAT, unix.SYS_READLINKAT,
		unix.SYS_SYMLINKAT:
		w.checkName(s, pc, in)
	case unix.SYS_STATX, unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2, unix.SYS_STATFS:
		w.checkLook(s, pc, in)
	case unix.SYS_EXECVE:
		w.checkExecve(s, pc, in)
	case unix.SYS_GETDENTS64:
		w.checkRead(s, pc, in.Args[0], false)
	case unix.SYS_DUP:
		if v, ok := w.fd(s, pc, in.Args[0], FdUse); ok && v.k != kSocket {
			w.refuse(s, pc, FdUse, "it copies "+v.k.String())
		}
	case unix.SYS_FSTATFS, unix.SYS_FCHDIR:
		v, ok := w.fd(s, pc, in.Args[0], FdUse)
		if ok && in.NR == unix.SYS_FCHDIR && v.attr&aLink != 0 {
			w.refuse(s, pc, PathFollow, "it enters what may be a symbolic link")
		}
	case unix.SYS_READ, unix.SYS_WRITE, unix.SYS_PWRITE64:
		w.checkTransfer(s, pc, in)
	case unix.SYS_DUP3:
		w.checkDup3(s, pc, in)
	case unix.SYS_IOCTL:
		w.checkIoctl(s, pc, in)
	case unix.SYS_CLOSE:
		w.checkClose(s, pc, in)
	case unix.SYS_FTRUNCATE, unix.SYS_SENDFILE:
		w.checkFill(s, pc, in)
	case unix.SYS_LSEEK, unix.SYS_CLOSE_RANGE,
		unix.SYS_GETCWD, unix.SYS_UMASK, unix.SYS_SETSID, unix.SYS_SOCKET,
		unix.SYS_MEMFD_CREATE, unix.SYS_WAIT4:
	case unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK:
		w.checkSignals(s, pc, in)
	default:
		if !w.checkMounts(s, pc, in) && !w.checkProcess(s, pc, in) && !w.mapsExe(s, in) {
			w.refuse(s, pc, Known, "the verifier does not know the call")
		}
	}
}

// checkProcess is check for the calls that are about the process itself, and reports false for
// another call.
func (w *walker) checkProcess(s *state, pc int, in *program.Instr) bool {
	switch in.NR {
	case unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME:
		if s.got&unix.CLONE_NEWUTS == 0 {
			w.refuse(s, pc, Namespaces, "the name of the host is changed: the process is in no UTS namespace of the container")
		}
		w.checkSetting(s, pc, in)
	case unix.SYS_SETNS:
		w.checkSetns(s, pc, in)
	case unix.SYS_PRCTL:
		w.checkPrctl(s, pc, in)
	case unix.SYS_CAPSET:
		w.checkCapset(s, pc, in)
	case unix.SYS_SECCOMP:
		w.checkSeccomp(s, pc, in)
	case unix.SYS_CLONE3, unix.SYS_CLONE:
		w.checkClone(s, pc, in)
	case unix.SYS_KEYCTL:
		w.checkKeyctl(s, pc, in)
	case unix.SYS_PRLIMIT64:
		w.checkLimit(s, pc, in)
	case unix.SYS_SCHED_SETATTR, unix.SYS_SCHED_SETAFFINITY, unix.SYS_SETPGID:
		if imm(in, 0) != 0 {
			w.refuse(s, pc, HostWrite, "it changes another process")
		}
		w.checkSetting(s, pc, in)
		if in.NR == unix.SYS_SCHED_SETAFFINITY {
			w.checkAffinity(s, pc, in)
		}
	case unix.SYS_IOPRIO_SET:
		if imm(in, 0) != 1 || imm(in, 1) != 0 { // IOPRIO_WHO_PROCESS
			w.refuse(s, pc, HostWrite, "it changes another process")
		}
		w.checkSetting(s, pc, in)
	case unix.SYS_PERSONALITY, unix.SYS_SET_MEMPOLICY:
		w.checkSetting(s, pc, in)
	case unix.SYS_UNSHARE:
		w.checkMade(s, pc, imm(in, 0))
	default:
		return false
	}
	return true
}

// mapsExe returns the mapping of the runtime's executable.
func (w *walker) mapsExe(s *state, in *program.Instr) bool {
	if in.NR != calls.Mmap {
		return false
	}
	i := w.at(in.Args[calls.Of(in.NR).Find(calls.Fd)])
	return i >= 0 && w.get(s, i).k == kExe
}

// checkOrder refuses what comes too late.
func (w *walker) checkOrder(s *state, pc int, in *program.Instr) {
	if s.stage.k != 0 && (in.NR != unix.SYS_OPEN_TREE && in.NR != unix.SYS_UMOUNT2 || !w.onStage(s, in)) {
		w.refuse(s, pc, MountPath, "what is mounted on / for a moment is there yet")
		return
	}
	if nr := uint64(in.NR); s.loose && nr != setresuid && nr != setresgid && in.NR != unix.SYS_PRCTL {
		w.refuse(s, pc, Dumpable, "the process may be dumpable")
		return
	}
	if s.ajar && (in.NR == unix.SYS_CLONE || in.NR == unix.SYS_CLONE3 || in.NR == unix.SYS_EXECVE) {
		w.refuse(s, pc, Dumpable, "the process is dumpable where others of the container begin")
		return
	}
	if out := s.outside(); s.ajar && out != 0 && in.NR != unix.SYS_PRCTL {
		w.refuse(s, pc, Dumpable, "the process is dumpable, and open are "+kindWords(out))
		return
	}
	if s.may&mayFilter != 0 {
		switch in.NR {
		case unix.SYS_CAPSET, unix.SYS_READ, unix.SYS_WRITE, unix.SYS_DUP3, unix.SYS_RT_SIGPROCMASK, unix.SYS_EXECVE,
			unix.SYS_LSEEK, unix.SYS_FTRUNCATE, unix.SYS_CLONE, unix.SYS_WAIT4:
		case unix.SYS_SETSID, unix.SYS_IOCTL, unix.SYS_PRLIMIT64, unix.SYS_OPENAT2, unix.SYS_FCHDIR, unix.SYS_CLOSE, unix.SYS_GETCWD,
			unix.SYS_STATX, unix.SYS_FACCESSAT2, unix.SYS_FACCESSAT:
			if s.proc == 0 { // else the compiler has found them in the profile
				w.refuse(s, pc, FilterLast, "it comes after the filter is loaded")
				return
			}
		case unix.SYS_PRCTL:
			if !w.e.Opens || imm(in, 0) != unix.PR_SET_DUMPABLE || imm(in, 1) != 0 { // else the compiler has found it in the profile
				w.refuse(s, pc, FilterLast, "it comes after the filter is loaded")
				return
			}
		default:
			w.refuse(s, pc, FilterLast, "it comes after the filter is loaded")
			return
		}
	}
	if !s.capSet || w.e.Kind == Hook {
		return
	}
	switch uint64(in.NR) {
	case setresgid, setresuid, setgroups, fchown:
		w.refuse(s, pc, AfterDrop, "it takes privileges, and comes after the capabilities are set")
		return
	}
	switch in.NR {
	case unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_OPEN_TREE_ATTR, unix.SYS_FSOPEN,
		unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_MOUNT_SETATTR, unix.SYS_SETNS, unix.SYS_UNSHARE, unix.SYS_CHROOT, unix.SYS_MKNODAT,
		unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_FCHOWNAT, unix.SYS_KEYCTL:
		w.refuse(s, pc, AfterDrop, "it takes privileges, and comes after the capabilities are set")
	case unix.SYS_PRCTL:
		if imm(in, 0) == unix.PR_CAPBSET_DROP || imm(in, 0) == unix.PR_SET_MM {
			w.refuse(s, pc, AfterDrop, "it takes privileges, and comes after the capabilities are set")
		}
	}
}

// changing are the flags by which an open changes a file, or lets it be changed.
const changing = unix.O_WRONLY | unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC | unix.O_TMPFILE&^unix.O_DIRECTORY

// checkOpen refuses an open that may lead out of where it is to lead.
func (w *walker) checkOpen(s *state, pc int, in *program.Instr) {
	const safe = unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_SYMLINKS
	l := w.place(s, in, 0)
	if l.where == atBad {
		dir, _ := pathArgs(in, 0)
		w.fd(s, pc, dir, FdUse)
		w.refuse(s, pc, FdUse, "the directory is no descriptor to open below")
		return
	}
	if l.dir.attr&aLink != 0 {
		w.refuse(s, pc, PathFollow, "it opens below what may be a symbolic link")
		return
	}
	w.checkCallersRoot(s, pc, &l)
	if in.NR == unix.SYS_OPENAT {
		w.checkOpenat(s, pc, in, &l)
		return
	}
	flags, _, resolve, ok := w.howOf(in)
	if !ok {
		w.refuse(s, pc, PathResolve, "struct open_how is not known")
		return
	}
	if slices.Contains(strings.Split(l.name, "/"), "..") && !l.dyn {
		w.refuse(s, pc, PathResolve, "a name leads up, and what it leads to is not what it says")
		return
	}
	kept := resolve&(unix.RESOLVE_IN_ROOT|unix.RESOLVE_BENEATH) != 0
	switch l.where {
	case atHost:
		if flags&changing != 0 {
			w.refuse(s, pc, HostWrite, "a file of the host is opened for writing")
		}
		if l.path == w.x.rootfs && resolve&unix.RESOLVE_NO_SYMLINKS == 0 {
			w.refuse(s, pc, PathResolve, "root.path may lead over a symbolic link")
		}
		return
	case atProc:
		if resolve&unix.RESOLVE_BENEATH == 0 || resolve&unix.RESOLVE_NO_XDEV == 0 || resolve&safe == 0 {
			w.refuse(s, pc, ProcWrite, "a file of a procfs is opened without RESOLVE_BENEATH, RESOLVE_NO_XDEV and RESOLVE_NO_MAGICLINKS")
			return
		}
		if name, is := strings.CutPrefix(l.name, "sys/"); is && w.foreign(s, name) {
			w.refuse(s, pc, ProcWrite, "a parameter is opened before the process is in the namespace that it is of")
			return
		}
		w.note(pc, ProcWrite)
		return
	}
	inside := s.root == rootIn || s.root == rootChroot
	if flags&(unix.O_CREAT|unix.O_TRUNC) != 0 && l.where == atCont && l.dir.k != kMnt {
		w.refuse(s, pc, PathName, "a file of the container, or of the host that is bound there, is made or emptied by a path")
		return
	}
	if !kept && !(inside && l.where == atCont) || resolve&safe == 0 {
		w.refuse(s, pc, PathResolve, "without RESOLVE_IN_ROOT or RESOLVE_BENEATH, or without RESOLVE_NO_MAGICLINKS")
		return
	}
	if l.dyn && (l.where != atMnt && resolve&unix.RESOLVE_IN_ROOT == 0 || resolve&unix.RESOLVE_NO_SYMLINKS == 0) && resolve&unix.RESOLVE_NO_XDEV == 0 && resolve&unix.RESOLVE_IN_ROOT == 0 {
		w.refuse(s, pc, PathResolve, "a name that comes from outside is opened without RESOLVE_NO_XDEV")
		return
	}
	w.note(pc, PathResolve)
	if l.cwd && flags&unix.O_PATH == 0 && w.x.proc != nil {
		if !s.capSet {
			w.refuse(s, pc, PathLate, "a file of the image is read before the capabilities are the container's")
			return
		}
		w.note(pc, PathLate)
	}
}

// checkCallersRoot refuses to resolve a path of the host from the top of the mount namespace for
// a caller in a chroot.
func (w *walker) checkCallersRoot(s *state, pc int, l *location) {
	if l.where == atHost && l.cwd && w.e.Chrooted && s.atTop && l.name != "/" {
		w.refuse(s, pc, RootChange, "a path of the host is resolved outside of the caller's root directory")
	}
}

func (w *walker) checkOpenat(s *state, pc int, in *program.Instr, l *location) {
	flags := imm(in, 2)
	switch {
	case l.where == atHost && flags&changing != 0:
		w.refuse(s, pc, HostWrite, "a file of the host is opened for writing")
	case l.where == atHost:
	case l.where == atCont && l.cwd && l.trivial() && flags&unix.O_PATH != 0:
		w.note(pc, PathResolve)
	default:
		w.refuse(s, pc, PathResolve, "a path of the container is opened by openat, which follows magic links")
	}
}

// checkName refuses to make or to change anything but a single name in a directory of
// the container.
func (w *walker) checkName(s *state, pc int, in *program.Instr) {
	l := w.place(s, in, 0)
	if l.where == atBad {
		dir, _ := pathArgs(in, 0)
		if _, ok := w.fd(s, pc, dir, PathName); ok {
			w.refuse(s, pc, PathName, "the directory is none of the container")
		}
		return
	}
	if l.where != atCont && l.where != atMnt || l.cwd {
		w.refuse(s, pc, PathName, "the directory is none of the container")
		return
	}
	if l.dir.attr&aLink != 0 {
		w.refuse(s, pc, PathFollow, "what is changed may be a symbolic link")
		return
	}
	if l.dir.k == kBound && (in.NR == unix.SYS_FCHOWNAT || in.NR == unix.SYS_FCHMODAT) {
		w.refuse(s, pc, HostInode, "what is bound from the host is changed")
		return
	}
	good := l.single()
	switch in.NR {
	case unix.SYS_FCHOWNAT:
		flags := imm(in, 4)
		if l.name == "" && !l.dyn {
			good = flags&unix.AT_EMPTY_PATH != 0
		} else if flags&unix.AT_SYMLINK_NOFOLLOW == 0 {
			w.refuse(s, pc, PathFollow, "it follows a symbolic link: without AT_SYMLINK_NOFOLLOW")
			return
		}
	case unix.SYS_FCHMODAT: // it has no flags
		good = l.name == "." && !l.dyn || good && l.dir.k == kMnt
	}
	if !good {
		w.refuse(s, pc, PathName, fmt.Sprintf("%q is not a single name in a directory of the container", l.name))
		return
	}
	w.checkDir(s, pc, &l)
	if in.NR == unix.SYS_MKNODAT {
		w.checkNode(s, pc, in, &l)
	}
	w.checkChanged(s, pc, in, &l)
	w.note(pc, PathName)
}

// checkLook refuses to look a path of the container up while descriptors of the host are
// open.
func (w *walker) checkLook(s *state, pc int, in *program.Instr) {
	l := w.place(s, in, 0)
	if l.where == atBad {
		dir, _ := pathArgs(in, 0)
		w.fd(s, pc, dir, FdUse)
		return
	}
	ours := in.NR == unix.SYS_STATFS && !l.dyn && w.x.at[l.path] // a mount of the configuration is proven so
	entry := !l.cwd && l.single() && in.NR == unix.SYS_STATX && imm(in, 2)&unix.AT_SYMLINK_NOFOLLOW != 0
	if l.where == atCont && !l.trivial() && !ours && !entry {
		w.checkNames(s, pc)
	}
}

// checkNames refuses a name of the image's choice while descriptors of the host are open.
func (w *walker) checkNames(s *state, pc int) {
	if out := s.outside(); out != 0 {
		w.refuse(s, pc, FdName, "open are "+kindWords(out)+", to which the name may lead by /proc/self/fd")
		return
	}
	w.note(pc, FdName)
}

// checkTransfer refuses to write what is the host's.
func (w *walker) checkTransfer(s *state, pc int, in *program.Instr) {
	if in.NR == unix.SYS_READ {
		w.checkRead(s, pc, in.Args[0], false)
		return
	}
	v, ok := w.fd(s, pc, in.Args[0], FdUse)
	if !ok {
		return
	}
	switch v.k {
	case kTasks:
		if b := w.bytes(in.Args[1], 1); b == nil || b[0] != '0' || imm(in, 2) != 1 {
			w.refuse(s, pc, HostWrite, "another process than this one is put into the cgroup")
			return
		}
		w.note(pc, HostWrite)
	case kProcFile:
		if in.NR != unix.SYS_WRITE || !w.procFile(in, w.texts[v.path]) {
			w.refuse(s, pc, ProcWrite, w.texts[v.path]+" is written, or what is written, is not the configuration's")
			return
		}
		w.note(pc, ProcWrite)
	case kMem, kMnt:
	case kHost, kCont, kBound:
		w.refuse(s, pc, ProcWrite, "it writes "+v.k.String())
	default:
		w.refuse(s, pc, HostWrite, "it writes "+v.k.String())
	}
}

// served reports whether the descriptor is one of a loop in which the parent says what is done
// next: whether it is open, the parent knows.
func (w *walker) served(pc int, a program.Arg) bool {
	i := w.at(a)
	return i >= 0 && w.inLoop[pc] && w.lives[i].inLoop
}

// checkFill refuses to fill or to cut anything but files of the program's own.
func (w *walker) checkFill(s *state, pc int, in *program.Instr) {
	v := w.value(s, in.Args[0])
	maybe := in.OnErr != program.Fail // it fails then, and nothing is changed
	switch {
	case maybe && (v.below() || (v.k == kDone || v.k == kAny) && w.served(pc, in.Args[0])):
	case !v.k.isFd() || v.attr&aMaybe != 0 && !maybe:
		w.refuse(s, pc, FdUse, "the register holds "+v.k.String()+" and no open descriptor")
	case v.k == kProcFile:
		w.refuse(s, pc, ProcWrite, "what it writes is not known")
	case v.k != kMem && v.k != kMnt:
		w.refuse(s, pc, HostWrite, "it changes "+v.k.String())
	case in.NR == unix.SYS_SENDFILE && imm(in, 2) != 0:
		w.refuse(s, pc, Known, "it writes an offset to memory")
	case in.NR == unix.SYS_SENDFILE:
		w.checkRead(s, pc, in.Args[1], maybe)
	}
}

// procFile reports whether the file of a procfs is the process's own, or a parameter of the
// configuration that gets its value.
func (w *walker) procFile(in *program.Instr, path string) bool {
	data := w.bytes(in.Args[1], uint32(imm(in, 2)))
	switch path {
	case "self/attr/exec", "self/attr/apparmor/exec":
		return true
	case "self/oom_score_adj":
		return w.isOOM(data)
	}
	name, is := strings.CutPrefix(path, "sys/")
	if !is || w.e.Kind != Init {
		return false
	}
	for key, value := range w.x.lin.Sysctl {
		if dotted(key) == dotted(name) && string(data) == value {
			return true
		}
	}
	return false
}

func dotted(name string) string { return strings.ReplaceAll(name, "/", ".") }

// foreign reports whether a parameter below /proc/sys is of a namespace that the process has
// yet to come to: it would be the host's.
func (w *walker) foreign(s *state, name string) bool {
	missing := w.x.own &^ s.got
	if strings.HasPrefix(name, "net/") {
		return missing&unix.CLONE_NEWNET != 0
	}
	return missing&(unix.CLONE_NEWIPC|unix.CLONE_NEWUTS) != 0
}

// checkArgs refuses arguments that are not known beforehand, but descriptors and lengths:
// a flag in a register would be looked at as none.
func (w *walker) checkArgs(s *state, pc int, in *program.Instr) {
	if in.Dst%8 != 0 || uint64(in.Dst)+8 > uint64(w.p.Size()) {
		w.refuse(s, pc, Known, "its result is no register's")
		return
	}
	c := calls.Of(in.NR)
	for i := range in.Args {
		if _, is := in.Args[i].Reg(); !is {
			continue
		}
		switch c.Arg(i) {
		case calls.Fd, calls.Dir, calls.FdMax:
		default:
			if !variable(in.NR, i) {
				w.refuse(s, pc, Known, fmt.Sprintf("argument %d is not known beforehand", i))
				return
			}
		}
	}
}

// variable reports whether the argument i of a call may be what another one has returned.
func variable(nr uint32, i int) bool {
	switch nr {
	case unix.SYS_UMASK, unix.SYS_WAIT4:
		return i == 0
	case unix.SYS_KEYCTL, unix.SYS_FTRUNCATE, unix.SYS_LSEEK:
		return i == 1
	case unix.SYS_WRITE, unix.SYS_MKDIRAT, unix.SYS_FCHMODAT:
		return i == 2
	case unix.SYS_FCHOWNAT:
		return i == 2 || i == 3
	case unix.SYS_SENDFILE:
		return i == 3
	case unix.SYS_FSCONFIG:
		return i == 4 // a descriptor, see checkMounts
	}
	return false
}

// checkClose refuses to close what is not known: it might be a standard descriptor, or
// one that has got the number meanwhile.
func (w *walker) checkClose(s *state, pc int, in *program.Instr) {
	v := w.value(s, in.Args[0])
	switch {
	case w.at(in.Args[0]) < 0:
		w.refuse(s, pc, FdUse, "it closes a standard descriptor, whose number the next one gets")
	case v.k.isFd() && (v.attr&aMaybe == 0 || in.OnErr != program.Fail), in.OnErr != program.Fail && (v.below() || (v.k == kDone || v.k == kAny) && w.served(pc, in.Args[0])):
	default:
		w.refuse(s, pc, FdUse, "it closes "+v.k.String()+", which is no descriptor that is open")
	}
}

func (w *walker) checkDup3(s *state, pc int, in *program.Instr) {
	if n, ok := in.Args[0].Imm(); ok && w.e.Kind == Hook && n > 2 && s.lost&(1<<kHost) != 0 {
		return // the caller's, for the hook
	}
	v, ok := w.fd(s, pc, in.Args[0], FdUse)
	if !ok {
		return
	}
	if n, ok := in.Args[1].Imm(); ok {
		switch {
		case imm(in, 2) != 0:
			w.refuse(s, pc, Stdio, "execve closes it, and the first file that is opened takes its place")
		case n > 2:
			w.refuse(s, pc, FdUse, "it takes the number of a descriptor that is not known")
		case v.k == kNull && v.proof&pNullDevice != pNullDevice:
			w.refuse(s, pc, Stdio, "it is not proven to be the null device")
		case v.k != kNull && v.k != kTty && v.k != kMem && w.e.Kind != Hook:
			w.refuse(s, pc, Stdio, v.k.String()+" becomes a standard descriptor")
		default:
			w.note(pc, Stdio)
		}
		return
	}
	t, ok := w.fd(s, pc, in.Args[1], FdUse)
	if ok && t.k == kSocket && v.k != kResult {
		w.refuse(s, pc, FdUse, v.k.String()+" takes the place of the socket")
	}
}

func (w *walker) checkFchown(s *state, pc int, in *program.Instr) {
	v, ok := w.fd(s, pc, in.Args[0], HostInode)
	if !ok {
		return
	}
	if v.k != kTty && v.k != kStdHost {
		w.refuse(s, pc, HostInode, v.k.String()+" is given to the user")
		return
	}
	if p := w.x.proc; p == nil || uint32(imm(in, 1)) != p.User.UID || uint32(imm(in, 2)) != ^uint32(0) {
		w.refuse(s, pc, HostInode, v.k.String()+" is given to another than the user")
		return
	}
	w.note(pc, HostInode)
}

func (w *walker) checkIoctl(s *state, pc int, in *program.Instr) {
	v, ok := w.fd(s, pc, in.Args[0], FdUse)
	if !ok {
		return
	}
	switch request := imm(in, 1); request {
	case unix.NS_GET_NSTYPE:
	case unix.TIOCGPTPEER, unix.TIOCSPTLCK, unix.TIOCSWINSZ:
		if v.k != kTty && (v.k != kCont || v.proof&pDevpts == 0) {
			w.refuse(s, pc, FdUse, "the file is not proven to be one of a devpts of the container")
		}
	case unix.TIOCSCTTY:
		if v.k != kTty {
			w.refuse(s, pc, FdUse, v.k.String()+" becomes the controlling terminal")
		}
	case unix.SIOCSIFFLAGS:
		if v.k != kPlain || s.got&unix.CLONE_NEWNET == 0 || !w.makes(unix.CLONE_NEWNET) {
			w.refuse(s, pc, Namespaces, "an interface is changed in a network namespace that is not the container's alone")
		} else if name := w.bytes(in.Args[2], 3); string(name) != "lo\x00" {
			w.refuse(s, pc, Namespaces, "another interface than lo is changed")
		}
	default:
		w.refuse(s, pc, Known, fmt.Sprintf("the verifier does not know the request %#x", request))
	}
}

func (w *walker) checkSetns(s *state, pc int, in *program.Instr) {
	v, ok := w.fd(s, pc, in.Args[0], Namespaces)
	if !ok {
		return
	}
	switch {
	case v.k == kPidfd && w.e.Kind != Init && imm(in, 1) == w.e.Join:
	case v.k == kPidfd && w.e.Adds && imm(in, 1) != 0 && imm(in, 1)&^w.e.Join == 0: // one after the other
	case v.k == kSelfNS && imm(in, 1) == unix.CLONE_NEWTIME && w.texts[v.path] != selfMounts:
		if w.makesTime() && !s.has(fOffsets) {
			w.refuse(s, pc, Barrier, "the time namespace is entered before its offsets are written")
			return
		}
	case v.k == kSelfNS && imm(in, 1) == unix.CLONE_NEWNS && w.texts[v.path] == selfMounts:
	case v.k == kHost && w.x.ns[v.path]&imm(in, 1) != 0:
	default:
		w.refuse(s, pc, Namespaces, "it joins a namespace that is not the configuration's")
		return
	}
	if imm(in, 1)&unix.CLONE_NEWUSER != 0 && !s.has(fNoGroups) {
		w.refuse(s, pc, IDs, "it takes the caller's groups into a user namespace that may deny to drop them")
		return
	}
	w.note(pc, Namespaces)
}
