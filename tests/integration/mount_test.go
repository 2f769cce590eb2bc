package integration

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestMountTypes(t *testing.T) {
	t.Parallel()
	list := mountsIn(t, mount(specs.Mount{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}}))
	for at, fs := range map[string]string{
		"/proc": "proc", "/dev": "tmpfs", "/dev/pts": "devpts", "/dev/shm": "tmpfs", "/sys": "sysfs", "/dev/mqueue": "mqueue",
	} {
		if m := mountAt(t, list, at); m.fs != fs {
			t.Errorf("%s is %s, want %s", at, m.fs, fs)
		}
	}
	checkOptions(t, mountAt(t, list, "/dev/pts"), "nosuid,noexec,!nodev,gid=5,mode=620,ptmxmode=666")
	checkOptions(t, mountAt(t, list, "/sys"), "ro,nosuid,nodev,noexec")
	checkOptions(t, mountAt(t, list, "/dev/shm"), "nosuid,nodev,noexec,size=65536k")
}

// TestMountsInOrder: a later mount hides an earlier one below it.
func TestMountsInOrder(t *testing.T) {
	t.Parallel()
	out := script(t, "ls /mnt; ls /mnt/a", tmpfsMount("/mnt"), tmpfsMount("/mnt/a/b"), tmpfsMount("/mnt/a/c"))
	if out != "a\nb\nc\n" {
		t.Errorf("below /mnt: %q", out)
	}
	if out := script(t, "ls /mnt", tmpfsMount("/mnt/a"), tmpfsMount("/mnt")); out != "" {
		t.Errorf("below the later mount: %q, want nothing", out)
	}
}

func TestBindDirectory(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("cat /mnt/in; echo out >/mnt/new"))
	source := b.path("source")
	writeText(t, source+"/in", "in\n")
	bindMount(source, "/mnt")(b.spec)
	b.writeSpec()
	if out := b.run().ok(t).stdout; out != "in\n" {
		t.Errorf("read %q", out)
	}
	if got := readText(t, source+"/new"); got != "out\n" {
		t.Errorf("written %q", got)
	}
}

// TestBindMakesMountPoint: missing folders and a missing file are made, with
// the kind of the source.
func TestBindMakesMountPoint(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("cat /a/b/file; ls -d /c/d/dir; test -S /e/socket && echo socket"))
	file, dir, sock := writeText(t, b.path("file"), "text\n"), b.path("dir"), b.path("socket")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	bindMount(file, "/a/b/file")(b.spec)
	bindMount(dir, "/c/d/dir")(b.spec)
	bindMount(sock, "/e/socket")(b.spec)
	b.writeSpec()
	if out := b.run().ok(t).stdout; out != "text\n/c/d/dir\nsocket\n" {
		t.Errorf("output %q", out)
	}
}

// TestBindByOptionNotType: the specification lets the type be anything then.
func TestBindByOptionNotType(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"", "bind", "none", "ext4"} {
		t.Run("type "+kind, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, args("cat", "/mnt"))
			source := writeText(t, b.path("source"), "text")
			mount(specs.Mount{Destination: "/mnt", Type: kind, Source: source, Options: []string{"rbind"}})(b.spec)
			b.writeSpec()
			if out := b.run().ok(t).stdout; out != "text" {
				t.Errorf("read %q", out)
			}
		})
	}
}

// TestBindRelativeSource is taken from the bundle.
func TestBindRelativeSource(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("cat", "/mnt"), bindMount("rootfs/etc/group", "/mnt"))
	if out := b.run().ok(t).stdout; !strings.HasPrefix(out, "root:") {
		t.Errorf("read %q", out)
	}
}

func TestMountErrors(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name  string
		only  string
		texts []string
		edit  edit
	}{
		{"source of a bind is missing", "", []string{"/no/such/source", "no such file or directory"}, bindMount("/no/such/source", "/mnt")},
		{"unknown file system", "", []string{"no such device"}, mount(specs.Mount{Destination: "/mnt", Type: "nosuchfs", Source: "x"})},
		{"directory on a file", "", []string{"/etc/passwd"}, bindMount("/usr", "/etc/passwd")},
		{"through a file", "", []string{"/etc/passwd"}, tmpfsMount("/etc/passwd/below")},
		{"over /proc's own", "1.1 allows a tmpfs there", []string{"/proc/self/attr"}, tmpfsMount("/proc/self/attr")},
		{"names the element", "1.1 names source and target", []string{"mounts[5]"}, bindMount("/no/such/source", "/mnt")},
		{"no destination", "1.1 mounts on /", []string{"mounts[5]"}, mount(specs.Mount{Destination: "", Type: "tmpfs", Source: "x"})},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.only != "" {
				hutchOnly(t, c.only)
			}
			refused(t, c.texts, c.edit)
		})
	}
}

