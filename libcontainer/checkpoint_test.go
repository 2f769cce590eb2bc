package libcontainer_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/libcontainer"
	"github.com/hutch-project/hutch/tests/criutest"
)

// TestCheckpointAndRestore: the restored container is one of this program as a created one.
func TestCheckpointAndRestore(t *testing.T) {
	w := newWorld(t)
	path := criutest.Install(t, &criutest.Behaviour{Mounts: true})
	images := libcontainer.Images{Path: filepath.Join(t.TempDir(), "images"), SearchPath: path}
	o := w.options("while :; do sleep 1000; done")
	// What the CRIU of the test restores is confined by nothing but namespaces.
	var all []string // that this process has
	for _, c := range enum.Capabilities {
		if has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c.Number), 0, 0, 0); err == nil && has == 1 {
			all = append(all, c.Name)
		}
	}
	o.Spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all, Inheritable: all, Ambient: all}
	o.Spec.Process.NoNewPrivileges, o.Spec.Root.Readonly = false, false
	o.Spec.Linux.MaskedPaths, o.Spec.Linux.ReadonlyPaths, o.Spec.Linux.Seccomp = nil, nil, nil
	o.Spec.Mounts = o.Spec.Mounts[:1]
	o.Spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: "pid"}, {Type: "mount"}, {Type: "ipc"}, {Type: "uts"}, {Type: "network"}}
	c := w.create(o)
	must(t, c.Start(ctx))
	must(t, c.Checkpoint(&libcontainer.CheckpointOptions{Images: images, LeaveRunning: true}))
	if s, err := c.State(); err != nil || s.Status != libcontainer.Running {
		t.Errorf("state %+v, %v", s, err)
	}
	must(t, c.Checkpoint(&libcontainer.CheckpointOptions{Images: images}))
	if status := w.wait(c); status.Signal != syscall.SIGKILL {
		t.Errorf("status %+v", status)
	}
	if _, err := c.State(); !errors.Is(err, libcontainer.ErrNotExist) {
		t.Errorf("after the checkpoint: %v", err)
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := w.r.Restore(over, &libcontainer.RestoreOptions{CreateOptions: *o, Images: images}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := w.r.Restore(ctx, &libcontainer.RestoreOptions{CreateOptions: *o}); err == nil || !strings.Contains(err.Error(), "Images.Path") {
		t.Errorf("got %v", err)
	}
	restored, err := w.r.Restore(ctx, &libcontainer.RestoreOptions{CreateOptions: *o, Images: images})
	must(t, err)
	s, err := restored.State()
	if err != nil || s.Status != libcontainer.Running || s.Pid != restored.Init().Pid() {
		t.Errorf("state %+v, %v", s, err)
	}
	must(t, restored.Signal(syscall.SIGKILL))
	if status := w.wait(restored); status.Signal != syscall.SIGKILL {
		t.Errorf("status %+v", status)
	}
	must(t, restored.Delete(ctx, false))
	criutest.Change(t, path, &criutest.Behaviour{Mounts: true, At: "post-restore", Do: "die"})
	if _, err := w.r.Restore(ctx, &libcontainer.RestoreOptions{CreateOptions: *o, Images: images}); err == nil {
		t.Error("a CRIU that dies has restored something")
	}
	if _, err := os.ReadFile(filepath.Join(path, criutest.Child)); err != nil {
		t.Error(err)
	}
	for { // of the test's CRIU, which has left it to its parent
		if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.EINTR {
			break
		}
	}
}
