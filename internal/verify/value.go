package verify

import "golang.org/x/sys/unix"

// kind is what a register holds.
type kind uint8

const (
	kAny   kind = iota // some number
	kConst             // the number num
	kPos               // a number of 0 or more
	kErr               // a negated errno: num, or any when that is 0
	kDone              // the number of a descriptor that was closed

	// Descriptors that lead out of the container, or could.
	kHost     // a file or a directory of the host
	kHostTree // a detached clone of a mount of the host; attached it is the container's
	kTasks
	kExe
	kUserns
	kPidfd
	kCtx      // of fsopen
	kProc     // a procfs that is attached nowhere, or the host's
	kProcFile // a file of kProc
	kNull     // the null device of a read-only mount
	kSelfNS   // a namespace of the process itself
	kStdHost  // a standard descriptor of the caller
	kStdNull  // the same, the host's null device

	// Descriptors that lead into the container, or nowhere.
	kMnt      // a mount of the container's own file system
	kRoot     // the root's tree
	kCont     // a file or a directory in the container
	kContTree // a detached clone of a mount of the container
	kBound    // a mount of the host that is attached in the container
	kMem      // a file in memory
	kTty
	kSocket
	kGo
	kResult
	kPlain // a socket of the container's network namespace
	kListener
)

var kindNames = [...]string{
	"a number", "a number", "a number", "an error", "a closed descriptor",
	"a file of the host", "a namespace", "a mount of the host", "the cgroup's tasks", "the runtime's executable", "a user namespace", "a pidfd",
	"a file system that is being made", "a procfs", "a file of a procfs", "the null device of a read-only mount", "a namespace of its own",
	"a standard descriptor of the caller", "the host's null device",
	"a mount of the container", "the root", "a file of the container", "a clone of a mount of the container", "a bind",
	"a file in memory", "a terminal", "the socket", "exec.fifo", "result.fifo", "a socket", "the listener",
}

func (k kind) String() string { return kindNames[k] }

func (k kind) isFd() bool { return k >= kHost }

// inside reports whether a container may have what a descriptor of the kind leads to.
func (k kind) inside() bool { return k >= kMnt }

// Properties of what a descriptor leads to.
const (
	aRO uint16 = 1 << iota
	aNoSuid
	aNoDev
	aNoExec
	aSuperRO  // the file system is read-only
	aAttached // a mount is
	aLink     // may be a symbolic link itself
	aPrivate  // does not propagate to the host
	aWrite    // open for writing
	aWhole    // a recursive clone
	aData     // open for reading or writing, not O_PATH
	aMaybe    // or it is a negative number: not open
	aDeep     // aRO is so for all mounts of a recursive clone
	aMade     // of kCtx: the file system is created
	aCovered  // in the container, beneath a mount that was attached later
	aNoFollow // no symbolic link was followed to it
)

// Proofs of what a descriptor leads to, by fstatfs and statx.
const (
	pProc uint16 = 1 << iota
	pNotProc
	pDevpts
	pChr
	pMajor1
	pMinor3
	pDir
	pReg
	pNamed   // of kPos: a keyring that was joined by its name
	pKeyring // of kErr: no session keyring was joined
	pNoLink  // its path leads over no symbolic link
	pOldRoot // the root directory of the caller

	pNullDevice = pChr | pMajor1 | pMinor3
)

// File system types that matter.
const (
	fsOther uint8 = iota
	fsProc
	fsSys
	fsTmp
	fsCgroup
	fsDevpts
	fsMqueue
)

func fsType(name string) uint8 {
	switch name {
	case "proc":
		return fsProc
	case "sysfs":
		return fsSys
	case "tmpfs":
		return fsTmp
	case "cgroup", "cgroup2":
		return fsCgroup
	case "devpts":
		return fsDevpts
	case "mqueue":
		return fsMqueue
	}
	return fsOther
}

// value is what is known of a register.
type value struct {
	k     kind
	fs    uint8
	attr  uint16
	proof uint16
	owner int16 // register, from 1 on; see slots.go
	path  int32 // of the text table: where it is in the container, or where of the host it comes from
	num   int64 // kConst, kErr
}

