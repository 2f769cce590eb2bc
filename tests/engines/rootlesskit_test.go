package engines

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/tests/testwait"
)

// inKit is the command line that RootlessKit runs the rest by as root of a user namespace,
// with a network of slirp4netns, as Docker's dockerd-rootless.sh and BuildKit's have it.
func (u *user) inKit(words ...string) []string {
	kit := []string{
		"rootlesskit", "--state-dir", u.base + "/run/kit", "--net=slirp4netns", "--mtu=65520", "--disable-host-loopback",
		"--port-driver=builtin", "--copy-up=/etc", "--copy-up=/run", "--propagation=rslave",
		// Links to files of the host's that the daemon makes anew.
		"sh", "-c", `rm -f /run/docker /run/containerd /run/buildkit /run/xtables.lock; exec "$@"`, "sh",
	}
	return append(append(append([]string{}, u.call...), kit...), words...)
}

// TestRootlessDocker runs containers of a dockerd that a user has started, in RootlessKit's
// namespaces.
func TestRootlessDocker(t *testing.T) {
	need(t, "dockerd", "docker", "rootlesskit", "slirp4netns", "iptables")
	u := newUser(t, "rootless-docker")
	wrapped, calls := u.wrap(t)
	// BuildKit in dockerd has no setting for its runtime: it takes what PATH has as runc.
	docker := startRootlessDocker(t, u, "", filepath.Dir(wrapped)+":")
	has(t, docker.run(t, "info", "--format", "{{.DefaultRuntime}} {{.SecurityOptions}}"), "tested", "rootless")
	is(t, docker.sh(t, nil, "tr -s ' ' </proc/self/uid_map; echo x >/dev/null && echo null"), "0 "+userID+" 1", " 1 "+subordinate+" 65536", "null")
	for _, name := range rootlessScenarios {
		runScenario(t, docker, name)
	}
	// A veth and a bridge in RootlessKit's network, and slirp4netns with its port driver out of it.
	t.Run("published port", func(t *testing.T) {
		web := docker.start(t, []string{"-p", "127.0.0.1:18081:80"}, "echo served >/tmp/page && exec httpd -f -p 80 -h /tmp")
		has(t, docker.run(t, "exec", web, "ls", "/sys/class/net"), "eth0", "lo")
		answers(t, 18081)
	})
	t.Run("BuildKit", func(t *testing.T) { buildKit(t, docker, calls) })
	is(t, docker.run(t, "ps", "-aq"))
	if left, _ := filepath.Glob(u.base + "/run/exec/runtime-*/moby/*"); len(left) > 0 {
		t.Errorf("state of containers that are gone: %q", left)
	}
}

// startRootlessDocker starts a dockerd of the user in RootlessKit's namespaces. more are further
// lines of its daemon.json, first are folders that come first in its PATH.
func startRootlessDocker(t *testing.T, u *user, more, first string) *engine {
	t.Helper()
	socket := "unix://" + u.base + "/run/docker.sock"
	write(t, u.base+"/daemon.json", fmt.Sprintf(`{
	"default-runtime": "tested",
	"runtimes": {"tested": {"path": %q}},
	"data-root": %q, "exec-root": %q, "pidfile": %q,
	"hosts": [%q],
	"storage-driver": "vfs",
	"features": {"buildkit": false},
	%s
	"log-level": "warn"
}
`, u.base+"/runtime", u.base+"/home/data", u.base+"/run/exec", u.base+"/run/pid", socket, more))
	t.Setenv("DOCKER_CONFIG", space+"/docker-config")
	docker := &engine{name: "docker", call: []string{"docker", "--host", socket}, image: "bb"}
	daemon(t, u.inKit("env", "PATH="+first+os.Getenv("PATH"), "dockerd", "--rootless", "--config-file", u.base+"/daemon.json", "--init-path", "/usr/bin/tini-static")...)
	testwait.Until(t, "dockerd answers", func() bool {
		return exec.Command(docker.call[0], append(docker.call[1:], "version")...).Run() == nil
	})
	docker.run(t, "import", image, docker.image)
	return docker
}