// TestMountInsideRootOnly: links of the image never lead out of the root.
func TestMountInsideRootOnly(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("echo text >/link/file; cat /host/file"), tmpfsMount("/link"))
	if err := os.Symlink("../../../../../../../../host", b.rootfs("link")); err != nil {
		t.Fatal(err)
	}
	if out := b.run().ok(t).stdout; out != "text\n" {
		t.Errorf("read %q", out)
	}
	if _, err := os.Stat("/host"); err == nil {
		t.Error("the link led to /host of the machine")
	}
}

func TestTmpcopyup(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("cat /data/file /data/sub/deep; readlink /data/link; probe stat /data /data/file /data/sub; echo new >/data/file"),
		tmpfsMount("/data", "tmpcopyup"))
	writeText(t, b.rootfs("data/file"), "one\n")
	writeText(t, b.rootfs("data/sub/deep"), "two\n")
	for _, err := range []error{
		os.Symlink("file", b.rootfs("data/link")), os.Chmod(b.rootfs("data/file"), 0o640),
		os.Chown(b.rootfs("data/file"), 7, 8), os.Chmod(b.rootfs("data/sub"), 0o750),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	out := b.run().ok(t).stdout
	for _, want := range []string{"one\ntwo\nfile\n", "/data/file file 0640 7:8", "/data/sub dir 0750 0:0"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %q", want, out)
		}
	}
	if got := readText(t, b.rootfs("data/file")); got != "one\n" {
		t.Errorf("the image's file is now %q", got)
	}
}

// TestTmpcopyupReadOnly: ro comes after the copying.
func TestTmpcopyupReadOnly(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("cat /data/file; touch /data/new || true; ls /data"), tmpfsMount("/data", "tmpcopyup", "ro"))
	writeText(t, b.rootfs("data/file"), "one\n")
	res := b.run()
	if res.code != 0 || res.stdout != "one\nfile\n" || !strings.Contains(res.stderr, "Read-only") {
		t.Errorf("%s", res)
	}
}

func cgroupMount(options ...string) edit {
	return mount(specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup",
		Options: append([]string{"nosuid", "noexec", "nodev", "relatime"}, options...)})
}

// TestCgroupMount shows the machine's hierarchies, each from the container's
// own cgroup on.
func TestCgroupMount(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		edits []edit
	}{
		{"cgroup namespace", []edit{cgroupMount("ro")}},
		{"host's cgroup namespace", []edit{cgroupMount("ro"), withoutNamespace(specs.CgroupNamespace)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, append(c.edits, sh("cat /proc/self/mountinfo; echo ===; cd /sys/fs/cgroup; ls; echo ===; cat cgroup.procs */cgroup.procs 2>/dev/null | sort -u; echo ===; ls -l"))...)
			sections := strings.Split(b.run().ok(t).stdout, "===\n")
			hierarchies := 0
			for _, m := range parseMounts(t, sections[0]) {
				if strings.HasPrefix(m.at, "/sys/fs/cgroup") && strings.HasPrefix(m.fs, "cgroup") {
					hierarchies++
					checkOptions(t, m, "ro,nosuid,nodev,noexec")
				}
			}
			if hierarchies == 0 {
				t.Fatalf("no cgroup hierarchy mounted:\n%s", sections[0])
			}
			if _, err := os.Stat(cgroupRoot + "/cgroup.controllers"); err != nil { // v1 or hybrid
				if hierarchies < 5 || !strings.Contains(sections[1], "memory") {
					t.Errorf("%d hierarchies, names %q", hierarchies, sections[1])
				}
			}
			if !strings.Contains("\n"+sections[2], "\n1\n") {
				t.Errorf("init is not in the cgroups shown: %q", sections[2])
			}
		})
	}
}

