package verify

import (
	"fmt"
	"strings"

	"github.com/hutch-project/hutch/internal/program"
)

// checkExecve refuses the execution of anything before all is as it has to be.
func (w *walker) checkExecve(s *state, pc int, in *program.Instr) {
	if w.e.Reads || w.e.Adds || w.e.Removes {
		w.refuse(s, pc, Ends, "a process that is not there for that executes something")
		return
	}
	if in.OnErr != program.Fail {
		w.refuse(s, pc, Ends, "its error is not told")
		return
	}
	for i, k := range s.std {
		if k == kStdNull && !s.keepsNull {
			w.refuse(s, pc, Stdio, fmt.Sprintf("descriptor %d is the host's null device", i))
			return
		}
	}
	if out := s.outside(); out != 0 {
		w.refuse(s, pc, FdExec, "open are "+kindWords(out))
		return
	}
	if s.open()&(1<<kCopy) != 0 {
		w.refuse(s, pc, FdExec, "open is a copy of the socket")
		return
	}
	w.note(pc, FdExec)
	w.note(pc, FdName)
	if s.told != 0 {
		w.refuse(s, pc, Barrier, fmt.Sprintf("%#x waits for an answer", s.told))
		return
	}
	if !w.target(s, in) {
		w.refuse(s, pc, Ends, "it executes neither process.args, with process.env, nor, in a process of its own, a hook")
		return
	}
	if s.child {
		w.refuse(s, pc, Barrier, "the runtime does not know yet which process it is")
		return
	}
	if s.alone {
		w.refuse(s, pc, Ends, "the process that was replaced executes something")
		return
	}
	w.mustSignals(s, pc)
	if w.fail != nil || !w.mustRoot(s, pc) || w.e.Kind == Hook {
		return
	}
	w.mustBe(s, pc)
}

// target reports whether what is executed is what the process is there for.
func (w *walker) target(s *state, in *program.Instr) bool {
	p, ok := w.pathText(in, 0)
	switch {
	case !ok:
		return false
	case w.e.Kind == Hook:
		return p == w.e.Hook && w.isArgs(in.Args[1], w.e.Args) && w.isEnv(in.Args[2], w.e.Env)
	case s.hook:
		n := int(s.hooks)
		return n > 0 && n <= w.startHooks() && w.isStartHook(in, p, &w.e.Spec.Hooks.StartContainer[n-1])
	}
	return w.isProcess(in, p)
}

func (w *walker) mustRoot(s *state, pc int) bool {
	good := s.root == rootIn || s.root == rootChroot
	if w.e.Kind == Hook && w.e.OwnRoot && w.e.InitCwd {
		good = s.root == rootHost && s.cwd == cwdIn
	}
	if !good {
		w.refuse(s, pc, RootChange, "the root, or the working directory, is not the container's")
		return false
	}
	for _, f := range w.x.hidden {
		if !s.has(f) {
			w.refuse(s, pc, RootChange, "the host's procfs or sysfs is not hidden")
			return false
		}
	}
	w.note(pc, RootChange)
	missing := w.x.own &^ s.got
	if missing != 0 {
		w.refuse(s, pc, Namespaces, fmt.Sprintf("the process is not in the namespaces %#x", missing))
		return false
	}
	for _, f := range w.x.tasks {
		if !s.has(f) {
			w.refuse(s, pc, Cgroup, "the process has not entered each cgroup")
			return false
		}
	}
	return true
}

