package integration

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// realProc is a script that fails unless /proc is procfs with the edits of
// maskedProc in force; it prints the mount table.
const realProc = `
[ "$(stat -f -c %t /proc)" = 9fa0 ] || { echo "/proc is $(stat -f -c %t /proc)"; exit 77; }
[ "$(cat /proc/timer_list 2>/dev/null | wc -c)" = 0 ] || { echo not masked; exit 77; }
(echo x >/proc/sys/kernel/domainname) 2>/dev/null && { echo not read-only; exit 77; }
cat /proc/self/mountinfo
`

func maskedProc(s *specs.Spec) {
	s.Linux.MaskedPaths = []string{"/proc/timer_list", "/proc/acpi", "/proc/kcore"}
	s.Linux.ReadonlyPaths = []string{"/proc/sys"}
}

func withoutMount(destinations ...string) edit {
	return func(s *specs.Spec) {
		var kept []specs.Mount
		for _, m := range s.Mounts {
			drop := false
			for _, d := range destinations {
				drop = drop || m.Destination == d || strings.HasPrefix(m.Destination, d+"/")
			}
			if !drop {
				kept = append(kept, m)
			}
		}
		s.Mounts = kept
	}
}

func TestCVE2023_27561_ProcAndSysAreLinks(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"proc", "sys"} {
		for _, kind := range []string{"absolute", "relative", "canary", "dangling"} {
			t.Run(name+" "+kind, func(t *testing.T) {
				b := newBundle(t, sh(realProc), maskedProc)
				c := b.newCanary()
				if err := os.Mkdir(b.rootfs("bad"), 0o755); err != nil {
					t.Fatal(err)
				}
				b.replace(name, map[string]string{
					"absolute": "/bad", "relative": "bad", "canary": c.dir, "dangling": "/nowhere",
				}[kind])
				c.mustRefuse()
			})
		}
	}
}

func TestCVE2023_27561_ProcBelowLinks(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"inside", "canary", "climbing"} {
		t.Run(kind, func(t *testing.T) {
			b := newBundle(t, sh(`[ "$(stat -f -c %t /a/b)" = 9fa0 ] || exit 77; cat /proc/self/mountinfo`),
				mount(specs.Mount{Destination: "/a/b", Type: "proc", Source: "proc"}))
			c := b.newCanary()
			if err := os.MkdirAll(b.rootfs("real/b"), 0o755); err != nil {
				t.Fatal(err)
			}
			b.replace("a", map[string]string{"inside": "/real", "canary": c.dir, "climbing": "../../../../../../../.." + c.dir}[kind])
			c.mustHold()
		})
	}
}

func TestCVE2023_28642_LinkedProcWithMountSet(t *testing.T) {
	t.Parallel()
	// The link's target comes to be by an earlier mount; in the fault, the
	// label was then written to it.
	b := newBundle(t, sh(realProc), maskedProc)
	c := b.newCanary()
	b.replace("proc", "/vol")
	vol := specs.Mount{Destination: "/vol", Type: "bind", Source: c.dir, Options: []string{"bind"}}
	for _, order := range []string{"before", "after"} {
		t.Run(order, func(t *testing.T) {
			mounts := defaultSpec(b.id).Mounts
			if order == "before" {
				mounts = append([]specs.Mount{vol}, mounts...)
			} else {
				mounts = append(mounts, vol)
			}
			b.spec.Mounts = mounts
			b.writeSpec()
			c.mustRefuse()
		})
	}
	t.Run("with a label", func(t *testing.T) {
		b.spec.Process.ApparmorProfile = "unconfined"
		b.writeSpec()
		c.mustRefuse()
	})
}

// overProc are mounts that hide files of procfs which a runtime writes.
func overProc(c *canary) map[string]edit {
	return map[string]edit{
		"tmpfs over /proc":           tmpfsMount("/proc"),
		"tmpfs over /proc/self":      tmpfsMount("/proc/self"),
		"tmpfs over /proc/self/attr": tmpfsMount("/proc/self/attr"),
		"tmpfs over /proc/sys":       tmpfsMount("/proc/sys"),
		"bind over /proc":            bindMount(c.dir, "/proc", "rw"),
		"bind over /proc/sys":        bindMount(c.path("sys"), "/proc/sys", "rw"),
		"bind over /proc/sys/kernel": bindMount(c.path("sys/kernel"), "/proc/sys/kernel", "rw"),
		"bind over a sysctl":         bindMount(c.path("sys/kernel/msgmax"), "/proc/sys/kernel/msgmax", "rw"),
		"bind over /proc/self":       bindMount(c.path("self"), "/proc/self", "rw"),
		"bind over /proc/1":          bindMount(c.path("self"), "/proc/1", "rw"),
		"bind over /proc/thread-self": bindMount(c.path("self"), "/proc/thread-self",
			"rw"),
		"bind over attr/exec": bindMount(c.path("self/attr/exec"), "/proc/self/attr/exec", "rw"),
		"bind of another procfs file": bindMount("/proc/self/comm", "/proc/sys/kernel/msgmax",
			"rw"),
	}
}

