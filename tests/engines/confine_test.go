package engines

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func limits(t *testing.T, e *engine) {
	is(t, e.sh(t, []string{"--memory", "64m", "--cpus", "0.5", "--cpu-shares", "300", "--pids-limit", "33", "--cpuset-cpus", "0"},
		"cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpu/cpu.shares pids/pids.max cpuset/cpuset.cpus"),
		"67108864", "50000", "100000", "300", "33", "0")
	code, out := e.trySh(t, []string{"--pids-limit", "5"}, "for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done")
	if code == 0 {
		t.Error("nine processes start under a limit of five")
	}
	has(t, out, "can't fork")
}

func users(t *testing.T, e *engine) {
	is(t, e.sh(t, []string{"--user", "1000:1000", "--group-add", "77"}, "id -u; id -g; id -G; touch /etc/x 2>/dev/null || echo refused"),
		"1000", "1000", "1000 77", "refused")
	is(t, e.sh(t, []string{"--user", "web"}, "id -un; echo $HOME"), "web", "/tmp")
	if code, _ := e.trySh(t, []string{"--user", "nobodyknows"}, "true"); code == 0 {
		t.Error("an unknown user is taken")
	}
}

func readOnlyRoot(t *testing.T, e *engine) {
	out := e.sh(t, []string{"--read-only", "--tmpfs", "/tmp"}, "touch /etc/x || true; touch /tmp/x && echo written; echo x >/dev/shm/x && echo shared")
	has(t, out, "Read-only file system", "written", "shared")
}

func tmpfs(t *testing.T, e *engine) {
	code, out := e.trySh(t, []string{"--tmpfs", "/cache:rw,noexec,size=3m,mode=1770"}, "grep ' /cache ' /proc/mounts; stat -c %a /cache; dd if=/dev/zero of=/cache/x bs=1M count=9 2>&1")
	if code == 0 {
		t.Error("9 MB fit on a tmpfs of 3 MB")
	}
	has(t, out, "tmpfs", "noexec", "nosuid", "size=3072k", "1770\n", "No space left")
}

func volumes(t *testing.T, e *engine) {
	dir := t.TempDir()
	open(t, dir)
	write(t, dir+"/file", "from the host")
	is(t, e.sh(t, []string{"-v", dir + ":/data", "-v", dir + ":/look:ro"},
		"cat /data/file; echo; echo back >/data/new; touch /look/x 2>/dev/null || echo refused; cat /look/new"), "from the host", "refused", "back")
	if back, _ := os.ReadFile(dir + "/new"); string(back) != "back\n" {
		t.Errorf("the host reads %q", back)
	}
	is(t, e.sh(t, []string{"-v", dir + "/file:/etc/one:ro"}, "cat /etc/one"), "from the host")
	t.Cleanup(func() { e.try(t, "volume", "rm", "-f", "kept") })
	e.sh(t, []string{"-v", "kept:/kept"}, "echo kept >/kept/word")
	is(t, e.sh(t, []string{"-v", "kept:/kept:ro"}, "cat /kept/word"), "kept")
}

