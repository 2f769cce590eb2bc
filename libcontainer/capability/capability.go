// Package capability emits the capability sets of the container's process.
//
// Source: capabilities(7); runtime-spec config.md "Linux Process".
package capability

import (
	"sort"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hutch/libcontainer/program"
)

// names are the capabilities in the order of their numbers.
const names = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE " +
	"NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN " +
	"SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE " +
	"MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"

// Parse gives the set of the names, a bit for each number, and the names that
// are unknown.
func Parse(list []string) (set uint64, unknown []string) {
	for _, n := range list {
		short, ok := strings.CutPrefix(n, "CAP_")
		bit := -1
		if ok {
			bit = number(short)
		}
		if bit < 0 {
			unknown = append(unknown, n)
			continue
		}
		set |= 1 << bit
	}
	return set, unknown
}

func number(short string) int {
	i := 0
	for n := range strings.FieldsSeq(names) {
		if n == short {
			return i
		}
		i++
	}
	return -1
}

// Unknown are the names of p's five sets that are no capabilities, each once.
func Unknown(c *specs.LinuxCapabilities) []string {
	if c == nil {
		return nil
	}
	seen := map[string]bool{}
	for _, list := range [...][]string{c.Bounding, c.Effective, c.Inheritable, c.Permitted, c.Ambient} {
		_, u := Parse(list)
		for _, n := range u {
			seen[n] = true
		}
	}
	out := make([]string, 0, len(seen))
	for n := range seen {
		out = append(out, n)
	}
	sort.Strings(out)
	return out
}

// Last is the highest capability that the kernel has.
func Last() int {
	n := 40
	for n < 63 && has(n+1) {
		n++
	}
	for n > 0 && !has(n) {
		n--
	}
	return n
}

func has(n int) bool {
	_, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(n), 0, 0, 0)
	return err == nil
}

// Sets are the five sets of a process.
type Sets struct {
	bounding, effective, inheritable, permitted, ambient uint64
	last                                                 int
}

// New takes the sets of the configuration; last is the kernel's highest
// capability. Without sets the process has none.
func New(c *specs.LinuxCapabilities, last int) *Sets {
	s := &Sets{last: last}
	if c == nil {
		return s
	}
	all := uint64(1)<<(last+1) - 1
	parse := func(list []string) uint64 {
		set, _ := Parse(list)
		return set & all
	}
	s.bounding, s.effective, s.inheritable = parse(c.Bounding), parse(c.Effective), parse(c.Inheritable)
	s.permitted, s.ambient = parse(c.Permitted), parse(c.Ambient)
	return s
}

// Bounding emits the reduction of the bounding set, which needs CAP_SETPCAP: it
// comes before the change of ids.
func (s *Sets) Bounding(b *program.Builder) {
	b.Element(program.T("process.capabilities.bounding"))
	for n := 0; n <= s.last; n++ {
		if s.bounding&(1<<n) == 0 {
			b.Doing(program.N("drop capability %d", n))
			b.Sys(unix.SYS_PRCTL, program.Imm(unix.PR_CAPBSET_DROP), program.Imm(n))
		}
	}
	b.Element(program.T("process.capabilities"))
	b.Doing(program.T("keep the permitted set over the change of ids"))
	b.Sys(unix.SYS_PRCTL, program.Imm(unix.PR_SET_KEEPCAPS), program.Imm(1))
}

// Apply emits the other sets; it comes after the change of ids.
func (s *Sets) Apply(b *program.Builder) {
	b.Element(program.T("process.capabilities"))
	b.Doing(program.T("set the effective, permitted and inheritable set"))
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	h := program.Struct(b, &head)
	data := [2]unix.CapUserData{}
	for i := range data {
		shift := 32 * i
		data[i] = unix.CapUserData{Effective: uint32(s.effective >> shift), Permitted: uint32(s.permitted >> shift), Inheritable: uint32(s.inheritable >> shift)}
	}
	d := program.Struct(b, &data)
	b.Sys(unix.SYS_CAPSET, h.Arg(), d.Arg())
	b.Element(program.T("process.capabilities.ambient"))
	b.Doing(program.T("clear the set"))
	b.Sys(unix.SYS_PRCTL, program.Imm(unix.PR_CAP_AMBIENT), program.Imm(unix.PR_CAP_AMBIENT_CLEAR_ALL), program.Imm(0), program.Imm(0), program.Imm(0))
	for n := 0; n <= s.last; n++ {
		if s.ambient&(1<<n) != 0 {
			b.Doing(program.N("raise capability %d", n))
			b.Sys(unix.SYS_PRCTL, program.Imm(unix.PR_CAP_AMBIENT), program.Imm(unix.PR_CAP_AMBIENT_RAISE), program.Imm(n), program.Imm(0), program.Imm(0))
		}
	}
}

// Names are the names of all capabilities, in the order of their numbers.
func Names() []string {
	var out []string
	for n := range strings.FieldsSeq(names) {
		out = append(out, "CAP_"+n)
	}
	return out
}
