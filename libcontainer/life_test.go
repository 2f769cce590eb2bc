package libcontainer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/libcontainer"
	"github.com/hutch-project/hutch/tests/testwait"
)

func TestLife(t *testing.T) {
	w := newWorld(t)
	o := w.options("echo I am $$; cat; echo not well >&2; exit 7")
	var out, errs bytes.Buffer
	o.Stdin, o.Stdout, o.Stderr = strings.NewReader("a line\n"), &out, &errs
	c := w.create(o)
	s, err := c.State()
	must(t, err)
	if s.Status != libcontainer.Created || s.Pid != c.Init().Pid() || s.ID != c.ID() || s.Rootfs != filepath.Join(w.bundle, "rootfs") {
		t.Errorf("created: %+v", s)
	}
	must(t, c.Start(ctx))
	if status := w.wait(c); status != (libcontainer.ExitStatus{Code: 7}) {
		t.Errorf("status %+v", status)
	}
	if out.String() != "I am 1\na line\n" || errs.String() != "not well\n" {
		t.Errorf("output %q, %q", &out, &errs)
	}
	if s, err = c.State(); err != nil || s.Status != libcontainer.Stopped || s.Pid != 0 {
		t.Errorf("at the end: %+v, %v", s, err)
	}
	must(t, c.Delete(ctx, false))
	if _, err = c.State(); !errors.Is(err, libcontainer.ErrNotExist) {
		t.Errorf("deleted: %v", err)
	}
}

// TestStreamsOfFiles hands files over as they are, and the null device for nothing.
func TestStreamsOfFiles(t *testing.T) {
	w := newWorld(t)
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	must(t, err)
	o := w.options("read line; echo read $?; readlink() { :; }; echo both >&2; ls() { :; }; [ -c /proc/self/fd/0 ] && echo null")
	o.Stdout, o.Stderr = file, file
	status, err := w.r.Run(ctx, o)
	must(t, err)
	text, err := os.ReadFile(file.Name())
	must(t, err)
	must(t, file.Close())
	if want := "read 1\nboth\nnull\n"; status.Code != 0 || string(text) != want {
		t.Errorf("status %+v, output %q, want %q", status, text, want)
	}
}

// TestOneWriterForBoth would, with two goroutines, mix up what is written.
func TestOneWriterForBoth(t *testing.T) {
	w := newWorld(t)
	var out bytes.Buffer
	o := w.options("for i in 1 2 3 4; do echo o; echo e >&2; done")
	o.Stdout, o.Stderr = &out, &out
	_, err := w.r.Run(ctx, o)
	must(t, err)
	if want := strings.Repeat("o\ne\n", 4); out.String() != want {
		t.Errorf("output %q", &out)
	}
}

// TestNothingElseIsOpen holds that a container has its three streams and nothing of this
// program, in whatever order the caller's own are used.
func TestNothingElseIsOpen(t *testing.T) {
	w := newWorld(t)
	var out bytes.Buffer
	o := w.options("for f in /proc/self/fd/*; do echo ${f##*/}; done")
	o.Stdin, o.Stdout, o.Stderr = os.Stderr, &out, os.Stdin
	_, err := w.r.Run(ctx, o)
	must(t, err)
	// 3 is that of the shell, which reads the directory.
	if got := strings.Join(strings.Fields(out.String()), " "); got != "0 1 2 3" {
		t.Errorf("descriptors %s", got)
	}
}

