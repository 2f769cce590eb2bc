package cgroup

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

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
		find := func(string) (spot, bool) { return spot{unix.AT_FDCWD, dir, dir}, true }
		if unified {
			if err := rules(t).attach(spot{unix.AT_FDCWD, dir, dir}, true); !isPermission(err) {
				t.Fatalf("the kernel has attached a program: %v", err)
			}
		}
		if err := rules(t).set(find, unified, nil, false); err != nil {
			t.Fatal(err)
		}
		return
	}
	forEach(t, func(t *testing.T, l *Layout) {
		if !seat.Initial() {
			t.Skip("needs the first user namespace")
		}
		if l.Mode != V2 {
			needs(t, l, "devices")
		}
		p, _ := planned(t, l, "/"+unique())
		at, _ := p.find("devices")
		cmd := exec.Command(os.Args[0], "-test.run=^TestDevicesInAUserNamespace$", "-test.v")
		kind := "v1"
		if l.Mode == V2 {
			kind = "v2"
		}
		cmd.Env = append(os.Environ(), "HUTCH_TEST_USERNS="+kind+":"+at.abs)
		one := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}}
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: one, GidMappings: one}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: TestDevicesInAUserNamespace") {
			t.Errorf("%v: %s", err, out)
		}
	})
}
