package life

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/config"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/notify"
	"github.com/hutch-project/hutch/internal/host/rdt"
	"github.com/hutch-project/hutch/internal/host/selfexe"
	"github.com/hutch-project/hutch/internal/host/state"
	"github.com/hutch-project/hutch/internal/part/keyring"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/part/terminal"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/seat"
	"github.com/hutch-project/hutch/internal/trace"
	"github.com/hutch-project/hutch/internal/validate"
	"github.com/hutch-project/hutch/internal/verify"
)

// Create makes the container o.ID from the bundle and leaves it with its init
// waiting for Start. A failed Create leaves nothing behind.
//
// Source: runtime-spec runtime.md "Create".
func (r *Runtime) Create(o *CreateOptions) error {
	b, err := r.build(o, true)
	if err != nil {
		return err
	}
	defer b.close()
	return b.trace.Write(o.TraceFile)
}

// build is a container that is being made.
type build struct {
	r     *Runtime
	o     *CreateOptions
	spec  *specs.Spec
	text  []byte // of config.json
	dir   *state.Dir
	rec   *state.Record
	cg    *cgroup.Plan
	limit *cgroup.Settings // of linux.resources
	scope *scope           // nil without systemd's driver
	rdt   *rdt.Group       // nil without linux.intelRdt
	ahead *program.Forker  // makes the network namespace meanwhile; may be nil
	out   *compile.Output
	child *program.Child
	home  home
	trace *trace.Trace
	fifo  bool // init waits on the fifo; else at the barrier Ready

	planning  bool           // nothing is run
	expect    *verify.Expect // what a plan is to be proven against
	layout    *cgroup.Layout // closed with the build
	notifyDir string
	link      *selfexe.Link // nil where the executable needs none

	console *os.File            // terminal of an attached run, owned by the build
	signals *terminal.Forwarder // of an attached run
	undo    []func()            // in order of what was done
}

// build does all up to an init that waits for start. Its failure leaves nothing.
func (r *Runtime) build(o *CreateOptions, fifo bool) (_ *build, retErr error) {
	own := *o
	if own.PreserveFds, retErr = preserved(o.PreserveFds, o.ListenFds); retErr != nil {
		return nil, named("create", o.ID, retErr)
	}
	b := &build{r: r, o: &own, fifo: fifo}
	if o.TraceFile != "" || testPhase != nil {
		b.trace = trace.New()
		b.trace.OnPhase = testPhase
	}
	defer func() {
		if retErr != nil {
			b.takeBack()
			b.close()
			retErr = named("create", o.ID, b.explainRoot(explainMemory(retErr)))
		}
	}()
	steps := [...]struct {
		name string
		do   func() error
	}{
		{"catch signals", b.catch},
		{"load config.json", b.load},
		{"plan cgroups", b.planCgroup},
		{"record", b.record},
		{"make cgroups", b.makeCgroup},
		{"make the resctrl group", b.makeRdt},
		{"compile", b.compile},
		{"clone", b.spawn},
		{"set up", b.attend},
		{"announce", b.announce},
	}
	for _, s := range steps {
		b.trace.Phase(s.name)
		r.debug("create " + o.ID + ": " + s.name)
		if err := s.do(); err != nil {
			return nil, err
		}
	}
	b.trace.End()
	return b, nil
}

// catch begins to catch signals for an attached container, before anything is
// there.
func (b *build) catch() error {
	if !b.fifo && !b.o.Detach {
		b.signals = terminal.Forward(b.r.Alone)
	}
	return nil
}

// explainMemory names the limit that is too low for what the kernel wanted.
func explainMemory(err error) error {
	if errors.Is(err, unix.ENOMEM) {
		return fmt.Errorf("%w: linux.resources.memory.limit is too low to start a process, or the host is out of memory; raise it", err)
	}
	return err
}

// named puts the operation and the id, if it is one, before an error.
func named(operation, id string, err error) error {
	if err == nil {
		return nil
	}
	if validate.ID(id) != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	return fmt.Errorf("%s %s: %w", operation, id, err)
}

// testPhase is called at each phase of a create: for tests that end the process
// there.
var testPhase func(name string)

// load reads and checks the bundle.
func (b *build) load() error {
	if err := validate.ID(b.o.ID); err != nil {
		return err
	}
	if err := absolute(&b.o.Bundle); err != nil {
		return err
	}
	if err := absolute(&b.o.PidFile); err != nil {
		return err
	}
	s, text, err := config.Load(b.o.Bundle, "")
	if err != nil {
		return err
	}
	if err := b.adapt(s); err != nil {
		return err
	}
	if err := idmapOptions(s); err != nil {
		return err
	}
	warnings, err := validate.Spec(s, validate.Options{Rootless: b.r.Rootless})
	if err != nil {
		return err
	}
	for _, w := range warnings {
		b.r.warn(w)
	}
	b.warnOfGaps(s)
	if err := hostSysctl(s); err != nil && !b.planning {
		return err
	}
	b.spec, b.text = s, text
	for i := range s.Mounts { // relative sources are the bundle's
		if m := &s.Mounts[i]; rootfs.IsBind(m) && !filepath.IsAbs(m.Source) {
			m.Source = filepath.Join(b.o.Bundle, m.Source)
		}
	}
	if err := b.checkTerminal(); err != nil {
		return err
	}
	if flags := ahead(s); flags != 0 && !b.planning {
		b.ahead = program.NewForker(flags)
	}
	return nil
}

