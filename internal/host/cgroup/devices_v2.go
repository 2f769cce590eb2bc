package cgroup

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/bpf"
	"github.com/hutch-project/hutch/internal/seat"
)

// programName is what bpftool shows.
const programName = "hutch_devices"

// set makes d the device rules of the container, in the place of the rules
// before, nil when they are not known. fresh says that the cgroup is new.
func (d *devices) set(find func(string) (spot, bool), unified bool, before *devices, fresh bool) error {
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
	return fmt.Errorf("%s.devices: %w: devices, which is in no mounted cgroup v1 hierarchy", resources, ErrNoController)
}

// same says whether two lists of rules have one meaning, rule by rule.
func (d *devices) same(o *devices) bool {
	if d == nil || o == nil {
		return d == o
	}
	return d.all == o.all && slices.EqualFunc(d.rules, o.rules, func(a, b deviceRule) bool {
		a.field, b.field = "", ""
		return a == b
	})
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
func (d *devices) setV2(at spot, fresh bool) error {
	if fresh && d.free() {
		return nil
	}
	err := d.attach(at, fresh)
	if err == nil || isPermission(err) && (d.free() || !seat.HostRoot()) {
		return nil
	}
	return fmt.Errorf("%s.devices: cgroup %s: %w", resources, at.abs, err)
}

func (d *devices) attach(at spot, fresh bool) error {
	dir, err := unix.Openat(at.dir, at.path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
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
	if len(old) == 1 {
		if err := bpf.AttachDevice(dir, prog, old[0]); err != nil {
			return fmt.Errorf("bpf: replace the attached device program: %w", err)
		}
		return nil
	}
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
		case isPermission(err), errors.Is(err, unix.ENOENT): // or gone meanwhile
		default:
			for _, fd := range fds {
				unix.Close(fd)
			}
			return nil, fmt.Errorf("bpf: open attached device program %d: %w", id, err)
		}
	}
	return fds, nil
}

// load loads a program. Before Linux 5.11 it counts against the limit of locked
// memory, which is lifted for the moment when there is no right without. Remove
// that once 5.11 is the floor.
func load(prog []bpf.Insn) (int, error) {
	fd, err := bpf.LoadDevice(prog, programName)
	var own unix.Rlimit
	if errors.Is(err, unix.EPERM) && unix.Getrlimit(unix.RLIMIT_MEMLOCK, &own) == nil {
		free := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
		if unix.Setrlimit(unix.RLIMIT_MEMLOCK, &free) == nil {
			fd, err = bpf.LoadDevice(prog, programName)
			_ = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &own) // going down needs no right
		}
	}
	if err != nil {
		return -1, fmt.Errorf("bpf: load the device program of %d instructions: %w", len(prog), err)
	}
	return fd, nil
}
