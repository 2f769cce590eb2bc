package life

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/criu"
	"github.com/hutch-project/hutch/internal/mountinfo"
	"github.com/hutch-project/hutch/internal/part/namespace"
)

// DumpOptions are what checkpoint takes beside the id.
type DumpOptions struct {
	CheckpointOptions

	ParentPath      string // the former images of a chain, from the directory of these
	PreDump         bool   // write down the memory alone, and let the container run
	LeaveRunning    bool
	TCPSkipInFlight bool
	LinkRemap       bool
	PageServer      string // ADDRESS:PORT that takes the memory
	StatusFd        int    // gets a zero byte when the server of lazy pages is ready; -1 is none
}

// dumpLog is the name of CRIU's log of a checkpoint.
const dumpLog = "dump.log"

// Checkpoint writes the processes of the container id down in images, and deletes the
// container, unless it is to go on running. A checkpoint that fails leaves it running.
func (r *Runtime) Checkpoint(id string, o *DumpOptions) error {
	own := *o
	return r.change(id, "checkpoint", func(c *container) error { return c.checkpoint(&own) })
}

// dump is a checkpoint that is being made.
type dump struct {
	c       *container
	o       *DumpOptions
	program *criu.Program
	req     criu.Options
	out     outside
}

func (c *container) checkpoint(opts *DumpOptions) error {
	status := c.status()
	if status != Running && status != Paused {
		//lint:ignore ST1005 runc's words
		return fmt.Errorf("Container cannot be checkpointed in %s state", status)
	}
	dumping := &dump{c: c, o: opts}
	if err := dumping.check(); err != nil {
		return err
	}
	phase("checked")
	images, work, err := opts.dirs(true)
	if err != nil {
		return err
	}
	defer unix.Close(images)
	if work >= 0 {
		defer unix.Close(work)
	}
	if err := opts.guard(images, work, rootOf(c.rec.Pid)); err != nil {
		return err
	}
	dumping.req.Images, dumping.req.Work, dumping.req.Log = images, work, dumpLog
	if err := dumping.parent(); err != nil {
		return err
	}
	if !opts.PreDump {
		dumping.warnOfNotDumped()
		if err := dumping.outside(); err != nil {
			return err
		}
		if err := dumping.out.save(images, opts.ImagePath); err != nil {
			return fmt.Errorf("--image-path: %w", err)
		}
		phase("saved")
	}
	if err := dumping.run(status == Paused); err != nil {
		return err
	}
	phase("dumped")
	if opts.LeaveRunning || opts.PreDump {
		return nil
	}
	// Its processes have been ended by CRIU; what they leave goes as with a delete.
	if err := c.end(); err != nil {
		return err
	}
	phase("ended")
	return c.destroy()
}

// phase is where a test may end a checkpoint.
func phase(name string) {
	if testPhase != nil {
		testPhase(name)
	}
}

// check looks for what cannot be, before anything is done.
func (d *dump) check() (err error) {
	opts := d.o
	if opts.StatusFd >= 0 {
		flags, err := unix.FcntlInt(uintptr(opts.StatusFd), unix.F_GETFL, 0)
		if err != nil {
			return fmt.Errorf("invalid --status-fd argument %d: %w", opts.StatusFd, err)
		}
		if flags&unix.O_ACCMODE == unix.O_RDONLY {
			return fmt.Errorf("invalid --status-fd argument %d: not writable", opts.StatusFd)
		}
	}
	if d.req.PageServer, d.req.PagePort, err = pageServer(opts.PageServer); err != nil {
		return err
	}
	for _, n := range d.c.rec.Namespaces {
		if n.Path == "" {
			continue
		}
		if _, err := joinable(n.Type); err != nil {
			return err
		}
	}
	if d.program, err = opts.find(); err != nil {
		return err
	}
	if err := opts.fill(&d.req, d.program); err != nil {
		return err
	}
	if at := d.c.rec.OnRoot; at != "" {
		return errOnRoot(at)
	}
	d.req.Pid = d.c.rec.Pid
	d.req.Root = d.c.rec.Rootfs
	d.req.LeaveRunning, d.req.TCPSkipInFlight, d.req.LinkRemap = opts.LeaveRunning, opts.TCPSkipInFlight, opts.LinkRemap
	if d.req.Config, err = configFile(d.c.rec.Annotations); err != nil {
		return err
	}
	d.req.Freezer = d.freezer()
	if opts.PreDump || opts.ParentPath != "" {
		d.req.TrackMemory = true
		return d.program.Require(criu.Features{MemoryTracking: true})
	}
	return nil
}

