package integration

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hutch-project/hutch/tests/testtree"
)

// The tests of hostile_*_test.go give the runtime images and configurations
// that took over hosts through other runtimes, and are named for those faults.
// An attack aims at a canary: a tree on the host, outside of the root.

// canary is a tree of host files that no container may change.
type canary struct {
	b      *bundle
	dir    string
	before []string
	dead   bool // a change was reported
}

// badExit is what the containers' scripts end with when they see a breach.
const badExit = 77

// newCanary lays out the tree. It has the names that a runtime makes in /dev
// and writes in /proc, so that following a link into it changes something.
func (b *bundle) newCanary() *canary {
	b.t.Helper()
	c := &canary{b: b, dir: b.path("canary")}
	for _, name := range []string{
		"file", "owned", "inner/file", "null", "console", "ptmx", "pts/0", "pts/ptmx", "shm/file", "tty",
		"sys/kernel/msgmax", "self/attr/exec", "self/attr/current", "self/attr/apparmor/exec", "self/oom_score_adj",
		"self/fd/0", "self/fd/1", "timer_list",
	} {
		writeText(b.t, c.path(name), "canary of "+name+"\n")
	}
	must := func(err error) {
		b.t.Helper()
		if err != nil {
			b.t.Fatal(err)
		}
	}
	must(os.Chown(c.path("owned"), 12345, 54321))
	must(os.Chmod(c.path("owned"), 0o604))
	must(os.Chmod(c.path("inner"), 0o711))
	must(os.Symlink("file", c.path("link")))
	must(os.Mkdir(c.path("empty"), 0o700))
	old := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	must(os.Chtimes(c.path("file"), old, old))
	must(os.Chtimes(c.path("inner"), old, old))
	c.before = listing(b.t, c.dir)
	b.t.Cleanup(func() { c.check("the test") })
	return c
}

func (c *canary) path(elem ...string) string {
	return filepath.Join(append([]string{c.dir}, elem...)...)
}

// check compares the tree with what it was, but for access times, and shows
// that nothing is mounted on it.
func (c *canary) check(after string) {
	c.b.t.Helper()
	if c.dead {
		return
	}
	var changed []string
	now := listing(c.b.t, c.dir)
	for _, line := range now {
		if !slices.Contains(c.before, line) {
			changed = append(changed, "has  "+line)
		}
	}
	for _, line := range c.before {
		if !slices.Contains(now, line) {
			changed = append(changed, "lost "+line)
		}
	}
	if c.dead = len(changed) > 0; c.dead {
		c.b.t.Errorf("the canary changed by %s:\n%s", after, strings.ReplaceAll(strings.Join(changed, "\n"), c.dir, "canary"))
	}
	for _, line := range mountsWith(c.dir) {
		c.b.t.Errorf("mounted after %s: %s", after, line)
	}
}

// listing describes each file of a tree: its inode, its times but for the last
// access, its content.
func listing(t testing.TB, dir string) []string {
	t.Helper()
	return testtree.Lines(t, dir, func(f testtree.File) string {
		return fmt.Sprintf("%s dev %d ino %d mode %o nlink %d owner %d:%d rdev %d size %d modified %d.%09d changed %d.%09d %q",
			dir+f.Path, f.Dev, f.Ino, f.Mode, f.Nlink, f.Uid, f.Gid, f.Rdev, f.Size,
			f.Mtim.Sec, f.Mtim.Nsec, f.Ctim.Sec, f.Ctim.Nsec, f.Content)
	})
}

