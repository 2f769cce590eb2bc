package libcontainer_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/libcontainer"
)

// TestErrors holds what errors tell a program, and that their texts are the command's.
func TestErrors(t *testing.T) {
	w := newWorld(t)
	created, running, stopped := w.create(w.options("sleep 1000")), w.start("sleep 1000"), w.start("exit 0")
	w.wait(stopped)
	for _, c := range []struct {
		name string
		err  error
		is   error
		op   string
		text string
	}{
		{"load of none", second(w.r.Load("none")), libcontainer.ErrNotExist, "state", "container does not exist"},
		{"start twice", running.Start(ctx), libcontainer.ErrRunning, "start", "cannot start an already running container"},
		{"start too late", stopped.Start(ctx), libcontainer.ErrStopped, "start", "cannot start a container that has stopped"},
		{"delete what runs", running.Delete(ctx, false), libcontainer.ErrNotStopped, "delete", "cannot delete a container that is not stopped"},
		{"signal to what has ended", stopped.Signal(syscall.SIGTERM), libcontainer.ErrNotRunning, "kill", "container not running"},
		{"resume what is not paused", created.Resume(), libcontainer.ErrNotPaused, "resume", "container not paused"},
		{"create twice", second(w.r.Create(ctx, &libcontainer.CreateOptions{ID: created.ID(), Bundle: w.bundle, Spec: shell("")})), libcontainer.ErrExists, "create", "container with given ID already exists"},
	} {
		var e *libcontainer.Error
		if !errors.Is(c.err, c.is) || !errors.As(c.err, &e) || e.Op != c.op || !strings.Contains(c.err.Error(), c.text) {
			t.Errorf("%s: %v (%+v)", c.name, c.err, e)
		}
	}
	if err := created.Delete(ctx, false); err != nil {
		t.Errorf("delete of a container that is not started: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestErrorOfTheConfiguration holds the element, the step, the object and the errno.
func TestErrorOfTheConfiguration(t *testing.T) {
	w := newWorld(t)
	o := w.options("")
	o.Spec.Mounts = append(o.Spec.Mounts, specs.Mount{Destination: "/tmp", Type: "bind", Source: "/no/such", Options: []string{"bind"}})
	var e *libcontainer.Error
	_, err := w.r.Create(ctx, o)
	if !errors.As(err, &e) || e.Element != "mounts[7]" || e.Object != "/no/such" || e.Errno != syscall.ENOENT || !errors.Is(err, syscall.ENOENT) ||
		!strings.Contains(e.Step, "open source /no/such") || e.Op != "create" || e.ID != o.ID {
		t.Errorf("a source that is missing: %v (%+v)", err, e)
	}
	o = w.options("")
	o.Spec.Process.Cwd = "relative"
	if _, err = w.r.Create(ctx, o); !errors.As(err, &e) || e.Element != "process.cwd" || e.Errno != 0 {
		t.Errorf("a fault of the specification: %v (%+v)", err, e)
	}
	if _, err = libcontainer.ParseSpec([]byte(`{"linux": {"namespaces": 3}}`)); !errors.As(err, &e) || e.Element != "linux.namespaces" {
		t.Errorf("a fault of the text: %v (%+v)", err, e)
	}
	if _, err = (&libcontainer.Runtime{}).Create(ctx, o); err == nil || !strings.Contains(err.Error(), "Runtime.Root") {
		t.Errorf("without a state directory: %v", err)
	}
	o = w.options("")
	o.Spec.Process.Args = []string{"/no/program"}
	if _, err = w.r.Run(ctx, o); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("a program that is missing: %v", err)
	}
}

// TestNewerRecord holds that the state of a newer version is refused by that name, and
// stays as it is.
func TestNewerRecord(t *testing.T) {
	w := newWorld(t)
	c := w.create(w.options("sleep 1000"))
	file := filepath.Join(w.r.Root, c.ID(), "state.json")
	text, err := os.ReadFile(file)
	must(t, err)
	newer := strings.Replace(string(text), `"version":1`, `"version":2`, 1)
	if newer == string(text) {
		t.Fatalf("no version in %s", text)
	}
	must(t, os.WriteFile(file, []byte(newer), 0o600))
	for op, err := range map[string]error{
		"state": second(w.r.Load(c.ID())), "start": c.Start(ctx), "delete": c.Delete(ctx, false), "kill": c.Signal(syscall.SIGKILL),
	} {
		if err == nil || !strings.Contains(err.Error(), "is a record of version 2, this program knows up to 1") {
			t.Errorf("%s: %v", op, err)
		}
	}
	if now, _ := os.ReadFile(file); string(now) != newer {
		t.Errorf("the record is now %s", now)
	}
	must(t, os.WriteFile(file, text, 0o600))
	if s, err := c.State(); err != nil || s.Status != libcontainer.Created {
		t.Errorf("after all that: %+v, %v", s, err)
	}
}