// TestCgroupMountIsReadOnly: ro is real, also for the folder of hierarchies.
func TestCgroupMountIsReadOnly(t *testing.T) {
	t.Parallel()
	res := newBundle(t, cgroupMount("ro"), sh("cd /sys/fs/cgroup; for d in . *; do mkdir $d/new 2>/dev/null && echo made $d; done; true")).run().ok(t)
	if runtimeName == "hutch" && res.stdout != "" { // 1.1 leaves the tmpfs writable
		t.Errorf("a container could write: %s", res.stdout)
	}
}

// TestIdmappedMount: owners on disk are shown through the mount's mapping.
func TestIdmappedMount(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 has no idmapped mounts")
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: mappedRoot, Size: 65536}}
	for _, c := range []struct {
		name  string
		edits []edit
		mount specs.Mount
		want  string // owner of a file of 0:0, and then of one of 5:6
	}{
		{"per-mount mapping", nil, specs.Mount{Options: []string{"bind"}, UIDMappings: ids, GIDMappings: ids},
			fmt.Sprintf("%d:%d %d:%d", mappedRoot, mappedRoot, mappedRoot+5, mappedRoot+6)},
		{"container's mapping", []edit{userNamespace}, specs.Mount{Options: []string{"bind", "idmap"}}, "0:0 5:6"},
		{"mapping in the option", []edit{userNamespace}, specs.Mount{Options: []string{"bind", fmt.Sprintf("idmap=uids=0-%d-1#5-%d-1;gids=0-%d-7", mappedRoot+100, mappedRoot+200, mappedRoot+300)}}, "100:300 200:306"},
		{"of the container in the option", []edit{userNamespace}, specs.Mount{Options: []string{"bind", "idmap=uids=@0-50-7"}}, "50:0 55:6"},
		{"of a joined user namespace", []edit{joinedUserNamespace(t)}, specs.Mount{Options: []string{"bind", "idmap"}}, "0:0 5:6"},
		{"container's mapping, recursive", []edit{userNamespace}, specs.Mount{Options: []string{"rbind", "ridmap"}}, "0:0 5:6"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, append(c.edits, sh("stat -c %u:%g /mnt/root /mnt/other"))...)
			source := b.path("source")
			writeText(t, source+"/root", "")
			if err := os.Chown(writeText(t, source+"/other", ""), 5, 6); err != nil {
				t.Fatal(err)
			}
			c.mount.Destination, c.mount.Source, c.mount.Type = "/mnt", source, "bind"
			mount(c.mount)(b.spec)
			b.writeSpec()
			if out := strings.Join(strings.Fields(b.run().ok(t).stdout), " "); out != c.want {
				t.Errorf("owners %q, want %q", out, c.want)
			}
		})
	}
}

// TestIdmappedNewMount: so are the owners in a new file system. A tmpfs takes the owners of
// the image by tmpcopyup as they are there.
func TestIdmappedNewMount(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 has no idmapped mounts")
	needs(t, "a tmpfs with idmapped mounts (Linux 6.3)", mappedTmpfs())
	ids := func(host uint32) []specs.LinuxIDMapping {
		return []specs.LinuxIDMapping{{ContainerID: 0, HostID: host, Size: 65536}}
	}
	for _, c := range []struct {
		name  string
		edits []edit
		mount specs.Mount
		want  string // owner of the mount's root, and of what root makes in it
	}{
		{"own mapping", nil, specs.Mount{UIDMappings: ids(mappedRoot), GIDMappings: ids(mappedRoot)}, fmt.Sprintf("%d:%d", mappedRoot, mappedRoot)},
		{"mapping in the option", nil, specs.Mount{Options: []string{"idmap=uids=0-7-1;gids=0-8-1"}}, "7:8"},
		{"recursive", nil, specs.Mount{Options: []string{"ridmap=uids=0-7-1;gids=0-8-1"}}, "7:8"},
		{"with other options", nil, specs.Mount{Options: []string{"ro", "nosuid", "size=64k", "mode=750", "rslave"}, UIDMappings: ids(9), GIDMappings: ids(9)}, "9:9"},
		{"own mapping in a user namespace", []edit{userNamespace}, specs.Mount{UIDMappings: ids(mappedRoot + 3), GIDMappings: ids(mappedRoot + 4)}, "3:4"},
		{"the container's", []edit{userNamespace}, specs.Mount{Options: []string{"idmap"}}, "0:0"},
		{"that of a joined user namespace", []edit{joinedUserNamespace(t)}, specs.Mount{Options: []string{"idmap"}}, "0:0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.mount.Destination, c.mount.Source, c.mount.Type = "/mnt", "tmpfs", "tmpfs"
			edits := append(c.edits, mount(c.mount), sh("stat -c %u:%g /mnt; grep -q '^tmpfs /mnt ' /proc/self/mounts"))
			if out := strings.TrimSpace(newBundle(t, edits...).run().ok(t).stdout); out != c.want {
				t.Errorf("owner %q, want %q", out, c.want)
			}
		})
	}
	t.Run("tmpcopyup", func(t *testing.T) {
		t.Parallel()
		m := specs.Mount{Destination: "/copied", Source: "tmpfs", Type: "tmpfs", Options: []string{"tmpcopyup"}, UIDMappings: ids(100), GIDMappings: ids(200)}
		b := newBundle(t, mount(m), sh("stat -c %u:%g /copied/file"))
		if err := os.Chown(writeText(t, b.rootfs("copied", "file"), ""), 5, 6); err != nil {
			t.Fatal(err)
		}
		if out := strings.TrimSpace(b.run().ok(t).stdout); out != "105:206" {
			t.Errorf("owner %q, want 105:206", out)
		}
	})
}

