package engines

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPodman runs the scenarios on podman with conmon and CNI plugins.
func TestPodman(t *testing.T) {
	podman := setUpPodman(t)
	is(t, podman.run(t, "info", "--format", "{{.Host.OCIRuntime.Name}} {{.Store.GraphDriverName}} {{.Host.CgroupManager}}"), "tested overlay cgroupfs")
	runScenarios(t, podman)
	t.Run("silent", func(t *testing.T) { silent(t, podman) })
	t.Run("userns", func(t *testing.T) { podmanUserns(t, podman) })
	t.Run("pod", func(t *testing.T) { pod(t, podman) })
	t.Run("kube", func(t *testing.T) { kube(t, podman) })
	t.Run("CDI", func(t *testing.T) { podmanCDI(t, podman) })
	t.Run("preserved descriptors", func(t *testing.T) { preserved(t, podman) })
	nothingLeft(t, podman)
}

// setUpPodman configures podman and buildah, and gives them the image.
func setUpPodman(t *testing.T) *engine {
	t.Helper()
	podman := configurePodman(t)
	podman.run(t, "import", image, podman.image)
	return podman
}

// configurePodman writes the files that tell podman and buildah of the runtime.
func configurePodman(t *testing.T) *engine {
	t.Helper()
	need(t, "podman", "conmon", "iptables")
	base := filepath.Join(space, "podman")
	if err := os.MkdirAll(base, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, base+"/containers.conf", fmt.Sprintf(`[containers]
cgroupns = "private"
log_driver = "k8s-file"

[engine]
runtime = "tested"
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime_supports_json = ["tested"]

[engine.runtimes]
tested = [%q]

[network]
network_backend = "cni"
cni_plugin_dirs = ["/usr/lib/cni"]
network_config_dir = %q
`, runtimePath, base+"/net.d"))
	write(t, base+"/storage.conf", fmt.Sprintf("[storage]\ndriver = \"overlay\"\ngraphroot = %q\nrunroot = %q\n", base+"/data", base+"/run"))
	write(t, "/etc/containers/policy.json", `{"default": [{"type": "insecureAcceptAnything"}]}`)
	t.Setenv("CONTAINERS_CONF", base+"/containers.conf")
	t.Setenv("CONTAINERS_STORAGE_CONF", base+"/storage.conf")
	return &engine{name: "podman", call: []string{"podman"}, image: "localhost/bb", parent: cgroupParent()}
}

// silent holds that nothing but the container's own output is shown.
func silent(t *testing.T, e *engine) {
	is(t, e.sh(t, nil, "echo one; echo two >&2"), "one", "two")
	name := e.start(t, nil, "exec sleep 1000")
	is(t, e.run(t, "exec", name, "true"), "")
	is(t, e.run(t, "pause", name), name)
	is(t, e.run(t, "unpause", name), name)
	is(t, e.run(t, "rm", "-f", "-t", "0", name), name)
}

// podmanUserns runs containers in user namespaces with ids of their own.
func podmanUserns(t *testing.T, e *engine) {
	maps := []string{"--uidmap", "0:300000:65536", "--gidmap", "0:300000:65536"}
	is(t, e.sh(t, maps, "head -1 /proc/self/uid_map | tr -s ' '; id -u; touch /etc/x && stat -c %u /etc/x"), "0 300000 65536", "0", "0")
	name := e.start(t, append(maps, "--memory", "64m", "-p", "127.0.0.1:18081:80"), "exec sleep 1000")
	is(t, e.run(t, "exec", name, "sh", "-c", "head -1 /proc/self/uid_map | tr -s ' '; cat /proc/1/comm"), "0 300000 65536", "sleep")
	is(t, e.run(t, "exec", "--user", "1000", name, "id", "-u"), "1000")
}

