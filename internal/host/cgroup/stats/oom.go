package stats

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/sys"
)

// OOMWatch reports the times that the OOM killer has come to a container since
// the watch began. It is for one goroutine.
type OOMWatch struct {
	fd    sys.FD // readable when there may be news
	files []int  // what fd watches: memory.events and cgroup.events, or memory.oom_control
	dir   string
	kills uint64 // of memory.events, reported so far
}

// WatchOOM begins to watch for the OOM killer in the container of the record p. The
// caller closes the watch. ErrNoController is returned when the container has no memory
// controller.
func WatchOOM(p cgroup.Paths) (*OOMWatch, error) {
	switch p.Mode() {
	case cgroup.None:
		return nil, fmt.Errorf("OOM events: %w", cgroup.ErrNoCgroups)
	case cgroup.V2:
		return watchV2(p[""])
	}
	dir, ok := p.With("memory")
	if !ok {
		return nil, fmt.Errorf("OOM events: %w: memory, which is in no mounted cgroup v1 hierarchy", cgroupfs.ErrNoController)
	}
	return watchV1(dir)
}

// watchV2 waits with epoll on the two files, whose changes are events there.
//
// Source: cgroup-v2.rst, "[Un]populated Notification" and memory.events: "a value
// change in this file generates a file modified event".
func watchV2(dir string) (_ *OOMWatch, retErr error) {
	watch := &OOMWatch{dir: dir}
	defer func() {
		if retErr != nil {
			watch.Close()
		}
	}()
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	watch.fd = sys.Own(epoll)
	for _, name := range [...]string{"memory.events", "cgroup.events"} {
		fd, err := sys.Open(unix.AT_FDCWD, dir+"/"+name, unix.O_RDONLY|unix.O_NOFOLLOW, 0)
		if errors.Is(err, unix.ENOENT) && cgroupfs.Exists(dir) {
			return nil, fmt.Errorf("OOM events: %w: memory, for %s", cgroupfs.ErrNoController, dir)
		}
		if err != nil {
			return nil, fmt.Errorf("open %s/%s: %w", dir, name, err)
		}
		watch.files = append(watch.files, fd)
		if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLPRI, Fd: int32(fd)}); err != nil {
			return nil, fmt.Errorf("epoll_ctl %s/%s: %w", dir, name, err)
		}
	}
	watch.kills, _, err = watch.read()
	return watch, err
}

// watchV1 has the kernel add to an eventfd.
//
// Source: cgroup-v1/memory.rst, "OOM Control"; cgroup-v1/memcg_test.rst.
func watchV1(dir string) (_ *OOMWatch, retErr error) {
	watch := &OOMWatch{dir: dir}
	defer func() {
		if retErr != nil {
			watch.Close()
		}
	}()
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	watch.fd = sys.Own(event)
	control, err := sys.Open(unix.AT_FDCWD, dir+"/memory.oom_control", unix.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s/memory.oom_control: %w", dir, err)
	}
	watch.files = append(watch.files, control)
	return watch, cgroupfs.WriteFile(unix.AT_FDCWD, dir+"/cgroup.event_control", fmt.Sprintf("%d %d", event, control))
}

// Fd returns a descriptor for poll(2) that is readable (POLLIN) when Read may return
// something new.
func (w *OOMWatch) Fd() int { return w.fd.Int() }

// Read returns how often the OOM killer came since the last Read. It does not wait; 0 is
// a false alarm. The error is io.EOF, with the last count, when the container has no
// process any more on v2, and no cgroup on v1: there will be no more.
func (w *OOMWatch) Read() (int, error) {
	if len(w.files) == 1 {
		return w.readV1()
	}
	kills, populated, err := w.read()
	if err != nil && !cgroupfs.IsGone(err) {
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
		n, err := sys.Retry1(func() (int, error) { return unix.Pread(fd, buf[i][:], 0) })
		if err != nil {
			return 0, false, fmt.Errorf("%s: read events: %w", w.dir, err)
		}
		text[i] = string(buf[i][:n])
	}
	return field(text[0], "oom_kill"), field(text[1], "populated") == 1, nil
}

func (w *OOMWatch) readV1() (int, error) {
	var buf [8]byte
	n, err := unix.Read(w.fd.Int(), buf[:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return 0, nil
	case err != nil || n != len(buf):
		return 0, fmt.Errorf("%s: read eventfd: %w", w.dir, err)
	case !cgroupfs.Exists(w.dir): // its removal is an event too
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
	_ = w.fd.Close()
}

// OOMKills returns how many processes of the container the OOM killer has killed, 0 where
// that is not counted. On v2 those of sub-cgroups count, on v1 (since Linux 4.13) they do
// not. The error is unix.ENOENT or ENODEV, wrapped, when the cgroup that counts is gone.
func OOMKills(p cgroup.Paths) (int, error) {
	if p.Mode() == cgroup.V2 {
		return oomKills(p[""] + "/memory.events")
	}
	dir, ok := p.With("memory")
	if !ok {
		return 0, nil
	}
	return oomKills(dir + "/memory.oom_control")
}

func oomKills(file string) (int, error) {
	text, err := cgroupfs.ReadFile(unix.AT_FDCWD, file)
	if cgroupfs.IsGone(err) && cgroupfs.Exists(filepath.Dir(file)) {
		return 0, nil // without the controller
	}
	if err != nil {
		return 0, err
	}
	return int(field(text, "oom_kill")), nil
}
