package life

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/features"
	"github.com/hutch-project/hutch/internal/host/criu"
	"github.com/hutch-project/hutch/internal/seat"
)

// CheckpointOptions are what checkpoint and restore both take.
type CheckpointOptions struct {
	ImagePath string // directory of the images; empty is DefaultImages in the working directory
	WorkPath  string // that of logs; empty is that of the images

	TCPEstablished, ExtUnixSockets, ShellJob, FileLocks, LazyPages, AutoDedup bool

	ManageCgroups string   // one of CgroupModes; empty is soft
	EmptyNS       []string // namespaces whose content is not written down; the network's never is
	NetworkLock   string   // one of NetworkLocks; empty is CRIU's choice

	Path string // the caller's PATH, by which CRIU is found
}

// DefaultImages is the directory of the images where the caller names none.
const DefaultImages = "checkpoint"

// CgroupModes are the words of --manage-cgroups-mode.
var CgroupModes = enum.Table{
	{Name: "soft", Number: uint64(criu.CgroupSoft)},
	{Name: "full", Number: uint64(criu.CgroupFull)},
	{Name: "strict", Number: uint64(criu.CgroupStrict)},
	{Name: "ignore", Number: uint64(criu.CgroupIgnore)},
	{Name: "none", Number: uint64(criu.CgroupNone)},
	{Name: "props", Number: uint64(criu.CgroupProps)},
}

// NetworkLocks are the words of --network-lock.
var NetworkLocks = enum.Table{
	{Name: "iptables", Number: uint64(criu.LockIptables)},
	{Name: "nftables", Number: uint64(criu.LockNftables)},
	{Name: "skip", Number: uint64(criu.LockSkip)},
}

// chosen returns the number of a flag's word, that of nothing where it is empty.
func chosen(flag string, words enum.Table, word string, nothing uint64) (uint64, error) {
	if word == "" {
		return nothing, nil
	}
	row := words.Find(word)
	if row == nil {
		return 0, fmt.Errorf("%s: %q: give %s", flag, word, words.Or())
	}
	return row.Number, nil
}

// Versions of CRIU that bring what is asked for.
const (
	criuLSM         criu.Version = 31600
	criuNetworkLock criu.Version = 31700
)

// find returns the CRIU of the host, with its version.
func (o *CheckpointOptions) find() (*criu.Program, error) {
	if !seat.HostRoot() {
		return nil, errors.New("CRIU needs root of the host, which the caller is not: it writes the memory of others, and makes processes with given numbers")
	}
	p, err := criu.Find(o.Path)
	if err != nil {
		return nil, err
	}
	return p, p.Probe()
}

// fill puts into c what both commands have, and checks it against the program.
func (o *CheckpointOptions) fill(criuOpts *criu.Options, prog *criu.Program) error {
	mode, err := chosen("--manage-cgroups-mode", CgroupModes, o.ManageCgroups, uint64(criu.CgroupSoft))
	if err != nil {
		return err
	}
	lock, err := chosen("--network-lock", NetworkLocks, o.NetworkLock, 0)
	if err != nil {
		return err
	}
	criuOpts.Cgroups, criuOpts.Lock = criu.CgroupMode(mode), criu.NetworkLock(lock)
	if o.NetworkLock != "" {
		if err := prog.Need("--network-lock", criuNetworkLock); err != nil {
			return err
		}
	}
	// The content of a network namespace is not the runtime's, but that of who has made it.
	criuOpts.EmptyNS = unix.CLONE_NEWNET
	for _, name := range o.EmptyNS {
		if name != "network" {
			return fmt.Errorf("--empty-ns: namespace %q is not supported: CRIU can leave out the content of network alone", name)
		}
	}
	criuOpts.TCPEstablished, criuOpts.ExtUnixSockets, criuOpts.ShellJob = o.TCPEstablished, o.ExtUnixSockets, o.ShellJob
	criuOpts.FileLocks, criuOpts.LazyPages, criuOpts.AutoDedup = o.FileLocks, o.LazyPages, o.AutoDedup
	if o.LazyPages {
		return prog.Require(criu.Features{LazyPages: true})
	}
	return nil
}

