package verify

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cpulist"
	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/program"
)

// setting is a property of the process that the configuration gives, with the call that sets
// it.
type setting struct {
	name string
	asks bool // the configuration has one
	is   func(w *walker, in *program.Instr) bool
	done int
}

// settingsOf notes what is expected of the names of the host, the personality, the memory
// policy, the scheduler and the I/O priority.
func (x *expected) settingsOf(e *Expect) {
	x.settings = map[uint32]*setting{}
	add := func(nr uint32, name string, asks bool, is func(w *walker, in *program.Instr) bool) {
		x.settings[nr] = &setting{name, asks, is, x.fact()}
	}
	host, domain := e.Spec.Hostname, e.Spec.Domainname
	if domain == "" {
		domain = x.sysctl("kernel.domainname")
	}
	text := func(want string) func(w *walker, in *program.Instr) bool {
		return func(w *walker, in *program.Instr) bool {
			return string(w.bytes(in.Args[0], uint32(imm(in, 1)))) == want
		}
	}
	add(unix.SYS_SETHOSTNAME, "hostname", e.Kind == Init && host != "", text(host))
	add(unix.SYS_SETDOMAINNAME, "domainname", e.Kind == Init && domain != "", text(domain))
	proc := x.proc
	if proc == nil {
		proc = &specs.Process{}
	}
	add(unix.SYS_PERSONALITY, "linux.personality", x.proc != nil && x.lin.Personality != nil, x.isPersonality)
	add(unix.SYS_SET_MEMPOLICY, "linux.memoryPolicy", x.proc != nil && x.lin.MemoryPolicy != nil, x.isMemoryPolicy)
	add(unix.SYS_SCHED_SETATTR, "process.scheduler", proc.Scheduler != nil, x.isScheduler)
	add(unix.SYS_IOPRIO_SET, "process.ioPriority", proc.IOPriority != nil, x.isIOPriority)
}

// sysctl returns the value of a parameter of the configuration, whose name is written with
// dots; empty for none.
func (x *expected) sysctl(name string) string {
	for key, value := range x.lin.Sysctl {
		if dotted(key) == name {
			return value
		}
	}
	return ""
}

func number(t enum.Table, name string) uint64 {
	if v := t.Find(name); v != nil {
		return v.Number
	}
	return ^uint64(0)
}

func (x *expected) isPersonality(_ *walker, in *program.Instr) bool {
	return imm(in, 0) == number(enum.Domains, string(x.lin.Personality.Domain))
}

func (x *expected) isMemoryPolicy(w *walker, in *program.Instr) bool {
	m := x.lin.MemoryPolicy
	mode := number(enum.MemoryModes, string(m.Mode))
	for _, f := range m.Flags {
		mode |= number(enum.MemoryFlags, string(f))
	}
	if imm(in, 0) != mode || m.Nodes == "" {
		return imm(in, 0) == mode && imm(in, 2) == 0
	}
	const bits = cpulist.MaxNode + 1
	ranges, err := cpulist.Parse(m.Nodes, cpulist.MaxNode)
	return err == nil && imm(in, 2) == bits+1 && bytes.Equal(w.bytes(in.Args[1], bits/8), cpulist.Mask(ranges, bits/8))
}

func (x *expected) isScheduler(w *walker, in *program.Instr) bool {
	s := x.proc.Scheduler
	want := unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: uint32(number(enum.SchedPolicies, string(s.Policy))), Nice: s.Nice, Priority: uint32(s.Priority),
		Runtime: s.Runtime, Deadline: s.Deadline, Period: s.Period,
	}
	for _, f := range s.Flags {
		want.Flags |= number(enum.SchedFlags, string(f))
	}
	b, err := binary.Append(nil, binary.NativeEndian, &want)
	return err == nil && bytes.Equal(w.bytes(in.Args[1], uint32(len(b))), b) && imm(in, 2) == 0
}

func (x *expected) isIOPriority(_ *walker, in *program.Instr) bool {
	p := x.proc.IOPriority
	const classShift = 13
	return imm(in, 2) == number(enum.IOClasses, string(p.Class))<<classShift|uint64(p.Priority)
}

// checkSetting refuses another value than the configuration's, or one that it has not.
func (w *walker) checkSetting(s *state, pc int, in *program.Instr) {
	set := w.x.settings[in.NR]
	switch {
	case set == nil:
	case !set.asks:
		w.refuse(s, pc, Settings, "the configuration has no "+set.name)
	case !set.is(w, in):
		w.refuse(s, pc, Settings, "it is not "+set.name)
	}
}

// applySetting records what a call sets.
func (w *walker) applySetting(s *state, pc int, in *program.Instr) {
	if set := w.x.settings[in.NR]; set != nil {
		s.done(set.done)
		w.note(pc, Settings)
	}
}

// mustSettings refuses an execve without what the configuration gives the process.
func (w *walker) mustSettings(s *state, pc int) {
	for _, set := range w.x.settings {
		if set.asks && !s.has(set.done) {
			w.refuse(s, pc, Settings, set.name+" is not set")
		}
	}
	if w.setsOOM() && !s.has(fOOM) {
		w.refuse(s, pc, Settings, "process.oomScoreAdj is not set")
	}
}

// setsOOM reports whether the program sets process.oomScoreAdj, and not the runtime, which has
// the privileges that it takes.
func (w *walker) setsOOM() bool {
	return w.e.Kind == Init && w.x.proc != nil && w.x.proc.OOMScoreAdj != nil && !w.e.Userns && !w.e.Nested
}

// isOOM reports whether data is process.oomScoreAdj.
func (w *walker) isOOM(data []byte) bool {
	return w.setsOOM() && string(data) == strconv.Itoa(*w.x.proc.OOMScoreAdj)
}

// checkLimit refuses a limit of a resource that the configuration says nothing of: that of open
// files is the one that the caller was started with.
func (w *walker) checkLimit(s *state, pc int, in *program.Instr) {
	resource := imm(in, 1)
	if imm(in, 0) != 0 {
		w.refuse(s, pc, HostWrite, "it changes another process")
	} else if resource != unix.RLIMIT_NOFILE && (w.x.proc == nil || !slices.ContainsFunc(w.x.proc.Rlimits, func(l specs.POSIXRlimit) bool { return uint64(rlimitNumber(l.Type)) == resource })) {
		w.refuse(s, pc, Rlimits, fmt.Sprintf("the configuration has no limit %d", resource))
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
