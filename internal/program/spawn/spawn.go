// Package spawn makes a process that runs a program, and talks to it: the clone, the
// thread and the memory that the child has, its messages, its end.
//
// Do not use this package to decide anything: a program says what is done.
package spawn

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/plain"
	"github.com/hutch-project/hutch/internal/proc"
	"github.com/hutch-project/hutch/internal/program"
)

// Options say how Spawn makes the child.
type Options struct {
	Flags  uint64  // CLONE_NEW* flags
	Cgroup int     // descriptor of the cgroup v2 that the child is born in, -1 for the caller's
	Forker *Forker // thread to fork on, with namespaces that it has; nil for one of its own
	// OldClone makes the child by clone(2): clone3 is denied. No Cgroup goes with it, and the
	// program clears the handlers of signals: see program.Builder.WithoutClone3.
	OldClone bool
	Trace    bool // take a time stamp before each instruction

	// WhileForking is called while the thread forks. It must not start processes.
	WhileForking func()

	// Fault makes one instruction fail: for tests.
	Fault *program.Fault
}

// Spawn runs p's parent section, makes the child, and closes the descriptors of
// the parent section. The error of an instruction is a *program.Error.
//
// Source: clone(2); the child's state is as fork.go says.
func Spawn(p *program.Program, o *Options) (_ *Child, err error) {
	c := &Child{p: p, follower: p.Follow(), sock: -1, Pidfd: -1}
	defer func() {
		p.CloseFds() // the child has its own copies of them
		if err != nil {
			c.Close()
		}
	}()
	if o.OldClone && o.Cgroup >= 0 {
		return nil, errors.New("program: clone makes no child in another cgroup")
	}
	if err := p.RunParent(o.Fault); err != nil {
		return nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socketpair: %w", err)
	}
	defer unix.Close(pair[1]) // in the child alone, so that its death is the socket's end
	c.sock = pair[0]
	// Before the child is there, whose first message has to come with its sender's number,
	// too.
	if err := c.seeSenders(); err != nil {
		return nil, err
	}
	var trace unsafe.Pointer
	if o.Trace {
		c.trace, err = unix.Mmap(-1, 0, len(p.Child)*16+16, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
		if err != nil {
			return nil, fmt.Errorf("mmap: %w", err)
		}
		trace = unsafe.Pointer(&c.trace[0])
	}
	end, err := descriptorsEnd(p)
	if err != nil {
		return nil, err
	}
	m := p.Machine(pair[1], pair[0], end, trace, o.Fault)
	f := o.Forker
	if f == nil {
		f = NewForker(0)
		defer f.Close()
	}
	whileForking := o.WhileForking
	if plain.Build && whileForking != nil {
		whileForking()
		whileForking = nil
	}
	if whileForking == nil {
		whileForking = func() {}
	}
	c.Pid, c.Pidfd, err = f.clone(cloningOf(o), m, whileForking)
	runtime.KeepAlive(p) // the child is made with addresses in the arena
	if err != nil {
		return nil, err
	}
	return c, nil
}

// descriptorsEnd returns a number from which on the child of p has no descriptor. Where it closes
// one after the other that is near: twice what the caller's table has room for, since others
// may open some until the child has its own, and one for each that the child may open.
func descriptorsEnd(p *program.Program) (int, error) {
	if !p.ClosesEach() {
		return math.MaxInt32, nil
	}
	size, err := proc.FDSize()
	return 2*size + len(p.Child), err
}

func cloningOf(o *Options) *cloning {
	how := &cloning{old: o.OldClone, args: cloneArgs{
		flags:      o.Flags | unix.CLONE_PIDFD | unix.CLONE_CLEAR_SIGHAND,
		exitSignal: uint64(unix.SIGCHLD),
	}}
	if o.Cgroup >= 0 {
		how.args.flags |= unix.CLONE_INTO_CGROUP
		how.args.cgroup = uint64(o.Cgroup)
	}
	return how
}

// name is the call's, for errors.
func (c *cloning) name() string {
	if c.old {
		return "clone"
	}
	return "clone3"
}
