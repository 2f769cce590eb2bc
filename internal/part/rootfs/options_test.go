package rootfs

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/list"
)

func TestParseOptions(t *testing.T) {
	const atime = unix.MOUNT_ATTR__ATIME
	for in, want := range map[string]options{
		"":                          {},
		"ro":                        {change: change{unix.MOUNT_ATTR_RDONLY, 0}},
		"ro,rw":                     {change: change{0, unix.MOUNT_ATTR_RDONLY}},
		"rw,ro":                     {change: change{unix.MOUNT_ATTR_RDONLY, 0}},
		"rro":                       {below: change{unix.MOUNT_ATTR_RDONLY, 0}},
		"rrw,nodev":                 {change: change{unix.MOUNT_ATTR_NODEV, 0}, below: change{0, unix.MOUNT_ATTR_RDONLY}},
		"noatime":                   {change: change{unix.MOUNT_ATTR_NOATIME, atime}},
		"noatime,atime":             {},
		"nodev,atime":               {change: change{unix.MOUNT_ATTR_NODEV, 0}},
		"strictatime,nostrictatime": {},
		"strictatime":               {change: change{unix.MOUNT_ATTR_STRICTATIME, atime}},
		"noatime,relatime":          {change: change{0, atime}},
		"noatime,nosuid":            {change: change{unix.MOUNT_ATTR_NOATIME | unix.MOUNT_ATTR_NOSUID, atime}},
		"rnoatime":                  {below: change{unix.MOUNT_ATTR_NOATIME, atime}},
		"rrelatime":                 {below: change{0, atime}},
		"relatime":                  {change: change{0, atime}},
		"rbind,rprivate":            {bind: true, recursive: true, prop: unix.MS_PRIVATE, propRecursive: true},
		"bind,slave":                {bind: true, prop: unix.MS_SLAVE},
		"idmap":                     {idmap: true},
		"ridmap":                    {idmap: true, ridmap: true},
		"remount":                   {remount: true},
		"tmpcopyup":                 {copyUp: true},
		"sync,dirsync":              {flags: []string{"sync", "dirsync"}, legacy: unix.MS_SYNCHRONOUS | unix.MS_DIRSYNC},
		"sync,async":                {flags: []string{}},
		"rsync,rdirsync":            {flags: []string{"sync", "dirsync"}, legacy: unix.MS_SYNCHRONOUS | unix.MS_DIRSYNC},
		"rsync,rasync":              {flags: []string{}},
		"rmand,rnomand":             {flags: []string{}},
		"bind,copy-symlink":         {bind: true, copyLink: true},
		"bind,src-nofollow":         {bind: true, srcNoFollow: true},
		"bind,dest-nofollow":        {bind: true, destNoFollow: true},
		"lazytime,mand":             {flags: []string{"lazytime", "mand"}, legacy: unix.MS_LAZYTIME | unix.MS_MANDLOCK},
		"iversion,silent":           {legacy: unix.MS_I_VERSION | unix.MS_SILENT},
		"iversion,loud":             {legacy: unix.MS_I_VERSION},
		"size=1k,a=":                {data: []string{"size=1k", "a="}},
		"nofail,x-a.b,data":         {data: []string{"data"}},
		"ro,defaults":               {change: change{unix.MOUNT_ATTR_RDONLY, 0}},
		"r":                         {data: []string{"r"}},
	} {
		got := parseOptions(strings.Split(in, ","))
		want.named = got.named // see TestBindFlags
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("%q:\n got %+v\nwant %+v", in, got, want)
		}
	}
}

// Every option of the runtime-spec's table is known: none goes to the file system.
func TestOptionsOfTheSpecification(t *testing.T) {
	for _, name := range MountOptions() { // which a test of internal/features has
		if o := parseOptions([]string{name}); len(o.data) > 0 {
			t.Errorf("%s is taken for an option of the file system", name)
		}
	}
}

func TestMountFlags(t *testing.T) {
	got := mountFlags(unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC |
		unix.MOUNT_ATTR_STRICTATIME | unix.MOUNT_ATTR_NODIRATIME | unix.MOUNT_ATTR_NOSYMFOLLOW)
	want := uintptr(unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_STRICTATIME | unix.MS_NODIRATIME | unix.MS_NOSYMFOLLOW)
	if got != want {
		t.Errorf("got %#x, want %#x", got, want)
	}
}

