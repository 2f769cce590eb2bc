package verify_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/calls"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/verify"
)

var showMutants = flag.Bool("mutants", false, "print the mutants that the verifier takes")

// mutation changes the instruction pc of p, a copy, and reports whether there is
// something to change.
type mutation struct {
	name   string
	change func(p *program.Program, pc int) bool
	// harmless are the calls, and kinds of instructions, that may be changed so, each with
	// the reason. All others must be refused.
	harmless map[string]string
}

const (
	option   = "an option of a file system, and no attribute of its mount"
	missing  = "what is mounted on it fails then, or is made by the other way"
	absent   = "a device or a link that is missing is no way out"
	property = "a property that takes no power away"
	other    = "the way that is then taken keeps the rules as well"
	closed   = "it is closed with all others before a name is resolved"
	copied   = "what is copied into a tmpfs of the container is wrong"
	execs    = "execve itself refuses what is no program"
	fails    = "what needs it fails later"
	looks    = "nothing is taken from a look that was not made"
)

func mutations() []mutation {
	dropped := map[string]string{
		"jump": other, "if": other, "fail": other, "exit": other, "tell": "the runtime then waits in vain, or finds that the message is missing",
		"close": closed, "fsconfig": option, "mkdirat": missing, "mknodat": missing, "symlinkat": absent, "unlinkat": absent,
		"statx": looks, "fstatfs": looks, "faccessat": looks, "faccessat2": execs, "lseek": copied, "ftruncate": copied, "sendfile": copied, "dup3": copied,
		"getdents64": copied, "readlinkat": copied, "fchmodat": copied, "fchownat": property, "fchown": property,
		"sched_setattr": property, "ioprio_set": property, "personality": property, "set_mempolicy": property,
		"rt_sigprocmask": property, "rt_sigaction": property, "sethostname": property, "setdomainname": property, "setpgid": property,
		"ioctl": property, "prctl PR_SET_KEEPCAPS": fails, "setresuid of root": fails, "setresgid of root": fails, "keyctl": property,
		"openat2": other, "fchdir of cwd": "it is tried again later", "move_mount of a device": absent, "move_mount of notify": absent,
		"prlimit64": "another limit of the same resource follows, or it is not the configuration's", "write": property, "read": copied, "open_tree": other, "fsmount": other, "fsopen": other,
		"mount of propagation": "it is made private next, which is more", "fchdir of the root": "the root is entered a second time before it becomes the root directory",
		"mount_setattr": "more is then read-only, or propagates less", "wait4": property, "umask": property, "socket": property, "wait": other, "memfd_create": fails,
		"openat": fails, "statfs": looks,
	}
	ignored := map[string]string{}
	for k, v := range dropped {
		ignored[k] = v
	}
	return []mutation{
		{"drop", func(p *program.Program, pc int) bool {
			p.Child[pc] = program.Instr{Op: program.OpJump, To: program.Label(pc + 1), Note: p.Child[pc].Note}
			return true
		}, dropped},
		{"ignore its error", func(p *program.Program, pc int) bool {
			in := &p.Child[pc]
			if in.Op != program.OpSys || in.OnErr != program.Fail {
				return false
			}
			in.OnErr = program.Next
			return true
		}, ignored},
		{"clear its resolve flags", func(p *program.Program, pc int) bool {
			in := &p.Child[pc]
			off, ok := in.Args[2].Addr()
			if in.Op != program.OpSys || in.NR != unix.SYS_OPENAT2 || !ok {
				return false
			}
			clear(p.Data(off+16, 8))
			return true
		}, nil},
		{"clear its attributes", func(p *program.Program, pc int) bool {
			in := &p.Child[pc]
			off, ok := in.Args[3].Addr()
			if in.Op != program.OpSys || in.NR != unix.SYS_MOUNT_SETATTR && in.NR != unix.SYS_OPEN_TREE_ATTR || !ok {
				return false
			}
			b := p.Data(off, 8)
			if binary.NativeEndian.Uint64(b)&unix.MOUNT_ATTR_RDONLY == 0 {
				return false
			}
			clear(b)
			return true
		}, map[string]string{"mount_setattr": "the structure is not the container's promise: the mount is read-only by another"}},
		{"give it all capabilities", func(p *program.Program, pc int) bool {
			in := &p.Child[pc]
			off, ok := in.Args[1].Addr()
			if in.Op != program.OpSys || in.NR != unix.SYS_CAPSET || !ok {
				return false
			}
			for i := range p.Data(off, 24) {
				p.Data(off, 24)[i] = 0xff
			}
			return true
		}, nil},
		{"take root's ids", func(p *program.Program, pc int) bool {
			in := &p.Child[pc]
			if in.Op != program.OpSys || in.OnErr != program.Fail || in.NR != unix.SYS_SETRESUID && in.NR != unix.SYS_SETRESGID {
				return false
			}
			if id, _ := in.Args[0].Imm(); id == 0 {
				return false
			}
			in.Args = [6]program.Arg{program.Imm(0), program.Imm(0), program.Imm(0)}
			return true
		}, nil},
	}
}