func TestCVE2025_52881_OverMountedProcfs(t *testing.T) {
	t.Parallel()
	const sysctl, value = "kernel.msgmax", "12321"
	names := overProc(&canary{})
	for name := range names {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t, args("/bin/sleep", "1000"), func(s *specs.Spec) {
				s.Linux.Sysctl = map[string]string{sysctl: value}
				s.Process.OOMScoreAdj = ptr(77)
			})
			c := b.newCanary()
			overProc(c)[name](b.spec)
			b.writeSpec()
			res := b.createCall().do(t)
			c.check("create")
			if res.code != 0 {
				t.Logf("refused: %s", strings.TrimSpace(res.stderr))
				res.failed(t)
				b.nothingLeft()
				return
			}
			b.readPid()
			b.onlyConfiguredMounts(readText(t, fmt.Sprintf("/proc/%d/mountinfo", b.pid)))
			out, err := exec.Command("nsenter", "-t", fmt.Sprint(b.pid), "-i", "cat", "/proc/sys/kernel/msgmax").Output()
			if err != nil || strings.TrimSpace(string(out)) != value {
				t.Errorf("%s is %q (%v), want %s", sysctl, out, err, value)
			}
			b.start()
			if got := readText(t, fmt.Sprintf("/proc/%d/oom_score_adj", b.pid)); got != "77\n" {
				t.Errorf("oom_score_adj is %q", got)
			}
			b.delete("--force")
			c.check("delete")
		})
	}
}

func TestCVE2019_16884_LabelBehindMount(t *testing.T) {
	t.Parallel()
	for name := range overProc(&canary{}) {
		t.Run(name, func(t *testing.T) {
			// Where the kernel has no such module the label itself is refused; in
			// no case may the process run without it.
			b := newBundle(t, sh("cat /proc/self/attr/current"), func(s *specs.Spec) {
				s.Process.ApparmorProfile = "hutch-no-such-profile"
				s.Process.SelinuxLabel = "system_u:system_r:no_such_t:s0"
			})
			c := b.newCanary()
			overProc(c)[name](b.spec)
			b.writeSpec()
			c.mustRefuse()
		})
	}
}

func TestCVE2026_115521_ReadonlyRootBehindBind(t *testing.T) {
	t.Parallel()
	for _, destination := range []string{"/proc", "/proc/self", "/proc/self/fd", "/proc/thread-self"} {
		t.Run(destination, func(t *testing.T) {
			b := newBundle(t, sh("(touch /written) 2>/dev/null && exit 77; (echo x >/etc/passwd) 2>/dev/null && exit 77; exit 0"), readonlyRoot)
			c := b.newCanary()
			source := map[string]string{"/proc": c.dir, "/proc/self/fd": c.path("self/fd")}[destination]
			if source == "" {
				source = c.path("self")
			}
			bindMount(source, destination)(b.spec)
			b.writeSpec()
			c.mustHold()
			if _, err := os.Lstat(b.rootfs("written")); err == nil {
				t.Error("the container wrote to its read-only root")
			}
		})
	}
}

func TestCVE2026_115521_NoMountPointInReadonlyBind(t *testing.T) {
	t.Parallel()
	for name, inner := range map[string]func(*canary) edit{
		"tmpfs":     func(*canary) edit { return tmpfsMount("/vol/new/deep") },
		"directory": func(c *canary) edit { return bindMount(c.path("inner"), "/vol/new") },
		"file":      func(c *canary) edit { return bindMount(c.path("file"), "/vol/inner/new") },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			c := b.newCanary()
			bindMount(c.dir, "/vol", "ro")(b.spec)
			inner(c)(b.spec)
			b.writeSpec()
			c.mustHold()
		})
	}
}

func TestCVE2023_25809_CgroupsAreReadonly(t *testing.T) {
	t.Parallel()
	// Every hierarchy is tried, and the host's folder of them; a container's own
	// tmpfs there may be written.
	name := uniqueID() + "-breach"
	try := `[ -d /sys/fs/cgroup ] || exit 78
for d in /sys/fs/cgroup $(find /sys/fs/cgroup -maxdepth 1 -mindepth 1 -type d); do
	[ "$(stat -f -c %t $d)" != 1021994 ] || [ "$1" = host ] || continue
	mkdir $d/` + name + ` 2>/dev/null && { rmdir $d/` + name + `; echo $d; exit 77; }
	(echo $$ >$d/cgroup.procs) 2>/dev/null && { echo $d/cgroup.procs; exit 77; }
done; exit 0`
	cgroups := mount(specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"ro", "nosuid", "noexec", "nodev"}})
	sys := func(s *specs.Spec) {
		s.Process.Args = append(s.Process.Args, "sh", "host")
		withoutMount("/sys")(s)
		mount(specs.Mount{Destination: "/sys", Type: "bind", Source: "/sys", Options: []string{"rbind", "ro", "nosuid", "noexec", "nodev"}})(s)
	}
	hostCgroups := withoutNamespace(specs.CgroupNamespace)
	for name, edits := range map[string][]edit{
		"cgroup mount":                       {cgroups, hostCgroups},
		"cgroup mount, own namespace":        {cgroups},
		"cgroup mount in a user namespace":   {cgroups, hostCgroups, userNamespace},
		"host's /sys in a user namespace":    {sys, hostCgroups, userNamespace},
		"user namespace, host's network too": {sys, hostCgroups, userNamespace, withoutNamespace(specs.NetworkNamespace)},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t, append([]edit{sh(try)}, edits...)...)
			c := b.newCanary()
			c.mustHold()
		})
	}
}
