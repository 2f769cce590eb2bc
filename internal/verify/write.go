package verify

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// checkTransfer refuses to write what is the host's.
func (w *walker) checkTransfer(s *state, pc int, in *program.Instr) {
	if in.NR == unix.SYS_READ {
		w.checkRead(s, pc, in.Args[0], false)
		return
	}
	file, ok := w.fd(s, pc, in.Args[0], FdUse)
	if !ok {
		return
	}
	switch file.k {
	case kTasks:
		if b := w.bytes(in.Args[1], 1); b == nil || b[0] != '0' || imm(in, 2) != 1 {
			w.refuse(s, pc, HostWrite, "another process than this one is put into the cgroup")
			return
		}
		w.note(pc, HostWrite)
	case kProcFile:
		if in.NR != unix.SYS_WRITE || !w.procFile(in, w.texts[file.path]) {
			w.refuse(s, pc, ProcWrite, w.texts[file.path]+" is written, or what is written, is not the configuration's")
			return
		}
		w.note(pc, ProcWrite)
	case kMem, kMnt:
	case kHost, kCont, kBound:
		w.refuse(s, pc, ProcWrite, "it writes "+file.k.String())
	default:
		w.refuse(s, pc, HostWrite, "it writes "+file.k.String())
	}
}

// checkFill refuses to fill or to cut anything but files of the program's own.
func (w *walker) checkFill(s *state, pc int, in *program.Instr) {
	v := w.value(s, in.Args[0])
	maybe := in.OnErr != program.Fail // it fails then, and nothing is changed
	switch {
	case maybe && (v.below() || (v.k == kDone || v.k == kAny) && w.served(pc, in.Args[0])):
	case !v.k.isFd() || v.attr&aMaybe != 0 && !maybe:
		w.refuse(s, pc, FdUse, "the register holds "+v.k.String()+" and no open descriptor")
	case v.k == kProcFile:
		w.refuse(s, pc, ProcWrite, "what it writes is not known")
	case v.k != kMem && v.k != kMnt:
		w.refuse(s, pc, HostWrite, "it changes "+v.k.String())
	case in.NR == unix.SYS_SENDFILE && imm(in, 2) != 0:
		w.refuse(s, pc, Known, "it writes an offset to memory")
	case in.NR == unix.SYS_SENDFILE:
		w.checkRead(s, pc, in.Args[1], maybe)
	}
}

// procFile reports whether the file of a procfs is the process's own, or a parameter of the
// configuration that gets its value.
func (w *walker) procFile(in *program.Instr, path string) bool {
	data := w.bytes(in.Args[1], uint32(imm(in, 2)))
	switch path {
	case "self/attr/exec", "self/attr/apparmor/exec":
		return true
	case "self/oom_score_adj":
		return w.isOOM(data)
	}
	name, is := strings.CutPrefix(path, "sys/")
	if !is || w.e.Kind != Init {
		return false
	}
	for key, value := range w.x.lin.Sysctl {
		if dotted(key) == dotted(name) && string(data) == value {
			return true
		}
	}
	return false
}

func dotted(name string) string { return strings.ReplaceAll(name, "/", ".") }

// foreign reports whether a parameter below /proc/sys is of a namespace that the process has
// yet to come to: it would be the host's.
func (w *walker) foreign(s *state, name string) bool {
	missing := w.x.own &^ s.got
	if strings.HasPrefix(name, "net/") {
		return missing&unix.CLONE_NEWNET != 0
	}
	return missing&(unix.CLONE_NEWIPC|unix.CLONE_NEWUTS) != 0
}

func (w *walker) applyRead(s *state, pc int, in *program.Instr) {
	if w.value(s, in.Args[0]).k != kGo {
		return
	}
	if !s.has(fReady) {
		w.refuse(s, pc, Barrier, "start is waited for before the runtime was told that all is ready")
	}
	s.done(fGo)
	w.note(pc, Barrier)
}

func (w *walker) applyWrite(s *state, pc int, in *program.Instr) {
	file := w.value(s, in.Args[0])
	switch file.k {
	case kTasks:
		for i, r := range w.e.Tasks {
			if a, _ := in.Args[0].Reg(); a == r {
				if i != int(file.num) {
					continue // another's, by dup3
				}
				s.done(w.x.tasks[i])
				w.note(pc, Cgroup)
			}
		}
	case kProcFile:
		data := w.bytes(in.Args[1], uint32(imm(in, 2)))
		is := func(label int32) bool { return label != 0 && string(data) == w.texts[label] }
		switch path := w.texts[file.path]; {
		case path == "self/attr/apparmor/exec" && is(w.x.apparmor):
			s.done(fAppArmor)
			w.note(pc, Label)
		case path == "self/attr/exec" && is(w.x.selinux):
			s.done(fSELinux)
			w.note(pc, Label)
		case path == "self/oom_score_adj":
			s.done(fOOM)
			w.note(pc, Settings)
		case path == "self/attr/apparmor/exec" || path == "self/attr/exec":
			w.refuse(s, pc, Label, "another label than the configuration's is written")
		}
	}
}
