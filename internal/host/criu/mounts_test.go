package criu

import (
	"slices"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/internal/mountinfo"
)

const hostMounts = `21 1 8:1 / / rw - ext4 /dev/sda1 rw
22 21 0:5 / /dev rw - devtmpfs dev rw
23 21 0:22 / /sys rw - sysfs sysfs rw
24 23 0:34 / /sys/fs/cgroup rw - cgroup2 cgroup rw
25 21 0:28 / /tmp rw - tmpfs tmp rw
`

func points(ms []mountinfo.Mount) (out []string) {
	for _, m := range ms {
		out = append(out, m.Point)
	}
	return out
}

func TestExternal(t *testing.T) {
	own := mountinfo.Parse(`41 48 0:28 /b/rootfs / rw,relatime - tmpfs tmp rw
66 41 0:37 / /proc rw - proc proc rw
67 41 0:38 / /dev rw - tmpfs tmpfs rw
68 67 0:39 / /dev/pts rw - devpts devpts rw
69 67 0:39 /0 /dev/console rw - devpts devpts rw
71 41 0:41 / /sys ro - sysfs sysfs rw
72 71 0:34 /c1 /sys/fs/cgroup ro - cgroup2 cgroup rw
42 41 0:28 /src /data\040of\012mine ro - tmpfs tmp rw
43 66 0:5 /null /proc/kcore ro - devtmpfs dev rw
44 66 0:5 /null /proc/kcore ro - devtmpfs dev rw
45 66 0:50 /null /proc/keys ro - tmpfs tmpfs rw
46 66 0:37 /sys /proc/sys ro - proc proc rw
47 41 8:1 /home /home rw,shared:3 master:1 - ext4 /dev/sda1 rw
48 41 0:28 / /all rw - tmpfs tmp rw
a line that is none
`)
	want := []string{"/data of\nmine", "/proc/kcore", "/proc/keys", "/home", "/all"}
	host := mountinfo.Parse(hostMounts)
	if got := points(External(own, host, true)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := points(External(own, host, false)); !slices.Contains(got, "/sys/fs/cgroup") || len(got) != len(want)+1 {
		t.Errorf("without a cgroup namespace: got %q", got)
	}
}

// lookup is CRIU's look for a key: the first option that begins with it, up to a colon.
func lookup(options []string, key string) (string, bool) {
	for _, o := range options {
		rest, ok := strings.CutPrefix(o, key)
		if ok && strings.HasPrefix(rest, ":") {
			return rest[1:], true
		}
	}
	return "", false
}

// TestHostileMountPoints: whatever a mount point is called, CRIU finds the key of each point
// and of no other.
func TestHostileMountPoints(t *testing.T) {
	names := []string{
		"/a", "/a]", "/a:", "/a,b", "/a]:b", "/a]:hutch0", "/a:hutch0", "/a]\n", "/a\nmnt[/b]:x", "/[a]", "/a[", "/b",
		"/a]x", "/a]:/etc", "/mnt[]:", "/a]x:hutch1", "/é]", "/ ]: ", "/external", "/a] :",
	}
	var options []string
	keys := map[string]string{}
	for i, name := range names {
		option, err := DumpMount(name, Key(i))
		if refused := strings.Contains(name, "]:"); refused != (err != nil) {
			t.Errorf("%q: got %v", name, err)
		}
		if err == nil {
			options, keys[name] = append(options, option), Key(i)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("the error has a newline: %q", err)
		}
	}
	for _, name := range names {
		got, found := lookup(options, "mnt["+name+"]")
		if got != keys[name] || found != (keys[name] != "") {
			t.Errorf("%q: CRIU finds %q, want %q", name, got, keys[name])
		}
	}
	// The other way round: the keys of images are looked for among those of a restore.
	var sources []string
	for i := range names {
		sources = append(sources, RestoreMount(Key(i), "/tmp/source/"+Key(i)))
	}
	for i := range names {
		if got, _ := lookup(sources, "mnt["+Key(i)+"]"); got != "/tmp/source/"+Key(i) {
			t.Errorf("key %d: CRIU finds %q", i, got)
		}
	}
}

func TestKeys(t *testing.T) {
	for _, s := range []string{"", "hutch", "hutch-1", "hutch01", "hutch1]", "/a", "hutch1:", "hutch+1", "xhutch1"} {
		if n, ok := KeyNumber(s); ok {
			t.Errorf("%q is key %d", s, n)
		}
	}
	if n, ok := KeyNumber(Key(12)); n != 12 || !ok {
		t.Errorf("got %d, %v", n, ok)
	}
	for s, want := range map[string]bool{
		"pipe:[12]": true, DumpFile(44, 0xfe): true, "file[2c:fe]": true, "": false, "pipe:[]": false, "pipe:[x]": false, "pipe:[1]]": false,
		"tty[8800:1c]": true, "tty[]": false, "tty[1:2]:/etc": false, "tty[01:2]": false, "file[2C:fe]": false, "file[1:2]:/etc": false, "/etc/passwd": false, "file[]": false, "file[-1:2]": true, "mnt[a]": false,
	} {
		if IsStream(s) != want {
			t.Errorf("IsStream(%q) is %v", s, !want)
		}
	}
	if got := DumpNamespace("net", 4026531840, Key(3)); got != "net[4026531840]:hutch3" {
		t.Errorf("got %s", got)
	}
}
