package calls

// Kind is what an argument of a call is.
type Kind uint8

const (
	None Kind = iota // no argument
	Any              // a number or an address, of which nothing more is said

	// Numbers.
	Int
	Hex
	Capability
	Dev
	FdMax // the last descriptor of a range
	Mode  // of a file, its type among it
	Signal

	// Descriptors. A Dir is what the Path right behind it is resolved from.
	Fd
	Dir

	// Texts that end with a NUL. A Path is resolved by the kernel, a Str is not.
	Path
	Str
	Strv // an array of them

	// Memory that the kernel reads. The argument behind an In is its length.
	In
	Bits // of so many bytes as the argument before it says
	CapData
	CapHead
	CloneArgs
	Fprog
	Groups // as many as the argument before it says
	How
	Ifreq
	Int32
	MountAttr
	Nodes // of one bit less than the argument behind it says
	Rlimit
	SchedAttr
	Sigaction
	Sigset
	Winsize
	Ptr // an address that is not looked behind

	// Memory that the kernel writes: see Call.Out.
	OutNext // the argument behind it is the length
	OutRlimit
	OutRusage
	OutSigaction
	OutStatfs
	OutStatus
	OutStatx

	// Flags, each of a set.
	Access
	At
	AtAccess
	AtUnlink
	Attr
	CloneFlags
	CloseRange
	FsMount
	FsOpen
	Memfd
	Mount
	MoveMount
	Open
	Resolve
	SeccompFlag
	Securebits
	StatxMask
	Tree
	Umount
	Wait

	// One of several values.
	Af
	Ambient
	FsConfig
	IoPrio
	IoWho
	Ioctl
	Keyctl
	Keyring
	MemPolicy
	Personality
	Prctl
	Propagation
	Resource
	Sched
	Seccomp
	SigHow
	SockType
	Whence

	// What depends on another argument, which says what is to be done.
	FsValue
	IoctlArg
	KeyctlArg
	PrctlArg

	Kinds // how many there are
)