// ahead are the new namespaces that can be made before the child.
func ahead(s *specs.Spec) uint64 {
	if seat.User() || s.Linux == nil {
		return 0
	}
	for _, n := range s.Linux.Namespaces {
		switch {
		case n.Path != "":
			return 0 // what is joined may decide who owns what is made
		case n.Type == specs.UserNamespace:
			return 0
		}
	}
	if !has(s, specs.NetworkNamespace) {
		return 0
	}
	flags := uint64(unix.CLONE_NEWNET)
	if has(s, specs.IPCNamespace) {
		flags |= unix.CLONE_NEWIPC
	}
	return flags
}

// checkTerminal refuses combinations of terminal and console socket that leave
// the terminal without a reader, as runc does.
func (b *build) checkTerminal() error {
	terminal := b.spec.Process != nil && b.spec.Process.Terminal
	detached := b.fifo || b.o.Detach
	switch {
	case b.planning: // there is nobody to lack it
	case terminal && detached && b.o.ConsoleSocket == "":
		return errors.New("cannot allocate tty if runc will detach without setting console socket: give --console-socket, or set process.terminal to false")
	case !terminal && b.o.ConsoleSocket != "":
		return errors.New("cannot use console socket if runc will not detach or allocate tty: leave --console-socket out, or set process.terminal to true")
	}
	return nil
}

// absolute makes *path absolute; an empty path is the working directory for a
// bundle and stays empty otherwise.
func absolute(path *string) error {
	if *path == "" {
		return nil
	}
	p, err := filepath.Abs(*path)
	*path = p
	return err
}

func (b *build) rootfs() string {
	return rootPath(b.o.Bundle, b.spec.Root.Path)
}

// record writes down what is about to exist, before any of it does.
func (b *build) record() error {
	root, err := state.Open(b.r.Root)
	if err != nil {
		return err
	}
	defer root.Close()
	b.dir, err = root.Create(b.o.ID) // and locks it
	if err != nil {
		return err
	}
	b.onFailure(b.unrecord)
	if b.o.NotifySocket != "" {
		b.onFailure(func() { b.warnIf(b.r.removeNotify(b.o.ID)) })
		if b.notifyDir, err = notify.Prepare(b.r.stateDir(b.o.ID)); err != nil {
			return err
		}
	}
	if b.fifo {
		if err := b.dir.CreateFifos(); err != nil {
			return err
		}
	}
	if b.rec, err = b.newRecord(); err != nil {
		return err
	}
	if b.rec.RootMount, err = rootMount(b.spec, b.rec); err != nil {
		return err
	}
	b.onFailure(func() { b.warnIf(removeRoot(b.rec)) })
	return b.dir.Save(b.rec)
}

// unrecord removes the record when all else is taken back, and runs the poststop hooks,
// unless a delete has done so.
func (b *build) unrecord() {
	removed, err := b.dir.Remove()
	b.warnIf(err)
	if !removed || b.rec == nil {
		return
	}
	b.dir.Unlock()
	c := &container{r: b.r, rec: b.rec}
	c.poststop()
}

func (b *build) newRecord() (*state.Record, error) {
	rec := &state.Record{
		ID:          b.o.ID,
		Bundle:      b.o.Bundle,
		Rootfs:      b.rootfs(),
		OCIVersion:  b.spec.Version,
		Status:      string(Creating),
		Created:     time.Now().UTC(),
		Annotations: b.spec.Annotations,
		HasProcess:  b.spec.Process != nil,
		OwnKeyring:  !b.o.NoNewKeyring,
	}
	if rec.OwnKeyring {
		var err error
		if rec.Keyring, err = keyring.NewName(); err != nil {
			return nil, err
		}
	}
	rec.Cgroup = state.Cgroup{Driver: b.r.CgroupManager.String(), Paths: b.cg.Paths()}
	if s := b.scope; s != nil {
		rec.Cgroup.Unit, rec.Cgroup.User = s.unit.Name, s.user
	}
	if h := b.spec.Hooks; h != nil {
		rec.Hooks = state.Hooks{StartContainer: h.StartContainer, Poststart: h.Poststart, Poststop: h.Poststop}
	}
	if l := b.spec.Linux; l != nil {
		for _, n := range l.Namespaces {
			rec.Namespaces = append(rec.Namespaces, state.Namespace{Type: string(n.Type), Path: n.Path})
			if n.Type == specs.PIDNamespace && n.Path == "" {
				rec.PrivatePid = true
			}
		}
	}
	return rec, nil
}

