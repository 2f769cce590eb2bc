package libcontainer

import (
	"os"

	"hutch/libcontainer/capability"
	"hutch/libcontainer/compile"
	"hutch/libcontainer/lsm"
	"hutch/libcontainer/process"
	"hutch/libcontainer/program"
	"hutch/libcontainer/selfexe"
	"hutch/libcontainer/state"
)

// compile makes the program.
func (b *build) compile() error {
	in := &compile.Input{
		Spec:         b.spec,
		ID:           b.o.ID,
		Rootfs:       b.rootfs(),
		NoPivot:      b.o.NoPivot,
		NoNewKeyring: b.o.NoNewKeyring,
		PreserveFds:  b.o.PreserveFds,
		ListenFds:    b.o.ListenFds,
		NotifyDir:    b.notifyDir,
		Fifo:         b.fifo,
		Host: compile.Host{
			Privileged: os.Geteuid() == 0 || b.planning,
			Cgroup:     cgroupMounts(b.cg),
			Ignored:    process.IgnoredSignals(),
			LastCap:    capability.Last(),
			LSM:        b.lsm(),
		},
	}
	if !b.planning {
		in.Shield = func(p *program.Builder) (err error) {
			b.link, err = selfexe.Shield(p)
			return err
		}
	}
	var err error
	b.out, err = compile.Compile(in)
	return err
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

// lsm asks for the security modules only when a label is set.
func (b *build) lsm() lsm.Host {
	p := b.spec.Process
	if p == nil || p.ApparmorProfile == "" && p.SelinuxLabel == "" {
		return lsm.Host{}
	}
	if b.planning {
		return lsm.Host{AppArmor: true, SELinux: true}
	}
	return lsm.Ask()
}
