package device

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/bpf"
	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/internal/seat"
	"github.com/hutch-project/hutch/internal/sys"
)

// programName is what bpftool shows.
const programName = "hutch_devices"

// Set makes d the device rules of the container whose directories find returns, in the
// place of the rules before, nil when they are not known. fresh is true for a new cgroup.
func (d *Rules) Set(find cgroupfs.Find, unified bool, before *Rules, fresh bool) error {
	if d == nil {
		return nil // no cgroups
	}
	at, ok := find("devices")
	switch {
	case unified:
		return d.setV2(at, fresh)
	case ok:
		return d.setV1(at, before)
	case d.free() || !seat.HostRoot():
		return nil
	}
	return fmt.Errorf("%s: %w: devices, which is in no mounted cgroup v1 hierarchy", field, cgroupfs.ErrNoController)
}

// setV2 attaches a program for the rules to a cgroup v2 and takes off what was
// there: in one step when that is one program, so that there is no moment
// without rules and no second program that would deny what the new one allows. A
// new cgroup in which all is allowed needs none.
//
// The kernel lets neither other users than root nor anyone in a user namespace
// attach programs, and gives them no rights over devices either: the rules are
// left out for them.
//
// Source: bpf(2); include/uapi/linux/bpf.h, BPF_F_ALLOW_MULTI and BPF_F_REPLACE.
func (d *Rules) setV2(at cgroupfs.Dir, fresh bool) error {
	if fresh && d.free() {
		return nil
	}
	err := d.attach(at, fresh)
	if err == nil || cgroupfs.IsPermission(err) && (d.free() || !seat.HostRoot()) {
		return nil
	}
	return fmt.Errorf("%s: cgroup %s: %w", field, at.Abs, err)
}

func (d *Rules) attach(at cgroupfs.Dir, fresh bool) error {
	dir, err := sys.Open(at.FD, at.Path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer unix.Close(dir)
	var old []int
	if !fresh {
		if old, err = attached(dir); err != nil {
			return err
		}
		defer func() {
			for _, fd := range old {
				unix.Close(fd)
			}
		}()
	}
	prog, err := load(d.program())
	if err != nil {
		return err
	}
	defer unix.Close(prog)
	if len(old) == 1 { // in one step: no moment without rules
		if err := bpf.AttachDevice(dir, prog, old[0]); err != nil {
			return fmt.Errorf("bpf: replace the attached device program: %w", err)
		}
		return nil
	}
	// The new one first: more than one deny together, none would allow all.
	if err := bpf.AttachDevice(dir, prog, -1); err != nil {
		return fmt.Errorf("bpf: attach the device program: %w", err)
	}
	for _, fd := range old {
		if err := bpf.DetachDevice(dir, fd); err != nil {
			return fmt.Errorf("bpf: detach a former device program: %w", err)
		}
	}
	return nil
}

// attached opens the device programs of the cgroup itself. One that a security
// module does not let us have stays: it can but deny more.
func attached(dir int) ([]int, error) {
	ids, err := bpf.AttachedDevice(dir)
	if err != nil {
		return nil, fmt.Errorf("bpf: list the attached device programs: %w", err)
	}
	var fds []int
	for _, id := range ids {
		fd, err := bpf.OpenID(id)
		switch {
		case err == nil:
			fds = append(fds, fd)
		case cgroupfs.IsPermission(err), errors.Is(err, unix.ENOENT): // or gone meanwhile
		default:
			for _, fd := range fds {
				unix.Close(fd)
			}
			return nil, fmt.Errorf("bpf: open attached device program %d: %w", id, err)
		}
	}
	return fds, nil
}

// load loads a program.
func load(prog []bpf.Insn) (int, error) {
	fd, err := bpf.LoadDevice(prog, programName)
	if err != nil {
		return -1, fmt.Errorf("bpf: load the device program of %d instructions: %w", len(prog), err)
	}
	return fd, nil
}
