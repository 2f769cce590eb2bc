package process

import (
	"fmt"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/nofile"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// rlimitNames are the limits in the order of their numbers on the architectures
// that Go has.
var rlimitNames = [...]string{
	"RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS", "RLIMIT_NPROC", "RLIMIT_NOFILE",
	"RLIMIT_MEMLOCK", "RLIMIT_AS", "RLIMIT_LOCKS", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME",
}

func rlimit(name string) int {
	for i, n := range rlimitNames {
		if n == name {
			return i
		}
	}
	return -1
}

// limit is one to set. Those of processes and of open files come last: before, they
// would be in the way of the second process and of descriptors that are still needed.
type limit struct {
	note  program.Text
	doing program.Text
	nr    int
	v     unix.Rlimit
}

// limits are those of the configuration, and the limit of open files that the
// caller was started with, which Go has raised.
func limits(p *specs.Process) ([]limit, error) {
	var out []limit
	files := false
	for i, r := range p.Rlimits {
		nr := rlimit(r.Type)
		if nr < 0 {
			return nil, fmt.Errorf("process.rlimits[%d].type: %q is no limit of Linux", i, r.Type)
		}
		files = files || nr == unix.RLIMIT_NOFILE
		out = append(out, limit{program.N("process.rlimits[%d]", i), program.T("set %s to %s", r.Type, number(r.Soft)+":"+number(r.Hard)), nr, unix.Rlimit{Cur: r.Soft, Max: r.Hard}})
	}
	// Go changes nothing where the two are equal.
	if soft, hard := nofile.Inherited(); !files && soft != hard {
		out = append(out, limit{program.T("process.rlimits"), program.T("keep RLIMIT_NOFILE at %s", number(soft)), unix.RLIMIT_NOFILE, unix.Rlimit{Cur: soft, Max: hard}})
	}
	return out, nil
}

func number(v uint64) string { return strconv.FormatUint(v, 10) }

func (l *limit) last() bool { return l.nr == unix.RLIMIT_NPROC || l.nr == unix.RLIMIT_NOFILE }

// room is what a limit that comes last is set to before: as much as the process may set
// for itself then without privileges, no less than it needs till then. It reports
// false where nothing is to be set.
func (l *limit) room() (unix.Rlimit, bool) {
	hard := l.v.Max
	if l.nr == unix.RLIMIT_NOFILE {
		if _, inherited := nofile.Inherited(); hard <= inherited {
			return unix.Rlimit{}, false
		}
		return unix.Rlimit{Cur: hard, Max: hard}, true
	}
	return unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}, true
}

// Rlimits emits process.rlimits, and the limit of open files that the caller was
// started with when they have none, but for what LastRlimits has to set. To raise a hard
// limit takes CAP_SYS_RESOURCE of the initial user namespace; without it see
// ApplyRlimits.
//
// Source: prlimit(2).
func Rlimits(b *program.Builder, p *specs.Process) {
	ls, err := limits(p)
	if err != nil {
		b.Fault(err)
		return
	}
	for i := range ls {
		l := &ls[i]
		b := b.Element(l.note)
		if !l.last() {
			b := b.Doing(l.doing)
			setRlimit(b, l.nr, l.v)
			continue
		}
		if v, ok := l.room(); ok {
			b := b.Doing(l.doing)
			call := setRlimit(b.Step(program.T("leave room until the end")), l.nr, v)
			if l.nr == unix.RLIMIT_NPROC {
				call.Ignore() // without the privilege the limit of the caller stays
			}
		}
	}
}

// LastRlimits emits the limits that have to come last.
func LastRlimits(b *program.Builder, p *specs.Process) {
	ls, _ := limits(p) // Rlimits or ApplyRlimits has told the error
	for i := range ls {
		if l := &ls[i]; l.last() {
			b := b.Element(l.note).Doing(l.doing)
			setRlimit(b, l.nr, l.v)
		}
	}
}

func setRlimit(b *program.Builder, nr int, v unix.Rlimit) program.Call {
	return call.Prlimit64(b, nr, v)
}

// ApplyRlimits sets what Rlimits does for the process pid from outside: a process
// in a user namespace may not raise its own limits.
func ApplyRlimits(pid int, p *specs.Process) error {
	ls, err := limits(p)
	if err != nil {
		return err
	}
	for i := range ls {
		l := &ls[i]
		v, ok, optional := l.v, true, false
		if l.last() {
			v, ok = l.room()
			optional = l.nr == unix.RLIMIT_NPROC
		}
		if !ok {
			continue
		}
		if err := unix.Prlimit(pid, l.nr, &v, nil); err != nil && !optional {
			return fmt.Errorf("%s: %s: %w", l.note.String(), l.doing.String(), err)
		}
	}
	return nil
}

// OOMScoreAdj emits the adjustment, written to /proc/self/oom_score_adj of proc.
//
// Source: proc(5).
func OOMScoreAdj(b *program.Builder, proc program.Reg, p *specs.Process) {
	if p.OOMScoreAdj == nil {
		return
	}
	text := strconv.Itoa(*p.OOMScoreAdj)
	b = b.Element(program.T("process.oomScoreAdj")).Doing(program.T("set it to %s", text))
	WriteProc(b, proc, "self/oom_score_adj", text)
}

// ApplyOOMScoreAdj writes the adjustment of pid from outside: a process in a user
// namespace may not lower its own. It goes through the caller's /proc.
//
// Source: proc(5).
func ApplyOOMScoreAdj(pid int, p *specs.Process) error {
	if p.OOMScoreAdj == nil {
		return nil
	}
	path := "/proc/" + strconv.Itoa(pid) + "/oom_score_adj"
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("process.oomScoreAdj: open %s: %w", path, err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(strconv.Itoa(*p.OOMScoreAdj))); err != nil {
		return fmt.Errorf("process.oomScoreAdj: set it to %d: %w", *p.OOMScoreAdj, err)
	}
	return nil
}

// WriteProc emits the writing of text to the file path of the procfs proc, which
// is Hutch's own: nothing that the container has mounted is reached.
func WriteProc(b *program.Builder, proc program.Reg, path, text string) {
	how := unix.OpenHow{Flags: unix.O_WRONLY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_MAGICLINKS}
	step := b.Step(program.T("open /proc/%s", path))
	fd := call.Openat2(step, call.In(proc), call.PathTo(b, path), how).Fd()
	call.WriteString(b.Step(program.T("write %q to /proc/%s", text, path)), call.In(fd), text)
	call.Close(b, call.In(fd))
}