// pod has two containers that share what a pod shares.
func pod(t *testing.T, e *engine) {
	t.Cleanup(func() {
		e.try(t, "pod", "rm", "-f", "-t", "0", "together")
		removePodCgroups()
	})
	e.run(t, "pod", "create", "--name", "together", "--cgroup-parent", e.parent, "--hostname", "both", "-p", "127.0.0.1:18082:80")
	e.run(t, "run", "-d", "--pod", "together", "--name", "server", e.image, "sh", "-c", "echo served >/tmp/page; exec httpd -f -p 80 -h /tmp")
	is(t, e.run(t, "run", "--rm", "--pod", "together", e.image, "sh", "-c",
		"hostname; until wget -qO- http://127.0.0.1/page 2>/dev/null; do sleep 0.2; done"), "both", "served")
	is(t, e.run(t, "pod", "ps", "--format", "{{.Name}} {{.Status}} {{.NumberOfContainers}}"), "together Running 2")
	e.run(t, "pod", "pause", "together")
	e.run(t, "pod", "unpause", "together")
	has(t, e.run(t, "pod", "top", "together", "args"), "httpd")
	e.run(t, "pod", "stop", "-t", "1", "together")
	e.run(t, "pod", "start", "together")
	is(t, e.run(t, "exec", "server", "cat", "/tmp/page"), "served")
	e.run(t, "pod", "rm", "-f", "-t", "0", "together")
}

// removePodCgroups removes what Podman 4.3 leaves of a pod, with runc too: the
// pod's cgroups in the hierarchies that have no controller.
func removePodCgroups() {
	for _, hierarchy := range []string{"systemd", "unified"} {
		dirs, _ := filepath.Glob("/sys/fs/cgroup/" + hierarchy + cgroupParent() + "/*")
		for _, dir := range dirs {
			os.Remove(dir)
		}
	}
}

// playedPods is below what Podman puts the pods of `play kube`.
const playedPods = "libpod_parent"

// playedCgroups lists the cgroups of such pods, the highest last.
func playedCgroups() []string {
	pods, _ := filepath.Glob("/sys/fs/cgroup/*/" + playedPods + "/*")
	tops, _ := filepath.Glob("/sys/fs/cgroup/*/" + playedPods)
	return append(pods, tops...)
}

// kube plays a Kubernetes pod.
func kube(t *testing.T, e *engine) {
	before := playedCgroups()
	file := filepath.Join(t.TempDir(), "pod.yaml")
	write(t, file, `apiVersion: v1
kind: Pod
metadata:
  name: played
spec:
  restartPolicy: Never
  securityContext:
    runAsUser: 1000
  containers:
  - name: first
    image: `+e.image+`
    imagePullPolicy: Never
    command: ["/bin/sh", "-c", "id -u; exec sleep 1000"]
    resources:
      limits:
        memory: 64Mi
    securityContext:
      readOnlyRootFilesystem: true
      capabilities:
        drop: ["ALL"]
`)
	t.Cleanup(func() {
		e.try(t, "play", "kube", "--down", file)
		// As of a pod, some are left, with runc too.
		for _, dir := range playedCgroups() {
			if !slices.Contains(before, dir) {
				os.Remove(dir)
			}
		}
	})
	e.run(t, "play", "kube", file)
	is(t, e.run(t, "exec", "played-first", "/bin/sh", "-c", "id -u; grep CapBnd /proc/1/status; touch /x 2>/dev/null || echo refused; cat /sys/fs/cgroup/memory/memory.limit_in_bytes"),
		"1000", "CapBnd:\t0000000000000000", "refused", "67108864")
	e.run(t, "play", "kube", "--down", file)
}

// preserved passes one descriptor more on, and no other.
func preserved(t *testing.T, e *engine) {
	call := strings.Join(e.call, " ") + " run --rm --preserve-fds 1 --cgroup-parent " + e.parent + " " + e.image +
		` sh -c 'cat <&3; ls /proc/self/fd | tr "\n" " "'`
	code, out := tryInput(t, "", "sh", "-c", "echo given | { exec 3<&0; exec </dev/null; "+call+"; }")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	is(t, out, "given", "0 1 2 3 4")
}
