package limit

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/nofile"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
	"github.com/hutch-project/hutch/internal/program/call/idiom"
)

// limit is one to set. Those of processes and of open files come last: before, they
// would be in the way of the second process and of descriptors that are still needed.
type limit struct {
	note  program.Text
	doing program.Text
	nr    int
	v     unix.Rlimit
}

// limits returns those of the configuration, and the limit of open files that the
// caller was started with, which Go has raised.
func limits(p *specs.Process) ([]limit, error) {
	var out []limit
	files := false
	for i, r := range p.Rlimits {
		row := enum.Rlimits.Find(r.Type)
		if row == nil {
			return nil, fmt.Errorf("process.rlimits[%d].type: %q is no limit of Linux", i, r.Type)
		}
		nr := int(row.Number)
		files = files || nr == unix.RLIMIT_NOFILE
		out = append(out, limit{program.N("process.rlimits[%d]", i), program.T("set %s to %s", r.Type, decimal(r.Soft)+":"+decimal(r.Hard)), nr, unix.Rlimit{Cur: r.Soft, Max: r.Hard}})
	}
	// Go changes nothing where the two are equal.
	if soft, hard := nofile.Inherited(); !files && soft != hard {
		out = append(out, limit{program.T("process.rlimits"), program.T("keep RLIMIT_NOFILE at %s", decimal(soft)), unix.RLIMIT_NOFILE, unix.Rlimit{Cur: soft, Max: hard}})
	}
	return out, nil
}

func decimal(v uint64) string { return strconv.FormatUint(v, 10) }

func (l *limit) last() bool { return l.nr == unix.RLIMIT_NPROC || l.nr == unix.RLIMIT_NOFILE }

// room returns what a limit that comes last is set to before: as much as the process may set
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
		if v, ok := l.room(); ok { // LastRlimits sets it, when nothing is needed any more
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
	const path = "self/oom_score_adj"
	open, write := b.Step(program.T("open /proc/%s", path)), b.Step(program.T("write %q to /proc/%s", text, path))
	call.Close(b, call.In(idiom.WriteProc(open, write, proc, path, text, idiom.SelfLink)))
}

// ApplyOOMScoreAdj writes the adjustment of pid from outside: a process in a user
// namespace may not lower its own. It goes through the caller's /proc.
//
// Source: proc(5).
func ApplyOOMScoreAdj(pid int, proc *specs.Process) error {
	if proc.OOMScoreAdj == nil {
		return nil
	}
	path := "/proc/" + strconv.Itoa(pid) + "/oom_score_adj"
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("process.oomScoreAdj: open %s: %w", path, err)
	}
	defer unix.Close(fd)
	return writeScore(fd, *proc.OOMScoreAdj)
}

func writeScore(fd, score int) error {
	if _, err := unix.Pwrite(fd, []byte(strconv.Itoa(score)), 0); err != nil {
		return fmt.Errorf("process.oomScoreAdj: set it to %d: %w", score, err)
	}
	return nil
}

// InheritOOMScoreAdj gives the caller's own process the adjustment, which a child is born
// with, and returns what takes it back. It is for a user's process that is not dumpable: its
// files in /proc are root's, so that the user may not write the adjustment from outside.
//
// Source: proc(5), "/proc/pid/oom_score_adj"; prctl(2), PR_SET_DUMPABLE.
func InheritOOMScoreAdj(proc *specs.Process) (takeBack func(), err error) {
	const path = "/proc/self/oom_score_adj"
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == unix.EACCES { // a program that embeds the library is not dumpable since its first child
		if err = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err == nil {
			fd, err = unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
			_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("process.oomScoreAdj: open %s: %w", path, err)
	}
	var text [16]byte
	n, err := unix.Pread(fd, text[:], 0)
	own := 0
	if err == nil {
		own, err = strconv.Atoi(strings.TrimSpace(string(text[:max(n, 0)])))
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("process.oomScoreAdj: read %s: %w", path, err)
	}
	if err := writeScore(fd, *proc.OOMScoreAdj); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return func() {
		_ = writeScore(fd, own) // which the kernel has let it have before
		unix.Close(fd)
	}, nil
}
