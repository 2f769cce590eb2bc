package libcontainer_test

import (
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testwait"
)

// hanging is a hook that tells by a fifo that it has begun, and does not end by itself.
type hanging struct {
	fifo string
	fd   int
}

func hangingHook(t *testing.T) *hanging {
	t.Helper()
	h := &hanging{fifo: filepath.Join(t.TempDir(), "fifo")}
	must(t, unix.Mkfifo(h.fifo, 0o600))
	var err error
	h.fd, err = unix.Open(h.fifo, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(h.fd) })
	return h
}

// hooks has the hook as the only one of a kind.
func (h *hanging) hooks(kind string) *specs.Hooks {
	script := "echo >" + h.fifo + "; exec sleep 1000"
	hook := []specs.Hook{{Path: "/bin/busybox", Args: []string{"sh", "-c", script}, Env: []string{"PATH=/bin"}}}
	switch kind {
	case "createRuntime":
		return &specs.Hooks{CreateRuntime: hook}
	case "createContainer":
		return &specs.Hooks{CreateContainer: hook}
	case "poststart":
		return &specs.Hooks{Poststart: hook}
	}
	return &specs.Hooks{}
}

func (h *hanging) wait(t *testing.T) {
	t.Helper()
	testwait.Readable(t, "the hook begins", h.fd)
}
