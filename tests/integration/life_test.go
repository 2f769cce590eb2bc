package integration

import (
	"os"
	"testing"
)

func TestRunPrintsAndExits(t *testing.T) {
	t.Parallel()
	if got := script(t, "echo hello; pwd"); got != "hello\n/\n" {
		t.Errorf("output %q", got)
	}
}

func TestLife(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("echo up; exec sleep 1000"))
	b.create().status("created")
	if b.output() != "" {
		t.Errorf("the process ran before start: %q", b.output())
	}
	b.start().status("running")
	b.waitOutput("up\n")
	b.kill("KILL")
	if code := b.wait(); code != 128+9 {
		t.Errorf("exit code %d, want 137", code)
	}
	b.status("stopped")
	if pid := b.state().Pid; pid == nil || *pid != 0 {
		t.Errorf("pid of a stopped container: %v, want an explicit 0", pid)
	}
	b.delete()
	b.rt("state", b.id).failed(t, "does not exist")
	if _, err := os.Stat(b.root + "/" + b.id); err == nil {
		t.Error("state directory still there")
	}
}
