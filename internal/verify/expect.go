package verify

import (
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/program"
)

// Facts that every program has.
const (
	fSlave = iota
	fPrivate
	fNoGroups // the caller's were dropped before a user namespace was joined
	fGroups
	fGid
	fUid
	fDumpable
	fAmbient
	fNoNewPrivs
	fFilter
	fAppArmor
	fSELinux
	fCwd
	fRootRO
	fReady
	fGo
	fBorn
	fSession
	fKeyring
	fTimeMade
	fRootOnTop // the root is attached on top of the host's
	fOOM
	fHooks
	fOffsets
	fLoading
	fJoined
	fUnblocked
	fAffinity
	fixedFacts
)

// mountOf is what is expected of one of mounts.
type mountOf struct {
	dest, source int32
	inside       int32 // the source as the container sees it, where it lies below root.path; else 0
	fs           uint8
	typ          string
	attrs        uint32 // aNoSuid, aNoDev, aNoExec that have to be there
	ro           bool
	options      []string
	mapped       bool // its ids are
	shared       bool // it is to propagate
	bind         bool
	whole        uint32 // aWhole where it is recursive
	link         int32  // a symbolic link to there is made, and nothing is mounted; else 0
	srcLink      bool   // a source that is a symbolic link is not followed
	destLink     bool   // nor is a destination
	remount      bool
	done, roDone int  // facts
	bound        int  // the fact that mount(2) has bound it
	proven       int  // that it is what its path leads to; -1 where that need not be proven
	mask         bool // one of linux.maskedPaths is its destination: the path leads to the mask
	top          int  // the fact that a mount is there, where mask is set
	gone         bool // a later one on "/" covers it, and nothing is asked of it
}

// limitOf is what is expected of one of process.rlimits.
type limitOf struct {
	nr, soft, hard uint64
	done           int
}

// expected is Expect in the form that the walker needs.
type expected struct {
	proc *specs.Process
	lin  *specs.Linux

	facts    int
	masked   map[int32]int
	readonly map[int32]int
	mounts   []mountOf
	onRoot   *mountOf       // the one that takes the place of root.path; nil for none
	at       map[int32]bool // destinations of mounts
	limits   []limitOf
	settings map[uint32]*setting // by the call
	env      []string            // of the process
	ignored  map[uint64]int      // signals that have to get their default action
	cpus     masks
	tasks    []int
	hidden   map[int32]int // paths of the host that --no-pivot hides
	points   []int32       // mount points of the host
	ns       map[int32]uint64
	devices  map[int32]int64 // type and number

	shared    bool // Init: the container has the caller's mount namespace
	own       uint64
	joinedPid bool
	joinsUser bool // a user namespace that was there before
	mountsPid bool // mounts a procfs

	bounding, effective, permitted, inheritable, ambient uint64

	rootfs, cwd, notify, apparmor, selinux int32
	cgroups                                []int32
	slash                                  int32
}

func clean(p string) string { return path.Clean("/" + p) }

func expectations(w *walker) *expected {
	e := w.e
	x := &expected{proc: e.Spec.Process, lin: e.Spec.Linux, facts: fixedFacts, masked: map[int32]int{}, readonly: map[int32]int{},
		at: map[int32]bool{}, hidden: map[int32]int{}, ns: map[int32]uint64{}, devices: map[int32]int64{}, ignored: map[uint64]int{}, slash: w.text("/"), rootfs: w.text(e.Rootfs)}
	if x.lin == nil {
		x.lin = &specs.Linux{}
	}
	if e.NotifyDir != "" {
		x.notify = w.text(e.NotifyDir)
	}
	for _, c := range e.Cgroups {
		x.cgroups = append(x.cgroups, w.text(c))
	}
	for range e.Tasks {
		x.tasks = append(x.tasks, x.fact())
	}
	if x.proc != nil {
		x.process(w)
	}
	x.settingsOf(e)
	x.affinity(e)
	for _, sig := range e.Ignored {
		x.ignored[uint64(sig)] = x.fact()
	}
	if e.Kind == Init {
		x.container(w)
	} else {
		x.own = e.Join
		x.joinedPid = e.Join&unix.CLONE_NEWPID != 0
		x.joinsUser = e.Join&unix.CLONE_NEWUSER != 0
		if e.MountNS != "" {
			x.ns[w.text(e.MountNS)] = unix.CLONE_NEWNS
		}
		if e.Adds || e.Removes {
			x.allMounts(w)
		}
	}
	return x
}

