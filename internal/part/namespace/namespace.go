// Package namespace emits what puts the container's process into its
// namespaces: those that clone3 makes, those that exist and are joined, and the
// time and cgroup namespaces, which have an order of their own.
//
// Source: runtime-spec config-linux.md "Namespaces"; namespaces(7), clone(2),
// setns(2), time_namespaces(7).
package namespace

import (
	"encoding/binary"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// Flag returns the CLONE_NEW flag of a namespace type of the runtime-spec, 0 for a name
// that is none.
func Flag(t specs.LinuxNamespaceType) uint64 {
	if row := Types.Find(string(t)); row != nil {
		return row.Number
	}
	return 0
}

// join is a namespace with a path.
type join struct {
	index int // in linux.namespaces
	flag  uint64
	path  string
	fd    program.Reg
	tried program.Reg // result of the first try, before the user namespace
}

// Set is the namespaces of one container.
type Set struct {
	made   uint64 // new ones
	joined uint64
	joins  []join

	lastClone bool // see CloneLast

	// KeepGroups leaves the process the caller's additional groups.
	KeepGroups bool
}

// New returns the namespaces of a configuration, those to join and those to make. A type
// that is not known, or stands twice, is an error.
func New(ns []specs.LinuxNamespace) (*Set, error) {
	s := &Set{}
	for i, n := range ns {
		f := Flag(n.Type)
		if f == 0 {
			return nil, check.Unknown(fault.At("linux.namespaces", i)+".type", string(n.Type), Types.Or())
		}
		if (s.made|s.joined)&f != 0 {
			return nil, errTwice(i, n.Type)
		}
		if n.Path == "" {
			s.made |= f
			continue
		}
		s.joined |= f
		s.joins = append(s.joins, join{index: i, flag: f, path: n.Path})
	}
	return s, nil
}

// Made reports whether the container has a new namespace of the CLONE_NEW flag f.
func (s *Set) Made(f uint64) bool { return s.made&f != 0 }

// Own reports whether the container has a namespace of the CLONE_NEW flag f that is
// new or joined, in place of the runtime's.
func (s *Set) Own(f uint64) bool { return (s.made|s.joined)&f != 0 }

// Joins reports whether the container has a namespace that was there before.
func (s *Set) Joins() bool { return s.joined != 0 }

// byClone returns the new namespaces that a clone makes. It does not make those of Rest: a time
// namespace's offsets are to be written before anything is in it, a cgroup namespace's root is the
// cgroup that its maker is in, and the owner of an ipc namespace's message queues, /dev/mqueue, is
// who makes it, for a user namespace its root.
func (s *Set) byClone() uint64 {
	made := s.made &^ (unix.CLONE_NEWTIME | unix.CLONE_NEWCGROUP)
	if s.Own(unix.CLONE_NEWUSER) {
		made &^= unix.CLONE_NEWIPC
	}
	return made
}

// twice reports whether a second clone is needed: new namespaces must be made after
// the others were joined, and a joined pid namespace holds only children.
func (s *Set) twice() bool {
	if s.joined&(unix.CLONE_NEWPID|unix.CLONE_NEWUSER) != 0 {
		return true
	}
	return s.joined != 0 && s.made&unix.CLONE_NEWUSER != 0
}

// CloneFlags returns the flags for the clone that makes the child.
func (s *Set) CloneFlags() uint64 {
	if s.twice() {
		return 0
	}
	return s.byClone()
}

// Open emits the parent section: it opens the namespaces to join and checks
// their types.
func (s *Set) Open(b *program.Builder) {
	b.InParent(func() {
		for i := range s.joins {
			j := &s.joins[i]
			b := j.label(b)
			step := b.Step(program.T("open"))
			j.fd = call.Openat(step, call.Cwd(), call.PathTo(b, j.path), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK).Fd()
			step = b.Step(program.T("is not a namespace file, as those below /proc/PID/ns are"))
			t := b.Reg()
			call.IoctlNsType(step, call.In(j.fd)).To(t)
			ok := b.Label()
			step.If(t, program.Eq, int64(j.flag), ok)
			step = b.Step(program.T("is a namespace of another type than linux.namespaces[].type says"))
			step.Fail(unix.EINVAL)
			b.Bind(ok)
		}
	})
}

// Enter emits the child's way into the namespaces, up to a second clone where one is needed and
// CloneLast has not been called. adopt is the tag by which the parent learns of the process that
// then goes on.
func (s *Set) Enter(b *program.Builder, adopt uint32) {
	user := s.joined&unix.CLONE_NEWUSER != 0
	for i := range s.joins {
		j := &s.joins[i]
		if j.flag == unix.CLONE_NEWUSER {
			continue
		}
		c := call.Setns(j.label(b).Step(program.T("setns")), call.In(j.fd), j.flag)
		if user {
			// A namespace of the user namespace that is joined below may be
			// out of reach yet: tried again there.
			j.tried = b.Reg()
			c.To(j.tried).Ignore()
		}
	}
	if user {
		if !s.KeepGroups {
			dropGroups(b)
		}
		s.enterUser(b) // after those of the caller's user namespace, which it may not join from inside
	}
	switch made := s.byClone(); {
	case !s.twice(): // the clone that made the child has made them
	case !s.lastClone:
		cloneAgain(b, made, adopt)
	case made != 0:
		b := b.Element(program.T("linux.namespaces")).Doing(program.T("make the new ones"))
		call.Unshare(b, made)
	}
}

// CloneLast leaves the clone into a joined pid namespace to Clone, when
// all is set up, in place of Enter: those who are in that namespace already may have
// CAP_SYS_PTRACE, and must find nothing of the host in it. It reports whether there is
// such a namespace.
//
// What depends on the pid namespace of the process that asks, a new procfs, must then
// be told of the namespace, by PidFd.
func (s *Set) CloneLast() bool {
	s.lastClone = s.joined&unix.CLONE_NEWPID != 0
	return s.lastClone
}

// PidFd returns the descriptor of the joined pid namespace, 0 when none is joined; valid
// after Open.
func (s *Set) PidFd() program.Reg {
	for i := range s.joins {
		if s.joins[i].flag == unix.CLONE_NEWPID {
			return s.joins[i].fd
		}
	}
	return 0
}

// label returns b with the label of what joins the namespace.
func (j *join) label(b *program.Builder) *program.Builder {
	return b.Element(program.N("linux.namespaces[%d].path", j.index)).Doing(program.T("join %s", j.path))
}

// enterUser joins the user namespace, then what was refused before it.
func (s *Set) enterUser(b *program.Builder) {
	for i := range s.joins {
		if j := &s.joins[i]; j.flag == unix.CLONE_NEWUSER {
			call.Setns(j.label(b).Step(program.T("setns")), call.In(j.fd), j.flag)
		}
	}
	for i := range s.joins {
		j := &s.joins[i]
		if j.flag == unix.CLONE_NEWUSER {
			continue
		}
		b, done := j.label(b), b.Label()
		b.If(j.tried, program.Eq, 0, done)
		call.Setns(b.Step(program.T("setns")), call.In(j.fd), j.flag)
		b.Bind(done)
	}
}

// cloneAgain emits the clone of the process that goes on, as a sibling, so that it is
// the runtime's child and not an orphan's.
func cloneAgain(b *program.Builder, flags uint64, adopt uint32) {
	b = b.Element(program.T("linux.namespaces")).Doing(program.T("clone into the namespaces"))
	b.Clone(flags, adopt)
}

// BecomeRoot emits the change to user and group 0 of the container's user
// namespace, which must have its mappings: those of l, when it is new. Without a user
// namespace it emits nothing.
func (s *Set) BecomeRoot(b *program.Builder, l *specs.Linux) {
	if s.Own(unix.CLONE_NEWUSER) {
		own := s.Made(unix.CLONE_NEWUSER)
		becomeRoot(b, own && hasRoot(l.UIDMappings), own && hasRoot(l.GIDMappings))
	}
}

// hasRoot reports whether the id 0 of the container is mapped.
func hasRoot(list []specs.LinuxIDMapping) bool {
	return slices.ContainsFunc(list, func(m specs.LinuxIDMapping) bool { return m.ContainerID == 0 && m.Size > 0 })
}

// becomeRoot emits the change to user and group 0, which have to be there when uid and gid
// say so.
func becomeRoot(b *program.Builder, uid, gid bool) {
	b = b.Element(program.T("linux.uidMappings")).Doing(program.T("become root of the user namespace"))
	// Ids that are not mapped leave the process as it is; it has all
	// capabilities in the namespace all the same.
	if c := call.Setresgid(b.Step(program.T("setresgid 0")), 0); !gid {
		mayFail(b, c, unix.EINVAL)
	}
	if c := call.Setresuid(b.Step(program.T("setresuid 0")), 0); !uid {
		mayFail(b, c, unix.EINVAL)
	}
	call.PrctlUndumpable(b.Step(program.T("prctl PR_SET_DUMPABLE 0")))
}

// dropGroups emits the end of the caller's additional groups, before a user namespace is
// joined that denies setgroups: what is not dropped here stays. A caller who may not do
// so has only the groups of a user, who goes on with them.
//
// Source: user_namespaces(7), "/proc/PID/setgroups".
func dropGroups(b *program.Builder) {
	b = b.Element(program.T("linux.namespaces")).Doing(program.T("drop the caller's groups"))
	mayFail(b, call.Setgroups(b, nil), unix.EPERM)
}

// mayFail goes on after the error errno of c, and no other.
func mayFail(b *program.Builder, c program.Call, errno unix.Errno) {
	next := b.Label()
	c.On(errno, next)
	b.Bind(next)
}

// Rest emits the new namespaces that no clone makes. Offsets emits the wait for the parent to
// write linux.timeOffsets; it is nil where there are none.
func (s *Set) Rest(b *program.Builder, offsets func(*program.Builder)) {
	rest := s.made &^ s.byClone()
	if flags := rest &^ unix.CLONE_NEWTIME; flags != 0 {
		doing := "make the ipc and cgroup namespaces"
		switch flags {
		case unix.CLONE_NEWCGROUP:
			doing = "make the cgroup namespace"
		case unix.CLONE_NEWIPC:
			doing = "make the ipc namespace"
		}
		call.Unshare(b.Element(program.T("linux.namespaces")).Doing(program.T(doing)), flags)
	}
	if rest&unix.CLONE_NEWTIME == 0 {
		return
	}
	b = b.Element(program.T("linux.namespaces")).Doing(program.T("make the time namespace"))
	call.Unshare(b.Step(program.T("unshare")), unix.CLONE_NEWTIME)
	if offsets != nil {
		offsets(b.Element(program.T("linux.timeOffsets")))
	}
	step := b.Step(program.T("open /proc/self/ns/time_for_children"))
	fd := call.Openat(step, call.Cwd(), call.PathTo(b, "/proc/self/ns/time_for_children"), unix.O_RDONLY|unix.O_CLOEXEC).Fd()
	call.Setns(b.Step(program.T("setns")), call.In(fd), unix.CLONE_NEWTIME)
}

// Flags returns the CLONE_NEW flags of all namespaces that are not the runtime's.
func (s *Set) Flags() uint64 { return s.made | s.joined }

// Names emits the host name and the domain name.
func Names(b *program.Builder, hostname, domainname string) {
	for _, n := range []struct {
		element, value string
		set            func(*program.Builder, string) program.Call
	}{{"hostname", hostname, call.Sethostname}, {"domainname", domainname, call.Setdomainname}} {
		if n.value != "" {
			b := b.Element(program.T(n.element)).Doing(program.T("set it to %s", n.value))
			n.set(b, n.value)
		}
	}
}

// Loopback emits what brings lo up in a new network namespace. Without one it
// emits nothing.
//
// Source: netdevice(7), SIOCSIFFLAGS.
func (s *Set) Loopback(b *program.Builder) {
	if !s.Made(unix.CLONE_NEWNET) {
		return
	}
	b = b.Element(program.T("linux.namespaces")).Doing(program.T("bring lo up"))
	// struct ifreq: the name in 16 bytes, then a union of 24 (16 on 32 bits).
	var req [40]byte
	copy(req[:], "lo")
	binary.NativeEndian.PutUint16(req[16:], unix.IFF_UP|unix.IFF_RUNNING)
	m := b.Bytes(req[:])
	fd := call.Socket(b.Step(program.T("socket")), unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0).Fd()
	call.IoctlIfFlags(b.Step(program.T("ioctl SIOCSIFFLAGS")), call.In(fd), m)
}