// propagation mounts on the host below a volume, and looks from inside.
func propagation(t *testing.T, e *engine) {
	dir := filepath.Join(t.TempDir(), "shared")
	if err := os.MkdirAll(dir+"/sub", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	if err := unix.Mount("", dir, "", unix.MS_SHARED, ""); err != nil {
		t.Fatal(err)
	}
	private := e.start(t, []string{"-v", dir + ":/data:rprivate"}, "exec sleep 1000")
	slave := e.start(t, []string{"-v", dir + ":/data:rslave"}, "exec sleep 1000")
	shared := e.start(t, []string{"--cap-add", "sys_admin", "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "-v", dir + ":/data:rshared"}, "exec sleep 1000")
	if err := unix.Mount("none", dir+"/sub", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	const count = "grep -c ' /data/sub ' /proc/mounts || true"
	is(t, e.run(t, "exec", private, "sh", "-c", count), "0")
	is(t, e.run(t, "exec", slave, "sh", "-c", count), "1")
	is(t, e.run(t, "exec", shared, "sh", "-c", count), "1")
	e.run(t, "exec", shared, "umount", "/data/sub")
	is(t, e.run(t, "exec", slave, "sh", "-c", count), "0")
}

func privileged(t *testing.T, e *engine) {
	needAllCapabilities(t)
	out := e.sh(t, []string{"--privileged"}, "grep -E 'CapBnd|Seccomp:' /proc/self/status; mount -t tmpfs none /tmp && echo mounted; echo 1 >/proc/sys/kernel/msgmax && echo written; test -c /dev/kmsg && echo devices; head -c 0 /proc/kcore && echo open")
	has(t, out, "Seccomp:\t0", "mounted", "written", "devices", "open")
}

func capabilities(t *testing.T, e *engine) {
	is(t, e.sh(t, []string{"--cap-drop", "all", "--cap-add", "net_raw"}, "grep -E 'Cap(Prm|Eff|Bnd)' /proc/self/status"),
		"CapPrm:\t0000000000002000", "CapEff:\t0000000000002000", "CapBnd:\t0000000000002000")
	is(t, e.sh(t, []string{"--user", "1000", "--cap-drop", "all"}, "grep -E 'CapEff' /proc/self/status"), "CapEff:\t0000000000000000")
}

func seccomp(t *testing.T, e *engine) {
	is(t, e.sh(t, nil, "grep Seccomp: /proc/self/status"), "Seccomp:\t2")
	if e.name == "docker" { // Podman's own filter leaves unshare to the capabilities
		is(t, e.sh(t, nil, "unshare -U true 2>/dev/null || echo refused"), "refused")
	}
	is(t, e.sh(t, []string{"--security-opt", "seccomp=unconfined"}, "grep Seccomp: /proc/self/status; unshare -U true && echo allowed"), "Seccomp:\t0", "allowed")
	profile := filepath.Join(t.TempDir(), "profile.json")
	write(t, profile, `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}`)
	has(t, e.sh(t, []string{"--security-opt", "seccomp=" + profile}, "mkdir /tmp/x 2>&1 || true"), "No space left on device")
}

func noNewPrivileges(t *testing.T, e *engine) {
	is(t, e.sh(t, []string{"--security-opt", "no-new-privileges"}, "grep NoNewPrivs /proc/self/status"), "NoNewPrivs:\t1")
}

func maskedPaths(t *testing.T, e *engine) {
	out := e.sh(t, nil, "wc -c </proc/keys; ls /proc/acpi /sys/firmware 2>/dev/null | grep -v : | wc -w; echo x >/proc/sys/kernel/domainname || true; echo b >/proc/sysrq-trigger || true")
	has(t, out, "0", "Read-only file system")
}

func inits(t *testing.T, e *engine) {
	is(t, e.sh(t, []string{"--init"}, "test $$ != 1 && echo below; sh -c 'sleep 0.1 & exit 0'; while ps -o comm | grep -qx sleep; do sleep 0.1; done; echo reaped"), "below", "reaped")
}

func hostNamespaces(t *testing.T, e *engine) {
	script := "for name in net ipc pid uts; do readlink /proc/self/ns/$name; done"
	want := make([]string, 0, 4)
	for _, name := range []string{"net", "ipc", "pid", "uts"} {
		link, err := os.Readlink("/proc/self/ns/" + name)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, link)
	}
	is(t, e.sh(t, []string{"--net", "host", "--ipc", "host", "--pid", "host", "--uts", "host"}, script), want...)
	for _, line := range strings.Fields(e.sh(t, nil, script)) {
		if strings.Contains(strings.Join(want, " "), line) {
			t.Errorf("without options %s is the host's", line)
		}
	}
	name := e.start(t, []string{"--pid", "host"}, "sleep 1000 & exec sleep 1000")
	e.run(t, "kill", name)
	is(t, e.run(t, "wait", name), "137")
}

func sharedNamespaces(t *testing.T, e *engine) {
	first := e.start(t, []string{"--ipc", "shareable"}, "exec sleep 1000")
	script := "for name in net ipc pid; do readlink /proc/self/ns/$name; done"
	want := e.run(t, "exec", first, "sh", "-c", script)
	of := "container:" + first
	is(t, e.sh(t, []string{"--net", of, "--ipc", of, "--pid", of}, script+"; cat /proc/1/comm"), want, "sleep")
}

func ulimits(t *testing.T, e *engine) {
	is(t, e.sh(t, []string{"--ulimit", "nofile=123:456", "--ulimit", "core=0", "--ulimit", "nproc=900:900"}, "ulimit -Sn; ulimit -Hn; ulimit -c"), "123", "456", "0")
}

func sysctls(t *testing.T, e *engine) {
	is(t, e.sh(t, []string{"--sysctl", "net.ipv4.ip_unprivileged_port_start=81", "--sysctl", "kernel.msgmax=9000"},
		"cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax"), "81", "9000")
}

func devices(t *testing.T, e *engine) {
	out := e.sh(t, []string{"--device", "/dev/kmsg:/dev/given:w"}, "stat -c '%t %T' /dev/given; : >/dev/given && echo opened; cat /dev/given || true; mknod /tmp/zram c 10 237 && cat /tmp/zram || true")
	has(t, out, "1 b", "opened", "'/dev/given': Operation not permitted", "'/tmp/zram': Operation not permitted")
	has(t, e.sh(t, nil, ": >/dev/null; head -c 2 /dev/urandom | wc -c; ls /dev"), "2", "full", "null", "ptmx", "pts", "random", "shm", "stdin", "tty", "zero")
}

func builds(t *testing.T, e *engine) {
	dir := t.TempDir()
	write(t, dir+"/Dockerfile", `FROM `+e.image+`
ENV WORD=built
COPY word /etc/word
RUN cat /etc/word && echo $WORD >/etc/result && id -u >>/etc/result
USER 1000
RUN ["/bin/sh", "-c", "id -u >/tmp/user"]
CMD ["cat", "/etc/result", "/tmp/user"]
`)
	write(t, dir+"/word", "copied\n")
	t.Cleanup(func() { e.try(t, "rmi", "-f", "made") })
	parent := e.parent + "/build" // for Buildah, which Podman builds by, the cgroup itself
	out := e.run(t, "build", "--no-cache", "--cgroup-parent", parent, "-t", "made", dir)
	has(t, out, "copied")
	is(t, e.run(t, "run", "--rm", "--cgroup-parent", e.parent, "made"), "built", "0", "1000")
	write(t, dir+"/Dockerfile", "FROM "+e.image+"\nRUN exit 9\n")
	code, out := e.try(t, "build", "--no-cache", "--force-rm", "--cgroup-parent", parent, dir)
	if code == 0 || !strings.Contains(out, "9") {
		t.Errorf("a step that exits with 9: exit code %d:\n%s", code, out)
	}
}

// needAllCapabilities skips where root is confined: an engine asks for every
// capability that the kernel has, and a runtime cannot give what it lacks.
func needAllCapabilities(t *testing.T) {
	t.Helper()
	last, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(last)))
	if err != nil {
		t.Fatal(err)
	}
	for c := range n + 1 {
		if set, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0); err != nil || set == 0 {
			t.Skipf("needs capability %d, which root lacks on this machine; runc refuses too", c)
		}
	}
}

// open lets everybody into a folder and those above it that are the test's.
func open(t *testing.T, dir string) {
	t.Helper()
	if out, err := exec.Command("chmod", "777", dir, filepath.Dir(dir)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
