package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// accounts writes the files of accounts of the image.
func accounts(b *bundle, passwd, group string) {
	b.t.Helper()
	writeText(b.t, b.rootfs("etc/passwd"), passwd)
	writeText(b.t, b.rootfs("etc/group"), group)
}

const (
	somePasswd = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:Web:/var/www:/bin/sh\n"
	someGroup  = "root:x:0:\nwebbers:x:34:\nadm:x:4:root,web\nlogs:x:5:web\n"
)

// TestExecUserByName: the user and the group of exec are found in the container's files, and
// numbers need none.
//
// Source: passwd(5), group(5); what engines do for their users.
func TestExecUserByName(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc takes numbers alone")
	for _, s := range standings()[:2] {
		t.Run(s.name, func(t *testing.T) {
			g := s.guest(t, sh("sleep 1000"))
			accounts(g.bundle, somePasswd, someGroup)
			g.writeSpec()
			g.create().start()
			for _, c := range []struct {
				flags []string
				want  string
			}{
				{[]string{"--user", "web"}, "33:34:4 5 34"},
				{[]string{"--user", "web:adm"}, "33:4:4"},
				{[]string{"--user", "web:7"}, "33:7:7"},
				{[]string{"--user", "99:adm"}, "99:4:4"},
				{[]string{"--user", "web", "--additional-gids", "8"}, "33:34:8 34"},
				{[]string{"--user", "root"}, "0:0:0 4"},
				{[]string{"--user", "33:34"}, "33:34:34"},
			} {
				script := `set -- $(grep ^Groups: /proc/self/status); shift; echo "$(id -u):$(id -g):$(for g in $* $(id -g); do echo $g; done | sort -nu | xargs)"`
				r := g.do(append(append([]string{"exec"}, c.flags...), g.id, "/bin/sh", "-c", script)...)
				if r.stdout != c.want+"\n" || r.code != 0 {
					t.Errorf("%q: want %s\n%v", c.flags, c.want, r)
				}
			}
			r := g.do("exec", "--user", "web", "--tty=false", g.id, "/bin/sh", "-c", "echo $HOME")
			if r.stdout != "/\n" && r.stdout != "/var/www\n" {
				t.Error(r)
			}
		})
	}
}

// TestExecUserUnknown: the error names the file, and what may be meant.
func TestExecUserUnknown(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc takes numbers alone")
	b := newBundle(t, sh("sleep 1000"))
	accounts(b, somePasswd, someGroup)
	b.writeSpec()
	b.create().start()
	for _, c := range []struct{ user, want string }{
		{"wbe", `--user "wbe": "wbe" is not in /etc/passwd of the container; did you mean web?`},
		{"web:amd", `--user "web:amd": "amd" is not in /etc/group of the container; did you mean adm?`},
		{"somebody", `--user "somebody": "somebody" is not in /etc/passwd of the container; give a name that is, or numbers`},
	} {
		if r := b.rt("exec", "--user", c.user, b.id, "true"); r.code != 255 || !strings.Contains(r.stderr, c.want) {
			t.Errorf("want %q\n%v", c.want, r)
		}
	}
}

// TestExecUserFileIsNone: a file of accounts that is none, or leads out of the container, is
// neither read nor waited for.
func TestExecUserFileIsNone(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc takes numbers alone")
	hosts := writeText(t, t.TempDir()+"/passwd", "intruder:x:0:0::/:\n")
	device := "no regular file"
	var st unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(hosts), &st); err != nil {
		t.Fatal(err)
	} else if st.Flags&unix.MS_NODEV != 0 {
		device = "permission denied" // there the kernel opens none
	}
	for name, c := range map[string]struct {
		put  func(path string) error
		want string
	}{
		"missing":            {func(string) error { return nil }, "no such file or directory"},
		"fifo":               {func(path string) error { return unix.Mkfifo(path, 0o666) }, "no regular file"},
		"directory":          {func(path string) error { return os.Mkdir(path, 0o755) }, "no regular file"},
		"device":             {func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) }, device},
		"link to the host's": {func(path string) error { return os.Symlink(hosts, path) }, "no such file or directory"},
		"link out of it":     {func(path string) error { return os.Symlink("../../../../.."+hosts, path) }, "no such file or directory"},
		"the kernel's":       {func(path string) error { return os.Symlink("/proc/uptime", path) }, "no regular file"},
		"by a magic link":    {func(path string) error { return os.Symlink("/proc/1/exe", path) }, "too many levels of symbolic links"},
		"one without an end": {func(path string) error { return os.Truncate(writeText(t, path, ""), 1<<30) }, "is larger than"},
		"one that is closed": {func(path string) error { return os.Chmod(writeText(t, path, "intruder:x:0:0::/:\n"), 0) }, "permission denied"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t, sh("sleep 1000"), asUser(1000), env("HOME=/"))
			os.RemoveAll(b.rootfs("etc/passwd"))
			if err := c.put(b.rootfs("etc/passwd")); err != nil {
				t.Fatal(err)
			}
			b.create().start()
			if r := b.rt("exec", "--user", "intruder", b.id, "true"); r.code != 255 || !strings.Contains(r.stderr, c.want) {
				t.Errorf("want %q\n%v", c.want, r)
			}
		})
	}
}
