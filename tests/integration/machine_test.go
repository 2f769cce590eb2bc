package integration

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/tests/testneed"
)

// What a machine differs in comes by the environment, so that one test binary
// serves this machine, a VM and a VM with systemd:
//
//	RUNTIME        the binary under test
//	RUNTIME_FLAGS  global flags for each of its calls: --systemd-cgroup
//	CALLER         user: a user without privilege calls it, in place of root (caller_test.go)
//	PROBE          the built probe, where there is no go command
//	SLOW           how much slower this machine is than usual ones: it makes fewer repetitions
//	HUTCH_MUST     features that tests may not skip for lack of: apparmor selinux block-device

var (
	runtimeFlags []string
	slowness     = 1
)

func readEnvironment() error {
	userCaller = os.Getenv("CALLER") == "user"
	runtimeFlags = strings.Fields(os.Getenv("RUNTIME_FLAGS"))
	if userCaller && systemdCgroup() {
		plainUser = sessionUser
	}
	if s := os.Getenv("SLOW"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return fmt.Errorf("SLOW=%s: give a whole number from 1", s)
		}
		slowness = n
	}
	return nil
}

// repetitions is how often to do what is done n times to meet an order of events by
// chance. A slow machine is there for its kernel, its cgroups or its processor, and does
// a fifth, as does -short.
func repetitions(n int) int {
	if slowness > 1 || testing.Short() {
		return (n + 4) / 5
	}
	return n
}

// systemdCgroup says that systemd makes the containers' cgroups.
func systemdCgroup() bool { return slices.Contains(runtimeFlags, "--systemd-cgroup") }

var needs = testneed.Feature

// cgroupMounts are the places where the hierarchy of cgroup v1 with this option is mounted.
func cgroupMounts(option string) (list []string) {
	text, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 3 && f[2] == "cgroup" && slices.Contains(strings.Split(f[3], ","), option) {
			list = append(list, f[1])
		}
	}
	return list
}
