package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/hutch-project/hutch/tests/testruntime"
)

// applets are the names that busybox goes by in a container.
const applets = "[ awk basename cat chmod chown cp cut date dd df echo env expr false find grep head hostname id " +
	"ifconfig ionice ip kill ls ln mkdir mkfifo mknod mount mv nc nice ps pwd readlink rm sed seq sh sleep sort " +
	"stat stty sync sysctl tail taskset test touch tr true tty umount uname wc xargs"

// layAssets builds the files that every container's root is linked from.
func layAssets() error {
	// Containers in user namespaces walk through it.
	if err := os.Chmod(workDir, 0o755); err != nil {
		return err
	}
	bin := filepath.Join(workDir, "assets")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	if err := layProbe(filepath.Join(bin, "probe")); err != nil {
		return err
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return fmt.Errorf("%w: install busybox-static (tests/install)", err)
	}
	return copyProgram(busybox, filepath.Join(bin, "busybox"))
}

// layProbe builds the probe, or copies the one that PROBE names.
func layProbe(path string) error {
	if built := os.Getenv("PROBE"); built != "" {
		return copyProgram(built, path)
	}
	return testruntime.Build(path, "probe", "-trimpath", "-ldflags", "-s -w")
}

func copyProgram(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return writeProgram(to, data)
}

// writeProgram writes a file that is executed. Nobody forks while it is open: a child would
// have it open until its own execve, and the kernel executes no file that is being written
// (ETXTBSY).
func writeProgram(to string, data []byte) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(to, data, 0o755)
}

// layRootfs makes a container's root in dir: /bin with busybox and probe (hard
// links: do not write to them), mount points, /etc/passwd, /etc/group.
func layRootfs(dir string) error {
	for _, d := range []string{"bin", "dev", "etc", "home/user", "proc", "root", "sys", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(dir, "tmp"), os.ModeSticky|0o777); err != nil {
		return err
	}
	for _, name := range []string{"busybox", "probe"} {
		if err := os.Link(filepath.Join(workDir, "assets", name), filepath.Join(dir, "bin", name)); err != nil {
			return err
		}
	}
	for _, name := range strings.Fields(applets) {
		if err := os.Symlink("busybox", filepath.Join(dir, "bin", name)); err != nil {
			return err
		}
	}
	files := map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n",
		"etc/group":  "root:x:0:\nuser:x:1000:\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
