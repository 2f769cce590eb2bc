package life

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/host/idmap"
	"github.com/hutch-project/hutch/internal/host/selfexe"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/spawn"
	"github.com/hutch-project/hutch/internal/seat"
	"github.com/hutch-project/hutch/internal/uidmap"
)

// AddMounts makes mounts in the container id, which is created, running or paused.
func (r *Runtime) AddMounts(id string, mounts []specs.Mount) error {
	return named("mounts add", id, r.mounts(id, mounts, true))
}

// RemoveMounts takes mounts in the container id away; of each its destination counts.
func (r *Runtime) RemoveMounts(id string, mounts []specs.Mount) error {
	return named("mounts remove", id, r.mounts(id, mounts, false))
}

// mounting is a change of the mounts of a container.
type mounting struct {
	c     *container
	spec  *specs.Spec // its mounts, and the mappings of the container
	root  *rootfs.Root
	child *spawn.Child
}

func (r *Runtime) mounts(id string, mounts []specs.Mount, add bool) (err error) {
	// Without its lock: what the container has mounted may keep the process waiting.
	ctr, err := r.open(id, false)
	if err != nil {
		return err
	}
	defer ctr.close()
	pidfd, err := ctr.pidfd()
	if err != nil {
		return err
	}
	if s := ctr.status(); pidfd < 0 || s == Stopped || s == Creating {
		return fmt.Errorf("the container is %s: it has to be created, running or paused", s)
	}
	defer unix.Close(pidfd)
	init := ctr.init(pidfd)
	if init.Flags&unix.CLONE_NEWNS == 0 {
		return errors.New("the container has no mount namespace of its own, whose mounts these would be")
	}
	m := &mounting{c: ctr, spec: &specs.Spec{Mounts: mounts}}
	if err := m.prepare(init.Flags, add); err != nil {
		return err
	}
	return m.run(&init, add)
}

// prepare checks the mounts, and completes them.
func (m *mounting) prepare(flags uint64, add bool) error {
	linuxPart := &specs.Linux{}
	if flags&unix.CLONE_NEWUSER != 0 {
		var err error
		if linuxPart.UIDMappings, err = uidmap.Of(m.c.rec.Pid, "uid_map"); err != nil {
			return err
		}
		if linuxPart.GIDMappings, err = uidmap.Of(m.c.rec.Pid, "gid_map"); err != nil {
			return err
		}
		linuxPart.Namespaces = []specs.LinuxNamespace{{Type: specs.UserNamespace}}
	}
	m.spec.Linux = linuxPart
	if err := rootfs.CheckRunning(m.spec.Mounts, add, len(linuxPart.Namespaces) > 0); err != nil {
		return err
	}
	if !add {
		return nil
	}
	if err := idmapOptions(m.spec); err != nil {
		return err
	}
	c := check.New(m.spec, false)
	if err := errors.Join(rootfs.CheckMounts(c), c.First()); err != nil {
		return err
	}
	for i := range m.spec.Mounts {
		if mount := &m.spec.Mounts[i]; rootfs.IsBind(mount) && !filepath.IsAbs(mount.Source) {
			return fmt.Errorf("mounts[%d].source: %q is no absolute path; give one", i, mount.Source)
		}
	}
	return nil
}

// run makes the process that does it, and serves it to its end.
func (m *mounting) run(init *namespace.Init, add bool) error {
	var link *selfexe.Link
	in := &compile.MountsInput{
		Init: *init, Mounts: m.spec.Mounts, Add: add, Rootfs: m.c.rec.Rootfs, Privileged: seat.Mounts(),
		RootUID: int(uidmap.OutsideOr(m.spec.Linux.UIDMappings, 0, 0)), RootGID: int(uidmap.OutsideOr(m.spec.Linux.GIDMappings, 0, 0)),
		Shield: func(b *program.Builder) (err error) {
			link, err = selfexe.Shield(b)
			return err
		},
	}
	if add {
		in.Links = rootfs.Links(m.spec.Mounts)
	}
	prog, root, err := compile.Mounts(in)
	if err != nil {
		return err
	}
	m.root = root
	done, err := m.openIdmaps(prog)
	if err != nil {
		return err
	}
	defer done()
	unlink, err := link.Open(prog)
	if err != nil {
		return err
	}
	defer unlink()
	if m.child, err = spawnHidden(prog, &spawn.Options{Cgroup: -1, Fault: testFault}); err != nil {
		return err
	}
	defer m.child.Close()
	if err := m.server().serve(); err != nil {
		m.child.Kill() // it waits at its barrier
		return err
	}
	_, err = m.child.Wait()
	return err
}

// server serves the process until it has said that all is done.
func (m *mounting) server() *server {
	s := newServer("the process", m.child, m.c.cg)
	s.handlers = append(m.handlers(), s.executes())
	return s
}

// handlers returns those of the messages of the process.
func (m *mounting) handlers() []handler {
	target := func(e spawn.Event) (answer, error) {
		_, err := m.root.Handle(m.child, e)
		return release, err
	}
	return []handler{
		{tag: compile.Joined, doing: "see that init has left none of its namespaces", serve: func(spawn.Event) (answer, error) {
			return release, stayed(m.c.rec)
		}},
		{tag: rootfs.TargetTag, below: rootfs.CopyUpTag, doing: "make the mount point", serve: target},
	}
}

// openIdmaps makes the user namespaces of idmapped mounts, or opens the container's.
func (m *mounting) openIdmaps(prog *program.Program) (done func(), err error) {
	var files []*os.File
	done = func() {
		for _, f := range files {
			f.Close()
		}
	}
	for _, row := range m.root.Idmaps {
		var file *os.File
		if len(row.UIDs) > 0 {
			file, err = idmap.UserNS(row.UIDs, row.GIDs)
		} else {
			file, err = os.Open(nsFile(m.c.rec.Pid, "user"))
		}
		if err != nil {
			done()
			return nil, fmt.Errorf("mounts[%d].uidMappings: %w", row.Mount, err)
		}
		files = append(files, file)
		prog.Set(row.Fd, int64(file.Fd()))
	}
	return done, nil
}
