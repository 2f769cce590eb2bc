package engines

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/tests/testwait"
)

// makeSystemdTree makes a root file system of busybox and the host's systemd, with the units
// that its start and its end need, and one of its own, which writes the cgroup that systemd
// has given it to /run/proof.
const makeSystemdTree = `set -e
mkdir -p "$2"
cp -a "$1/." "$2/"
copy() {
	[ ! -e "$2$1" ] || return 0
	mkdir -p "$2$(dirname "$1")"
	cp -L "$1" "$2$1"
}
for program in /lib/systemd/systemd /lib/systemd/systemd-shutdown /bin/systemctl; do
	copy $program "$2"
	for library in $(ldd $program | grep -o '/[^ ]*'); do copy $library "$2"; done
done
for unit in sysinit basic shutdown umount final halt; do copy /lib/systemd/system/$unit.target "$2"; done
copy /lib/systemd/system/systemd-halt.service "$2"
mkdir -p "$2/etc/systemd/system"
echo '[Unit]
Requires=basic.target proof.service
After=basic.target proof.service' >"$2/etc/systemd/system/default.target"
echo '[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c "grep -E ^0:\\|name=systemd /proc/self/cgroup >/run/proof"' >"$2/etc/systemd/system/proof.service"
echo 0123456789abcdef0123456789abcdef >"$2/etc/machine-id"
`

// TestPodmanSystemd has systemd as the first process of a container: it starts a service in a
// cgroup of its own below the container's, takes orders, and halts when Podman asks for it.
func TestPodmanSystemd(t *testing.T) {
	need(t, "ldd", "systemctl")
	podman := configurePodman(t)
	tree := filepath.Join(space, "systemd")
	if out, err := exec.Command("sh", "-c", makeSystemdTree, "sh", busyboxTree, tree).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const name = "booted"
	t.Cleanup(func() {
		if t.Failed() {
			podman.remove(t, name)
		}
	})
	pidfile := filepath.Join(t.TempDir(), "pid")
	podman.run(t, "run", "-d", "--name", name, "--cgroup-parent", podman.parent, "--network", "none", "--pidfile", pidfile,
		"--systemd=always", "--rootfs", tree, "/lib/systemd/systemd")
	proc := "/proc/" + strings.TrimSpace(readFile(t, pidfile))
	testwait.Poll(t, func() string { return "systemd has started its service: " + podman.run(t, "logs", name) }, func() bool {
		proof, _ := os.ReadFile(proc + "/root/run/proof")
		return strings.Contains(string(proof), "/system.slice/proof.service\n")
	})
	is(t, readFile(t, proc+"/comm"), "systemd")
	is(t, podman.run(t, "exec", name, "systemctl", "is-system-running", "--wait"), "running")
	// One that is ended by SIGKILL has 137.
	is(t, podman.run(t, "stop", "-t", "600", name), name)
	is(t, podman.ask(t, name, "{{.State.Status}} {{.State.ExitCode}}"), "exited 0")
	podman.remove(t, name)
	nothingLeft(t, podman)
}
