package verify

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// Kind is the kind of a program.
type Kind int

const (
	Init Kind = iota // of a container's first process
	Exec             // of a further process in a container
	Hook             // of a hook in the container's namespaces
)

// Std is one of the caller's standard descriptors.
type Std struct {
	Open bool
	Null bool // the host's null device
}

// Expect is what a program is to be proven against.
type Expect struct {
	Kind Kind
	Spec *specs.Spec // of a container; for a further process its Process and Linux alone

	Rootfs      string // Init: root.path, absolute
	NoPivot     bool
	Chrooted    bool // as compile.Host has it, and the container has a new mount namespace
	Userns      bool // the container has a user namespace that is not the caller's
	Nested      bool // the caller has no more rights over mounts than a user namespace gives
	Opens       bool // the caller is a user who cannot join the namespaces of a closed process, and nobody else is in the user namespace
	InParent    bool // what comes from the host is opened by the parent section
	CloneFlags  uint64
	LastCap     int
	HeldCaps    uint64 // what the caller can give, without a user namespace of the container's
	Preserved   []int
	Std         [3]Std
	ProcOfPidNS bool     // a procfs can be mounted for a pid namespace that one is not in
	NotifyDir   string   // of the host, bound at /run/notify
	Cgroups     []string // directories of the host's that a mount of type cgroup may bind
	Nofile      bool     // a limit of open files is kept that the configuration has not
	Attended    bool     // the runtime has something to do when the process is born
	KeepGroups  bool     // the groups are the caller's
	Keyring     bool     // a session keyring is joined
	KeyringName string   // its name
	ListenFds   int      // as compile.Input has it
	Serial      int64    // Exec: of the container's, 0 where it is not known
	HostMounts  []HostMount
	// Links are the symbolic links that are copied in place of a bind, by the index of the
	// mount: where they lead. LinkTags are the messages by which the parent is asked for
	// one: the destination, and where it leads.
	Links    map[int]string
	LinkTags map[uint32][2]string
	Filter   bool   // a seccomp filter is to be loaded
	Code     []byte // the filter: struct sock_filter, one after the other
	Flags    uint64 // it is loaded with, but for that of the listener
	Notify   bool   // with a listener

	// Registers that are set before the program is run.
	Go, Result program.Reg   // exec.fifo and result.fifo; 0 for none
	Tasks      []program.Reg // files named tasks
	Exe        program.Reg   // the runtime's executable, see selfexe; 0 for none

	Ignored []unix.Signal // the caller ignores them

	// Hook: what is executed, with its arguments and its environment.
	Hook      string
	Args, Env []string

	// Of Exec: the process reads files of the image for the runtime, and executes nothing.
	Reads bool
	// Of Exec: the process makes the mounts of Spec in the container, or takes them away, and
	// executes nothing.
	Adds, Removes bool

	// Of Exec and Hook: how init's namespaces are joined.
	Join    uint64 // CLONE_NEW flags
	Pid     int    // init's number, by which its directories are opened
	Pidfd   int
	Copies  bool   // Adds: binds are cloned in a copy of the caller's mount namespace, of the user namespace
	MountNS string // Adds: the file of the mount namespace, where it is joined by that; or empty
	OwnRoot bool   // init's root directory is entered
	InitCwd bool   // and its working directory
	// CallersRoot says that init's mount namespace was there before: in place of init's root
	// directory the caller's is entered.
	CallersRoot bool

	Tags Tags
}

// HostMount is a mount of the mount namespace that a container without pivot_root has a
// copy of.
type HostMount struct {
	ID, Parent int
	Point      string
	Reveals    bool // it is a whole procfs or sysfs
}

// Tags are the messages that mean something to the verifier.
type Tags struct {
	Born, Joined, Hooks, Offsets, Ready, Loading, Executing, HookBegins uint32
	// Answered reports whether the process has to wait for the answer to a message.
	Answered func(tag uint32) bool
	// Same reports whether a wait for one tag is answered to what was told with the
	// other; nil is equality.
	Same func(wait, told uint32) bool
}

// Place is an instruction.
type Place struct {
	Parent bool // of the parent section
	PC     int
}

func (p Place) String() string {
	if p.Parent {
		return "parent " + strconv.Itoa(p.PC)
	}
	return strconv.Itoa(p.PC)
}

// Proof is what has been shown of one rule.
type Proof struct {
	Rule   Rule
	Places []Place // the instructions that satisfy it, or that it was checked at
	Waived string  // why the rule was not held to, empty where it was
}

// Report is the proof of a program.
type Report struct {
	Proofs    []Proof // in the order of Rules
	Steps     int     // instructions that were walked, each as often as it was
	Unreached []int   // instructions of the child section that no way leads to
	States    int     // states that ways were joined from
}

// Span is a run of instructions, one after the other.
type Span struct {
	Parent   bool
	From, To int
}

// Error is a rule that a program breaks.
type Error struct {
	Rule  Rule
	Place Place
	Call  string // what stands there
	What  string // what is wrong
	Path  []Span // the way to it
	State string // the state there, in words
}

func (e *Error) Error() string {
	return fmt.Sprintf("verify: rule %s: instruction %s (%s): %s", e.Rule.ID(), e.Place, e.Call, e.What)
}

// Way returns the path of e in words, as 0-17, 25-40.
func (e *Error) Way() string {
	parts := make([]string, len(e.Path))
	for i, s := range e.Path {
		parts[i] = strconv.Itoa(s.From) + "-" + strconv.Itoa(s.To)
		if s.Parent {
			parts[i] = "parent " + parts[i]
		}
	}
	return strings.Join(parts, ", ")
}

// Program proves p, which was not run, against e. The error is an *Error.
func Program(p *program.Program, e *Expect) (*Report, error) {
	w := newWalker(p, e)
	if err := w.run(); err != nil {
		return nil, err
	}
	return w.report(), nil
}