// dirs opens the directories of images and logs, and makes their paths absolute. The
// caller closes what is not -1.
func (o *CheckpointOptions) dirs(make bool) (images, work int, err error) {
	if o.ImagePath == "" {
		o.ImagePath = DefaultImages
	}
	for _, p := range []*string{&o.ImagePath, &o.WorkPath} {
		if err := absolute(p); err != nil {
			return -1, -1, err
		}
	}
	if images, err = openDir(o.ImagePath, make); err != nil {
		return -1, -1, fmt.Errorf("--image-path: %w", err)
	}
	work = -1
	if o.WorkPath != "" {
		if work, err = openDir(o.WorkPath, true); err != nil {
			unix.Close(images)
			return -1, -1, fmt.Errorf("--work-path: %w", err)
		}
	}
	return images, work, nil
}

// guard proves the directories that are open, work unless it is -1; owner is the container's
// root.
func (o *CheckpointOptions) guard(images, work, owner int) error {
	if err := (imageGuard{"--image-path", owner}).check(images, o.ImagePath); err != nil || work < 0 {
		return err
	}
	return imageGuard{"--work-path", owner}.check(work, o.WorkPath)
}

// logPath returns where CRIU's log is.
func (o *CheckpointOptions) logPath(name string) string {
	if o.WorkPath != "" {
		return filepath.Join(o.WorkPath, name)
	}
	return filepath.Join(o.ImagePath, name)
}

// logDir returns the one of the directories that CRIU's logs are in; work is -1 for none.
func logDir(images, work int) int {
	if work >= 0 {
		return work
	}
	return images
}

// dropLog empties the log of a former call: a CRIU that fails early writes none. The file
// itself stays, to which an engine may have given a label that CRIU may write.
func dropLog(images, work int, name string) {
	fd, err := unix.Openat(logDir(images, work), name, unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	_ = unix.Ftruncate(fd, 0)
	unix.Close(fd)
}

// explain reads CRIU's log, in the directory that is open for it, into the error. Where that
// does not tell, CRIU is asked whether it can work on this host at all.
func (o *CheckpointOptions) explain(err error, p *criu.Program, images, work int, log string) error {
	var failed *criu.Error
	if !errors.As(err, &failed) {
		return err
	}
	dir := logDir(images, work)
	failed.Explain(dir, o.logPath(log))
	if failed.Meaning == "" {
		if e := p.Check(dir, filepath.Dir(o.logPath(log))); e != nil {
			return fmt.Errorf("%w; CRIU %s and this kernel do not go together, as by criu check: %w", err, p.Version, e)
		}
	}
	return err
}

// configFile returns the file of CRIU's settings: that of the annotation, which an empty
// value switches off, or the first that is there of the usual ones. CRIU runs what it names,
// as root.
func configFile(annotations map[string]string) (string, error) {
	if file, ok := annotations[features.CRIUConfig]; ok {
		if file == "" {
			return "", nil
		}
		file, err := criu.TrustedConfig(file)
		if err != nil {
			return "", fmt.Errorf("annotations[%q]: CRIU's settings can name programs that run as root, and so have to be root's alone: %w", features.CRIUConfig, err)
		}
		return file, nil
	}
	for _, file := range []string{"/etc/criu/hutch.conf", "/etc/criu/runc.conf"} {
		if _, err := os.Stat(file); err != nil {
			continue
		}
		file, err := criu.TrustedConfig(file)
		if err != nil {
			return "", fmt.Errorf("CRIU's settings can name programs that run as root, and so have to be root's alone: %w", err)
		}
		return file, nil
	}
	return "", nil
}

// pageServer splits the value of --page-server: an address, in brackets where it has colons,
// and a port.
func pageServer(value string) (address string, port int, err error) {
	if value == "" {
		return "", 0, nil
	}
	at := strings.LastIndexByte(value, ':')
	if at > 0 {
		address = value[:at]
		port, err = strconv.Atoi(value[at+1:])
	}
	if inner, ok := strings.CutPrefix(address, "["); ok && strings.HasSuffix(inner, "]") {
		address = strings.TrimSuffix(inner, "]")
	} else if strings.ContainsAny(address, "[]:") {
		address = ""
	}
	if err != nil || address == "" || port <= 0 || port > 65535 {
		//lint:ignore ST1005 runc's words
		return "", 0, fmt.Errorf("Use --page-server ADDRESS:PORT to specify page server: %q is no such", value)
	}
	return address, port, nil
}
