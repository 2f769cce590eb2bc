// Package engines runs real container engines on the runtime under test:
// Docker, Podman, Buildah, containerd. It drives them by their command lines, and
// containerd also as Kubernetes does, and checks what a user of them sees.
//
// RUNTIME=path picks the runtime; without it ../../hutch is taken. Every
// scenario has been seen to pass with Debian's runc; what cannot is named in
// the table with the reason.
//
// The tests run in mount, network and pid namespaces of their own, below a
// small init. Everything that the engines write is on a tmpfs of that mount
// namespace. So processes, mounts, network devices, rules and files end with
// the run; cgroups do not, they are looked for.
package engines

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testplain"
	"github.com/hutch-project/hutch/tests/testruntime"
)

// stage tells the three runs of this binary apart: "" outside, "init" as the
// pid namespace's first process, "tests" below it.
const stage = "HUTCH_ENGINES_STAGE"

// number tells runs apart: the outermost process's id.
const number = "HUTCH_ENGINES_NUMBER"

// space is a tmpfs of the tests' mount namespace: data, sockets, images.
const space = "/run/engines"

// homes is where users have their folders: not below /run, in whose place RootlessKit puts
// links.
const homes = "/mnt"

var runtimePath string // absolute path of the runtime under test

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "tests/engines: needs root: engines make bridges, mounts and cgroups")
		os.Exit(1)
	}
	at := os.Getenv(stage)
	if ownMachine() {
		at = "tests"
		os.Setenv(number, testplain.RandomWord())
	}
	switch at {
	case "":
		testplain.Start()
		os.Setenv(number, testplain.RandomWord())
		code := again("init", unix.CLONE_NEWNS|unix.CLONE_NEWNET|unix.CLONE_NEWPID|unix.CLONE_NEWIPC)
		removeCgroups()
		os.Exit(code)
	case "init":
		os.Exit(reapAll())
	}
	if err := prepare(); err != nil {
		fmt.Fprintf(os.Stderr, "tests/engines: %v\n", err)
		os.Exit(1)
	}
	code := m.Run()
	if left := cgroupsLeft(); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "tests/engines: cgroups left behind:\n%s\n", strings.Join(left, "\n"))
		code = 1
	}
	os.Exit(code)
}

// command makes the command that runs this test binary as the stage name.
func command(name string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), stage+"="+name)
	return cmd
}

// again runs this test binary in new namespaces; all in them dies with it.
func again(name string, flags uintptr) int {
	cmd := command(name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); cmd.ProcessState == nil {
		fmt.Fprintf(os.Stderr, "tests/engines: %v\n", err)
		return 1
	}
	return cmd.ProcessState.ExitCode()
}

// reapAll is the pid namespace's init: it runs the tests and reaps whatever
// becomes its child (shims, monitors) until the tests end.
func reapAll() int {
	// Private, or the machine would see this mount.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		fmt.Fprintf(os.Stderr, "tests/engines: make mounts private: %v\n", err)
		return 1
	}
	cmd := command("tests")
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		fmt.Fprintf(os.Stderr, "tests/engines: mount /proc: %v\n", err)
		return 1
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(os.Stderr, "tests/engines: %v\n", err)
		return 1
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "tests/engines: wait: %v\n", err)
			return 1
		}
		if pid == cmd.Process.Pid {
			return status.ExitStatus()
		}
	}
}

// prepare lays out the mount namespace and finds the runtime.
func prepare() error {
	var err error
	if runtimePath, _, err = testruntime.Find(); err != nil {
		return err
	}
	// Debian's engines, not what an administrator put before them.
	os.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
	unix.Umask(0o022)
	// What engines write to whatever they are told.
	for _, dir := range []string{"/run", "/var/lib/cni", "/var/lib/containers", "/var/cache/containers", "/etc/cni/net.d", "/etc/containers", homes} {
		if _, err := os.Stat(dir); err != nil && dir != "/run" || dir == "/run" && ownMachine() {
			continue
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"); err != nil {
			return fmt.Errorf("mount a tmpfs on %s: %w", dir, err)
		}
	}
	if err := os.MkdirAll(space, 0o755); err != nil {
		return err
	}
	if err := mountHierarchies(); err != nil {
		return err
	}
	// conmon writes a file where it is started.
	if err := os.Chdir(space); err != nil {
		return err
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("ip link set lo up: %w: %s", err, out)
	}
	return makeImage()
}