// moreMutations are those that change a flag or a name.
func moreMutations() []mutation {
	return []mutation{
		{"keep its descriptor", func(p *program.Program, pc int) bool {
			in := &p.Child[pc]
			at := map[uint32]int{unix.SYS_OPENAT: 2, unix.SYS_OPEN_TREE: 2, unix.SYS_OPEN_TREE_ATTR: 2, unix.SYS_SOCKET: 1}
			i, ok := at[in.NR]
			if flags, isImm := in.Args[i].Imm(); in.Op == program.OpSys && ok && isImm {
				in.Args[i] = program.Imm(flags &^ unix.O_CLOEXEC)
				return true
			}
			return false
		}, nil},
		{"attach it beneath", func(p *program.Program, pc int) bool {
			in := &p.Child[pc]
			flags, ok := in.Args[4].Imm()
			if in.Op != program.OpSys || in.NR != unix.SYS_MOVE_MOUNT || !ok {
				return false
			}
			const beneath = 0x200 // MOVE_MOUNT_BENEATH
			in.Args[4] = program.Imm(flags | beneath)
			return true
		}, nil},
		{"take another name", func(p *program.Program, pc int) bool {
			in := &p.Child[pc]
			c := calls.Of(in.NR)
			if in.Op != program.OpSys || c == nil {
				return false
			}
			for i := range c.Len() {
				off, ok := in.Args[i].Addr()
				if name, is := p.CString(off); ok && is && name != "" && (c.Arg(i) == calls.Path || c.Arg(i) == calls.Str) {
					p.Data(off+uint32(len(name))-1, 1)[0] ^= 1
					return true
				}
			}
			return false
		}, map[string]string{"mkdirat": missing, "mknodat": missing, "symlinkat": absent, "faccessat": looks,
			"openat2": "what is found is another file of the container, of which nothing is taken"}},
	}
}

// class returns what a mutation's table knows an instruction by.
func class(p *program.Program, pc int) string {
	in := &p.Child[pc]
	switch in.Op {
	case program.OpSys:
	case program.OpJump:
		return "jump"
	case program.OpIf:
		return "if"
	case program.OpTell, program.OpTellData, program.OpTellFd:
		return "tell"
	case program.OpWait:
		return "wait"
	case program.OpFail:
		return "fail"
	case program.OpClose:
		return "close each"
	default:
		return "exit"
	}
	name, note := program.CallName(uintptr(in.NR)), p.Note(in)
	element, doing := note.Element.String(), note.Doing.String()
	what, _ := in.Args[0].Imm()
	switch {
	case in.NR == unix.SYS_PRCTL && what == unix.PR_SET_KEEPCAPS:
		return name + " PR_SET_KEEPCAPS"
	case element == "linux.uidMappings" && (in.NR == unix.SYS_SETRESUID || in.NR == unix.SYS_SETRESGID):
		return name + " of root"
	case in.NR == unix.SYS_MOUNT && element == "linux.rootfsPropagation" && p.Child[pc+1].NR == unix.SYS_MOUNT:
		return name + " of propagation"
	case in.NR == unix.SYS_FCHDIR && (note.Step.String() == "fchdir to the root" || element == "hooks" || doing == "change to the root file system"):
		return name + " of the root"
	case in.NR == unix.SYS_FCHDIR && element == "process.cwd":
		return name + " of cwd"
	case in.NR == unix.SYS_MOVE_MOUNT && (len(element) >= 13 && element[:13] == "linux.devices"):
		return name + " of a device"
	case in.NR == unix.SYS_MOVE_MOUNT && (element == "process.env" || doing == "open a terminal"):
		return name + " of notify"
	}
	return name
}

// TestMutants changes each instruction of some programs in turn. The verifier must refuse
// what is left, but for what is said to be harmless.
func TestMutants(t *testing.T) {
	list := samples(t)
	for _, m := range append(mutations(), moreMutations()...) {
		t.Run(m.name, func(t *testing.T) {
			refused, taken := 0, map[string]int{}
			by := map[string]int{}
			for _, name := range slices.Sorted(maps.Keys(list)) {
				s := list[name]
				r, err := verify.Program(s.p, s.e)
				if err != nil {
					t.Fatal(err)
				}
				for pc := range s.p.Child {
					if slices.Contains(r.Unreached, pc) {
						continue
					}
					p := s.p.Copy()
					if !m.change(p, pc) {
						continue
					}
					_, err := verify.Program(p, s.e)
					if err != nil {
						refused++
						by[err.(*verify.Error).Rule.ID()]++
						continue
					}
					c := class(s.p, pc)
					taken[c]++
					if m.harmless[c] == "" {
						t.Errorf("%s: instruction %d, %s (%s), and the program is taken", name, pc, c, s.p.Note(&s.p.Child[pc]).String())
					} else if *showMutants {
						t.Logf("%s %d %s (%s): %s", name, pc, c, s.p.Note(&s.p.Child[pc]).String(), m.harmless[c])
					}
				}
			}
			t.Logf("%d refused, by %v; harmless: %v", refused, by, taken)
			if refused == 0 {
				t.Error("nothing is refused")
			}
		})
	}
}

type sample struct {
	p *program.Program
	e *verify.Expect
}

// samples are programs that have most rules between them.
func samples(t *testing.T) map[string]sample {
	t.Helper()
	out := map[string]sample{}
	for _, n := range []uint64{3, 8, 18} {
		if p, e := randomProgram(n); p != nil {
			out[fmt.Sprint("seed ", n)] = sample{p, e}
		}
	}
	return out
}