// spawn makes the child, born in its cgroups, and writes it down at once: what the child
// waits for from here on may never come, and a delete ends that by killing it.
func (b *build) spawn() error {
	p := b.out.Program
	if b.fifo {
		goFd, resultFd, err := b.dir.OpenFifos()
		if err != nil {
			return err
		}
		defer unix.Close(goFd)
		defer unix.Close(resultFd)
		p.Set(b.out.Go, int64(goFd))
		p.Set(b.out.Result, int64(resultFd))
	}
	closeIdmaps, err := b.openIdmaps()
	if err != nil {
		return err
	}
	defer closeIdmaps()
	unlink, err := b.link.Open(p)
	if err != nil {
		return err
	}
	defer unlink()
	e := &cgroup.Entry{Cgroup: -1}
	if b.scope == nil {
		if e, err = b.cg.Entry(); err != nil {
			return err
		}
		defer e.Close()
	}
	for i, fd := range e.Tasks {
		p.Set(b.out.Tasks[i], int64(fd))
	}
	spawn := spawnHidden
	if seat.User() && !b.out.Namespaces.Joins() {
		// The new process's files in /proc have to be its user's, who writes
		// the mappings. Nobody is in its namespaces yet to look into it.
		spawn = spawnChild
	}
	b.child, err = spawn(p, &program.Options{
		Flags: b.out.CloneFlags, Cgroup: e.Cgroup, Forker: b.ahead, Trace: b.trace != nil, Fault: testFault,
		Meanwhile: b.excerpt,
	})
	if err != nil {
		return err
	}
	b.onFailure(b.endChild)
	return b.recordPid()
}

// endChild kills init and reaps it, unless it stays in the kernel for longer than a delete
// would wait too.
func (b *build) endChild() {
	if b.child.Pidfd < 0 {
		return
	}
	_ = unix.PidfdSendSignal(b.child.Pidfd, unix.SIGKILL, nil, 0)
	b.warnIf(b.cg.Manager().Thaw()) // on v1 what is frozen does not end
	if !waitEnd(b.child.Pidfd) {
		b.r.warn(fmt.Sprintf("init, process %d, does not end after SIGKILL: it is in the kernel, ignoring", b.child.Pid))
		return
	}
	b.child.Kill()
}

// spawnHidden makes a child that nothing in the container may look into before
// its execve: not dumpable, it and its descriptors belong to the host's root.
//
// Source: CVE-2016-9962; proc(5), "/proc/PID"; prctl(2).
func spawnHidden(p *program.Program, o *program.Options) (*program.Child, error) {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("prctl PR_SET_DUMPABLE 0: %w", err)
	}
	return spawnChild(p, o)
}

func spawnChild(p *program.Program, o *program.Options) (*program.Child, error) {
	c, err := program.Spawn(p, o)
	if errors.Is(err, unix.EAGAIN) {
		err = fmt.Errorf("%w: as many processes as allowed; raise linux.resources.pids.limit, or the user's RLIMIT_NPROC", err)
	}
	if errors.Is(err, unix.EPERM) && seat.User() {
		err = fmt.Errorf("%w: run as root, or add a user namespace to linux.namespaces, as spec --rootless does", err)
	}
	return c, err
}

// testFault is an instruction that a test makes fail.
var testFault *program.Fault

func (b *build) onFailure(f func()) { b.undo = append(b.undo, f) }

// takeBack undoes what was done, the last first. When the container was deleted
// meanwhile, and there is a new one of the same id, what is left is that one's, except
// for init.
func (b *build) takeBack() {
	if b.dir != nil && b.dir.Replaced() {
		b.undo = nil
		if b.child != nil {
			b.endChild()
		}
	}
	for i := len(b.undo) - 1; i >= 0; i-- {
		b.undo[i]()
	}
	b.undo = nil
}

// close lets go of what only this process holds.
func (b *build) close() {
	b.signals.Stop()
	if b.child != nil {
		b.child.Close()
	}
	if b.console != nil {
		b.console.Close()
	}
	if b.dir != nil {
		b.dir.Close()
	}
	b.ahead.Close()
	if b.layout != nil {
		b.layout.Close()
	}
	if b.scope != nil {
		b.scope.conn.Close()
	}
}

func (b *build) warnIf(err error) {
	if err != nil {
		b.r.warn(err.Error() + ", ignoring")
	}
}

func (r *Runtime) warn(text string) {
	if r.Warn != nil {
		r.Warn(text)
	}
}

func (r *Runtime) note(text string) {
	if r.Note != nil {
		r.Note(text)
	}
}

func (r *Runtime) debug(text string) {
	if r.Debug != nil {
		r.Debug(text)
	}
}
