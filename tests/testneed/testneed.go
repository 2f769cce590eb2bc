// Package testneed is how tests ask for what not every machine has: a test that lacks it is
// skipped, and the reason names it. Where HUTCH_MUST names a feature, which a machine made
// for it sets, its lack is a failure.
//
// Only tests import it.
package testneed

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// variable of the environment has the features that tests may not skip for lack of, with
// spaces between.
const variable = "HUTCH_MUST"

// Must reports whether a feature may not be missing on this machine.
func Must(feature string) bool {
	return slices.Contains(strings.Fields(os.Getenv(variable)), feature)
}

// Feature skips the test where a feature is not there, or fails it where it must be.
func Feature(t testing.TB, feature string, there bool) {
	t.Helper()
	if there {
		return
	}
	if Must(feature) {
		t.Fatalf("%s must be here (%s) and is not", feature, variable)
	}
	t.Skipf("needs %s", feature)
}

// Root skips the test for others than root; what says what of it takes root, if that is
// not the whole test.
func Root(t testing.TB, what ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip(strings.Join(append([]string{"needs root"}, what...), ": "))
	}
}

// Programs skips the test where a program is not in the PATH.
func Programs(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("needs %s", name)
		}
	}
}

// OpenDumps skips the test but where HUTCH_MUST has suid_dumpable, as in a VM, since it sets
// fs.suid_dumpable for the whole machine: a change of ids then opens a process to others.
func OpenDumps(t testing.TB) {
	t.Helper()
	if !Must("suid_dumpable") {
		t.Skip("changes fs.suid_dumpable of the machine")
	}
	if err := os.WriteFile("/proc/sys/fs/suid_dumpable", []byte("1"), 0); err != nil {
		t.Fatal(err)
	}
}