// TestAttributesOfTheTable: what is derived from the table of options.
//
// Source: linux/mount.h, linux/statfs.h.
func TestAttributesOfTheTable(t *testing.T) {
	const all = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC | unix.MOUNT_ATTR_NOSYMFOLLOW
	for _, c := range []struct {
		name      string
		got, want uint64
	}{
		{"restrictions", restrictions(), all},
		{"younger", younger(), unix.MOUNT_ATTR_NOSYMFOLLOW},
		{"flags of statfs", statfsFlags(all), unix.ST_RDONLY | unix.ST_NOSUID | unix.ST_NODEV | unix.ST_NOEXEC | 0x2000},
		{"attributes of none", attrsSeen(0), unix.MOUNT_ATTR_STRICTATIME},
		{"attributes of all", attrsSeen(unix.ST_RDONLY | unix.ST_NOSUID | unix.ST_NODEV | unix.ST_NOEXEC | 0x2000 | unix.ST_NODIRATIME | unix.ST_NOATIME),
			all | unix.MOUNT_ATTR_NODIRATIME | unix.MOUNT_ATTR_NOATIME},
		{"attributes with relatime", attrsSeen(unix.ST_RELATIME | unix.ST_NODEV), unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_RELATIME},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %#x, want %#x", c.name, c.got, c.want)
		}
	}
	for _, c := range []struct{ options, want string }{{"ro", "5.12"}, {"ro,nosymfollow", "5.14"}, {"rsymfollow", "5.14"}, {"noatime", "5.12"}} {
		o := parseOptions(strings.Split(c.options, ","))
		if got := attrsSince(o.change.merge(o.below)); got != c.want {
			t.Errorf("%s: since %s, want %s", c.options, got, c.want)
		}
	}
}

