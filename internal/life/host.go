package life

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/rdt"
	"github.com/hutch-project/hutch/internal/host/systemd"
	"github.com/hutch-project/hutch/internal/mountinfo"
	"github.com/hutch-project/hutch/internal/nofile"
	"github.com/hutch-project/hutch/internal/part/capability"
	"github.com/hutch-project/hutch/internal/part/keyring"
	"github.com/hutch-project/hutch/internal/part/lsm"
	"github.com/hutch-project/hutch/internal/part/process"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/probe"
	"github.com/hutch-project/hutch/internal/seat"
)

// host is what the running system is asked for one container, before anything of that
// container is there. A plan is made of it and asks nothing further.
type host struct {
	compile.Host

	layout  *cgroup.Layout    // nil where no cgroup matters
	bus     *systemd.Conn     // nil without systemd's driver, and for a plan that is not run
	systemd int               // its version
	slices  string            // the cgroup that systemd's slices are in
	resctrl string            // where the resctrl file system is mounted
	modes   map[int]uint32    // see rootfs.PointModes
	links   map[int]string    // see rootfs.Links
	mounts  []mountinfo.Mount // with --no-pivot
	root    sharedRoot        // of a container without a mount namespace
	keyring string            // a new name for a session keyring
	now     time.Time
}

// usualSystemd is the version that a plan which is not run is for.
const usualSystemd = 255

// askHost asks the running system. The caller closes what it returns.
func (r *Runtime) askHost(req *request) (_ *host, err error) {
	answers := &host{now: time.Now().UTC()}
	defer func() {
		if err != nil {
			answers.close()
		}
	}()
	if err := answers.askAny(req); err != nil {
		return nil, err
	}
	if req.unit != nil {
		if err := answers.askSystemd(r, req.unit.user); err != nil {
			return nil, err
		}
	}
	if req.bundle.linux().IntelRdt != nil {
		if answers.resctrl = r.Resctrl; answers.resctrl == "" {
			if answers.resctrl, err = rdt.Root(); err != nil {
				return nil, err
			}
		}
	}
	if !req.NoNewKeyring {
		if answers.keyring, err = keyring.NewName(); err != nil {
			return nil, err
		}
	}
	if answers.root, err = askSharedRoot(req.bundle); err != nil {
		return nil, err
	}
	spec := req.bundle.spec
	answers.LSM = askLSM(spec.Process)
	if l := req.bundle.linux(); len(l.MaskedPaths) > 0 {
		answers.NoNull = errors.Is(unix.Access("/dev/null", unix.F_OK), unix.ENOENT)
	}
	answers.ProcOfPidNS = joins(spec, specs.PIDNamespace) && probe.ProcOfPidNS()
	if answers.LastCap, answers.HeldCaps, err = r.capabilities(spec.Process, has(spec, specs.UserNamespace)); err != nil {
		return nil, err
	}
	if req.NoPivot && makes(spec, specs.MountNamespace) {
		text, err := rootfs.ReadMountInfo(answers.Chrooted)
		if err != nil {
			return nil, fmt.Errorf("--no-pivot: %w", err)
		}
		answers.mounts = mountinfo.Parse(text)
	}
	return answers, nil
}

// usualHost returns the host of a plan that is not run: what only root could ask, and what
// belongs to one container, is taken to be as on a usual host, of a runtime that has
// everything.
func usualHost(q *request) (*host, error) {
	h := &host{now: time.Now().UTC(), systemd: usualSystemd, resctrl: "/sys/fs/resctrl", keyring: keyring.Planned}
	h.LastCap, h.HeldCaps, h.LSM = capability.Last(), ^uint64(0), lsm.Host{AppArmor: true, SELinux: true}
	if err := h.askAny(q); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// askAny asks what everybody may ask.
func (h *host) askAny(req *request) (err error) {
	spec := req.bundle.spec
	if req.manager != Disabled || mountsCgroup(spec) {
		if h.layout, err = cgroup.Detect(cgroup.Root); err != nil {
			return err
		}
	}
	h.Denied = seat.Calls()
	req.NoNewKeyring = req.NoNewKeyring || h.Denied.Keyctl
	h.Privileged, h.Nested, h.NoNodes = seat.Mounts(), seat.Nested(), !seat.MakesNodes()
	h.User = !seat.HostRoot() && !seat.Capable(unix.CAP_SYS_PTRACE)
	h.Ignored, h.Std, h.FewFiles = process.IgnoredSignals(), req.Embed.std(), fewFiles()
	h.ManyFiles = req.Embed != nil
	h.Chrooted = rootfs.Chrooted()
	h.links = rootfs.Links(spec.Mounts)
	h.modes = rootfs.PointModes(req.bundle.rootfs, spec.Mounts)
	return nil
}

// askSystemd connects to the service manager.
func (h *host) askSystemd(r *Runtime, user bool) (err error) {
	if h.bus, err = r.dialSystemd(user); err != nil {
		return err
	}
	if h.slices, err = h.bus.Root(); err != nil {
		return err
	}
	h.systemd, err = h.bus.Version()
	return err
}

// close lets go of what was opened to ask. A nil host may be closed.
func (h *host) close() {
	if h == nil {
		return
	}
	if h.layout != nil {
		h.layout.Close()
	}
	if h.bus != nil {
		h.bus.Close()
	}
}

// fewFiles reports whether the limit of open files is so low that the descriptors of an
// ordinary container would not all be open at once.
func fewFiles() bool {
	const ordinary = 256
	_, hard := nofile.Inherited()
	return hard < ordinary
}

// mountsCgroup reports whether a mount shows the container cgroups.
func mountsCgroup(s *specs.Spec) bool {
	return slices.ContainsFunc(s.Mounts, func(m specs.Mount) bool {
		return m.Type == "cgroup" || m.Type == "cgroup2"
	})
}

// capabilities returns the kernel's highest one and the set that the runtime can grant p.
// It warns of those that are asked for beyond that.
func (r *Runtime) capabilities(proc *specs.Process, userns bool) (last int, held uint64, err error) {
	last = capability.Last()
	if proc == nil || proc.Capabilities == nil {
		return last, 0, nil
	}
	if held, err = capability.Held(); err != nil {
		return 0, 0, err
	}
	granted := held
	if userns { // there the process has all of them
		granted = math.MaxUint64
	}
	missing, ambient := capability.NotGranted(proc.Capabilities, last, granted)
	if len(missing) > 0 {
		r.warn("process.capabilities: the runtime lacks, and cannot grant: " + strings.Join(missing, ", ") + ", ignoring")
	}
	if len(ambient) > 0 {
		report := r.warn
		if len(proc.Capabilities.Inheritable) == 0 { // as Buildah always writes it
			report = r.note
		}
		for _, name := range ambient {
			report("process.capabilities.ambient: can't raise ambient capability " + name + ": it is not both permitted and inheritable, ignoring")
		}
	}
	return last, held, nil
}

// askLSM asks for the security modules only when a label is set.
func askLSM(p *specs.Process) lsm.Host {
	if p == nil || p.ApparmorProfile == "" && p.SelinuxLabel == "" {
		return lsm.Host{}
	}
	return lsm.Ask()
}