func (x *expected) fact() int {
	x.facts++
	return x.facts - 1
}

func (x *expected) container(w *walker) {
	e := w.e
	for _, n := range x.lin.Namespaces {
		flag := namespaceFlag(n.Type)
		x.own |= flag
		if n.Path != "" {
			x.ns[w.text(n.Path)] |= flag
			x.joinedPid = x.joinedPid || flag == unix.CLONE_NEWPID
			x.joinsUser = x.joinsUser || flag == unix.CLONE_NEWUSER
		}
	}
	x.shared = x.own&unix.CLONE_NEWNS == 0
	for _, p := range x.few(w, Masked, x.lin.MaskedPaths) {
		if id := w.text(clean(p)); x.masked[id] == 0 {
			x.masked[id] = x.fact()
		}
	}
	for _, p := range x.few(w, ReadOnly, x.lin.ReadonlyPaths) {
		if id := w.text(clean(p)); x.readonly[id] == 0 {
			x.readonly[id] = x.fact()
		}
	}
	x.allMounts(w)
	if e.NoPivot && !x.shared {
		x.hide(w)
	}
	x.nodes(w)
}

// nodes notes the devices of the container.
func (x *expected) nodes(w *walker) {
	add := func(path string, kind int64, major, minor int64) {
		x.devices[w.text(clean(path))] = kind<<32 | int64(unix.Mkdev(uint32(major), uint32(minor)))
	}
	for i, name := range [...]string{3: "null", 5: "zero", 7: "full", 8: "random", 9: "urandom"} {
		if name != "" {
			add("/dev/"+name, unix.S_IFCHR, 1, int64(i))
		}
	}
	add("/dev/tty", unix.S_IFCHR, 5, 0)
	for _, d := range x.lin.Devices {
		switch d.Type {
		case "b":
			add(d.Path, unix.S_IFBLK, d.Major, d.Minor)
		case "p":
			add(d.Path, unix.S_IFIFO, 0, 0)
		default:
			add(d.Path, unix.S_IFCHR, d.Major, d.Minor)
		}
	}
}

// allMounts notes what is expected of mounts.
func (x *expected) allMounts(w *walker) {
	e, onRoot := w.e, -1
	for i := range e.Spec.Mounts {
		if clean(e.Spec.Mounts[i].Destination) == "/" {
			onRoot = i
		}
	}
	for i := range e.Spec.Mounts {
		mount := mountExpected(w, x, &e.Spec.Mounts[i])
		if to := e.Links[i]; to != "" {
			mount.link, mount.bind, mount.attrs, mount.ro = w.text(to), false, 0, false
		}
		if mount.proven = -1; (mount.fs == fsProc || mount.fs == fsSys) && !mount.bind && mount.link == 0 {
			mount.proven, mount.top = x.fact(), x.fact()
		}
		for _, p := range x.lin.MaskedPaths { // nothing leads to what lies beneath a mask
			if at := w.texts[mount.dest]; clean(p) == at {
				mount.mask = true
			} else if within(at, clean(p)) {
				mount.proven = -1
			}
		}
		for j := range x.mounts { // what lies beneath this one need not be proven
			if old := &x.mounts[j]; !mount.remount && mount.link == 0 && within(w.texts[old.dest], w.texts[mount.dest]) {
				old.proven = -1
			}
		}
		if i < onRoot {
			mount = mountOf{dest: w.text(""), source: w.text(""), gone: true, done: mount.done, roDone: mount.roDone, bound: mount.bound, proven: -1}
		}
		x.mounts = append(x.mounts, mount)
		x.at[mount.dest] = true
		x.mountsPid = x.mountsPid || mount.fs == fsProc && !mount.bind
	}
	if onRoot >= 0 {
		x.onRoot = &x.mounts[onRoot]
	}
}

// few returns the list, or nothing where it is long: its paths are then read from memory.
func (x *expected) few(w *walker, r Rule, list []string) []string {
	const many = 100
	if len(list) <= many {
		return list
	}
	w.waive[r] = "the paths are so many that the program reads them in a loop, from memory that is not followed"
	return nil
}

// hide notes what of the host has to be hidden from a container without pivot_root.
func (x *expected) hide(w *walker) {
	list := w.e.HostMounts
	if len(list) == 0 {
		list = []HostMount{{Point: "/proc", Reveals: true}, {Point: "/sys", Reveals: true}}
	}
	for i := range list {
		m := &list[i]
		x.points = append(x.points, w.text(m.Point))
		if id := w.text(m.Point); m.Reveals && m.Point != "/" && x.hidden[id] == 0 {
			x.hidden[id] = x.fact()
		}
	}
}

func namespaceFlag(t specs.LinuxNamespaceType) uint64 {
	switch t {
	case specs.PIDNamespace:
		return unix.CLONE_NEWPID
	case specs.NetworkNamespace:
		return unix.CLONE_NEWNET
	case specs.MountNamespace:
		return unix.CLONE_NEWNS
	case specs.IPCNamespace:
		return unix.CLONE_NEWIPC
	case specs.UTSNamespace:
		return unix.CLONE_NEWUTS
	case specs.UserNamespace:
		return unix.CLONE_NEWUSER
	case specs.CgroupNamespace:
		return unix.CLONE_NEWCGROUP
	case specs.TimeNamespace:
		return unix.CLONE_NEWTIME
	}
	return 0
}

// mountExpected reads the options of a mount: the last of two that contradict each other
// wins, and one for the whole tree wins over one for the mount.
func mountExpected(w *walker, x *expected, m *specs.Mount) mountOf {
	out := mountOf{dest: w.text(clean(m.Destination)), source: w.text(m.Source), fs: fsType(m.Type), typ: m.Type, bind: m.Type == "bind", done: x.fact(), roDone: x.fact(), bound: x.fact(), options: m.Options}
	out.mapped = len(m.UIDMappings)+len(m.GIDMappings) > 0
	if rel, is := strings.CutPrefix(clean(m.Source), clean(w.e.Rootfs)+"/"); is {
		out.inside = w.text("/" + rel)
	}
	var top, below, keepTop, keepBelow uint32 // set, and named at all
	for _, option := range m.Options {
		switch option {
		case "bind", "rbind":
			out.bind = true
			if option == "rbind" {
				out.whole = aWhole
			}
			continue
		case "shared", "rshared":
			out.shared = true
			continue
		case "remount":
			out.remount = true
			continue
		case "src-nofollow":
			out.srcLink = true
			continue
		case "dest-nofollow":
			out.destLink = true
			continue
		case "defaults":
			continue
		}
		if name, _, _ := strings.Cut(option, "="); name == "idmap" || name == "ridmap" {
			out.mapped = true
		}
		if bit, set, ok := attrOption(option); ok {
			keepTop |= bit
			top = top&^bit | set
		} else if rest, is := strings.CutPrefix(option, "r"); is {
			if bit, set, ok := attrOption(rest); ok {
				keepBelow |= bit
				below = below&^bit | set
			}
		}
	}
	attrs := top&^keepBelow | below
	out.attrs, out.ro = attrs&^aRO, attrs&aRO != 0
	return out
}

func attrOption(o string) (bit, set uint32, ok bool) {
	switch o {
	case "ro":
		return aRO, aRO, true
	case "rw":
		return aRO, 0, true
	case "nosuid":
		return aNoSuid, aNoSuid, true
	case "suid":
		return aNoSuid, 0, true
	case "nodev":
		return aNoDev, aNoDev, true
	case "dev":
		return aNoDev, 0, true
	case "noexec":
		return aNoExec, aNoExec, true
	case "exec":
		return aNoExec, 0, true
	}
	return 0, 0, false
}

func (x *expected) process(w *walker) {
	e, proc := w.e, x.proc
	x.cwd, x.env = w.text(proc.Cwd), environment(e)
	if proc.ApparmorProfile != "" {
		x.apparmor = w.text("exec " + proc.ApparmorProfile)
	}
	if proc.SelinuxLabel != "" {
		x.selinux = w.text(proc.SelinuxLabel)
	}
	for _, r := range proc.Rlimits {
		nr := rlimitNumber(r.Type)
		last := nr == unix.RLIMIT_NPROC || nr == unix.RLIMIT_NOFILE
		if e.Userns && !last {
			continue // set from outside
		}
		x.limits = slices.DeleteFunc(x.limits, func(l limitOf) bool { return l.nr == uint64(nr) })
		x.limits = append(x.limits, limitOf{uint64(nr), r.Soft, r.Hard, x.fact()})
	}
	if c := proc.Capabilities; c != nil {
		all := uint64(1)<<(e.LastCap+1) - 1
		x.bounding = capSet(c.Bounding) & all
		held := all
		if !e.Userns {
			held &= e.HeldCaps
		}
		x.effective, x.permitted, x.inheritable = capSet(c.Effective)&held, capSet(c.Permitted)&held, capSet(c.Inheritable)&held
		x.ambient = capSet(c.Ambient) & x.permitted & x.inheritable
	}
}

func capSet(names []string) uint64 {
	var set uint64
	for _, name := range names {
		for n := range 64 {
			if enum.Capabilities.Name(uint64(n)) == name && strings.HasPrefix(name, "CAP_") {
				set |= 1 << n
			}
		}
	}
	return set
}

func rlimitNumber(name string) int {
	for i, n := range [...]string{"CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME"} {
		if name == "RLIMIT_"+n {
			return i
		}
	}
	return -1
}

// begin returns the state before the parent section.
func (w *walker) begin() *state {
	start := &state{way: -1, regs: make([]value, w.slots), facts: make([]uint64, (w.x.facts+63)/64)}
	start.umask, start.wanted = -1, -1
	w.initial = make([]value, len(w.regs))
	for i, r := range w.regs {
		w.initial[i] = value{k: kConst, num: w.p.Word(r), owner: int16(i + 1)}
	}
	give := func(r program.Reg, k kind) {
		if i := w.reg(r); i >= 0 {
			w.put(start, i, value{k: k})
		}
	}
	give(w.e.Go, kGo)
	give(w.e.Result, kResult)
	give(w.e.Exe, kExe)
	for n, r := range w.e.Tasks {
		if i := w.reg(r); i >= 0 {
			w.put(start, i, value{k: kTasks, num: int64(n)})
		}
	}
	if w.e.KeepGroups {
		start.done(fNoGroups)
		start.done(fGroups)
	}
	for i := range w.x.mounts { // nothing is asked of these
		if m := &w.x.mounts[i]; m.gone || m.remount && m.attrs == 0 {
			start.done(m.done)
		}
	}
	return start
}

// born makes s the state of the child: it has whatever else the caller has open.
func (w *walker) born(s *state) {
	if len(w.p.Parent) > 0 {
		w.ways = append(w.ways, jump{-1, int32(len(w.p.Parent) - 1), s.way, true})
		s.way = int32(len(w.ways) - 1)
	}
	w.put(s, w.reg(w.p.Sync()), value{k: kSocket})
	s.lost |= 1<<kHost | 1<<kTasks | 1<<kExe | 1<<kUserns
	if w.e.Kind == Exec || w.e.Kind == Hook {
		s.lost |= 1 << kPidfd
	}
	s.got = w.e.CloneFlags &^ (unix.CLONE_NEWTIME | unix.CLONE_NEWCGROUP)
	for i := range s.std {
		switch std := w.e.Std[i]; {
		case std.Null:
			s.std[i] = kStdNull
		case std.Open:
			s.std[i] = kStdHost
		}
	}
	s.socket = kSocket
	if w.e.Kind != Init && w.e.OwnRoot && w.e.Join&unix.CLONE_NEWNS == 0 {
		s.root = rootTop
	}
	s.desc = [3]described{}
}
