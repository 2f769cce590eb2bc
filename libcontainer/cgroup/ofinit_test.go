package cgroup

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOfInit: where init has gone is followed below the container's cgroup, and not to
// one whose name only begins as that of the container's.
func TestOfInit(t *testing.T) {
	root := Root
	if unix.Access(root+"/cgroup.controllers", unix.F_OK) != nil {
		root += "/unified"
	}
	top := fmt.Sprintf("%s/hutchtest-%d-ofinit", root, os.Getpid())
	dir := top + "/ab/init"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Skipf("no cgroup v2 for us: %v", err)
	}
	t.Cleanup(func() {
		for _, d := range [...]string{dir, top + "/ab", top} {
			if err := os.Remove(d); err != nil {
				t.Error(err)
			}
		}
	})
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	pid := cmd.Process.Pid
	if err := os.WriteFile(dir+"/cgroup.procs", fmt.Append(nil, pid), 0); err != nil {
		t.Fatal(err)
	}
	if sub, err := (Paths{"": top + "/ab"}).OfInit(pid); err != nil || sub[""] != "init" {
		t.Errorf("below the container's: %v, %v", sub, err)
	}
	if sub, err := (Paths{"": top + "/a"}).OfInit(pid); err == nil {
		t.Errorf("beside the container's: %v", sub)
	}
	if sub, err := (Paths{"": top + "/other"}).OfInit(pid); err == nil {
		t.Errorf("elsewhere: %v", sub)
	}
}