// mountHierarchies mounts the named v1 hierarchies that live on without a mount, after whoever
// had them: containerd 1 and Docker take each line of /proc/self/cgroup for one that is mounted.
func mountHierarchies() error {
	lines, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(lines)) {
		_, name, _ := strings.Cut(line, ":name=")
		name, _, _ = strings.Cut(name, ":")
		if name == "" || strings.Contains(string(mounts), ",name="+name+"\n") {
			continue
		}
		at := filepath.Join(space, "hierarchies", name)
		if err := os.MkdirAll(at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("cgroup", at, "cgroup", 0, "none,name="+name); err != nil {
			return fmt.Errorf("mount the hierarchy %s, which has no mount, on %s: %w", name, at, err)
		}
	}
	return nil
}

// image is a root file system as a tar: static busybox under all its names.
const image = space + "/busybox.tar"

// busyboxTree is the same as a folder.
const busyboxTree = space + "/busybox"

func makeImage() error {
	names, err := exec.Command("busybox", "--list").Output()
	if err != nil {
		return fmt.Errorf("busybox --list: %w", err)
	}
	if err := os.MkdirAll(busyboxTree+"/bin", 0o755); err != nil {
		return err
	}
	// A process for each would take an emulated machine a minute.
	for _, name := range strings.Fields(string(names)) {
		if name == "busybox" {
			continue
		}
		if err := os.Symlink("busybox", busyboxTree+"/bin/"+name); err != nil {
			return err
		}
	}
	script := `set -e
mkdir "$1/etc" "$1/tmp"
cp "$(command -v busybox)" "$1/bin/busybox"
echo 'root:x:0:0:root:/:/bin/sh
web:x:1000:1000:web:/tmp:/bin/sh' >"$1/etc/passwd"
echo 'root:x:0:
web:x:1000:' >"$1/etc/group"
chmod 1777 "$1/tmp"
tar -C "$1" -cf "$2" .`
	if out, err := exec.Command("sh", "-c", script, "sh", busyboxTree, image).CombinedOutput(); err != nil {
		return fmt.Errorf("make an image of busybox: %w: %s", err, out)
	}
	return nil
}

// cgroupParent is below what all engines' cgroups are; so what they leave is
// found.
func cgroupParent() string { return "/hutch-engines-" + os.Getenv(number) }

// cgroupsLeft lists what runtimes have left below the tests' cgroup.
func cgroupsLeft() []string {
	var left []string
	for _, top := range cgroupTops() {
		filepath.WalkDir(top, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() && path != top && !enginesOwn(path) {
				left = append(left, path)
			}
			return nil
		})
	}
	return left
}

// enginesOwn reports whether a cgroup below the tests' is one that no runtime has
// to remove: the parent of builds, that of Podman's monitors.
func enginesOwn(path string) bool {
	name := filepath.Base(path)
	return name == "conmon" || name == "build"
}

// removeCgroups removes the tests' cgroups when no process is left.
func removeCgroups() {
	var all []string
	for _, top := range cgroupTops() {
		filepath.WalkDir(top, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				all = append(all, path)
			}
			return nil
		})
	}
	for _, dir := range slices.Backward(all) {
		unix.Rmdir(dir)
	}
}

// cgroupTops gives the tests' cgroup in each hierarchy.
func cgroupTops() []string {
	each, _ := filepath.Glob("/sys/fs/cgroup/*" + cgroupParent())
	one, _ := filepath.Glob("/sys/fs/cgroup" + cgroupParent())
	if _, err := os.Stat("/sys/fs/cgroup/" + slice); err == nil {
		one = append(one, "/sys/fs/cgroup/"+slice)
	}
	return append(each, one...)
}
