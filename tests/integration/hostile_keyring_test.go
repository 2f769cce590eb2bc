package integration

import (
	"bufio"
	"os/exec"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestKeyringQuota: containers of the same user can use up its quota of keys. The next
// one, and a further process, does not run with the runtime's keyring instead.
func TestKeyringQuota(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 names the quota in other words")
	const owner = 424242 // of no other test
	mapped := func(s *specs.Spec) {
		userNamespace(s)
		s.Linux.UIDMappings[0].HostID = owner
	}
	running := newBundle(t, sh("probe keyring; sleep 1000"), mapped).create().start()
	running.waitOutput("\n")

	first := newBundle(t)
	fill := exec.Command(first.rootfs("bin/probe"), "fillkeys", "424242")
	in, err := fill.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := fill.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := fill.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = fill.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "full\n" {
		t.Fatalf("%q, %v", line, err)
	}
	const want = "is the quota used up: kernel.keys.maxkeys, maxbytes"
	newBundle(t, args("probe", "keyring"), mapped).refuse([]string{want})
	newBundle(t, args("true"), mapped).run("--no-new-keyring").ok(t)
	// Without the name that init has made, a keyring of its own has no place.
	running.rt("exec", running.id, "probe", "keyring").ok(t)
}
