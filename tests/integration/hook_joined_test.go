package integration

import (
	"os"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestHookOfAJoinedMountNamespaceIsTheHosts: a createContainer hook of a container that joins
// the mount namespace of another one is the host's program, with the host's libraries, and not
// what that other container's image has at the same path. It stands in the new container's
// root, in the namespace that is joined.
//
// Source: runtime-spec config.md "createContainer Hooks", "MUST resolve in the runtime namespace".
func TestHookOfAJoinedMountNamespaceIsTheHosts(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 runs what the joined namespace has at the path")
	other := newBundle(t, args("sleep", "1000"))
	b := newBundle(t, sh("cat /tmp/made"), func(s *specs.Spec) { s.Mounts = nil })
	script := func(path, text string) string {
		name := writeText(t, path, "#!/bin/sh\n"+text)
		if err := os.Chmod(name, 0o755); err != nil {
			t.Fatal(err)
		}
		return name
	}
	program := script(b.path("hook"), "echo the host >>./tmp/made\nreadlink /proc/self/ns/mnt >"+b.path("namespace")+"\n")
	script(other.rootfs(program), "echo the image >/tmp/evil\n")
	other.create().start()
	joined := nsOf(t, other.pid, specs.MountNamespace)
	namespace(specs.MountNamespace, nsPath(other.pid, specs.MountNamespace))(b.spec)
	hooks("createContainer", specs.Hook{Path: program})(b.spec)
	b.writeSpec()
	if res := b.run(); res.code != 0 || res.stdout != "the host\n" {
		t.Errorf("%s", res)
	}
	if _, err := os.Stat(other.rootfs("tmp/evil")); err == nil {
		t.Error("the program of the other container's image ran")
	}
	if got := strings.TrimSpace(readText(t, b.path("namespace"))); got != joined {
		t.Errorf("the hook ran in %s, want %s", got, joined)
	}
}
