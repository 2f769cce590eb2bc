package life

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/config"
	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/host/criu"
	"github.com/hutch-project/hutch/internal/host/state"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/proc"
	"github.com/hutch-project/hutch/internal/program/spawn"
	"github.com/hutch-project/hutch/internal/sys"
	"github.com/hutch-project/hutch/internal/uidmap"
)

// RestoreOptions are what restore takes.
type RestoreOptions struct {
	CreateOptions
	CheckpointOptions

	TCPClose        bool   // close the connections that were established
	LSMProfile      string // as apparmor:NAME or selinux:LABEL, in the place of the former one
	LSMMountContext string // of SELinux, for the mounts
}

// restoreLog is the name of CRIU's log of a restore.
const restoreLog = "restore.log"

// Restore makes the container o.ID from the bundle, with the processes of a checkpoint in
// place of a new one, and then does as Run does. A Restore that fails leaves nothing.
func (r *Runtime) Restore(opts *RestoreOptions) (status int, retErr error) {
	defer func() { retErr = named("restore", opts.ID, retErr) }()
	rs := &restoration{o: *opts, images: -1, work: -1}
	defer rs.close()
	if err := rs.begin(); err != nil {
		return -1, err
	}
	if opts.Embed == nil {
		if err := subreaper(&opts.CreateOptions); err != nil {
			return -1, err
		}
	}
	create := opts.CreateOptions
	create.NoPivot = false
	mk, err := r.newMaker(&create, false, rs.steps)
	if err != nil {
		return -1, unnamed(err)
	}
	mk.operation, mk.restored = "restore", true
	defer mk.close()
	if err := mk.create(); err != nil {
		return -1, unnamed(err)
	}
	steps := []step{{"", mk.unlock}, {"", mk.poststart}}
	if opts.Embed == nil {
		steps = append([]step{{"", mk.connect}}, steps...)
	}
	if err := mk.run(steps); err != nil {
		return -1, err
	}
	if opts.Embed != nil {
		mk.undo = nil
		mk.guard.end()
		opts.Embed.take(mk.child, &mk.console.master)
		return 0, nil
	}
	return mk.attend(&create)
}

// unnamed takes the operation and the id off an error that gets them again.
func unnamed(err error) error { return errors.Unwrap(err) }

// poststart runs the poststart hooks of a restored container, whose process runs.
func (m *maker) poststart() (undo func(), err error) { return nil, m.c.poststart() }

// errOnRoot returns the error of a container that has what is there mounted on "/".
func errOnRoot(what string) error {
	return fmt.Errorf("mounts: %s is mounted on /, in the place of root.path, which CRIU is not told of; name it in root.path instead", fault.Name(what))
}

// restoration is how the init of a restore comes to be.
type restoration struct {
	o            RestoreOptions
	m            *maker
	program      *criu.Program
	out          *outside
	images, work int
	req          criu.Options
	inherit      []int // descriptors for CRIU
	opened       []int // of them, those to be closed
	stage        criu.Stage
	bounds       []bound
	root         shown
	fresh        []fresh
	keyring      int64
	adopted      bool
	worker       int // process id of CRIU
}

// begin looks for what cannot be, before anything is done.
func (rs *restoration) begin() (err error) {
	if rs.o.NoPivot {
		return errors.New("--no-pivot: CRIU changes the root by pivot_root itself, and knows no other way; leave it out")
	}
	if rootfs.Chrooted() {
		return errors.New("in a chroot, whose root alone CRIU's pivot_root takes away: the host's tree would stay in the container's mount namespace; " +
			"restore it from outside")
	}
	if rs.program, err = rs.o.find(); err != nil {
		return err
	}
	for _, lsm := range []struct{ flag, value string }{{"--lsm-profile", rs.o.LSMProfile}, {"--lsm-mount-context", rs.o.LSMMountContext}} {
		if lsm.value == "" {
			continue
		}
		if err := rs.program.Need(lsm.flag, criuLSM); err != nil {
			return err
		}
	}
	if err := rs.o.fill(&rs.req, rs.program); err != nil {
		return err
	}
	rs.req.TCPClose, rs.req.LSMProfile, rs.req.LSMMountContext = rs.o.TCPClose, rs.o.LSMProfile, rs.o.LSMMountContext
	if err := rs.open(); err != nil {
		return err
	}
	rs.req.Log = restoreLog
	rs.out, err = readOutside(rs.images, rs.o.ImagePath)
	return err
}

