package seat

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestSeats asks from each seat that a test can take, by a process of its own.
func TestSeats(t *testing.T) {
	if os.Getenv("HUTCH_TEST_SEAT") != "" {
		words := []string{"seat:"}
		for _, f := range []struct {
			name string
			is   bool
		}{{"initial", Initial()}, {"host-root", HostRoot()}, {"nested", Nested()}, {"mounts", Mounts()}} {
			if f.is {
				words = append(words, f.name)
			}
		}
		t.Log(strings.Join(words, " "), OutsideUID())
		return
	}
	if !HostRoot() {
		t.Skip("needs root of the host")
	}
	const user = 51719
	one := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}}
	for _, c := range []struct {
		name, want string
		attr       *syscall.SysProcAttr
	}{
		{"root", "seat: initial host-root mounts 0\n", nil},
		{"user", "seat: initial 51719\n", &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}},
		{"root of a user namespace", "seat: nested 0\n", &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: one, GidMappings: one}},
		{"with a mount namespace", "seat: nested mounts 0\n", &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: one, GidMappings: one}},
	} {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestSeats$", "-test.v")
		cmd.Env, cmd.SysProcAttr, cmd.Dir = append(os.Environ(), "HUTCH_TEST_SEAT=1"), c.attr, "/"
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v, got %s, want %s", c.name, err, out, c.want)
		}
	}
}

// TestInitialPids asks in another pid namespace, by the same procfs.
func TestInitialPids(t *testing.T) {
	if os.Getenv("HUTCH_TEST_SEAT") != "" {
		t.Logf("initial: %t", InitialPids())
		return
	}
	if !HostRoot() {
		t.Skip("needs root of the host")
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestInitialPids$", "-test.v")
	cmd.Env, cmd.SysProcAttr = append(os.Environ(), "HUTCH_TEST_SEAT=1"), &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "initial: false") {
		t.Errorf("%v: %s", err, out)
	}
}