// mustBe refuses an execve without what the configuration promises.
func (w *walker) mustBe(s *state, pc int) {
	proc := w.x.proc
	must := func(r Rule, ok bool, what string) {
		if !ok {
			w.refuse(s, pc, r, what)
		}
	}
	if proc == nil {
		w.refuse(s, pc, Ends, "the configuration has no process")
		return
	}
	if w.e.Kind == Init {
		w.mustMounts(s, pc)
	}
	if !s.hook {
		w.mustHaveWaited(s, pc)
	}
	w.mustSettings(s, pc)
	must(Settings, s.has(fAffinity), "the processors are not the configuration's")
	must(Session, s.has(fSession), "the process is in the session of the caller")
	must(Keyring, !w.e.Keyring || s.has(fKeyring), "the process has the session keyring of the caller")
	must(Label, w.x.apparmor == 0 || s.has(fAppArmor), "process.apparmorProfile is not applied")
	must(Label, w.x.selinux == 0 || s.has(fSELinux), "process.selinuxLabel is not applied")
	must(Bounding, w.undropped(s) == 0, fmt.Sprintf("the bounding set still has %#x", w.undropped(s)))
	must(IDs, s.has(fGroups) && s.has(fGid) && s.has(fUid), "the ids are not the configuration's")
	must(Dumpable, s.has(fDumpable), "the process may be dumpable")
	must(Capset, s.capSet && s.effective == w.x.effective && s.permitted == w.x.permitted && s.inheritable == w.x.inheritable,
		fmt.Sprintf("effective, permitted and inheritable set are %#x, %#x, %#x, not %#x, %#x, %#x", s.effective, s.permitted, s.inheritable, w.x.effective, w.x.permitted, w.x.inheritable))
	must(Ambient, s.has(fAmbient) && s.ambient == w.x.ambient, fmt.Sprintf("the ambient set is %#x or was not cleared; it is to be %#x", s.ambient, w.x.ambient))
	must(NoNewPrivs, !proc.NoNewPrivileges || s.has(fNoNewPrivs), "it is not set")
	must(FilterLoaded, !w.e.Filter || s.has(fFilter), "it is not loaded")
	for _, l := range w.x.limits {
		must(Rlimits, s.has(l.done), fmt.Sprintf("limit %d is not %d:%d", l.nr, l.soft, l.hard))
	}
	must(Cwd, s.has(fCwd), "the working directory is not process.cwd, or is not proven to be in the container")
	if m := proc.User.Umask; m != nil {
		must(Umask, s.umask == int32(*m), fmt.Sprintf("it is not %#o", *m))
	} else {
		must(Umask, s.umask < 0, "it is not the caller's")
	}
}

func (w *walker) mustMounts(s *state, pc int) {
	for i := range w.x.mounts {
		m := &w.x.mounts[i]
		if !s.has(m.done) {
			w.refuse(s, pc, MountConfig, fmt.Sprintf("mounts[%d] on %s is not there, or lacks an option", i, w.texts[m.dest]))
			return
		}
		if m.proven >= 0 && (!s.has(m.proven) || m.mask && !s.has(m.top)) {
			w.refuse(s, pc, MountConfig, fmt.Sprintf("mounts[%d]: %s is not proven to lead to it", i, w.texts[m.dest]))
			return
		}
		if m.ro && !s.has(m.roDone) {
			w.refuse(s, pc, MountConfig, fmt.Sprintf("mounts[%d] on %s is not read-only", i, w.texts[m.dest]))
			return
		}
	}
	for path, f := range w.x.masked {
		if !s.has(f) {
			w.refuse(s, pc, Masked, w.texts[path]+" is not covered")
			return
		}
	}
	for path, f := range w.x.readonly {
		if !s.has(f) {
			w.refuse(s, pc, ReadOnly, w.texts[path]+" is not read-only")
			return
		}
	}
	if r := w.e.Spec.Root; r != nil && r.Readonly && !s.has(fRootRO) {
		w.refuse(s, pc, RootReadOnly, "the root is writable")
	}
}

// beneath reports whether the path p is q or lies below it.
func (w *walker) beneath(p, q int32) bool {
	return q == w.x.slash || within(w.texts[p], w.texts[q])
}

// within is beneath for clean paths, of which q is not "/".
func within(p, q string) bool {
	return p == q || len(p) > len(q) && strings.HasPrefix(p, q) && p[len(q)] == '/'
}