// rootlessScenarios are what differs without root: those that need a cgroup are not among
// them, since on cgroup v1 a user's engine makes none.
var rootlessScenarios = []string{"run", "run what cannot be run", "terminal", "exec", "stop", "users", "volumes"}

// wrap makes a program that runs the runtime, and returns it with the file that it writes
// its arguments to.
func (u *user) wrap(t *testing.T) (program, calls string) {
	t.Helper()
	program, calls = u.base+"/bin/runc", u.base+"/home/calls"
	if err := os.MkdirAll(u.base+"/bin", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, program, fmt.Sprintf("#!/bin/sh\necho \"$*\" >>%s\nexec %s \"$@\"\n", calls, u.base+"/runtime"))
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	return program, calls
}

// buildKit builds with dockerd's BuildKit, which runs each step by a runtime of its own choice;
// calls is where that one writes what it is called with.
func buildKit(t *testing.T, docker *engine, calls string) {
	dir := t.TempDir()
	if out, err := exec.Command("cp", image, dir+"/busybox.tar").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	write(t, dir+"/Dockerfile", `FROM scratch
ADD busybox.tar /
RUN id -u >/user && test -c /dev/null && ! touch /proc/sys/kernel/domainname
RUN --mount=type=tmpfs,target=/scratch touch /scratch/x && grep -c ' /scratch tmpfs' /proc/mounts >/mounts
USER 1000
RUN id -u >/tmp/user && ! touch /x
`)
	t.Setenv("DOCKER_BUILDKIT", "1")
	docker.run(t, "build", "-q", "-t", "built", dir)
	t.Cleanup(func() { docker.try(t, "rmi", "-f", "built") })
	is(t, docker.run(t, "run", "--rm", "built", "cat", "/user", "/mounts", "/tmp/user"), "0", "1", "1000")
	if n := strings.Count(readFile(t, calls), " run "); n != 3 {
		t.Errorf("BuildKit has run the runtime %d times, want 3:\n%s", n, readFile(t, calls))
	}
}

// TestRootlessBuildah builds as a user; buildah starts the runtime as root of a user namespace.
func TestRootlessBuildah(t *testing.T) {
	need(t, "buildah")
	u := newUser(t, "rootless-buildah")
	wrapped, calls := u.wrap(t)
	write(t, "/etc/containers/policy.json", `{"default": [{"type": "insecureAcceptAnything"}]}`)
	buildah := &engine{name: "buildah", call: append(u.call, "buildah", "--storage-driver", "vfs")}
	tested := []string{"--runtime", wrapped, "--isolation", "rootless", "--network", "none"}
	name := buildah.run(t, "from", "scratch")
	t.Cleanup(func() { buildah.try(t, "rm", name) })
	buildah.run(t, "copy", "-q", name, u.root, "/")
	run := func(args ...string) string {
		t.Helper()
		return buildah.run(t, append(append([]string{"run"}, tested...), args...)...)
	}
	is(t, run(name, "--", "sh", "-c", "id -u; tr -s ' ' </proc/self/uid_map; echo x >/dev/null; touch /made"), "0", " 0 "+userID+" 1", " 1 "+subordinate+" 65536")
	is(t, run("--user", "1000", name, "--", "sh", "-c", "id -u; ls /made; touch /x 2>/dev/null || echo refused"), "1000", "/made", "refused")
	if code, out := buildah.try(t, append(append([]string{"run"}, tested...), name, "--", "sh", "-c", "exit 6")...); code != 6 {
		t.Errorf("exit code %d, want 6: %s", code, out)
	}
	if n := strings.Count(readFile(t, calls), "create "); n != 3 {
		t.Errorf("buildah has made %d containers by the runtime, want 3:\n%s", n, readFile(t, calls))
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