// replace puts a symbolic link in the place of a file or folder of the root.
func (b *bundle) replace(name, target string) {
	b.t.Helper()
	if err := os.RemoveAll(b.rootfs(name)); err != nil {
		b.t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(b.rootfs(name)), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Symlink(target, b.rootfs(name)); err != nil {
		b.t.Fatal(err)
	}
}

// attempt takes a container through its life, the canary being looked at after
// each command. It returns false with the answer of the command that refused,
// by exit code 1 and a reason, or true with the exit code and the output of
// the container's process.
func (c *canary) attempt(flags ...string) (result, bool) {
	c.b.t.Helper()
	return c.attemptBy(c.b.createCall(flags...))
}

func (c *canary) attemptBy(create call) (result, bool) {
	b := c.b
	b.t.Helper()
	res := create.do(b.t)
	c.check("create")
	if res.code != 0 {
		res.failed(b.t)
		b.nothingLeft()
		return res, false
	}
	b.readPid()
	b.onlyConfiguredMounts(readText(b.t, fmt.Sprintf("/proc/%d/mountinfo", b.pid)))
	started := b.rt("start", b.id)
	c.check("start")
	if started.code != 0 {
		started.failed(b.t)
	}
	res.code = b.wait()
	b.delete("--force")
	c.check("delete")
	if started.code != 0 {
		return started, false
	}
	if create.stdout == b.path("out") {
		res.stdout = b.output()
	}
	if res.code == badExit {
		b.t.Errorf("the container saw a breach: %s\n%s", res.stdout, readText(b.t, b.path("err")))
	}
	return res, true
}

// mustRefuse is attempt for what may not run at all.
func (c *canary) mustRefuse(flags ...string) {
	c.b.t.Helper()
	if res, ran := c.attempt(flags...); ran {
		c.b.t.Errorf("want a refusal:\n%s", res)
	}
}

// mustHold is attempt for what may be refused, or run with exit code 0.
func (c *canary) mustHold(flags ...string) (result, bool) {
	c.b.t.Helper()
	res, ran := c.attempt(flags...)
	if ran && res.code != 0 {
		c.b.t.Errorf("want a refusal or exit code 0:\n%s\n%s", res, readText(c.b.t, c.b.path("err")))
	}
	if ran {
		c.b.t.Log("ran")
	} else {
		c.b.t.Logf("refused: %s", strings.TrimSpace(res.stderr))
	}
	return res, ran
}

// onlyConfiguredMounts fails the test for a mount in a container's mount table
// that shows anything of the host but the root and the configured sources.
//
// Source: proc_pid_mountinfo(5).
func (b *bundle) onlyConfiguredMounts(mountinfo string) {
	b.t.Helper()
	host := map[string]bool{} // device numbers of the host's mounts
	own := hostileMounts(b.t, readText(b.t, "/proc/self/mountinfo"))
	for _, m := range own {
		host[m.device] = true
	}
	sources := []string{b.rootfs()}
	for _, m := range b.spec.Mounts {
		if m.Type == "bind" || m.Type == "" || slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind") {
			sources = append(sources, m.Source)
		}
	}
	for _, m := range hostileMounts(b.t, mountinfo) {
		if !host[m.device] {
			continue // made for the container
		}
		if slices.Contains([]string{"proc", "sysfs", "cgroup", "cgroup2", "mqueue"}, m.kind) {
			continue
		}
		if m.kind == "devtmpfs" && slices.Contains([]string{"/null", "/zero", "/full", "/random", "/urandom", "/tty"}, m.root) {
			continue // a mask, or a device in a user namespace
		}
		known := strings.Contains(m.root, "/"+b.id+"/bundle/rootfs/")
		for _, source := range sources {
			// The mount's root is the path within its file system.
			known = known || m.root == rootOf(own, source) || (m.root != "/" && strings.HasSuffix(source, m.root)) || source == "/sys" && strings.HasPrefix(m.point, "/sys")
		}
		if !known {
			b.t.Errorf("mount of the host in the container: %s", m.line)
		}
	}
}

// rootOf is what the root of a bind of path is: its path within its file system.
func rootOf(own []hostileMount, path string) string {
	on := hostileMount{root: "/", point: "/"}
	for _, m := range own {
		if len(m.point) > len(on.point) && strings.HasPrefix(path, m.point+"/") {
			on = m
		}
	}
	return filepath.Join(on.root, strings.TrimPrefix(path, on.point))
}

type hostileMount struct{ line, device, root, point, kind string }

func hostileMounts(t testing.TB, mountinfo string) []hostileMount {
	t.Helper()
	var mounts []hostileMount
	lines := bufio.NewScanner(strings.NewReader(mountinfo))
	for lines.Scan() {
		head, tail, _ := strings.Cut(lines.Text(), " - ")
		f, g := strings.Fields(head), strings.Fields(tail)
		if len(f) < 6 || len(g) < 1 {
			t.Fatalf("mountinfo: %q", lines.Text())
		}
		mounts = append(mounts, hostileMount{lines.Text(), f[2], f[3], f[4], g[0]})
	}
	return mounts
}
