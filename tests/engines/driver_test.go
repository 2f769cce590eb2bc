package engines

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/tests/testwait"
)

// drivers are the ways in which an engine has a container's cgroup made.
var drivers = []string{"cgroupfs", "systemd"}

// onDrivers runs a subtest for each driver on a machine of cgroup v2 that is the tests' own.
func onDrivers(t *testing.T, run func(t *testing.T, driver string)) {
	if !ownMachine() {
		t.Skip("needs a machine of its own, with systemd and cgroup v2 (make vm)")
	}
	for _, driver := range drivers {
		t.Run(driver, func(t *testing.T) {
			if left := cgroupsLeft(); len(left) > 0 {
				t.Fatalf("cgroups of another test:\n%s", strings.Join(left, "\n"))
			}
			// The last clean-up, behind those of run that take containers away.
			t.Cleanup(func() {
				testwait.Until(t, "the cgroups are gone", func() bool { return len(cgroupsLeft()) == 0 })
			})
			run(t, driver)
		})
	}
}

// driverParent is the cgroup above the containers of an engine, as the engine calls it.
func driverParent(driver string) string {
	if driver == "systemd" {
		return slice
	}
	return cgroupParent()
}

// placed fails unless process pid is in a cgroup of the driver, with these limits; it
// returns the directory.
func placed(t *testing.T, driver, pid, memory, tasks string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + pid + "/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	at := strings.TrimSpace(strings.TrimPrefix(string(text), "0::"))
	unit := filepath.Base(at)
	if !strings.HasPrefix(strings.TrimPrefix(at, "/"), strings.TrimPrefix(driverParent(driver), "/")+"/") ||
		strings.HasSuffix(unit, ".scope") != (driver == "systemd") {
		t.Errorf("with the driver %s the container is in %s", driver, at)
	}
	dir := "/sys/fs/cgroup" + at
	for name, want := range map[string]string{"memory.max": memory, "pids.max": tasks} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); want != "" && (err != nil || strings.TrimSpace(string(text)) != want) {
			t.Errorf("%s %q (%v), want %s", name, text, err, want)
		}
	}
	if driver == "systemd" {
		out, err := exec.Command("systemctl", "show", "-p", "MemoryMax", unit).Output()
		if strings.TrimSpace(string(out)) != "MemoryMax="+memory {
			t.Errorf("systemd has %q (%v), want %s", out, err, memory)
		}
	}
	return dir
}

// driven goes through a container's life in which the driver matters.
func driven(t *testing.T, e *engine, driver string) {
	e.parent = driverParent(driver)
	name := e.start(t, []string{"--network", "none", "--memory", "64m", "--pids-limit", "50"}, "exec sleep 1000")
	pid := e.ask(t, name, "{{.State.Pid}}")
	dir := placed(t, driver, pid, "67108864", "50")
	is(t, e.run(t, "exec", name, "sh", "-c", "cat /proc/self/cgroup; cat /sys/fs/cgroup/memory.max"), "0::/", "67108864")
	e.run(t, "update", "--cpu-shares", "512", name)
	placed(t, driver, pid, "67108864", "50")
	e.run(t, "update", "--memory", "96m", "--memory-swap", "96m", name)
	placed(t, driver, pid, "100663296", "50")
	e.run(t, "pause", name)
	if text, _ := os.ReadFile(dir + "/cgroup.freeze"); string(text) != "1\n" {
		t.Errorf("paused, and cgroup.freeze is %q", text)
	}
	e.run(t, "unpause", name)
	e.remove(t, name)
	if _, err := os.Stat(dir); err == nil {
		t.Errorf("left: %s", dir)
	}
}

func TestDriverDocker(t *testing.T) {
	onDrivers(t, func(t *testing.T, driver string) {
		// The one that dockerd would start has a quarter of a minute, which is little there.
		socket := containerdServer(t, "docker-containerd-"+driver)
		e, _ := startDockerBy(t, "docker-"+driver, driver, `"bridge": "none", "iptables": false, "ip6tables": false, "containerd": "`+socket+`",`)
		is(t, e.run(t, "info", "--format", "{{.CgroupDriver}} {{.CgroupVersion}}"), driver+" 2")
		driven(t, e, driver)
	})
}

func TestDriverPodman(t *testing.T) {
	onDrivers(t, func(t *testing.T, driver string) {
		e := setUpPodman(t)
		e.call = append(e.call, "--cgroup-manager", driver)
		driven(t, e, driver)
		if driver == "systemd" { // which devices' rules go by, too
			writeCDI(t)
			is(t, e.sh(t, []string{"--network", "none", "--device", cdiDevice}, cdiLook), cdiWant()...)
		}
	})
}