func TestExec(t *testing.T) {
	w := newWorld(t)
	c := w.start("sleep 1000")
	var out bytes.Buffer
	o := &libcontainer.ExecOptions{Args: []string{"/bin/sh", "-c", "cat; echo $0 $#; exit 3"}}
	o.Stdin, o.Stdout = strings.NewReader("in\n"), &out
	p, err := c.Exec(ctx, o)
	must(t, err)
	if status := w.wait(p); status.Code != 3 || out.String() != "in\n/bin/sh 0\n" {
		t.Errorf("status %+v, output %q", status, &out)
	}
	given := &specs.Process{Args: []string{"/bin/sh", "-c", "kill -TERM $$; sleep 1000"}, Env: []string{"PATH=/bin"}, Cwd: "/tmp"}
	before, err := json.Marshal(given)
	must(t, err)
	p, err = c.Exec(ctx, &libcontainer.ExecOptions{Process: given})
	must(t, err)
	if status := w.wait(p); status != (libcontainer.ExitStatus{Code: 143, Signal: syscall.SIGTERM}) {
		t.Errorf("status %+v", status)
	}
	if after, _ := json.Marshal(given); !bytes.Equal(before, after) {
		t.Errorf("Exec has changed the caller's process: %s", after)
	}
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, libcontainer.ErrNotRunning) {
		t.Errorf("a signal for a process that has ended: %v", err)
	}
	if _, err := c.Exec(ctx, &libcontainer.ExecOptions{}); err == nil {
		t.Error("an Exec of nothing has succeeded")
	}
}

// TestSpecByValue holds that the specification stays the caller's, and that a bundle can be
// left out.
func TestSpecByValue(t *testing.T) {
	w := newWorld(t)
	o := w.options("exit 5")
	o.Bundle, o.Spec.Root.Path = "", filepath.Join(w.bundle, "rootfs")
	before, err := json.Marshal(o.Spec)
	must(t, err)
	status, err := w.r.Run(ctx, o)
	must(t, err)
	if after, _ := json.Marshal(o.Spec); status.Code != 5 || !bytes.Equal(before, after) {
		t.Errorf("status %+v; the specification was\n%s\nand is\n%s", status, before, after)
	}
	o.Spec.Root.Path = "rootfs"
	if _, err = w.r.Run(ctx, o); err == nil || !strings.Contains(err.Error(), "root.path") {
		t.Errorf("a relative root without a bundle: %v", err)
	}
	o.Bundle, o.Spec = w.bundle, nil
	text, err := json.Marshal(shell("exit 6"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(w.bundle, "config.json"), text, 0o644))
	if status, err = w.r.Run(ctx, o); err != nil || status.Code != 6 {
		t.Errorf("of the bundle's file: %+v, %v", status, err)
	}
}

// TestManyWait has many goroutines wait for one container before it is started, and one
// that gives up.
func TestManyWait(t *testing.T) {
	w := newWorld(t)
	c := w.create(w.options("exit 9"))
	impatient, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := c.Wait(impatient); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that is cancelled: %v", err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if status, err := c.Wait(testwait.Context(t)); err != nil || status.Code != 9 {
				t.Errorf("%+v, %v", status, err)
			}
		})
	}
	must(t, c.Start(ctx))
	all.Wait()
	if status, err := c.Wait(impatient); err != nil || status.Code != 9 {
		t.Errorf("after the end: %+v, %v", status, err)
	}
}

// TestWaitDelay has a process leave another one behind that holds its output open.
func TestWaitDelay(t *testing.T) {
	w := newWorld(t)
	c := w.start("sleep 1000")
	var out bytes.Buffer
	o := &libcontainer.ExecOptions{Args: []string{"/bin/sh", "-c", "sleep 1000 & echo done"}}
	o.Stdout, o.WaitDelay = &out, 50*time.Millisecond
	p, err := c.Exec(ctx, o)
	must(t, err)
	status, err := p.Wait(testwait.Context(t))
	if status.Code != 0 || !errors.Is(err, exec.ErrWaitDelay) {
		t.Errorf("%+v, %v", status, err)
	}
}

// failing is a Writer that fails.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestWriterThatFails(t *testing.T) {
	w := newWorld(t)
	o := w.options("echo text")
	full := errors.New("full")
	o.Stdout = failing{full}
	if status, err := w.r.Run(ctx, o); status.Code != 0 || !errors.Is(err, full) {
		t.Errorf("%+v, %v", status, err)
	}
}

