package life

import (
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/host/selfexe"
	"github.com/hutch-project/hutch/internal/host/state"
	"github.com/hutch-project/hutch/internal/nofile"
	"github.com/hutch-project/hutch/internal/part/capability"
	"github.com/hutch-project/hutch/internal/part/lsm"
	"github.com/hutch-project/hutch/internal/part/process"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/seat"
)

// compile makes the program.
func (b *build) compile() error {
	// A plan is of a runtime that has everything.
	last, held, modules := capability.Last(), ^uint64(0), lsm.Host{AppArmor: true, SELinux: true}
	var err error
	if !b.planning {
		modules = askLSM(b.spec.Process)
		if last, held, err = b.r.capabilities(b.spec.Process, has(b.spec, specs.UserNamespace)); err != nil {
			return err
		}
	}
	mounts, err := b.hostMounts()
	if err != nil {
		return err
	}
	cgroups, err := b.cgroupMounts()
	if err != nil {
		return err
	}
	in := &compile.Input{
		Spec:       b.spec,
		Rootfs:     b.rootfs(),
		Bundle:     b.o.Bundle,
		Modes:      rootfs.PointModes(b.rootfs(), b.spec.Mounts),
		NoPivot:    b.o.NoPivot,
		HostMounts: mounts,
		Keyring:    b.keyring(),
		Preserved:  process.Preserved(b.o.PreserveFds + b.o.ListenFds),
		Tasks:      b.tasks(),
		ListenFds:  b.o.ListenFds,
		NotifyDir:  b.notifyDir,
		KeepGroups: keepsGroups(b.spec.Annotations),
		Fifo:       b.fifo,
		Unattended: b.unattended(),
		Host: compile.Host{
			Privileged:  seat.Mounts(),
			Nested:      seat.Nested(),
			NoNodes:     !seat.MakesNodes(),
			User:        !seat.HostRoot() && !seat.Capable(unix.CAP_SYS_PTRACE),
			Cgroup:      cgroups,
			Ignored:     process.IgnoredSignals(),
			LastCap:     last,
			HeldCaps:    held,
			LSM:         modules,
			Std:         process.StdFiles(),
			FewFiles:    fewFiles(),
			ProcOfPidNS: joinsPid(b.spec) && !b.planning && procOfPidNS(),
		},
	}
	if !b.planning {
		in.Shield = func(p *program.Builder) (err error) {
			b.link, err = selfexe.Shield(p)
			return err
		}
	}
	if b.out, err = compile.Compile(in); err != nil {
		return err
	}
	if b.planning {
		b.expect = in.Expect(b.out)
	}
	if n := b.out.UnknownCalls; len(n) > 0 {
		b.r.debug("linux.seccomp: no architecture of the profile has " + strings.Join(n, ", ") + ", ignoring")
	}
	return nil
}

// keepsGroups reports whether the container's processes have the groups of the caller.
//
// Source: crun(1), "run.oci.keep_original_groups".
func keepsGroups(annotations map[string]string) bool {
	_, ok := annotations["run.oci.keep_original_groups"]
	return ok
}

// fewFiles reports whether the limit of open files is so low that the descriptors of an
// ordinary container would not all be open at once.
func fewFiles() bool {
	const ordinary = 256
	_, hard := nofile.Inherited()
	return hard < ordinary
}

// tasks is the number of cgroups that init enters by itself.
func (b *build) tasks() int {
	if b.scope != nil {
		return 0 // systemd moves it
	}
	n := 0
	for name := range b.cg.Paths() {
		if name != "" {
			n++
		}
	}
	return n
}

// joinsPid reports whether the container is to be in a pid namespace that exists.
func joinsPid(s *specs.Spec) bool {
	return s.Linux != nil && slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
		return n.Type == specs.PIDNamespace && n.Path != ""
	})
}

// procOfPidNS reports whether the kernel can mount a procfs for a pid namespace that the
// caller is not in, which it can from Linux 6.18 on.
//
// Source: kernel filesystems/proc.rst, "pidns".
func procOfPidNS() bool {
	ctx, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return false
	}
	defer unix.Close(ctx)
	ns, err := unix.Open("/proc/self/ns/pid", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(ns)
	return unix.FsconfigSetFd(ctx, "pidns", ns) == nil
}

// unattended says that born does no more than to record init.
func (b *build) unattended() bool {
	return b.scope == nil && b.rdt == nil && !b.limit.HasDeferred() && !has(b.spec, specs.UserNamespace) && !b.lateScore() && (b.spec.Linux == nil || len(b.spec.Linux.NetDevices) == 0)
}

// lateScore reports whether the runtime sets process.oomScoreAdj of init, which may be
// refused to it.
func (b *build) lateScore() bool {
	return seat.Nested() && b.spec.Process != nil && b.spec.Process.OOMScoreAdj != nil
}

// capabilities are the kernel's highest one and the set that the runtime can give
// p. It warns of those that are asked for beyond that.
func (r *Runtime) capabilities(p *specs.Process, userns bool) (last int, held uint64, err error) {
	last = capability.Last()
	if p == nil || p.Capabilities == nil {
		return last, 0, nil
	}
	if held, err = capability.Held(); err != nil {
		return 0, 0, err
	}
	if !userns {
		if missing := capability.NotGranted(p.Capabilities, last, held); len(missing) > 0 {
			tell := r.warn
			if len(p.Capabilities.Inheritable) == 0 { // as Buildah always writes it
				tell = r.note
			}
			tell("process.capabilities: cannot be granted in the ambient set without the permitted and inheritable ones, nor when the runtime lacks them: " +
				strings.Join(missing, ", ") + ", ignoring")
		}
	}
	return last, held, nil
}

// afterStart are the words for what can fail after start, when the process that
// has the program is gone.
func (b *build) afterStart() []state.Failure {
	var out []state.Failure
	p := b.out.Program
	for pc := b.out.Start; b.fifo && pc < len(p.Child); pc++ {
		out = append(out, state.Failure{PC: pc, Text: p.Failure(pc, 0).Error()})
	}
	return out
}

// askLSM asks for the security modules only when a label is set.
func askLSM(p *specs.Process) lsm.Host {
	if p == nil || p.ApparmorProfile == "" && p.SelinuxLabel == "" {
		return lsm.Host{}
	}
	return lsm.Ask()
}

// has says whether the configuration has a namespace of the kind, new or joined.
func has(s *specs.Spec, kind specs.LinuxNamespaceType) bool {
	return s.Linux != nil && slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == kind })
}
