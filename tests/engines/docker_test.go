package engines

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/tests/testwait"
)

// TestDocker runs the scenarios on dockerd with its own containerd.
func TestDocker(t *testing.T) {
	need(t, "dockerd", "docker", "containerd", "containerd-shim-runc-v2", "iptables")
	docker, _ := startDocker(t, "docker", "")
	has(t, docker.run(t, "info", "--format", "{{.DefaultRuntime}} {{.Driver}} {{.CgroupDriver}}"), "tested overlay2 cgroupfs")
	runScenarios(t, docker)
	nothingLeft(t, docker)
}

// TestDockerUserns is a dockerd whose containers are in user namespaces.
func TestDockerUserns(t *testing.T) {
	need(t, "dockerd", "docker")
	docker, _ := startDocker(t, "docker-userns", `"userns-remap": "hutchremap",`)
	is(t, docker.sh(t, nil, "head -1 /proc/self/uid_map | tr -s ' '"), "0 300000 65536")
	for _, name := range []string{"run", "exec", "users", "published port", "read-only root", "volumes", "limits", "stop"} {
		runScenario(t, docker, name)
	}
	nothingLeft(t, docker)
}

// TestDockerLiveRestore is a dockerd that ends and begins again while its
// container runs on.
func TestDockerLiveRestore(t *testing.T) {
	need(t, "dockerd", "docker")
	docker, server := startDocker(t, "docker-live", `"live-restore": true,`)
	const name = "survivor"
	docker.run(t, "run", "-d", "--name", name, "--cgroup-parent", docker.parent, docker.image, "sh", "-c", "echo begun; exec sleep 1000")
	pid := docker.ask(t, name, "{{.State.Pid}}")
	stop(t, server)
	if comm, err := os.ReadFile("/proc/" + pid + "/comm"); err != nil || string(comm) != "sleep\n" {
		t.Fatalf("the container has ended with dockerd: %v %q", err, comm)
	}
	dockerd(t, docker, filepath.Join(space, "docker-live"))
	is(t, docker.ask(t, name, "{{.State.Pid}} {{.State.Running}}"), pid+" true")
	is(t, docker.run(t, "exec", name, "cat", "/proc/1/comm"), "sleep")
	is(t, docker.run(t, "logs", name), "begun")
	docker.remove(t, name)
	nothingLeft(t, docker)
}

// TestDockerCurrent is a current dockerd and containerd, where DOCKERD and CONTAINERD name the
// folders of their programs; it knows CDI devices.
func TestDockerCurrent(t *testing.T) {
	folder := os.Getenv("DOCKERD")
	if _, err := os.Stat(filepath.Join(folder, "dockerd")); err != nil || folder == "" {
		t.Skip("needs DOCKERD, the folder of a built dockerd (make engines-current)")
	}
	t.Setenv("PATH", folder+":"+os.Getenv("CONTAINERD")+":"+os.Getenv("PATH"))
	t.Setenv("DOCKER_MIN_API_VERSION", "1.24") // for the docker of Debian
	writeCDI(t)
	docker, _ := startDocker(t, "docker-current", `"features": {"cdi": true}, "cdi-spec-dirs": ["/run/cdi"],`)
	has(t, docker.run(t, "info", "--format", "{{.DefaultRuntime}} {{.CgroupDriver}}"), "tested cgroupfs")
	runScenarios(t, docker)
	t.Run("CDI", func(t *testing.T) { dockerCDI(t, docker) })
	nothingLeft(t, docker)
}

// dockerCDI runs a container with a device of a specification. It is made by dockerd's HTTP
// interface, since the docker of Debian takes such a device for a path.
func dockerCDI(t *testing.T, docker *engine) {
	type object = map[string]any
	body, err := json.Marshal(object{
		"Image": docker.image, "Cmd": []string{"sh", "-c", cdiLook},
		"HostConfig": object{
			"CgroupParent":   docker.parent,
			"DeviceRequests": []object{{"Driver": "cdi", "DeviceIDs": []string{cdiDevice}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	socket := strings.TrimPrefix(docker.call[2], "unix://")
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	answer, err := client.Post("http://docker/containers/create?name=cdi", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusCreated {
		t.Fatalf("%s: %s (%v)", answer.Status, text, err)
	}
	is(t, docker.run(t, "start", "-a", "cdi"), cdiWant()...)
	docker.remove(t, "cdi")
}

// startDocker starts a dockerd in dir, of its own data, networks and socket.
// more are further lines of its daemon.json.
func startDocker(t *testing.T, dir, more string) (docker *engine, server *exec.Cmd) {
	t.Helper()
	return startDockerBy(t, dir, "cgroupfs", more)
}

// startDockerBy is startDocker with a driver of cgroups.
func startDockerBy(t *testing.T, dir, driver, more string) (docker *engine, server *exec.Cmd) {
	t.Helper()
	base := filepath.Join(space, dir)
	if err := os.MkdirAll(base, 0o711); err != nil {
		t.Fatal(err)
	}
	socket := "unix://" + base + "/docker.sock"
	config := fmt.Sprintf(`{
	"default-runtime": "tested",
	"runtimes": {"tested": {"path": %q}},
	"exec-opts": ["native.cgroupdriver=%s"],
	"cgroup-parent": %q,
	"data-root": %q, "exec-root": %q, "pidfile": %q,
	"hosts": [%q],
	"storage-driver": "overlay2",
	"features": {"buildkit": false},
	%s
	"log-level": "warn"
}
`, runtimePath, driver, driverParent(driver), base+"/data", base+"/exec", base+"/pid", socket, more)
	if err := os.WriteFile(base+"/daemon.json", []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(more, "hutchremap") {
		remapUser(t)
	}
	docker = &engine{name: "docker", call: []string{"docker", "--host", socket}, image: "bb", parent: cgroupParent()}
	t.Setenv("DOCKER_CONFIG", space+"/docker-config")
	server = dockerd(t, docker, base)
	docker.run(t, "import", image, docker.image)
	return docker, server
}

// dockerd starts the daemon that base's daemon.json describes.
func dockerd(t *testing.T, docker *engine, base string) *exec.Cmd {
	t.Helper()
	server := daemon(t, "dockerd", "--config-file", base+"/daemon.json", "--init-path", "/usr/bin/tini-static")
	there(t, base+"/docker.sock")
	testwait.Until(t, "dockerd answers", func() bool {
		return exec.Command(docker.call[0], append(docker.call[1:], "version")...).Run() == nil
	})
	return server
}

// remapUser gives the mount namespace a user with subordinate ids.
func remapUser(t *testing.T) {
	t.Helper()
	script := `set -e
for f in passwd group subuid subgid; do [ -e /etc/$f ] || continue; cp /etc/$f "$1/$f"; done
echo 'hutchremap:x:299999:299999::/:/bin/false' >>"$1/passwd"
echo 'hutchremap:x:299999:' >>"$1/group"
echo 'hutchremap:300000:65536' >>"$1/subuid"
echo 'hutchremap:300000:65536' >>"$1/subgid"
for f in passwd group subuid subgid; do [ -e /etc/$f ] && mount --bind "$1/$f" /etc/$f; done`
	dir := t.TempDir()
	if out, err := exec.Command("sh", "-c", script, "sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() {
		exec.Command("umount", "/etc/passwd", "/etc/group", "/etc/subuid", "/etc/subgid").Run()
	})
}