// mappedTmpfs reports whether the kernel is one whose tmpfs can be idmapped.
func mappedTmpfs() bool { return kernelHas("6.3") }

// kernelHas reports whether the kernel is of a version, as 6.3, or a later one.
func kernelHas(version string) bool {
	var u unix.Utsname
	var major, minor, sinceMajor, sinceMinor int
	if unix.Uname(&u) != nil {
		return false
	}
	_, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor)
	if err == nil {
		_, err = fmt.Sscanf(version, "%d.%d", &sinceMajor, &sinceMinor)
	}
	return err == nil && (major > sinceMajor || major == sinceMajor && minor >= sinceMinor)
}

// joinedUserNamespace is that of a container which lives until the test ends, and of whose
// mappings the configuration tells nothing.
func joinedUserNamespace(t *testing.T) edit {
	t.Helper()
	b := newBundle(t, userNamespace, args("sleep", "1000")).create()
	return func(s *specs.Spec) {
		userNamespace(s)
		namespace(specs.UserNamespace, fmt.Sprintf("/proc/%d/ns/user", b.pid))(s)
		s.Linux.UIDMappings, s.Linux.GIDMappings = nil, nil
	}
}

func TestIdmappedMountErrors(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 has no idmapped mounts")
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: mappedRoot, Size: 65536}}
	for name, m := range map[string]specs.Mount{
		"uids without gids":      {Type: "bind", Source: "/usr", Options: []string{"bind"}, UIDMappings: ids},
		"option without ids":     {Type: "bind", Source: "/usr", Options: []string{"bind", "idmap=uids=0-0"}},
		"option and mappings":    {Type: "bind", Source: "/usr", Options: []string{"bind", "idmap=uids=0-0-1;gids=0-0-1"}, UIDMappings: ids, GIDMappings: ids},
		"remount":                {Type: "tmpfs", Source: "tmpfs", Options: []string{"remount"}, UIDMappings: ids, GIDMappings: ids},
		"cgroups":                {Type: "cgroup", Source: "cgroup", UIDMappings: ids, GIDMappings: ids},
		"cannot be mapped":       {Type: "mqueue", Source: "mqueue", UIDMappings: ids, GIDMappings: ids},
		"idmap without anything": {Type: "bind", Source: "/usr", Options: []string{"bind", "idmap"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m.Destination = "/mnt"
			refused(t, []string{"mounts[5]"}, mount(m))
		})
	}
}

// TestIdmappedMountAsUser: who may not map the ids of the host's files is told what that takes.
func TestIdmappedMountAsUser(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "the words are Hutch's")
	g := standing{uid: plainUser}.guest(t, ownIDOnly)
	writeText(t, g.path("source/file"), "") // nothing is mounted below it, whatever the host has
	bindMount(g.path("source"), "/mnt", "idmap")(g.spec)
	g.writeSpec()
	res := g.as(g.createCall()).do(t)
	if res.code == 0 || !strings.Contains(res.stderr, "mounts[5]") || !strings.Contains(res.stderr, "takes CAP_SYS_ADMIN in the user namespace in which the file system was mounted") {
		t.Errorf("%s", res)
	}
}