func TestDriverContainerd(t *testing.T) {
	onDrivers(t, func(t *testing.T, driver string) {
		e := startContainerd(t, "containerd-"+driver)
		options := []string{"run", "-d", "--runc-binary", runtimePath, "--memory-limit", "67108864"}
		if driver == "systemd" {
			options = append(options, "--runc-systemd-cgroup", "--cgroup", slice+":ctr:driven")
		} else {
			options = append(options, "--cgroup", cgroupParent()+"/driven")
		}
		t.Cleanup(func() {
			e.try(t, "task", "rm", "-f", "driven")
			e.try(t, "container", "rm", "driven")
		})
		e.run(t, append(options, e.image, "driven", "sleep", "1000")...)
		fields := strings.Fields(e.run(t, "task", "ls"))
		placed(t, driver, fields[len(fields)-2], "67108864", "")
		is(t, attached(t, e, []string{"task", "exec", "--exec-id", "x", "driven"}, "cat /proc/1/comm"), "sleep")
		e.run(t, "task", "pause", "driven")
		has(t, e.run(t, "task", "ls"), "PAUSED")
		e.run(t, "task", "resume", "driven")
		has(t, e.run(t, "task", "metrics", "driven"), "memory", "pids.current")
	})
}

// ownMachine reports whether the tests have the machine for themselves: then they make no
// namespaces, since systemd must know the engines' processes by their numbers.
func ownMachine() bool { return os.Getenv("IN_VM") == "1" }

// slice is the unit above the containers of engines with systemd's driver.
const slice = "hutchengines.slice"

// sessionUser lays out the folder of the user who has a login session.
func sessionUser(t *testing.T, name string) *user {
	t.Helper()
	if _, err := os.Stat("/run/user/4711/systemd/private"); err != nil || !ownMachine() {
		t.Skip("needs a user's session on a machine of its own (make vm)")
	}
	u := &user{base: filepath.Join(homes, name), call: []string{"/run/vm/as-user"}}
	u.root = u.base + "/rootfs"
	script := `set -e
mkdir -p "$1/home" "$1/run" "$1/rootfs"
tar -xf "$2" -C "$1/rootfs"
cp "$3" "$1/runtime"
chown -R 4711:4711 "$1"`
	if out, err := exec.Command("sh", "-c", script, "sh", u.base, image, runtimePath).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return u
}

// inSession fails unless process pid is in a scope below the slice of the user's service
// manager, of a name that begins so, with 64 MiB and 50 tasks.
func inSession(t *testing.T, pid, name string) {
	t.Helper()
	at := strings.TrimSpace(strings.TrimPrefix(readFile(t, "/proc/"+pid+"/cgroup"), "0::"))
	if !strings.HasPrefix(at, "/user.slice/user-4711.slice/user@4711.service/user.slice/"+name) {
		t.Errorf("the container is in %s", at)
	}
	for file, want := range map[string]string{"memory.max": "67108864\n", "pids.max": "50\n"} {
		if text, err := os.ReadFile("/sys/fs/cgroup" + at + "/" + file); string(text) != want {
			t.Errorf("%s %q (%v), want %q", file, text, err, want)
		}
	}
}

// TestDriverRootlessPodman is Podman in a login session, whose cgroups systemd of the user
// makes, with the limits that are delegated.
func TestDriverRootlessPodman(t *testing.T) {
	u := sessionUser(t, "session")
	write(t, "/etc/containers/policy.json", `{"default": [{"type": "insecureAcceptAnything"}]}`)
	podman := &engine{name: "podman", call: append(u.call,
		"podman", "--log-level", "error", "--cgroup-manager", "systemd", "--events-backend", "file",
		"--storage-driver", "vfs", "--root", u.base+"/home", "--runroot", u.base+"/run", "--runtime", u.base+"/runtime",
	)}
	name := podman.run(t, "run", "-d", "--network", "none", "--memory", "64m", "--pids-limit", "50", "--rootfs", u.root, "sleep", "1000")
	t.Cleanup(func() { podman.remove(t, name) })
	inSession(t, podman.ask(t, name, "{{.State.Pid}}"), "libpod-")
	is(t, podman.run(t, "exec", name, "sh", "-c", "id -u; cat /proc/self/cgroup"), "0", "0::/")
	podman.run(t, "pause", name)
	podman.run(t, "unpause", name)
	has(t, podman.run(t, "stats", "--no-stream", "--format", "{{.MemUsage}}", name), "67.11MB")
}

// TestDriverRootlessDocker is a dockerd that a user has started in a login session, in
// RootlessKit's namespaces, with systemd's driver, which is what Docker takes there.
func TestDriverRootlessDocker(t *testing.T) {
	u := sessionUser(t, "session-docker")
	need(t, "dockerd", "docker", "rootlesskit", "slirp4netns")
	docker := startRootlessDocker(t, u, `"exec-opts": ["native.cgroupdriver=systemd"], "bridge": "none", "iptables": false, "ip6tables": false,`, "")
	is(t, docker.run(t, "info", "--format", "{{.CgroupDriver}} {{.CgroupVersion}}"), "systemd 2")
	name := docker.start(t, []string{"--network", "none", "--memory", "64m", "--pids-limit", "50"}, "exec sleep 1000")
	pid := docker.ask(t, name, "{{.State.Pid}}")
	inSession(t, pid, "docker-")
	is(t, docker.run(t, "exec", name, "sh", "-c", "id -u; cat /proc/self/cgroup"), "0", "0::/")
	docker.run(t, "update", "--pids-limit", "60", name)
	is(t, docker.run(t, "exec", name, "cat", "/sys/fs/cgroup/pids.max"), "60")
	docker.run(t, "pause", name)
	docker.run(t, "unpause", name)
	docker.remove(t, name)
}
