package testplain

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestUnique: another process, of whatever pid namespace, has other names, with the word of
// whoever has started it.
func TestUnique(t *testing.T) {
	if os.Getenv("HUTCH_TEST_PRINTS") != "" {
		os.Stdout.WriteString(Unique("a"))
		os.Exit(0)
	}
	seen := map[string]bool{Unique("a"): true, Unique("a"): true}
	for range 3 {
		cmd := exec.Command("/proc/self/exe", "-test.run", "^TestUnique$")
		cmd.Env = append(os.Environ(), "HUTCH_TEST_PRINTS=1", RunVariable+"=w")
		name, err := cmd.Output()
		if err != nil || !strings.HasPrefix(string(name), "a-w") {
			t.Fatalf("%q, %v", name, err)
		}
		seen[string(name)] = true
	}
	if len(seen) != 5 {
		t.Errorf("names come again: %v", seen)
	}
}