// TestBindThatWouldUncover: without privilege a tree is bound with what is mounted in it, or not
// at all, and the error says so. Source: mount_namespaces(7), "Restrictions on mount namespaces".
func TestBindThatWouldUncover(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "the words are Hutch's")
	for option, names := range map[string]string{"bind": "make it rbind", "rbind": ""} {
		g := standing{uid: plainUser}.guest(t, ownIDOnly, sh("cat /mnt/below/file"))
		below := g.path("source/below")
		if err := errors.Join(os.MkdirAll(below, 0o755), unix.Mount("tmpfs", below, "tmpfs", 0, "size=4k")); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Unmount(below, unix.MNT_DETACH) })
		writeText(t, below+"/file", "mounted\n")
		bindMount(g.path("source"), "/mnt", option)(g.spec)
		g.writeSpec()
		res := g.runAsIs(program{})
		if names == "" && (res.code != 0 || res.stdout != "mounted\n") {
			t.Errorf("%s: %s", option, res)
		}
		if names != "" && (res.code == 0 || !strings.Contains(res.stderr, "mounts[5]") || !strings.Contains(res.stderr, names)) {
			t.Errorf("%s: %s", option, res)
		}
	}
}

// TestMountPointsStay: what was made in the image for a mount is seen on the
// host afterwards, owned by root, and nothing else is.
func TestMountPointsStay(t *testing.T) {
	t.Parallel()
	b := newBundle(t, tmpfsMount("/new/folder"))
	b.run().ok(t)
	if info, err := os.Stat(b.rootfs("new/folder")); err != nil || !info.IsDir() || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v: want a folder of mode 0755", info, err)
	}
	names := dirNames(t, b.rootfs("dev"))
	if len(names) != 0 {
		t.Errorf("in the image's /dev: %q", names)
	}
}

// TestHybridHasNoUnified: on a hybrid host a mount of type cgroup has the v1 hierarchies
// alone, as runc and crun have it: systemd ends when it finds the v2 one beside them.
func TestHybridHasNoUnified(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/sys/fs/cgroup/unified/cgroup.procs"); err != nil {
		t.Skip("the host is not hybrid")
	}
	for name, e := range map[string]edit{"own": func(*specs.Spec) {}, "host's": withoutNamespace(specs.CgroupNamespace)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, args("ls", "/sys/fs/cgroup"), e, mount(specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"ro"}}))
			out := strings.Fields(b.run().ok(t).stdout)
			if slices.Contains(out, "unified") || !slices.Contains(out, "memory") {
				t.Errorf("got %q", out)
			}
		})
	}
}

// pinNamespace binds a new mount namespace on file. The kernel takes one that is newer than
// the caller's alone, by numbers that each processor hands out of a stock of its own: on the
// processor that has made the caller's they only grow.
func pinNamespace(t *testing.T, file string) {
	t.Helper()
	own, _ := os.Readlink("/proc/self/ns/mnt")
	var usable unix.CPUSet
	if err := unix.SchedGetaffinity(0, &usable); err != nil {
		t.Fatal(err)
	}
	var said []byte
	for cpu := range 8 * len(usable) * int(unsafe.Sizeof(usable[0])) {
		if !usable.IsSet(cpu) {
			continue
		}
		other := exec.Command("taskset", "-c", strconv.Itoa(cpu), "unshare", "-m", "cat")
		hold, err := other.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
		ns := fmt.Sprintf("/proc/%d/ns/mnt", other.Process.Pid)
		eventually(t, "unshare has made the namespace", func() bool { at, err := os.Readlink(ns); return err == nil && at != own })
		out, err := exec.Command("mount", "--bind", ns, file).CombinedOutput()
		hold.Close()
		other.Wait()
		if err == nil {
			return
		}
		said = append(said, out...)
	}
	t.Fatalf("no processor makes a namespace that is newer than the test's: %s", said)
}