// freezer returns the cgroup that CRIU freezes, by which no process escapes it.
func (d *dump) freezer() string {
	dir, ok := cgroup.Paths(d.c.rec.Cgroup.Paths).Dir("freezer")
	if !ok || !d.c.rec.Cgroup.Own {
		return "" // processes of others are there
	}
	return dir.Abs
}

// parent sets the former images of a chain.
func (d *dump) parent() error {
	path := d.o.ParentPath
	if path == "" {
		return nil
	}
	if filepath.IsAbs(path) {
		return errors.New("--parent-path must be relative: it is looked for from --image-path, also when both have been moved")
	}
	fd, err := openFormer(d.req.Images, path)
	if err != nil {
		return fmt.Errorf("invalid --parent-path: %w", err)
	}
	defer unix.Close(fd)
	d.req.ParentImages = path
	return imageGuard{"--parent-path", rootOf(d.c.rec.Pid)}.check(fd, filepath.Join(d.o.ImagePath, path))
}

// outside finds what of the container is not its own, and gives it keys.
func (d *dump) outside() error {
	if err := d.mounts(); err != nil {
		return err
	}
	for _, ns := range d.c.rec.Namespaces {
		kind, _ := joinable(ns.Type)
		if ns.Path == "" || !kind.external {
			continue
		}
		var st unix.Stat_t
		file := nsFile(d.c.rec.Pid, kind.file)
		if err := unix.Stat(file, &st); err != nil {
			return fmt.Errorf("stat %s: %w", file, err)
		}
		key := d.out.key()
		d.out.Namespaces = append(d.out.Namespaces, outsideNamespace{key, ns.Type})
		d.req.External = append(d.req.External, criu.DumpNamespace(kind.file, st.Ino, key))
	}
	return d.streams()
}

// mounts gives keys to the mounts that show what is not the container's. What is there
// counts, not what the configuration had: hooks mount, too.
func (d *dump) mounts() error {
	own, outside, err := mountsOf(d.c.rec.Pid)
	if err != nil {
		return err
	}
	for _, m := range criu.External(own, outside, d.c.hasNamespace(specs.CgroupNamespace)) {
		if slices.Contains(strings.Split(m.Options, ","), "idmapped") {
			return fmt.Errorf("the mount at %s has ids of its own (idmap), which CRIU does not restore; bind it without", fault.Name(m.Point))
		}
		key := d.out.key()
		option, err := criu.DumpMount(m.Point, key)
		if err != nil {
			return err
		}
		d.req.External = append(d.req.External, option)
		d.out.Mounts = append(d.out.Mounts, outsideMount{Key: key, Path: m.Point, Options: m.Options})
	}
	return nil
}

// mountsOf returns the mounts of a process, and those of this thread.
func mountsOf(pid int) (own, outside []mountinfo.Mount, err error) {
	if own, err = readMounts(strconv.Itoa(pid)); err == nil {
		outside, err = readMounts("thread-self")
	}
	return own, outside, err
}

// readMounts returns the mounts of what has the name in /proc.
func readMounts(name string) ([]mountinfo.Mount, error) {
	text, err := os.ReadFile("/proc/" + name + "/mountinfo")
	return mountinfo.Parse(string(text)), err
}

// streams finds the standard streams, as they were when init was made, that lead out of the
// container. Of files CRIU wants to know the mounts that they are open on, which is looked
// up while all stands still: a shell puts them on other descriptors and back.
func (d *dump) streams() error {
	files := map[string]int{}
	for i, name := range d.c.rec.Streams {
		switch {
		case i >= len(d.out.Streams) || name == "":
		case criu.IsPipe(name):
			d.out.Streams[i] = name // CRIU's own name for it
		default:
			files[name] = i
		}
	}
	if len(files) == 0 {
		return nil
	}
	pids := []int{d.c.rec.Pid}
	if d.c.rec.Cgroup.Own {
		if !d.c.cg.Frozen() {
			if err := d.c.cg.Freeze(); err != nil {
				return err
			}
			defer func() { d.c.r.warnIf(d.c.cg.Thaw()) }()
			phase("frozen")
		}
		var err error
		if pids, err = d.c.cg.Pids(); err != nil {
			return err
		}
	}
	mounts, err := readMounts(strconv.Itoa(d.c.rec.Pid))
	if err != nil {
		return err
	}
	own := map[int]bool{}
	for _, m := range mounts {
		own[m.ID] = true
	}
	for _, pid := range pids {
		if err := d.filesOf(pid, files, own); err != nil {
			return err
		}
	}
	for i, name := range d.c.rec.Streams {
		if first, ok := files[name]; ok {
			d.out.Streams[i] = d.out.Streams[first]
		}
	}
	return nil
}

