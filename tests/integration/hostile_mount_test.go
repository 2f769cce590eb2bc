package integration

import (
	"os"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestCVE2019_18837_LinkAsMountPoint(t *testing.T) {
	t.Parallel()
	for kind, target := range map[string]func(*canary) string{
		"new file":      func(c *canary) string { return c.path("empty/made") },
		"file":          func(c *canary) string { return c.path("file") },
		"climbing":      func(c *canary) string { return climb(c.path("empty/made")) },
		"below nothing": func(c *canary) string { return c.path("empty/a/b/made") },
		"itself":        func(*canary) string { return "resolv.conf" },
	} {
		for _, source := range []string{"file", "folder", "tmpfs"} {
			t.Run(kind+" "+source, func(t *testing.T) {
				b := newBundle(t, sh("cat /proc/self/mountinfo"))
				c := b.newCanary()
				text := writeText(t, b.path("source/file"), "source\n")
				b.replace("etc/resolv.conf", target(c))
				switch source {
				case "file":
					bindMount(text, "/etc/resolv.conf")(b.spec)
				case "folder":
					bindMount(b.path("source"), "/etc/resolv.conf")(b.spec)
				case "tmpfs":
					tmpfsMount("/etc/resolv.conf")(b.spec)
				}
				b.writeSpec()
				c.mustHold()
			})
		}
	}
}

func TestCVE2025_24965_CopiesFollowNoLinks(t *testing.T) {
	t.Parallel()
	// What tmpcopyup copies are the image's links, not what they lead to.
	b := newBundle(t, sh(`cd /data || exit 78
[ -L out ] && [ -L dir ] && [ -L climb ] && [ "$(cat file)" = data ] || { ls -l; exit 77; }
echo more >new; echo more >file; cat /proc/self/mountinfo`), tmpfsMount("/data", "tmpcopyup"))
	c := b.newCanary()
	writeText(t, b.rootfs("data/file"), "data\n")
	b.replace("data/out", c.path("file"))
	b.replace("data/dir", c.dir)
	b.replace("data/climb", climb(c.path("inner")))
	if res, ran := c.mustHold(); !ran {
		t.Errorf("refused: %s", res)
	}
	if got := readText(t, b.rootfs("data/file")); got != "data\n" {
		t.Errorf("the container wrote to the image behind its tmpfs: %q", got)
	}
}

func TestCVE2025_24965_CopyToLink(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("cat /proc/self/mountinfo"), tmpfsMount("/data", "tmpcopyup"))
	c := b.newCanary()
	b.replace("data", c.dir)
	if res, ran := c.mustHold(); ran && strings.Contains(res.stdout, " /data ") {
		t.Errorf("a mount on a link itself:\n%s", res.stdout)
	}
}

func TestCVE2026_98988_CoveredStaysCovered(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh(`cat /secret/file /vol/secret/file 2>/dev/null | grep -q . && exit 77; exit 0`))
	c := b.newCanary()
	vol := b.path("vol")
	writeText(t, vol+"/secret/file", "secret\n")
	writeText(t, b.rootfs("secret/file"), "secret\n")
	for _, dir := range []string{vol + "/secret", b.rootfs("secret")} {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4k"); err != nil {
			t.Fatal(os.NewSyscallError("mount "+dir, err))
		}
		t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	}
	mount(specs.Mount{Destination: "/vol", Type: "bind", Source: vol, Options: []string{"rbind"}})(b.spec)
	b.writeSpec()
	res := b.run()
	c.check("run")
	if res.code != 0 {
		t.Errorf("%s", res)
	}
}
