package cgroup_test

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/hutch-project/hutch/internal/bpf"
	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/cgroup/device"
	"github.com/hutch-project/hutch/internal/seat"
)

// TestDevicesInAUserNamespace sets rules from a user namespace, where the kernel
// lets no one.
func TestDevicesInAUserNamespace(t *testing.T) {
	if kind, dir, ok := strings.Cut(os.Getenv("HUTCH_TEST_USERNS"), ":"); ok {
		if seat.Initial() {
			t.Fatal("not seen to be in a user namespace")
		}
		unified := kind == "v2"
		rules, err := device.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		find := func(string) (cgroupfs.Dir, bool) { return cgroupfs.At(dir), true }
		if err := rules.Set(find, unified, nil, false); err != nil {
			t.Fatal(err)
		}
		return
	}
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		if !seat.Initial() {
			t.Skip("needs the first user namespace")
		}
		if l.Mode != cgroup.V2 {
			needs(t, l, "devices")
		}
		p, _ := planned(t, l, "/"+unique())
		at, _ := p.Dir("devices")
		cmd := exec.Command(os.Args[0], "-test.run=^TestDevicesInAUserNamespace$", "-test.v")
		kind := "v1"
		if l.Mode == cgroup.V2 {
			kind = "v2"
		}
		cmd.Env = append(os.Environ(), "HUTCH_TEST_USERNS="+kind+":"+at.Abs)
		one := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}}
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: one, GidMappings: one}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: TestDevicesInAUserNamespace") {
			t.Errorf("%v: %s", err, out)
		}
		if l.Mode != cgroup.V2 {
			return
		}
		opened, err := os.Open(at.Abs)
		if err != nil {
			t.Fatal(err)
		}
		defer opened.Close()
		if ids, err := bpf.AttachedDevice(int(opened.Fd())); err != nil || len(ids) != 0 {
			t.Errorf("the kernel has attached programs: %v, %v", ids, err)
		}
	})
}