// TestBindOfPinnedNamespaces: snapd and CRI-O pin mount namespaces below /run. A recursive
// bind of what holds one, be it the host's "/", is made without it, with its options.
func TestBindOfPinnedNamespaces(t *testing.T) {
	t.Parallel()
	dir := newBundle(t).path("pinned")
	hostTmpfs(t, dir, "rw")
	hostMount(t, "--make-private", dir)
	writeText(t, dir+"/ns", "")
	writeText(t, dir+"/file", "beside it\n")
	pinNamespace(t, dir+"/ns")
	t.Cleanup(func() { exec.Command("umount", dir+"/ns").Run() })
	for _, c := range []struct{ source, options, want string }{
		{dir, "rbind", "beside it\nwritten\n"},
		{dir, "rbind,ro,nosuid", "beside it\nread-only\n"},
		{dir, "rbind,rslave,rro", "beside it\nread-only\n"},
		{"/", "rbind,rslave,rro", "beside it\nread-only\n"},
	} {
		t.Run(c.source+" "+c.options, func(t *testing.T) {
			at := "/host"
			if c.source == "/" {
				at += dir
			}
			b := newBundle(t, sh("cat "+at+"/file; touch "+at+"/new 2>/dev/null && echo written || echo read-only"))
			mount(specs.Mount{Destination: "/host", Type: "bind", Source: c.source, Options: strings.Split(c.options, ",")})(b.spec)
			b.writeSpec()
			if got := b.run().ok(t).stdout; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			b.rt("plan", "--verify", "--bundle", b.dir).ok(t)
		})
	}
}

// TestDefaultOptionsOfMounts: mounts whose options are absent have their usual ones.
//
// Source: crun, get_default_flags.
func TestDefaultOptionsOfMounts(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc gives such mounts none")
	for gid, edits := range map[string][]edit{"5": nil, "200005": {userNamespace}} { // as the host sees it
		list := mountsIn(t, append(edits, func(s *specs.Spec) {
			for i := range s.Mounts {
				s.Mounts[i].Options = nil
			}
		}, mount(specs.Mount{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue"}), mount(specs.Mount{Destination: "/mnt", Type: "tmpfs", Source: "tmpfs"}))...)
		checkOptions(t, mountAt(t, list, "/dev"), "rw,noexec,!nosuid,mode=755")
		checkOptions(t, mountAt(t, list, "/dev/pts"), "nosuid,noexec,gid="+gid+",mode=620,ptmxmode=666")
		checkOptions(t, mountAt(t, list, "/dev/shm"), "nosuid,nodev,noexec,size=65536k")
		checkOptions(t, mountAt(t, list, "/dev/mqueue"), "nosuid,nodev,noexec")
		checkOptions(t, mountAt(t, list, "/sys"), "rw,nosuid,nodev,noexec")
		checkOptions(t, mountAt(t, list, "/mnt"), "rw,!nosuid,!noexec")
	}
}

// TestDevIsRemountedReadOnly: a remount of /dev with ro is one of a /dev that has its devices,
// as in runc: they are made before.
func TestDevIsRemountedReadOnly(t *testing.T) {
	t.Parallel()
	again := specs.Mount{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"remount", "ro", "nosuid", "strictatime", "mode=755"}}
	for name, edits := range map[string][]edit{"root": nil, "user namespace": {userNamespace}, "of a mount with ro": {func(s *specs.Spec) {
		for i := range s.Mounts {
			if m := &s.Mounts[i]; m.Destination == "/dev" {
				m.Options = append(m.Options, "ro")
			}
		}
	}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, append(edits, sh(`echo x >/dev/null && ls -d /dev/zero /dev/pts /dev/fd; grep -q "^[^ ]* /dev [^ ]* ro,.*nosuid" /proc/mounts && echo ro; (: >/dev/x) 2>/dev/null || echo refused`),
				func(s *specs.Spec) { s.Mounts = append(s.Mounts, again) })...)
			if name == "user namespace" {
				chownAll(t, b.rootfs(), mappedRoot)
			}
			if res := b.run(); res.code != 0 || res.stdout != "/dev/fd\n/dev/pts\n/dev/zero\nro\nrefused\n" {
				t.Errorf("%s", res)
			}
			if runtimeName == "hutch" {
				if res := b.rt("plan", "--verify", "--bundle", b.dir); res.code != 0 {
					t.Errorf("%s", res)
				}
			}
		})
	}
}
