package integration

import (
	"os"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestHostileInitLeavesItsNamespaces: in a user namespace that init has made itself, and in
// a mount namespace that such a one owns, the image decides which program and which ids
// exec has. It is refused there by name, with and without a pid namespace, which decides
// when the runtime looks. An init that may mount and has made a mount namespace is joined.
func TestHostileInitLeavesItsNamespaces(t *testing.T) {
	t.Parallel()
	const nest, bind = "busybox unshare -Urm sh -c '", "mount --bind /tmp/evil /tmp/id; echo nested; exec sleep 1000'"
	mounts := withCapabilities("CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_SETUID", "CAP_SETGID")
	for _, c := range []struct {
		name, script string
		edits        []edit
		left         string // the namespace that the error names
	}{
		{"a user's init", nest + bind, []edit{asUser(1000)}, "user"},
		{"in the runtime's pid namespace", nest + bind, []edit{asUser(1000), withoutNamespace(specs.PIDNamespace)}, "user"},
		{"in a user namespace", nest + bind, []edit{userNamespace, asUser(1000)}, "user"},
		{"a mount namespace of a process below", nest + "sleep 1000' & until busybox nsenter -m -t $! true && " +
			"test $(readlink /proc/$!/ns/user) != $(readlink /proc/self/ns/user); do sleep 0.01; done; " +
			"exec busybox nsenter -m -t $! sh -c '" + bind, []edit{mounts}, "mount"},
		{"a mount namespace of its own", "busybox unshare -m sh -c '" + bind, []edit{mounts}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, append([]edit{sh(c.script)}, c.edits...)...)
			for name, says := range map[string]string{"tmp/id": "good", "tmp/evil": "evil"} {
				writeText(t, b.rootfs(name), "#!/bin/sh\necho "+says+"\n")
				if err := os.Chmod(b.rootfs(name), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			b.create().start().waitOutput("nested\n")
			res := b.exec([]string{"--user", "0"}, "/tmp/id")
			switch {
			case c.left == "" && !strings.Contains(res.stdout, "evil"):
				t.Errorf("init is not joined: %s", res)
			case c.left != "" && (res.code == 0 || res.stdout != ""):
				t.Errorf("the program of the image's user has run: %s", res)
			case c.left != "" && !strings.Contains(res.stderr, "init has left its "+c.left+" namespace"):
				t.Errorf("the error does not name it: %s", res)
			}
		})
	}
}