// filesOf looks for the files, by what the record calls them, among the descriptors of a
// process; own are the container's mounts.
func (d *dump) filesOf(pid int, files map[string]int, own map[int]bool) error {
	proc := "/proc/" + strconv.Itoa(pid)
	list, err := os.ReadDir(proc + "/fd")
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, fd := range list {
		id, err := fileID(proc + "/fd/" + fd.Name())
		i, wanted := files[id]
		if err != nil || !wanted {
			continue
		}
		mount := mountOfFd(proc + "/fdinfo/" + fd.Name())
		if mount == 0 || own[mount] {
			continue
		}
		_, inode, _ := strings.Cut(id, ":")
		n, err := strconv.ParseUint(inode, 10, 64)
		if err != nil {
			return err
		}
		file := criu.DumpFile(mount, n)
		if terminal := terminalKey(proc + "/fd/" + fd.Name()); terminal != "" {
			if file = terminal; !d.o.ShellJob {
				return errors.New("a standard stream is a terminal of the caller's; give --shell-job, or run the container " +
					"with a terminal of its own (process.terminal) or without one")
			}
		}
		d.out.Streams[i] = file
		if !slices.Contains(d.req.External, file) {
			d.req.External = append(d.req.External, file)
		}
	}
	return nil
}

// terminalKey returns CRIU's key for a terminal, empty for another file.
//
// Source: admin-guide/devices.txt: 4 has virtual terminals and serial lines, 136 to 143 the
// ends of pseudo-terminals.
func terminalKey(path string) string {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR {
		return ""
	}
	if major := unix.Major(uint64(st.Rdev)); major != 4 && (major < 136 || major > 143) {
		return ""
	}
	return criu.DumpTerminal(uint64(st.Rdev), uint64(st.Dev))
}

// mountOfFd returns the id of the mount that an fdinfo file has, 0 for none.
//
// Source: proc_pid_fdinfo(5).
func mountOfFd(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if id, ok := strings.CutPrefix(line, "mnt_id:"); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(id))
			return n
		}
	}
	return 0
}

// run has CRIU make the checkpoint. Whatever it has done when it fails, the container is
// as it was before.
func (d *dump) run(paused bool) error {
	kind := criu.Dump
	if d.o.PreDump {
		kind = criu.PreDump
	}
	dropLog(d.req.Images, d.req.Work, dumpLog)
	worker, err := d.program.Start(&criu.StartOptions{Stdio: [3]int{-1, -1, -1}})
	if err != nil {
		return err
	}
	defer worker.Close()
	if testFreeze != nil {
		testFreeze(d.c)
	}
	_, err = worker.Do(kind, &d.req, d.notify)
	if err != nil {
		_, _ = worker.Wait() // it takes back what it has done
		err = d.o.explain(err, d.program, d.req.Images, d.req.Work, dumpLog)
		if !paused && d.c.cg.Frozen() {
			d.c.r.warnIf(d.c.cg.Thaw())
		}
		return err
	}
	_, err = worker.Wait()
	return err
}

// testFreeze freezes the container as CRIU does: for tests with one that does not.
var testFreeze func(*container)

// notify does what is the runtime's at a step of CRIU.
func (d *dump) notify(n criu.Notification) error {
	if n.Fd >= 0 {
		unix.Close(n.Fd)
	}
	d.c.r.debug("checkpoint " + d.c.rec.ID + ": CRIU is at " + n.Script)
	phase(n.Script)
	if n.Script == "status-ready" && d.o.StatusFd >= 0 {
		if _, err := unix.Write(d.o.StatusFd, []byte{0}); err != nil {
			d.c.r.warn(fmt.Sprintf("--status-fd: write: %v, ignoring", err))
		}
		unix.Close(d.o.StatusFd)
		d.o.StatusFd = -1
	}
	return nil
}

// joined is how CRIU deals with a namespace that a container has joined.
type joined struct {
	file     string // below /proc/PID/ns
	external bool   // it is left out of the images, and taken by a descriptor at a restore
}

// joinable returns how CRIU deals with a joined namespace of the type.
func joinable(kind string) (joined, error) {
	switch t := specs.LinuxNamespaceType(kind); t {
	case specs.NetworkNamespace, specs.PIDNamespace:
		return joined{namespace.File(t), true}, nil
	case specs.IPCNamespace, specs.UTSNamespace, specs.TimeNamespace:
		return joined{namespace.File(t), false}, nil
	}
	return joined{}, fmt.Errorf("linux.namespaces: the %s namespace is joined by its path, and CRIU cannot restore into one that exists; "+
		"of joined namespaces it can do network, pid, ipc, uts and time", kind)
}

func (c *container) hasNamespace(kind specs.LinuxNamespaceType) bool {
	for _, n := range c.rec.Namespaces {
		if n.Type == string(kind) {
			return true
		}
	}
	return false
}