// open opens the directories of images and logs, again in CRIU's mount namespace: it mounts
// something in one, which is not allowed in another's.
func (rs *restoration) open() (err error) {
	rs.closeDirs()
	rs.images, rs.work, err = rs.o.dirs(false)
	rs.req.Images, rs.req.Work = rs.images, rs.work
	return err
}

// guard proves the directories that are open.
func (rs *restoration) guard() error {
	owner := -1
	if has(rs.m.bundle.spec, specs.UserNamespace) {
		owner = int(uidmap.OutsideOr(rs.m.bundle.linux().UIDMappings, 0, 0))
	}
	return rs.o.guard(rs.images, rs.work, owner)
}

func (rs *restoration) closeDirs() {
	for _, fd := range []*int{&rs.images, &rs.work} {
		if *fd >= 0 {
			unix.Close(*fd)
			*fd = -1
		}
	}
}

func (rs *restoration) close() {
	rs.closeDirs()
	for _, fd := range rs.opened {
		unix.Close(fd)
	}
}

// steps is the initializer of a restore.
func (rs *restoration) steps(m *maker) []step {
	rs.m = m
	return []step{
		{"", func() (func(), error) { return nil, rs.guard() }},
		// Before CRIU, which gets what it opens.
		{"join namespaces", rs.join},
		{"", m.listen}, // before the process goes on, which may have a word to say
		{"restore", rs.restore},
		// Behind CRIU's end, which is in the container's own cgroup.
		{"", rs.handOver},
	}
}

// handOver hands the container its cgroup: CRIU has put the processes there where they were, and
// hands no controllers on.
func (rs *restoration) handOver() (undo func(), err error) {
	if rs.m.plan.delegated == "" {
		return nil, nil
	}
	return nil, rs.m.handOver(0)
}

