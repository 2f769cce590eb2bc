package engines

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// user is somebody with subordinate ids, without root, in the tests' mount namespace.
type user struct {
	base string   // a folder of theirs, with home, run and the runtime
	root string   // busybox's tree
	call []string // a command line that what follows is run by as the user
}

const (
	userID      = "299999"
	subordinate = "300000"
)

// newUser lays out a user in a folder of the name.
func newUser(t *testing.T, name string) *user {
	t.Helper()
	need(t, "setpriv", "newuidmap")
	for _, f := range []string{"/etc/subuid", "/etc/subgid"} { // others take their places
		if _, err := os.Stat(f); os.IsNotExist(err) {
			write(t, f, "")
			t.Cleanup(func() { os.Remove(f) })
		}
	}
	remapUser(t)
	u := &user{base: filepath.Join(homes, name)}
	u.root = filepath.Join(u.base, "rootfs")
	script := `set -e
mkdir -p "$1/home" "$1/run" "$2"
chmod 700 "$1/run"
tar -xf "$3" -C "$2"
cp "$4" "$1/runtime"
chown -R 299999:299999 "$1"`
	if out, err := exec.Command("sh", "-c", script, "sh", u.base, u.root, image, runtimePath).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	u.call = []string{
		"setpriv", "--reuid", userID, "--regid", userID, "--clear-groups",
		"env", "-i", "-C", u.base + "/home", "PATH=" + os.Getenv("PATH"), "HOME=" + u.base + "/home", "XDG_RUNTIME_DIR=" + u.base + "/run",
	}
	return u
}

// TestRootlessPodman runs containers as a user with subordinate ids. Podman starts the
// runtime as root of a user namespace that it has made, without a cgroup to write.
func TestRootlessPodman(t *testing.T) {
	need(t, "podman", "conmon")
	u := newUser(t, "rootless")
	base, root := u.base, u.root
	write(t, "/etc/containers/policy.json", `{"default": [{"type": "insecureAcceptAnything"}]}`)
	podman := &engine{name: "podman", call: append(u.call,
		"podman", "--log-level", "error", "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--storage-driver", "vfs", "--runtime", base+"/runtime",
	)}
	in := func(options []string, script string) string {
		t.Helper()
		args := append([]string{"run", "--rm"}, options...)
		if !slices.Contains(options, "--network") {
			args = append(args, "--network", "none")
		}
		return podman.run(t, append(args, "--rootfs", root, "sh", "-c", script)...)
	}
	is(t, in(nil, "id -u; tr -s ' ' </proc/self/uid_map; echo x >/dev/null && echo null"), "0", " 0 "+userID+" 1", " 1 "+subordinate+" 65536", "null")
	is(t, in([]string{"--user", "1000"}, "id -u; touch /x 2>/dev/null || echo refused"), "1000", "refused")
	is(t, in([]string{"--cap-drop", "all"}, "grep CapEff /proc/self/status | tr -s '\t' ' '"), "CapEff: 0000000000000000")
	is(t, in([]string{"--network", "host"}, "cat /sys/class/net/lo/mtu"), "65536")
	// The tmpfs above the hierarchies is writable with runc 1.1.
	if out := in(nil, "ls /sys/fs/cgroup; for d in /sys/fs/cgroup/*; do mkdir $d/x 2>/dev/null && echo writable $d; done; true"); strings.Contains(out, "writable") || out == "" {
		t.Errorf("cgroups of a container without any: %q", out)
	}
	name := podman.run(t, "run", "-d", "--network", "none", "--rootfs", root, "sleep", "1000")
	t.Cleanup(func() { podman.remove(t, name) })
	is(t, podman.run(t, "exec", name, "sh", "-c", "id -u; cat /proc/1/comm"), "0", "sleep")
	is(t, podman.run(t, "inspect", "--format", "{{.State.Status}}", name), "running")
	podman.run(t, "kill", name)
	is(t, podman.run(t, "wait", name), "137")
}
