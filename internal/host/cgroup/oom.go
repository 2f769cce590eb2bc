package cgroup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// OOMWatch tells of the times that the OOM killer has come to a container since
// the watch began. It is for one goroutine.
type OOMWatch struct {
	fd    int   // readable when there may be news
	files []int // what fd watches: memory.events and cgroup.events, or memory.oom_control
	dir   string
	kills uint64 // of memory.events, told so far
}

// OOM begins a watch. The caller closes it.
func (m v2) OOM() (*OOMWatch, error) { return watchV2(string(m)) }

// watchV2 waits with epoll on the two files, whose changes are events there.
//
// Source: cgroup-v2.rst, "[Un]populated Notification" and memory.events: "a value
// change in this file generates a file modified event".
func watchV2(dir string) (_ *OOMWatch, retErr error) {
	w := &OOMWatch{fd: -1, dir: dir}
	defer func() {
		if retErr != nil {
			w.Close()
		}
	}()
	var err error
	if w.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	for _, name := range [...]string{"memory.events", "cgroup.events"} {
		fd, err := unix.Open(dir+"/"+name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
		if errors.Is(err, unix.ENOENT) && exists(dir) {
			return nil, fmt.Errorf("OOM events: %w: memory, for %s", ErrNoController, dir)
		}
		if err != nil {
			return nil, fmt.Errorf("open %s/%s: %w", dir, name, err)
		}
		w.files = append(w.files, fd)
		if err := unix.EpollCtl(w.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLPRI, Fd: int32(fd)}); err != nil {
			return nil, fmt.Errorf("epoll_ctl %s/%s: %w", dir, name, err)
		}
	}
	w.kills, _, err = w.read()
	return w, err
}

// OOM begins a watch. The caller closes it.
func (m v1) OOM() (*OOMWatch, error) {
	dir, ok := m.paths.with("memory")
	if !ok {
		return nil, fmt.Errorf("OOM events: %w: memory, which is in no mounted cgroup v1 hierarchy", ErrNoController)
	}
	return watchV1(dir)
}

// watchV1 has the kernel add to an eventfd.
//
// Source: cgroup-v1/memory.rst, "OOM Control"; cgroup-v1/memcg_test.rst.
func watchV1(dir string) (_ *OOMWatch, retErr error) {
	w := &OOMWatch{fd: -1, dir: dir}
	defer func() {
		if retErr != nil {
			w.Close()
		}
	}()
	var err error
	if w.fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	control, err := unix.Open(dir+"/memory.oom_control", unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s/memory.oom_control: %w", dir, err)
	}
	w.files = append(w.files, control)
	return w, writeFile(unix.AT_FDCWD, dir+"/cgroup.event_control", decimal(w.fd)+" "+decimal(control))
}

// OOM is an error: there is nothing to watch.
func (none) OOM() (*OOMWatch, error) { return nil, fmt.Errorf("OOM events: %w", ErrNoCgroups) }

// Fd is a descriptor for poll(2) that is readable (POLLIN) when Read may have
// something to tell.
func (w *OOMWatch) Fd() int { return w.fd }

// Read tells how often the OOM killer came since the last Read. It does not
// wait; 0 is a false alarm. io.EOF, with the last count, says that the container
// has no process any more on v2, and no cgroup on v1: there will be no more.
func (w *OOMWatch) Read() (int, error) {
	if len(w.files) == 1 {
		return w.readV1()
	}
	kills, populated, err := w.read()
	if err != nil && !gone(err) {
		return 0, err
	}
	n := int(max(kills, w.kills) - w.kills)
	w.kills += uint64(n)
	if !populated {
		return n, io.EOF
	}
	return n, nil
}

// read reads both files: a file has no event any more until it is read again.
func (w *OOMWatch) read() (kills uint64, populated bool, err error) {
	var buf [2][512]byte
	var text [2]string
	for i, fd := range w.files {
		n, err := unix.Pread(fd, buf[i][:], 0)
		for err == unix.EINTR {
			n, err = unix.Pread(fd, buf[i][:], 0)
		}
		if err != nil {
			return 0, false, fmt.Errorf("%s: read events: %w", w.dir, err)
		}
		text[i] = string(buf[i][:n])
	}
	return field(text[0], "oom_kill"), field(text[1], "populated") == 1, nil
}

func (w *OOMWatch) readV1() (int, error) {
	var buf [8]byte
	n, err := unix.Read(w.fd, buf[:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return 0, nil
	case err != nil || n != len(buf):
		return 0, fmt.Errorf("%s: read eventfd: %w", w.dir, err)
	case !exists(w.dir): // its removal is an event too
		return 0, io.EOF
	}
	return int(binary.NativeEndian.Uint64(buf[:])), nil
}

// Close ends the watch. It may be called again.
func (w *OOMWatch) Close() {
	for _, fd := range w.files {
		unix.Close(fd)
	}
	w.files = nil
	if w.fd >= 0 {
		unix.Close(w.fd)
		w.fd = -1
	}
}

// OOMKills is memory.events of the cgroup and all below it.
func (m v2) OOMKills() (int, error) {
	return oomKills(string(m) + "/memory.events")
}

// OOMKills is memory.oom_control of the cgroup itself, Linux 4.13.
func (m v1) OOMKills() (int, error) {
	dir, ok := m.paths.with("memory")
	if !ok {
		return 0, nil
	}
	return oomKills(dir + "/memory.oom_control")
}

func (none) OOMKills() (int, error) { return 0, nil }

func oomKills(file string) (int, error) {
	text, err := readFile(unix.AT_FDCWD, file)
	if gone(err) && exists(filepath.Dir(file)) {
		return 0, nil // without the controller
	}
	if err != nil {
		return 0, err
	}
	return int(field(text, "oom_kill")), nil
}
