package integration

import (
	"bufio"
	"os/exec"
	"strconv"
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

	useUp(t, "fillkeys", "424242")
	const want = "is the quota used up: kernel.keys.maxkeys, maxbytes"
	newBundle(t, args("probe", "keyring"), mapped).refuse([]string{want})
	newBundle(t, args("true"), mapped).run("--no-new-keyring").ok(t)
	// Without the name that init has made, a keyring of its own has no place.
	running.rt("exec", running.id, "probe", "keyring").ok(t)
}

// useUp runs the probe with a command that uses up what a user may have, until the end of
// the test.
func useUp(t *testing.T, words ...string) {
	t.Helper()
	fill := exec.Command(newBundle(t).rootfs("bin/probe"), words...)
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
}

// TestDescriptorsInFlight: a process that sends itself descriptors, and takes none, uses
// up those of its user. A further process is made without sending one.
//
// Source: unix(7), ETOOMANYREFS.
func TestDescriptorsInFlight(t *testing.T) {
	t.Parallel()
	const owner, limit = 434343, "256"
	running := newBundle(t, args("sleep", "1000"), func(s *specs.Spec) {
		userNamespace(s)
		s.Linux.UIDMappings[0].HostID = owner
		s.Process.Capabilities = nil // who has CAP_SYS_ADMIN on the host is bound by no limit
	}).create().start()
	useUp(t, "fillflight", strconv.Itoa(owner), limit)
	file := writeText(t, running.path("process.json"), `{"args":["true"],"cwd":"/"}`)
	for _, words := range [][]string{{running.id, "true"}, {"--process", file, running.id}} {
		call{root: running.root, args: append([]string{"exec"}, words...),
			wrap: []string{"sh", "-c", "ulimit -n " + limit + `; exec "$@"`, "sh"}}.do(t).ok(t)
	}
}