func TestBindFlags(t *testing.T) {
	for _, c := range []struct{ source, options, want string }{
		{"nosuid,nodev,noexec", "", "rw,nosuid,nodev,noexec,relatime"},
		{"nosuid,nodev,noexec", "rw", "rw,relatime"},
		{"ro,nosuid,nodev,noexec", "defaults", "ro,nosuid,nodev,noexec,relatime"},
		{"nosuid,nodev,noexec", "ro", "ro,relatime"}, // as MS_REMOUNT|MS_BIND with exactly these
		{"nosuid,nodev,noexec", "exec", "rw,relatime"},
		{"ro", "nosuid", "rw,nosuid,relatime"},
		{"ro,noexec", "dev", "rw,relatime"},
		{"ro,noexec", "rprivate", "ro,noexec,relatime"},
		{"ro,noatime", "atime", "rw,noatime"},
		{"ro", "rw", "rw,relatime"},
		{"noatime", "", "rw,noatime"},
		{"noatime", "nodev", "rw,nodev,noatime"},
		{"noatime", "nostrictatime", "rw,noatime"},
		{"noatime,nodiratime", "nodiratime", "rw,nodiratime,relatime"},
		{"noatime", "relatime", "rw,relatime"},
		{"rw", "noatime,nodiratime", "rw,noatime,nodiratime"},
		{"rw", "rro,rnosuid", "ro,nosuid,relatime"},
		{"rw", "ro,rrw", "rw,relatime"},
	} {
		t.Run(c.source+" bound "+c.options, func(t *testing.T) {
			w := newWorld(t, proc(), bind("", "/mnt", strings.Split(c.options, ",")...))
			w.tmpfsOnHost("src", c.source)
			w.spec.Mounts[1].Source = w.path("src")
			if got := w.mounts()["/mnt"]; !strings.HasPrefix(got, c.want+" ") {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// tmpfsOnHost mounts a tmpfs beside the root until the end of the test.
func (w *world) tmpfsOnHost(name, options string) {
	w.t.Helper()
	o := parseOptions(strings.Split(options, ","))
	must(w.t, unix.Mkdir(w.path(name), 0o755))
	must(w.t, unix.Mount("tmpfs", w.path(name), "tmpfs", mountFlags(o.change.set), strings.Join(o.data, ",")))
	w.t.Cleanup(func() { must(w.t, unix.Unmount(w.path(name), unix.MNT_DETACH)) })
}

// TestBindWithoutNosymfollow: a kernel before 5.14, which cannot change that, still gives a bind
// the options of its own, and no other.
func TestBindWithoutNosymfollow(t *testing.T) {
	for name, c := range map[string]struct {
		denied  int // calls that fail
		options string
	}{
		"older kernel": {1, "ro,relatime"},
		"other error":  {2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, proc())
			w.tmpfsOnHost("src", "nosuid,nodev")
			w.spec.Mounts = append(w.spec.Mounts, bind(w.path("src"), "/mnt", "ro"))
			w.fault = func(p *program.Program) *program.Fault {
				for _, l := range list.Lines(p, nil) {
					if l.Call == "mount_setattr" && strings.Contains(fmt.Sprint(l.Args), "MOUNT_ATTR_NOSYMFOLLOW") {
						if c.denied == 2 {
							p.Parent[l.PC+2].Args[0] = program.Imm(-1)
						}
						return &program.Fault{Parent: l.Section == "parent", PC: l.PC, Errno: unix.EINVAL}
					}
				}
				t.Fatal("nothing clears nosymfollow")
				return nil
			}
			if c.options == "" {
				w.fails("set its options")
				return
			}
			if out := w.ok(`grep " /mnt " /proc/self/mountinfo | cut -d" " -f6`); out != c.options+"\n" {
				t.Errorf("got %q, want %q", out, c.options)
			}
		})
	}
}

func TestRecursiveBindOptions(t *testing.T) {
	for options, want := range map[string][2]string{
		"ro":            {"ro,relatime", "rw,relatime"},
		"rro":           {"ro,relatime", "ro,relatime"},
		"ro,rrw":        {"rw,relatime", "rw,relatime"},
		"nosuid,rnodev": {"rw,nosuid,nodev,relatime", "rw,nodev,relatime"},
	} {
		t.Run(options, func(t *testing.T) {
			w := newWorld(t, proc(), specs.Mount{Destination: "/mnt", Options: append([]string{"rbind"}, strings.Split(options, ",")...)})
			w.tmpfsOnHost("src", "rw")
			w.tmpfsOnHost("src/sub", "rw")
			w.spec.Mounts[1].Source = w.path("src")
			m := w.mounts()
			if got := [2]string{first(m["/mnt"]), first(m["/mnt/sub"])}; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func first(s string) string { a, _, _ := strings.Cut(s, " "); return a }

func TestRemount(t *testing.T) {
	w := newWorld(t, proc(), tmpfs("/a", "mode=755"), tmpfs("/a", "remount", "nosuid", "size=8k"), tmpfs("/b", "mode=755"),
		specs.Mount{Destination: "/b", Options: []string{"bind", "remount", "ro"}})
	m := w.mounts()
	if a, b := m["/a"], m["/b"]; !strings.HasPrefix(a, "rw,nosuid,relatime ") || !strings.Contains(a, "size=8k") || first(b) != "ro,relatime" {
		t.Errorf("/a %q, /b %q", a, b)
	}
}

// Propagation of the root and of binds, as mountinfo has it.
func TestPropagation(t *testing.T) {
	tags := func(line string) string {
		f := strings.Fields(line)
		var out []string
		for _, w := range f[1:slices.Index(f, "-")] {
			w, _, _ = strings.Cut(w, ":")
			if w != "propagate_from" {
				out = append(out, w)
			}
		}
		return strings.Join(out, ",")
	}
	for _, c := range []struct{ root, bind, wantRoot, wantBind string }{
		{"", "", "master", "master"},
		{"", "rprivate", "master", ""},
		{"", "rshared", "master", "shared"},
		{"", "shared", "master", "shared"},
		{"", "unbindable", "master", "unbindable"},
		{"slave", "", "master", "master"},
		{"rslave", "rshared", "master", "shared"},
		{"private", "", "", ""},
		{"rprivate", "rslave", "", "master"},
		{"shared", "", "shared,master", "shared"},
		{"rshared", "rprivate", "shared,master", ""},
		{"rshared", "rslave", "shared,master", "master"},
		{"unbindable", "", "unbindable", ""},
		{"runbindable", "", "unbindable", "unbindable"},
		{"runbindable", "rprivate", "unbindable", ""},
	} {
		t.Run(c.root+" "+c.bind, func(t *testing.T) {
			w := newWorld(t, proc())
			w.tmpfsOnHost("src", "rw")
			w.spec.Linux.RootfsPropagation = c.root
			w.spec.Mounts = append(w.spec.Mounts, bind(w.path("src"), "/mnt"))
			if c.bind != "" {
				w.spec.Mounts[1].Options = append(w.spec.Mounts[1].Options, c.bind)
			}
			m := w.mounts()
			if got := tags(m["/"]); got != c.wantRoot {
				t.Errorf("the root is %q, want %q: %s", got, c.wantRoot, m["/"])
			}
			if got := tags(m["/mnt"]); got != c.wantBind {
				t.Errorf("the bind is %q, want %q: %s", got, c.wantBind, m["/mnt"])
			}
		})
	}
}

// What is mounted in a shared bind is seen on the host.
func TestSharedBindIsThatOfTheHost(t *testing.T) {
	w := newWorld(t, proc())
	w.tmpfsOnHost("src", "rw")
	w.spec.Mounts = append(w.spec.Mounts, bind(w.path("src"), "/mnt", "rshared"))
	must(t, unix.Mkdir(w.path("src/d"), 0o755))
	if out, err := w.try("mount -t tmpfs tmpfs /mnt/d && echo ok"); err != nil || out != "ok\n" {
		t.Fatal(out, err)
	}
	if !strings.Contains(hostMounts(t), w.path("src/d")) {
		t.Error("the host does not see the container's mount")
	}
	must(t, unix.Unmount(w.path("src/d"), unix.MNT_DETACH))
}

func TestRecorded(t *testing.T) {
	const safe = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_RDONLY
	for text, want := range map[string]uint64{
		"ro,nosuid,relatime,idmapped": safe, "rw,noatime": unix.MOUNT_ATTR_NOATIME, "ro,nosuid": safe | unix.MOUNT_ATTR_STRICTATIME,
	} {
		if got := Recorded(text); got != want {
			t.Errorf("%s: got %#x, want %#x", text, got, want)
		}
	}
}

// TestAttributesHaveFlags: a new file system is mounted by mount(2) where no descriptor is
// needed, which knows flags alone. An attribute without one would be lost there.
func TestAttributesHaveFlags(t *testing.T) {
	for i := range mountOptions {
		if row := &mountOptions[i]; row.attrs.set != 0 && row.flag == 0 {
			t.Errorf("%s has no flag of mount(2): have needsHandle report it, and mountOld and a remount set it", row.name)
		}
	}
}
