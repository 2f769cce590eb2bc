package life

import (
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/internal/host/cgroup/stats"
	"github.com/hutch-project/hutch/internal/jsontext"
	"github.com/hutch-project/hutch/internal/sys"
)

// Stats returns one line: the event of type "stats" with what the container has
// used.
//
// Source: runc's events --stats, which engines read.
func (r *Runtime) Stats(id string) ([]byte, error) {
	c, err := r.open(id, false)
	if err != nil {
		return nil, named("events", id, err)
	}
	defer c.close()
	if c.status() == Stopped {
		return nil, named("events", id, ErrNotRunning)
	}
	c.warnOfNoStats()
	line, err := c.stats()
	return line, named("events", id, err)
}

func (c *container) stats() ([]byte, error) {
	s, err := stats.Read(c.cg.Own())
	if err != nil {
		return nil, err
	}
	return append(s.AppendJSON(c.event("stats", `,"data":`), "{}"), "}\n"...), nil
}

// event begins an event.
func (c *container) event(kind, rest string) []byte {
	b := jsontext.AppendString([]byte(`{"type":"`+kind+`","id":`), c.rec.ID)
	return append(b, rest...)
}

// Events writes a line for each event until the container ends: "stats" at each
// interval, "oom" when the OOM killer has come.
func (r *Runtime) Events(id string, interval time.Duration, w io.Writer) error {
	return r.events(id, interval, w, -1)
}

// events is Events that also ends when the descriptor stop, if any, becomes readable.
func (r *Runtime) events(id string, interval time.Duration, w io.Writer, stop int) error {
	if interval <= 0 {
		return named("events", id, fmt.Errorf("--interval %s: give a time above zero, as 5s", interval))
	}
	ctr, err := r.open(id, false)
	if err != nil {
		return named("events", id, err)
	}
	defer ctr.close()
	pidfd, err := ctr.pidfd()
	if err != nil {
		return named("events", id, err)
	}
	if pidfd < 0 {
		return named("events", id, ErrNotRunning)
	}
	defer unix.Close(pidfd)
	ctr.warnOfNoStats()
	return named("events", id, ctr.follow(pidfd, stop, interval, w))
}

// warnOfNoStats warns of the reason why a container's statistics are empty.
func (c *container) warnOfNoStats() {
	if !c.hasCgroup() {
		c.r.warn(withoutCgroup(errNoStats).Error())
	}
}

var errNoStats = errors.New("there are no statistics")

func (c *container) follow(pidfd, stop int, interval time.Duration, w io.Writer) error {
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}, {Fd: -1, Events: unix.POLLIN}, {Fd: int32(stop), Events: unix.POLLIN}}
	oom, err := stats.WatchOOM(c.cg.Own())
	if err == nil {
		defer oom.Close()
		fds[1].Fd = int32(oom.Fd())
	} else if !errors.Is(err, cgroupfs.ErrNoController) {
		return err
	}
	next := time.Now()
	for {
		if !time.Now().Before(next) {
			line, err := c.stats()
			if err != nil {
				return err
			}
			if _, err := w.Write(line); err != nil {
				return err
			}
			// Statistics that take longer than the interval come one after another, and the
			// end is seen between them.
			if next = next.Add(interval); time.Until(next) < 0 {
				next = time.Now()
			}
		}
		n, err := sys.Poll(fds, next)
		if err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		if n == 0 {
			continue
		}
		if fds[0].Revents != 0 { // a kill before the end may have come between poll's two looks
			if _, err := sys.Poll(fds[1:2], time.Unix(0, 0)); err != nil {
				return fmt.Errorf("poll: %w", err)
			}
		}
		if fds[1].Revents != 0 {
			if err := c.writeOOM(oom, w); err == io.EOF {
				fds[1].Fd = -1
			} else if err != nil {
				return err
			}
		}
		if fds[0].Revents != 0 || fds[2].Revents != 0 {
			return nil
		}
	}
}

// writeOOM writes an event for each kill that the watch has seen; io.EOF is the last.
func (c *container) writeOOM(oom *stats.OOMWatch, w io.Writer) error {
	n, end := oom.Read()
	if end != nil && end != io.EOF {
		return end
	}
	for range n {
		if _, err := w.Write(append(c.event("oom", ""), "}\n"...)); err != nil {
			return err
		}
	}
	return end
}