// join opens the namespaces that the restored container joins, and hands on the streams.
func (rs *restoration) join() (undo func(), err error) {
	keys := map[string]string{}
	for _, n := range rs.out.Namespaces {
		keys[n.Type] = n.Key
	}
	for i, ns := range rs.m.bundle.linux().Namespaces {
		kind, err := joinable(string(ns.Type))
		if ns.Path == "" {
			if keys[string(ns.Type)] != "" {
				return nil, fmt.Errorf("linux.namespaces[%d]: the checkpoint is of a container that had joined a %s namespace, whose content is not in it; give a path", i, ns.Type)
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if kind.external && keys[string(ns.Type)] == "" {
			return nil, fmt.Errorf("linux.namespaces[%d]: the checkpoint is of a container with a %s namespace of its own, and cannot be restored into one that exists; leave the path out", i, ns.Type)
		}
		fd, err := unix.Open(ns.Path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("linux.namespaces[%d]: open %s: %w", i, ns.Path, err)
		}
		rs.opened = append(rs.opened, fd)
		if kind.external {
			rs.hand(keys[string(ns.Type)], fd)
			continue
		}
		file := fmt.Sprintf("/proc/%d/fd/%d", unix.Getpid(), fd)
		rs.req.Join = append(rs.req.Join, criu.JoinedNS{Type: kind.file, File: file})
	}
	handed := map[string]bool{}
	for i, key := range rs.out.Streams {
		if key != "" && !handed[key] {
			handed[key] = true
			fd := i
			if e := rs.m.Embed; e != nil {
				fd = e.Streams[i]
			}
			rs.hand(key, fd)
		}
	}
	return nil, nil
}

// hand gives CRIU the descriptor fd for the key.
func (rs *restoration) hand(key string, fd int) {
	rs.req.Inherit = append(rs.req.Inherit, criu.InheritedFd{Key: key, Fd: criu.FirstInherited + len(rs.inherit)})
	rs.inherit = append(rs.inherit, fd)
}

// restore has CRIU bring the processes back. Until the restored init is there CRIU itself
// stands for it in the record: who takes the container back ends that.
func (rs *restoration) restore() (undo func(), err error) {
	mk := rs.m
	// Processes of a user namespace come by, who may not pass the directory of the state.
	rs.stage.Dir = mk.stateDir
	if has(mk.bundle.spec, specs.UserNamespace) {
		rs.stage.Dir = "/tmp"
	}
	rs.req.Root = rs.stage.RootPath()
	if rs.req.Config, err = configFile(mk.bundle.spec.Annotations); err != nil {
		return nil, err
	}
	dropLog(rs.images, rs.work, restoreLog)
	stdio := [3]int{-1, -1, -1}
	if rs.o.ShellJob {
		stdio = [3]int{0, 1, 2}
	}
	worker, err := rs.program.Start(&criu.StartOptions{Stdio: stdio, Inherit: rs.inherit, Prepare: rs.prepare})
	if err != nil {
		return nil, err
	}
	defer worker.Close()
	pidfd, err := unix.PidfdOpen(worker.Pid, 0)
	if err != nil {
		return nil, fmt.Errorf("pidfd_open: %w", err)
	}
	mk.child, rs.worker = spawn.Follow(worker.Pid, pidfd), worker.Pid
	undo = func() { mk.killInit(); mk.undoScope() }
	if err := mk.guard.watch(mk.Embed, mk.child, nil); err != nil {
		return undo, err
	}
	mk.plan.record.KeyringSerial = rs.keyring
	if err := rs.enter(); err != nil {
		return undo, err
	}
	pid, err := worker.Do(criu.Restore, &rs.req, rs.notify)
	if err != nil {
		return undo, rs.o.explain(err, rs.program, rs.images, rs.work, restoreLog)
	}
	if pid != mk.child.Pid {
		return undo, fmt.Errorf("CRIU has restored process %d, and said before that it is %d", pid, mk.child.Pid)
	}
	if mk.plan.settings.HasDeferred() {
		if err := mk.setDeferred(); err != nil {
			return undo, err
		}
	}
	return undo, rs.record()
}

// enter puts CRIU into the container's cgroups, in which its children are born then.
func (rs *restoration) enter() error {
	mk := rs.m
	if err := mk.recordPid(); err != nil {
		return err
	}
	if mk.plan.rdt != nil {
		if err := mk.joinRdt(); err != nil {
			return err
		}
	}
	if mk.plan.unit != nil {
		if err := mk.startScope(); err != nil {
			return err
		}
	} else if err := mk.plan.cgroup.Enter(mk.child.Pid); err != nil {
		return err
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", mk.child.Pid))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) == 3 {
			rs.req.CgroupRoots = append(rs.req.CgroupRoots, criu.CgroupRoot{Controller: f[1], Path: f[2]})
		}
	}
	return nil
}

// notify does what is the runtime's at a step of CRIU.
func (rs *restoration) notify(note criu.Notification) error {
	m := rs.m
	m.r.debug("restore " + m.ID + ": CRIU is at " + note.Script)
	m.trace.Phase("CRIU: " + note.Script)
	if note.Script == "orphan-pts-master" && note.Fd >= 0 {
		return rs.terminal(note.Fd)
	}
	if note.Fd >= 0 {
		unix.Close(note.Fd)
	}
	switch note.Script {
	case "setup-namespaces":
		return rs.namespaces(note.Pid)
	case "post-restore":
		return rs.restored(note.Pid)
	case "pre-resume": // all that CRIU restores is so from here on, and stands still
		err := rs.confine()
		if err != nil {
			rs.stop()
		}
		return err
	}
	return nil
}

// confine gives what is restored the options of the configuration that CRIU does not know, and
// proves the rest.
func (rs *restoration) confine() error {
	if has(rs.m.bundle.spec, specs.MountNamespace) {
		if err := rs.setMounts(); err != nil {
			return err
		}
	}
	return rs.proveRestored()
}

// stop ends what is restored, which would go on: CRIU does not take back any more. It waits
// for nothing, since CRIU may wait for an answer.
func (rs *restoration) stop() {
	m := rs.m
	_ = unix.PidfdSendSignal(m.child.Pidfd, unix.SIGKILL, nil, 0)
	if !m.plan.record.Cgroup.Own {
		return
	}
	pids, err := m.c.cg.Pids()
	m.r.warnIf(err)
	for _, pid := range pids {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

// terminal takes the master of the container's terminal.
func (rs *restoration) terminal(fd int) (err error) {
	m := rs.m
	if m.ConsoleSocket == "" && (m.Detach && m.Embed == nil || m.console.master != nil) {
		unix.Close(fd)
		return errors.New("the checkpoint has a terminal: give --console-socket, or restore it without --detach")
	}
	m.console.master, err = takeTerminal(fd, m.ConsoleSocket, m.child.Pidfd)
	return err
}

// namespaces is called when the restored init is in its namespaces, before anything is
// restored in it.
func (rs *restoration) namespaces(pid int) error {
	m := rs.m
	if err := rs.adopt(pid); err != nil {
		return err
	}
	l := m.bundle.linux()
	if len(l.NetDevices) > 0 {
		if err := m.moveDevices(); err != nil {
			return err
		}
	}
	return m.plan.work.do(compile.Hooks, m)
}

// adopt follows the restored init, which is a child of this process, in place of CRIU.
func (rs *restoration) adopt(pid int) error {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("CRIU says that init is process %d: pidfd_open: %w", pid, err)
	}
	if err := sys.IsChild(pidfd); err != nil {
		unix.Close(pidfd)
		return fmt.Errorf("CRIU says that init is process %d, which is no child of this one: waitid: %w", pid, err)
	}
	rs.m.child.Close()
	rs.m.child = spawn.Follow(pid, pidfd)
	rs.adopted = true
	if err := rs.m.guard.watch(rs.m.Embed, rs.m.child, nil); err != nil {
		return err
	}
	return rs.m.recordPid()
}

// restored is called when all is restored and nothing goes on yet.
func (rs *restoration) restored(pid int) error {
	if !rs.adopted || pid != rs.m.child.Pid {
		return fmt.Errorf("CRIU says that init is process %d, and has not said so before", pid)
	}
	return nil
}

// record writes down what later commands need.
func (rs *restoration) record() error {
	mk := rs.m
	rec, text := mk.plan.record, mk.bundle.text
	rec.Process = string(config.Excerpt(text, compile.LinuxOfProcess()))
	rec.Resources = string(config.ResourcesExcerpt(text))
	// CRIU gives processes a time namespace, in which their clocks go on.
	inside, err := fileID(nsFile(mk.child.Pid, "time"))
	outside, e := fileID("/proc/self/ns/time")
	if err == nil && e == nil && inside != outside && !has(mk.bundle.spec, specs.TimeNamespace) {
		rec.Namespaces = append(rec.Namespaces, state.Namespace{Type: string(specs.TimeNamespace)})
	}
	if proc.EndedBeforeExec(rec.Pid, rec.PidStart) {
		return nil // it goes on already, and came to its end: nothing of this is needed any more
	}
	return mk.recordPid() // with the namespaces that it is in now
}
