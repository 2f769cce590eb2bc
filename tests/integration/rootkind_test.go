package integration

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// rootKind is a file system that a container's root may be on.
type rootKind struct {
	name   string
	tools  []string
	script string // mounts $1, a directory with the image, at $2; $3 is a folder for more
	daemon bool   // its last command goes on until the file system is unmounted
	others bool   // users of other ids than root's may look into it
	edit   edit
	file   string // the program, if it is not found in PATH
	names  string // what a refusal names; empty where it works
}

func rootKinds() []rootKind {
	tmpfs := func(options, names string) rootKind {
		return rootKind{name: "tmpfs " + options, others: true, names: names, script: "mount -t tmpfs -o " + options + ` tmpfs "$2" && cp -a "$1/." "$2"`}
	}
	inside := func(name string, m specs.Mount) rootKind {
		return rootKind{name: name, others: true, names: "noexec", file: "/opt/echo", script: `mkdir -p "$1/opt" && cp -a "$1/bin/." "$1/opt" && mount --bind "$1" "$2"`,
			edit: func(s *specs.Spec) { s.Mounts = append(s.Mounts, m) }}
	}
	return []rootKind{
		{name: "squashfs", tools: []string{"mksquashfs"}, others: true,
			script: `mksquashfs "$1" "$3/image" -quiet -no-progress >&2 && mount -t squashfs -o loop,ro "$3/image" "$2"`},
		{name: "erofs", tools: []string{"mkfs.erofs"}, others: true,
			script: `mkfs.erofs "$3/image" "$1" >&2 && mount -t erofs -o loop,ro "$3/image" "$2"`},
		{name: "squashfuse", tools: []string{"mksquashfs", "squashfuse"}, daemon: true, others: true,
			script: `mksquashfs "$1" "$3/image" -quiet -no-progress >&2 && exec squashfuse -f -o allow_other "$3/image" "$2"`},
		{name: "bindfs", tools: []string{"bindfs"}, daemon: true, others: true, script: `exec bindfs -f "$1" "$2"`},
		{name: "fuse-overlayfs", tools: []string{"fuse-overlayfs"}, daemon: true, others: true,
			script: `mkdir "$3/upper" "$3/work" && exec fuse-overlayfs -f -o "allow_other,lowerdir=$1,upperdir=$3/upper,workdir=$3/work" "$2"`},
		{name: "FUSE without allow_other", tools: []string{"bindfs"}, daemon: true, script: `exec bindfs -f --no-allow-other "$1" "$2"`},
		{name: "overlay", others: true, script: `mount -t tmpfs tmpfs "$3" && mkdir "$3/upper" "$3/work" &&
			mount -t overlay -o "lowerdir=$1,upperdir=$3/upper,workdir=$3/work" overlay "$2"`},
		{name: "overlay, read-only", others: true, script: `mkdir "$3/empty" && mount -t overlay -o "lowerdir=$1:$3/empty" overlay "$2"`},
		tmpfs("mode=755", ""),
		tmpfs("nosuid,mode=755", ""),
		tmpfs("nodev,mode=755", ""),
		tmpfs("noexec,mode=755", "noexec"),
		tmpfs("nosuid,nodev,noexec,mode=755", "noexec"),
		{name: "the root of the host", others: true, script: `mount --bind "$1" "$2"`, edit: func(s *specs.Spec) { s.Root = &specs.Root{Path: "/", Readonly: true} }},
		inside("a bind with noexec", specs.Mount{Destination: "/opt", Type: "bind", Source: "rootfs/bin", Options: []string{"bind", "noexec"}}),
		inside("a tmpfs with noexec", specs.Mount{Destination: "/opt", Type: "tmpfs", Source: "tmpfs", Options: []string{"noexec", "tmpcopyup"}}),
	}
}

// lay mounts the kind's file system at the root of the guest.
func (k *rootKind) lay(t *testing.T, g *guest) {
	t.Helper()
	for _, tool := range k.tools {
		_, err := exec.LookPath(tool)
		needs(t, tool, err == nil)
	}
	image, more := g.path("image"), g.path("more")
	if err := os.Rename(g.rootfs(), image); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{g.rootfs(), more} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/bin/sh", "-c", "PATH=$PATH:/sbin:/usr/sbin; "+k.script, "sh", image, g.rootfs(), more)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.do("delete", "--force", g.id)
		if g.pid != 0 {
			g.wait()
		}
		_ = unix.Unmount(g.rootfs(), unix.MNT_DETACH)
		_ = unix.Unmount(more, unix.MNT_DETACH)
		if k.daemon {
			cmd.Wait()
		}
	})
	if !k.daemon {
		if err := cmd.Wait(); err != nil {
			needs(t, "a file system "+k.name+" ("+strings.TrimSpace(said.String())+")", false)
		}
		return
	}
	eventually(t, k.name+" is mounted", func() bool { _, err := os.Stat(g.rootfs("bin")); return err == nil })
}

// TestRootFileSystems: a root on each kind of file system runs programs, by all ways and for
// all callers, or the refusal names what is in the way; docs/seats.md says so.
func TestRootFileSystems(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "the words are Hutch's")
	for _, k := range rootKinds() {
		for i, s := range standings() {
			if slowness > 1 && s.name != "root" {
				continue
			}
			names := k.names
			if !k.others && s.name != "root" {
				names = map[string]string{"user namespace": "allow_other", "unprivileged": "permission denied"}[s.name]
			}
			t.Run(k.name+", "+s.name, func(t *testing.T) {
				t.Parallel()
				g := s.guest(t)
				if k.edit != nil {
					k.edit(g.spec)
				}
				k.lay(t, g)
				p := program{args: []string{"echo", "ran"}}
				if k.file != "" {
					p.args[0] = k.file
				}
				for way, w := range ways() {
					if !takesTurn(t, i, way) {
						continue
					}
					if w.hook || strings.HasPrefix(w.name, "exec") && names != "" && k.file == "" {
						continue // there is no container to enter
					}
					res := w.run(g, p)
					switch {
					case names == "" && w.name == "exec detached" && res.code == 0:
					case names == "" && (res.code != 0 || res.stdout != "ran\n"):
						t.Errorf("%s: %s", w.name, res)
					case names != "" && (res.code == 0 || !strings.Contains(res.stderr, names)):
						t.Errorf("%s: want an error that names %q:\n%s", w.name, names, res)
					}
				}
			})
		}
	}
}
