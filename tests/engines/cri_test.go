package engines

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testwait"
)

// pauseImage is the image of pods' sandboxes.
const pauseImage = "docker.io/library/pause:latest"

// TestCRI runs Kubernetes' scenarios on Debian's containerd.
func TestCRI(t *testing.T) {
	need(t, "containerd", "ctr", "containerd-shim-runc-v2")
	kubernetes(t, "cri-1")
}

// TestCRI2 does so on a current one.
func TestCRI2(t *testing.T) {
	folder := os.Getenv("CONTAINERD")
	if _, err := os.Stat(filepath.Join(folder, "ctr")); err != nil || folder == "" {
		t.Skip("needs CONTAINERD, the folder of a built containerd 2 (make engines)")
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	kubernetes(t, "cri-2")
}

// startCRI starts a containerd that serves the Container Runtime Interface and has the images.
func startCRI(t *testing.T, dir string) *engine {
	t.Helper()
	base := filepath.Join(space, dir)
	if err := os.MkdirAll(base+"/net.d", 0o711); err != nil {
		t.Fatal(err)
	}
	write(t, base+"/net.d/10-lo.conflist", `{"cniVersion": "0.4.0", "name": "lonely", "plugins": [
	{"type": "ptp", "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.88.7.0/24"}]], "dataDir": "`+base+`/ipam"}}]}`)
	write(t, base+"/config.toml", fmt.Sprintf(`version = 2
root = %[1]q
state = %[2]q

[grpc]
  address = %[3]q

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %[4]q
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = %[5]q
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "tested"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.tested]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.tested.options]
        BinaryName = %[6]q
        SystemdCgroup = false
`, base+"/root", base+"/state", base+"/socket", pauseImage, base+"/net.d", runtimePath))
	t.Cleanup(func() { endShims(t, base+"/socket") }) // after the daemon, which comes below
	daemon(t, "containerd", "--config", base+"/config.toml", "--log-level", "warn")
	ctr := &engine{name: "containerd", call: []string{"ctr", "--address", base + "/socket", "--namespace", "k8s.io"}, image: ctrImage, parent: cgroupParent()}
	testwait.Until(t, "containerd answers", func() bool {
		return exec.Command(ctr.call[0], append(slices.Clone(ctr.call[1:]), "version")...).Run() == nil
	})
	ctr.run(t, "image", "import", archiveImage(t, ctrImage, `"Env": ["PATH=/bin"]`))
	ctr.run(t, "image", "import", archiveImage(t, pauseImage, `"Env": ["PATH=/bin"], "Entrypoint": ["sh", "-c", "trap exit TERM; while :; do sleep 1000 & wait; done"]`))
	return ctr
}

// endShims ends the shims of a containerd that has ended: it lets go of a pod's in the
// background, and one that it did not come to stays, and would count as left by later tests.
func endShims(t *testing.T, socket string) {
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range processes {
		args, _ := os.ReadFile(file) // it may have ended
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil || !strings.Contains(string(args), "-address\x00"+socket+"\x00") {
			continue
		}
		t.Logf("shim %d stayed: %s", pid, strings.ReplaceAll(string(args), "\x00", " "))
		_ = unix.Kill(pid, unix.SIGKILL) // in the tests' own pid namespace
		testwait.Until(t, "the shim has ended", func() bool { return unix.Kill(pid, 0) == unix.ESRCH })
	}
}

// kubelet runs a scenario of the client that CRI names, bin/cri. It ends by itself at the bound,
// and takes back what it has begun.
func kubelet(t *testing.T, socket, image, scenario string) (code int, out string) {
	t.Helper()
	cmd := exec.Command(os.Getenv("CRI"), "-socket", socket, "-image", image, "-parent", cgroupParent(), "-bound", testwait.Bound().String(), scenario)
	data, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(data)
}

// kubernetes drives a containerd by all of the client's scenarios.
func kubernetes(t *testing.T, dir string) {
	need(t, os.Getenv("CRI"))
	ctr := startCRI(t, dir)
	list, err := exec.Command(os.Getenv("CRI"), "-list").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.Lines(string(list)) {
		if name = strings.TrimSpace(name); name == "checkpoint" {
			continue // of TestCheckpointCRI
		}
		t.Run(name, func(t *testing.T) {
			code, out := kubelet(t, ctr.call[2], ctrImage, name)
			switch code {
			case 0:
			case 77:
				t.Skip(strings.TrimSpace(out))
			default:
				t.Error(out)
			}
		})
	}
	is(t, ctr.run(t, "container", "ls", "-q"), "")
	if left := cgroupsLeft(); len(left) > 0 {
		t.Errorf("cgroups left:\n%s", strings.Join(left, "\n"))
	}
}
