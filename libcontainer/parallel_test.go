package libcontainer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/libcontainer"
	"github.com/hutch-project/hutch/tests/testwait"
)

// atOnce is the number of containers that are made at the same time.
const atOnce = 64

// TestManyAtOnce creates, starts, waits for, executes in and deletes many containers at
// once, beside children of os/exec that are started all the time. What world looks at, and
// each child and container at its own descriptors, shows that nothing of the one gets to
// the other.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	var stop atomic.Bool
	var others, containers sync.WaitGroup
	var started atomic.Int64
	for range 2 {
		others.Go(func() {
			for !stop.Load() {
				if err := foreignChild(); err != nil {
					t.Error(err)
					return
				}
				started.Add(1)
			}
		})
	}
	for i := range atOnce {
		containers.Go(func() {
			if err := w.oneOfMany(i); err != nil {
				t.Errorf("container %d: %v", i, err)
			}
		})
	}
	containers.Wait()
	stop.Store(true)
	others.Wait()
	t.Logf("%d containers beside %d children of os/exec", atOnce, started.Load())
	if started.Load() == 0 {
		t.Error("no child of os/exec was started")
	}
}

// foreignChild runs a child of os/exec that must have no descriptor but its own, and whose
// status must come to os/exec.
func foreignChild() error {
	cmd := exec.Command("/bin/busybox", "sh", "-c", "for f in /proc/self/fd/*; do echo ${f##*/}; done; exit 3")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		return fmt.Errorf("os/exec: %w", err)
	}
	if got := strings.Join(strings.Fields(string(out)), " "); got != "0 1 2 3" {
		return fmt.Errorf("a child of os/exec has the descriptors %s", got)
	}
	return nil
}

func (w *world) oneOfMany(i int) error {
	o := w.options(fmt.Sprintf("for f in /proc/self/fd/*; do echo ${f##*/}; done; read line; exit %d", i))
	var out bytes.Buffer
	in, hold, err := os.Pipe()
	if err != nil {
		return err
	}
	defer in.Close()
	defer hold.Close()
	o.Stdin, o.Stdout = in, &out
	c, err := w.r.Create(ctx, o)
	if err != nil {
		return err
	}
	if err := c.Start(ctx); err != nil {
		st, e2 := c.Wait(testwait.Context(w.t))
		return errors.Join(err, fmt.Errorf("init: %+v %v", st, e2), c.Delete(ctx, true))
	}
	p, err := c.Exec(ctx, &libcontainer.ExecOptions{Args: []string{"/bin/sh", "-c", "exit 11"}})
	if err != nil {
		return errors.Join(err, c.Delete(ctx, true))
	}
	if status, err := p.Wait(testwait.Context(w.t)); err != nil || status.Code != 11 {
		return errors.Join(fmt.Errorf("exec: %+v, %w", status, err), c.Delete(ctx, true))
	}
	hold.Close()
	status, err := c.Wait(testwait.Context(w.t))
	err = errors.Join(err, c.Delete(ctx, false))
	if got := strings.Join(strings.Fields(out.String()), " "); err == nil && (status.Code != i || got != "0 1 2 3") {
		err = fmt.Errorf("status %+v, descriptors %s", status, got)
	}
	return err
}

// TestCancelledCreate ends the context of a create at each step that it tells of, and
// while a hook hangs.
func TestCancelledCreate(t *testing.T) {
	w := newWorld(t)
	steps := 0
	for {
		cancelled, cancel := context.WithCancel(ctx)
		left := steps
		r := &libcontainer.Runtime{Root: w.r.Root, Debug: func(string) {
			if left--; left < 0 {
				cancel()
			}
		}}
		o := w.options("sleep 1000")
		c, err := r.Create(cancelled, o)
		if left >= 0 {
			must(t, err)
			must(t, c.Delete(ctx, true))
			cancel()
			break
		}
		var e *libcontainer.Error
		if !errors.Is(err, context.Canceled) || !errors.As(err, &e) || e.Op != "create" || e.ID != o.ID {
			t.Errorf("cancelled at step %d: %v", steps, err)
		}
		w.nothingLeft(fmt.Sprintf("cancelled at step %d", steps))
		cancel()
		steps++
	}
	if steps < 5 {
		t.Errorf("only %d creates were cancelled", steps)
	}
}

// nothingLeft holds that an operation that was cancelled has left neither processes nor
// state behind.
func (w *world) nothingLeft(after string) {
	w.t.Helper()
	if left := children(w.t); len(left) > 0 {
		w.t.Errorf("%s: processes are left: %q", after, left)
	}
	if entries, _ := os.ReadDir(w.r.Root); len(entries) > 0 {
		w.t.Errorf("%s: left in the state directory: %v", after, entries)
	}
}

// TestCancelledHook ends the context of operations that wait for a hook without an end.
func TestCancelledHook(t *testing.T) {
	w := newWorld(t)
	for _, kind := range []string{"createRuntime", "createContainer", "poststart"} {
		t.Run(kind, func(t *testing.T) {
			began := hangingHook(t)
			o := w.options("sleep 1000")
			o.Spec.Hooks = began.hooks(kind)
			cancelled, cancel := context.WithCancel(ctx)
			result := make(chan error, 1)
			go func() {
				_, err := w.r.Run(cancelled, o)
				result <- err
			}()
			began.wait(t)
			cancel()
			if err := testwait.Value(t, "the end of a run that is cancelled", result); !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			w.nothingLeft(kind)
		})
	}
}

// TestCancelledRun ends the context of a container that runs.
func TestCancelledRun(t *testing.T) {
	w := newWorld(t)
	o := w.options("echo up; sleep 1000")
	cancelled, cancel := context.WithCancel(ctx)
	o.Stdout = writer(func(p []byte) (int, error) {
		cancel()
		return len(p), nil
	})
	if status, err := w.r.Run(cancelled, o); !errors.Is(err, context.Canceled) || status.Code != -1 {
		t.Errorf("%+v, %v", status, err)
	}
	w.nothingLeft("a run that was cancelled")
	if _, err := w.r.Create(cancelled, o); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestCancelledExec ends the context of an exec at any moment, and of one that waits for a
// container to be resumed. Cancelled or not, no process is left when it has failed.
func TestCancelledExec(t *testing.T) {
	w := newWorld(t)
	c := w.start("sleep 1000")
	failed := 0
	for range 60 {
		cancelled, cancel := context.WithCancel(ctx)
		go cancel() // runs beside the exec, wherever that is
		p, err := c.Exec(cancelled, &libcontainer.ExecOptions{Args: []string{"/bin/sh", "-c", "sleep 1000"}})
		if err == nil {
			must(t, p.Signal(unix.SIGKILL))
			w.wait(p)
			continue
		}
		if failed++; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	}
	if failed == 0 {
		t.Error("no exec was cancelled in time")
	}
	if left := children(t); len(left) != 1 {
		t.Errorf("children %q, want the init alone", left)
	}
}