// below reports whether v is known to be under 0, notBelow whether it is known not to be.
func (v *value) below() bool { return v.k == kErr || v.k == kConst && v.num < 0 }
func (v *value) notBelow() bool {
	return v.k == kPos || v.k.isFd() && v.attr&aMaybe == 0 || v.k == kConst && v.num >= 0
}

// like reports whether v and o differ in details alone.
func (v *value) like(o *value) bool {
	return v.k.isFd() && (v.k == o.k || o.below()) || o.k.isFd() && v.below() || v.inContainer() && o.inContainer() || v.below() && o.below()
}

// mounted reports whether v is a mount in the container.
func (v *value) mounted() bool { return (v.k == kMnt || v.k == kBound) && v.attr&aAttached != 0 }

// inContainer reports whether v is a file in the container, or a mount that is attached there.
func (v *value) inContainer() bool { return v.k == kCont || v.mounted() }

// Which root directory a process has.
const (
	rootHost     uint8 = iota
	rootAttached       // the host's; the container's is attached in its mount namespace
	rootPivoted        // the container's, with the host's tree on top of it
	rootIn             // the container's, and the host's tree is gone
	rootChroot         // the container's by chroot
	rootTop            // the top of a joined mount namespace, which is not init's root
)

// Where the working directory is.
const (
	cwdHost  uint8 = iota
	cwdRoot        // the root of the container
	cwdIn          // at path in the container
	cwdStore       // the file system for device nodes, on top of the root
	cwdInit        // init's root directory, before chroot
	cwdOld         // the root directory of a caller in a chroot
)

// described is a buffer in which the kernel has told something of a register's file.
type described struct {
	off uint32
	nr  uint32
	reg int16 // -1 for a path
	at  int32 // path of statfs
}

// mode is what of a state must be the same for two to be joined.
type mode struct {
	root, cwd uint8
	proc      uint8 // number of clones behind
	hook      bool  // a child that becomes a hook
	child     bool  // a second process that has not been answered yet
	visible   bool  // processes of the container can reach this one
	capSet    bool
	pidJoined bool  // a clone goes into a pid namespace that others are in
	keepsNull bool  // the caller may not make mounts, nor change the null device
	atTop     bool  // with Expect.Chrooted: the root directory is the top of the mount namespace
	store     bool  // the file system for device nodes is attached
	stage     value // what is mounted on "/" for a moment
	loose     bool  // the ids were changed, by which the process may be dumpable
	ajar      bool  // the process is dumpable, as far as Expect.Opens allows
	alone     bool  // the first process after the clone: it only tells and ends
	cwdPlain  bool  // the working directory was found without following a symbolic link
	cwdPath   int32
	told      uint32 // tag that waits for its answer, 0 for none
	again     uint32 // tag that was answered, and may be asked on
	wanted    int16  // index of the closing that is under way
	closed    int16  // how many of its ranges
	std       [3]kind
	socket    kind

	effective, permitted, inheritable, ambient uint64
	umask                                      int32 // -1 for the caller's, -2 for one that was restored
}

// state is what is known at an instruction.
type state struct {
	mode
	desc    [3]described
	regs    []value
	lost    uint64   // kinds of descriptors that may be open with no register that is looked at
	facts   []uint64 // what is done, whatever way was taken
	dropped uint64   // capabilities of the bounding set
	got     uint64   // CLONE_NEW flags of namespaces
	may     uint8    // what may have been done
	way     int32
	atPC    int
}

const (
	mayFilter uint8 = 1 << iota
)

func (s *state) has(f int) bool { return f >= 0 && s.facts[f>>6]&(1<<(f&63)) != 0 }
func (s *state) done(f int)     { s.facts[f>>6] |= 1 << (f & 63) }
func (s *state) undo(f int)     { s.facts[f>>6] &^= 1 << (f & 63) }

func negative(e unix.Errno) int64 { return -int64(e) }
