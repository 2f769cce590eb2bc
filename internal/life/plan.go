package life

import (
	"cmp"
	"path/filepath"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/cgroup/resource"
	"github.com/hutch-project/hutch/internal/host/hook"
	"github.com/hutch-project/hutch/internal/host/notify"
	"github.com/hutch-project/hutch/internal/host/rdt"
	"github.com/hutch-project/hutch/internal/host/state"
	"github.com/hutch-project/hutch/internal/part/process"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/verify"
)

// request is what a container is to be made of: the configuration, and what the caller and
// the Runtime add to it. It is the place for whatever else a caller may ask for: a context
// that ends a create is looked at by maker.run and closes the child's socket in
// maker.clone; other standard descriptors than the process's own are what host.askAny
// looks at and maker.clone hands over.
type request struct {
	*CreateOptions
	manager  CgroupManager
	stateDir string // the container's state directory
	fifo     bool   // create: init waits on the fifo, after the barrier Ready; run: at that alone
	bundle   *bundle
	unit     *unit // nil without systemd's driver
}

// Plan is all that is decided about a container before anything of it is made. It depends
// on nothing but the request and the facts of the host, and has no effects: the maker
// has, and `hutch plan` prints it.
type Plan struct {
	*request
	host     *host
	cgroup   *cgroup.Plan
	settings *resource.Settings // of linux.resources
	rdt      *rdt.Group         // nil without linux.intelRdt
	record   *state.Record      // as it is before init is there
	work     workList[*maker]   // the runtime's own, at the barriers

	delegated string // path from cgroup of the one that is the container's to manage; empty for none

	input *compile.Input
	out   *compile.Output // nil before compile
}

// planUnit decides the systemd unit of a container.
func (q *request) planUnit(r *Runtime) (err error) {
	if q.manager == Systemd {
		q.unit, err = newUnit(q.bundle.linux().CgroupsPath, q.ID, r.Bus())
	}
	return err
}

// plan makes a plan, and warns of what it cannot have.
func (r *Runtime) plan(q *request, h *host) (*Plan, error) {
	p, err := newPlan(q, h)
	if err != nil {
		return nil, err
	}
	for _, name := range p.settings.Ignored() {
		r.warn(name + ": no kernel of today has this limit, ignoring")
	}
	return p, nil
}

// newPlan decides. It has no effects, and asks nothing that is not in h.
func newPlan(q *request, h *host) (_ *Plan, err error) {
	plan := &Plan{request: q, host: h}
	if err := plan.planCgroup(q); err != nil {
		return nil, err
	}
	if r := q.bundle.linux().IntelRdt; r != nil {
		if plan.rdt, err = rdt.Plan(h.resctrl, q.ID, r); err != nil {
			return nil, err
		}
	}
	plan.work = plan.parentWork() // behind what it looks at
	plan.record = plan.newRecord()
	return plan, nil
}

// newRecord returns what is written down before anything of the container exists.
func (p *Plan) newRecord() *state.Record {
	spec := p.bundle.spec
	rec := &state.Record{
		ID:          p.ID,
		Bundle:      p.bundle.dir,
		Rootfs:      p.bundle.rootfs,
		OCIVersion:  spec.Version,
		Status:      string(Creating),
		Created:     p.host.now,
		Annotations: spec.Annotations,
		HasProcess:  spec.Process != nil,
		OwnKeyring:  !p.NoNewKeyring,
		RootMount:   p.host.root.mount,
		RootFile:    p.host.root.file,
		PrivatePid:  makes(spec, specs.PIDNamespace),
		Streams:     streamNames(p.host.Std),
		Cgroup:      state.Cgroup{Driver: p.manager.String(), Paths: p.cgroup.Paths()},
	}
	if i := rootfs.OnRoot(spec.Mounts); i >= 0 {
		rec.OnRoot = cmp.Or(rootfs.Base("", spec.Mounts), spec.Mounts[i].Type)
	}
	if rec.OwnKeyring {
		rec.Keyring = p.host.keyring
	}
	if u := p.unit; u != nil {
		rec.Cgroup.Unit, rec.Cgroup.User = u.Name, u.user
	}
	if h := spec.Hooks; h != nil {
		rec.Hooks = state.Hooks{StartContainer: h.StartContainer, Poststart: h.Poststart, Poststop: h.Poststop}
	}
	for _, n := range p.bundle.linux().Namespaces {
		rec.Namespaces = append(rec.Namespaces, state.Namespace{Type: string(n.Type), Path: n.Path})
	}
	return rec
}

// streamNames names the standard streams for a checkpoint: by the time of that a process may
// have put others in their place.
func streamNames(std [3]process.StdFile) []string {
	var names [3]string
	known := false
	for i, f := range std {
		switch {
		case f.Pipe:
			names[i] = "pipe:[" + strconv.FormatUint(f.Inode, 10) + "]"
		case f.File, f.Device:
			names[i] = idOf(f.Dev, f.Inode)
		}
		known = known || names[i] != ""
	}
	if !known {
		return nil
	}
	return names[:]
}

// compile makes the program. The maker does so when the cgroups are made, since a
// container may have to go without them; shield keeps the runtime's executable out of
// reach, and is nil for a program that is not run.
func (p *Plan) compile(shield func(*program.Builder) error) (err error) {
	p.input = &compile.Input{
		Spec:       p.bundle.spec,
		Rootfs:     p.bundle.rootfs,
		Bundle:     p.bundle.dir,
		Modes:      p.host.modes,
		Links:      p.host.links,
		NoPivot:    p.NoPivot,
		HostMounts: p.host.mounts,
		Preserved:  process.Preserved(p.PreserveFds + p.ListenFds),
		Tasks:      p.tasks(),
		ListenFds:  p.ListenFds,
		Annotated:  annotated(p.bundle.spec.Annotations),
		HookFiles:  hookFiles(p.bundle.spec.Annotations),
		Fifo:       p.fifo,
		Unattended: len(p.work.at(compile.Born)) == 0,
		Shield:     shield,
		Host:       p.host.Host,
	}
	if !p.NoNewKeyring {
		p.input.Keyring = p.record.Keyring
	}
	if p.NotifySocket != "" {
		p.input.NotifyDir = filepath.Join(p.stateDir, notify.Bound)
	}
	p.input.Host.Cgroup = p.cgroupMounts()
	if p.out, err = compile.Compile(p.input); err != nil {
		return err
	}
	return p.refuseUnknownCalls()
}

// expect returns what the compiled program is to be proven against.
func (p *Plan) expect() *verify.Expect { return p.input.Expect(p.out) }

// failures returns the texts for what can fail after start, when the process that has the
// program is gone.
func (p *Plan) failures() []state.Failure {
	var out []state.Failure
	prog := p.out.Program
	for pc := p.out.Start; p.fifo && pc < len(prog.Child); pc++ {
		out = append(out, state.Failure{PC: pc, Text: prog.Failure(pc, 0).Error()})
	}
	return out
}

// hookFiles reports for which standard streams of hooks there are files.
func hookFiles(annotations map[string]string) (has compile.HookFiles) {
	files := hook.OutputOf(annotations, "/")
	return compile.HookFiles{Stdout: files.Stdout != "", Stderr: files.Stderr != ""}
}
