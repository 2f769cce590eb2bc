package integration

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// linkTo makes a symbolic link of the host that leads to a path.
func linkTo(b *bundle, name, to string) string {
	b.t.Helper()
	path := b.path(name)
	if err := os.Symlink(to, path); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// TestCopySymlink: with copy-symlink a source that is a symbolic link is copied, in
// directories that are there and that are not, and any other source is bound.
//
// Source: crun(1), "copy-symlink".
func TestCopySymlink(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no such option")
	for _, s := range standings() {
		t.Run(s.name, func(t *testing.T) {
			g := s.guest(t, sh("readlink /etc/one; readlink /no/such/two; readlink /etc/same; cat /etc/file"))
			link := linkTo(g.bundle, "link", "../away/from/here")
			writeText(t, g.path("file"), "a file\n")
			if err := os.Symlink("../away/from/here", g.rootfs("etc/same")); err != nil {
				t.Fatal(err)
			}
			for dest, source := range map[string]string{"/etc/one": link, "/no/such/two": link, "/etc/same": link, "/etc/file": g.path("file")} {
				bindMount(source, dest, "rbind", "copy-symlink")(g.spec)
			}
			g.writeSpec()
			r := g.do("run", "--bundle", g.dir, g.id)
			if want := strings.Repeat("../away/from/here\n", 3) + "a file\n"; r.stdout != want || r.code != 0 {
				t.Errorf("want %q\n%v", want, r)
			}
		})
	}
}

// TestCopySymlinkOntoSomethingElse: what is there already and is another file, or leads
// elsewhere, is an error that names it.
func TestCopySymlinkOntoSomethingElse(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no such option")
	for name, put := range map[string]func(path string) error{
		"file":         func(path string) error { return os.WriteFile(path, nil, 0o644) },
		"another link": func(path string) error { return os.Symlink("elsewhere", path) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			bindMount(linkTo(b, "link", "there"), "/etc/there", "bind", "copy-symlink")(b.spec)
			if err := put(b.rootfs("etc/there")); err != nil {
				t.Fatal(err)
			}
			b.writeSpec()
			b.refuse([]string{": mounts[" + strconv.Itoa(len(b.spec.Mounts)-1) + "]: make the symbolic link /etc/there in the container: file exists, and no symbolic link to there"})
		})
	}
}

// TestCopySymlinkIsNotMadeOnTheHost: a link of the image that leads the destination into a
// directory of the host, which is bound, has nothing made there.
func TestCopySymlinkIsNotMadeOnTheHost(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no such option")
	b := newBundle(t)
	shared := b.path("shared")
	if err := os.Mkdir(shared, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/mnt", b.rootfs("opt")); err != nil {
		t.Fatal(err)
	}
	bindMount(shared, "/mnt", "bind")(b.spec)
	bindMount(linkTo(b, "link", "there"), "/opt/made", "bind", "copy-symlink")(b.spec)
	b.writeSpec()
	b.refuse([]string{"a symbolic link of the image leads /opt/made into what is mounted there"})
	if entries, err := os.ReadDir(shared); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

// TestSourceIsNotFollowed: with src-nofollow a symbolic link itself is mounted, which leads
// where it leads in the container.
//
// Source: crun(1), "src-nofollow".
func TestSourceIsNotFollowed(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no such option")
	for _, s := range standings() {
		t.Run(s.name, func(t *testing.T) {
			g := s.guest(t, sh("readlink /etc/link; cat /etc/link"))
			writeText(t, g.path("target"), "the host's\n")
			writeText(t, g.rootfs("target"), "the container's\n")
			link := linkTo(g.bundle, "link", "/target")
			bindMount(link, "/etc/link", "bind", "src-nofollow")(g.spec)
			g.writeSpec()
			if r := g.do("run", "--bundle", g.dir, g.id); r.stdout != "/target\nthe container's\n" || r.code != 0 {
				t.Error(r)
			}
		})
	}
}

// TestDestinationIsNotFollowed: with dest-nofollow a symbolic link of the image is covered,
// and what it leads to stays as it is; without it that is covered.
//
// Source: crun(1), "dest-nofollow".
func TestDestinationIsNotFollowed(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no such option")
	for _, s := range standings() {
		for _, c := range []struct{ option, want string }{{"dest-nofollow", "bound\nthe image's\n"}, {"ro", "bound\nbound\n"}} {
			t.Run(s.name+", "+c.option, func(t *testing.T) {
				g := s.guest(t, sh("cat /etc/link; cat /etc/target"))
				writeText(t, g.rootfs("etc/target"), "the image's\n")
				if err := os.Symlink("target", g.rootfs("etc/link")); err != nil {
					t.Fatal(err)
				}
				writeText(t, g.path("file"), "bound\n")
				bindMount(g.path("file"), "/etc/link", "bind", c.option)(g.spec)
				g.writeSpec()
				if r := g.do("run", "--bundle", g.dir, g.id); r.stdout != c.want || r.code != 0 {
					t.Errorf("want %q\n%v", c.want, r)
				}
			})
		}
	}
}

// TestLinkOptionsAreForBinds: on another mount they are refused by name.
func TestLinkOptionsAreForBinds(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no such option")
	for _, option := range []string{"copy-symlink", "src-nofollow", "dest-nofollow"} {
		refused(t, []string{`"` + option + `" is for bind mounts alone; add bind or rbind`}, tmpfsMount("/mnt", option))
	}
}