// TestTerminal has the caller be the terminal's other side.
func TestTerminal(t *testing.T) {
	w := newWorld(t)
	o := w.options("read line; echo got $line; exit 4")
	o.Spec.Process.Terminal = true
	c := w.create(o)
	terminal := c.Init().Terminal()
	defer terminal.Close()
	must(t, c.Start(ctx))
	_, err := terminal.WriteString("words\n")
	must(t, err)
	var text []byte
	for buf := make([]byte, 100); !bytes.Contains(text, []byte("got words")); {
		n, err := terminal.Read(buf)
		must(t, err)
		text = append(text, buf[:n]...)
	}
	if status := w.wait(c); status.Code != 4 {
		t.Errorf("%+v", status)
	}
	c = w.start("sleep 1000")
	p, err := c.Exec(ctx, &libcontainer.ExecOptions{Process: &specs.Process{Args: []string{"/bin/sh", "-c", "[ -t 0 ] && exit 5"}, Env: []string{"PATH=/bin"}, Cwd: "/", Terminal: true}})
	must(t, err)
	if status := w.wait(p); status.Code != 5 || p.Terminal() == nil {
		t.Errorf("exec: %+v", status)
	}
	must(t, p.Terminal().Close())
}

// TestLoad finds containers of others, and the own ones.
func TestLoad(t *testing.T) {
	w := newWorld(t)
	c := w.create(w.options("exit 8"))
	if again, err := w.r.Load(c.ID()); err != nil || again != c {
		t.Errorf("of the same Runtime: %p, want %p, %v", again, c, err)
	}
	other := &libcontainer.Runtime{Root: w.r.Root}
	theirs, err := other.Load(c.ID())
	must(t, err)
	all, err := other.List()
	if err != nil || len(all) != 1 || all[0].ID != c.ID() {
		t.Errorf("list: %+v, %v", all, err)
	}
	must(t, theirs.Start(ctx))
	// Its parent is known to the kernel as having waited for it, or the status is not known.
	if status, err := theirs.Wait(testwait.Context(t)); err == nil && status.Code != 8 || err != nil && (!errors.Is(err, libcontainer.ErrStatusUnknown) || status.Code != -1) {
		t.Errorf("of another Runtime: %+v, %v", status, err)
	}
	if status := w.wait(c); status.Code != 8 {
		t.Errorf("%+v", status)
	}
	late, err := other.Load(c.ID())
	must(t, err)
	if status, err := late.Wait(testwait.Context(t)); !errors.Is(err, libcontainer.ErrStatusUnknown) || status.Code != -1 {
		t.Errorf("of a container that has ended: %+v, %v", status, err)
	}
	must(t, theirs.Delete(ctx, false))
	if _, err := w.r.Load(c.ID()); !errors.Is(err, libcontainer.ErrNotExist) {
		t.Errorf("deleted by others: %v", err)
	}
}

func TestPauseUpdateEvents(t *testing.T) {
	w := newWorld(t)
	c := w.start("sleep 1000")
	if err := c.Resume(); !errors.Is(err, libcontainer.ErrNotPaused) {
		t.Errorf("resume of what runs: %v", err)
	}
	must(t, c.Pause())
	s, err := c.State()
	if err != nil || s.Status != libcontainer.Paused {
		t.Errorf("%+v, %v", s, err)
	}
	must(t, c.Resume())
	limit := int64(17)
	must(t, c.Update(&specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &limit}}))
	line, err := c.Stats()
	if err != nil || !bytes.Contains(line, []byte(`"limit":17`)) {
		t.Errorf("stats: %s, %v", line, err)
	}
	pids, err := c.Pids()
	if err != nil || len(pids) == 0 {
		t.Errorf("pids: %v, %v", pids, err)
	}
	// The context ends it long before the second event.
	stop, cancel := context.WithCancel(ctx)
	var events bytes.Buffer
	err = c.Events(stop, time.Hour, writer(func(p []byte) (int, error) {
		cancel()
		return events.Write(p)
	}))
	if !errors.Is(err, context.Canceled) || !bytes.HasPrefix(events.Bytes(), []byte(`{"type":"stats"`)) {
		t.Errorf("events: %v, %s", err, &events)
	}
	must(t, c.Signal(syscall.SIGKILL))
	if status := w.wait(c); status.Signal != syscall.SIGKILL || status.Code != 137 {
		t.Errorf("killed: %+v", status)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }
