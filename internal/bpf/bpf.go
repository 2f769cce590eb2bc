package bpf

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attr is union bpf_attr with room to spare: the kernel takes a longer one whose
// rest is zero. A shorter one is not safe: Linux 6.17 to 7.1 write 8 bytes at
// offset 56 for BPF_PROG_QUERY, whatever size they are told.
type attr [32]uint64

// put32 sets the 32 bit field at a byte offset.
func (a *attr) put32(off int, v uint32) {
	*(*uint32)(unsafe.Add(unsafe.Pointer(a), off)) = v
}

func (a *attr) get32(off int) uint32 {
	return *(*uint32)(unsafe.Add(unsafe.Pointer(a), off))
}

// call makes the system call. A program's check can be interrupted by a signal,
// EAGAIN; Go's own preemption sends some, so that a few in a row say nothing.
func call(cmd int, a *attr) (int, error) {
	for tries := 0; ; tries++ {
		r, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(cmd), uintptr(unsafe.Pointer(a)), unsafe.Sizeof(*a))
		switch {
		case errno == 0:
			return int(r), nil
		case (errno == unix.EAGAIN || errno == unix.EINTR) && tries < 30:
		default:
			return -1, errno
		}
	}
}

// LoadDevice loads a program for BPF_CGROUP_DEVICE and returns its descriptor,
// which is closed on execve. name, at most 15 letters, digits and underlines, is
// shown by bpftool. Before Linux 5.11 programs count against RLIMIT_MEMLOCK; EPERM
// can mean that.
func LoadDevice(prog []Insn, name string) (int, error) {
	license := [...]byte{'A', 'p', 'a', 'c', 'h', 'e', 0}
	a := new(attr)
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&prog[0])
	pin.Pin(&license)
	a.put32(0, unix.BPF_PROG_TYPE_CGROUP_DEVICE)
	a.put32(4, uint32(len(prog)))
	a[1] = uint64(uintptr(unsafe.Pointer(&prog[0])))
	a[2] = uint64(uintptr(unsafe.Pointer(&license)))
	copy((*[15]byte)(unsafe.Add(unsafe.Pointer(a), 48))[:], name)
	return call(unix.BPF_PROG_LOAD, a)
}

// AttachDevice attaches prog to the cgroup v2 directory cgroup beside others of
// its parents, in the place of the program replace when that is not -1.
func AttachDevice(cgroup, prog, replace int) error {
	a := new(attr)
	a.put32(0, uint32(cgroup))
	a.put32(4, uint32(prog))
	a.put32(8, unix.BPF_CGROUP_DEVICE)
	a.put32(12, unix.BPF_F_ALLOW_MULTI)
	if replace >= 0 {
		a.put32(12, unix.BPF_F_ALLOW_MULTI|unix.BPF_F_REPLACE)
		a.put32(16, uint32(replace))
	}
	_, err := call(unix.BPF_PROG_ATTACH, a)
	return err
}

// DetachDevice takes prog off the cgroup.
func DetachDevice(cgroup, prog int) error {
	a := new(attr)
	a.put32(0, uint32(cgroup))
	a.put32(4, uint32(prog))
	a.put32(8, unix.BPF_CGROUP_DEVICE)
	_, err := call(unix.BPF_PROG_DETACH, a)
	return err
}

// maxAttached is the kernel's bound of programs of one kind on one cgroup,
// BPF_CGROUP_MAX_PROGS.
const maxAttached = 64

// AttachedDevice lists the numbers of the device programs of the cgroup itself,
// those of its parents left out.
func AttachedDevice(cgroup int) ([]uint32, error) {
	ids := new([maxAttached]uint32)
	a := new(attr)
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(ids)
	a.put32(0, uint32(cgroup))
	a.put32(4, unix.BPF_CGROUP_DEVICE)
	a[2] = uint64(uintptr(unsafe.Pointer(ids)))
	a.put32(24, maxAttached)
	if _, err := call(unix.BPF_PROG_QUERY, a); err != nil {
		return nil, err
	}
	return ids[:min(a.get32(24), maxAttached)], nil
}

// OpenID returns a descriptor of the program with a number.
func OpenID(id uint32) (int, error) {
	a := new(attr)
	a.put32(0, id)
	return call(unix.BPF_PROG_GET_FD_BY_ID, a)
}
