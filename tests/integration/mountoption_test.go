package integration

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestMountOptions mounts a tmpfs with each option that leaves a trace in the
// mount table, and binds with those that a bind can have.
//
// Source: runtime-spec config.md "Linux mount options", mount(8).
func TestMountOptions(t *testing.T) {
	t.Parallel()
	cases := []struct {
		options string // separated by commas
		want    string // options that stand in the table; !x: that do not
		only    string
	}{
		{"ro", "ro", ""},
		{"rw", "rw,!ro", ""},
		{"ro,rw", "rw", ""},
		{"nosuid", "nosuid", ""},
		{"nosuid,suid", "!nosuid", ""},
		{"nodev", "nodev", ""},
		{"nodev,dev", "!nodev", ""},
		{"noexec", "noexec", ""},
		{"noexec,exec", "!noexec", ""},
		{"nosuid,nodev,noexec,ro", "nosuid,nodev,noexec,ro", ""},
		{"nosuid,nodev,noexec,ro,defaults", "ro,nosuid,nodev,noexec", ""},
		{"noatime", "noatime", ""},
		{"noatime,atime", "relatime,!noatime", ""},
		{"nodiratime", "nodiratime", ""},
		{"nodiratime,diratime", "!nodiratime", ""},
		{"relatime", "relatime", ""},
		{"strictatime", "!relatime,!noatime", ""},
		{"strictatime,nostrictatime", "relatime", "1.1 leaves strictatime"},
		{"relatime,norelatime", "relatime", "1.1 sets neither"},
		{"sync", "sync", ""},
		{"sync,async", "!sync", ""},
		{"dirsync", "dirsync", ""},
		{"lazytime", "lazytime", "1.1 does not know it"},
		{"lazytime,nolazytime", "!lazytime", "1.1 does not know it"},
		{"iversion", "", "1.1 passes it to tmpfs; the table does not show it"},
		{"noiversion", "", "1.1 passes it to tmpfs"},
		{"silent", "", "1.1 passes it to tmpfs"},
		{"loud", "", "1.1 passes it to tmpfs"},
		{"mand", "", ""},
		{"nomand", "", ""},
		{"nosymfollow", "nosymfollow", "1.1 does not know it"},
		{"nosymfollow,symfollow", "!nosymfollow", "1.1 does not know it"},
		{"size=4k", "size=4k", ""},
		{"mode=0700,uid=5,gid=6", "mode=700,uid=5,gid=6", ""},
		{"nr_inodes=77", "nr_inodes=77", ""},
		{"rro", "ro", "1.1 has no recursive options"},
		{"rnosuid,rnodev,rnoexec", "nosuid,nodev,noexec", "1.1 has no recursive options"},
		{"rnoatime", "noatime", "1.1 has no recursive options"},
		{"rnodiratime", "nodiratime", "1.1 has no recursive options"},
		{"rnosymfollow", "nosymfollow", "1.1 has no recursive options"},
		{"rstrictatime", "!relatime,!noatime", "1.1 has no recursive options"},
	}
	for _, c := range cases {
		t.Run(c.options, func(t *testing.T) {
			t.Parallel()
			if c.only != "" {
				hutchOnly(t, c.only)
			}
			if c.options == "mand" && !kernelHas("5.15") { // from then on the option does nothing
				b := newBundle(t, args("true"), tmpfsMount("/mnt", c.options))
				if res := b.run(); strings.Contains(res.stderr, "fsmount tmpfs: operation not permitted") {
					t.Skip("needs a kernel with mandatory locks")
				}
			}
			m := mountAt(t, mountsIn(t, tmpfsMount("/mnt", strings.Split(c.options, ",")...)), "/mnt")
			checkOptions(t, m, c.want)
		})
	}
}

func checkOptions(t testing.TB, m mountLine, want string) {
	t.Helper()
	for _, option := range strings.Split(want, ",") {
		if option == "" {
			continue
		}
		absent, negated := strings.CutPrefix(option, "!")
		if m.has(absent) == negated {
			t.Errorf("%+v: want %s", m, option)
		}
	}
}

// TestBindOptions: a bind takes its source's flags, changed by the options.
func TestBindOptions(t *testing.T) {
	t.Parallel()
	cases := []struct{ options, want, only string }{
		{"", "rw,!nosuid,!nodev,!noexec", ""},
		{"ro", "ro", ""},
		{"ro,nosuid,nodev,noexec", "ro,nosuid,nodev,noexec", ""},
		{"noatime", "noatime", ""},
		{"nodiratime", "nodiratime", ""},
		{"nosymfollow", "nosymfollow", "1.1 does not know it"},
		{"rro", "ro", "1.1 has no recursive options"},
	}
	for _, c := range cases {
		t.Run("bind,"+c.options, func(t *testing.T) {
			t.Parallel()
			if c.only != "" {
				hutchOnly(t, c.only)
			}
			b := newBundle(t)
			source := hostTmpfs(t, b.path("source"), "rw")
			writeText(t, source+"/file", "x")
			var options []string
			if c.options != "" {
				options = strings.Split(c.options, ",")
			}
			args("cat", "/proc/self/mountinfo")(b.spec)
			bindMount(source, "/mnt", options...)(b.spec)
			b.writeSpec()
			checkOptions(t, mountAt(t, parseMounts(t, b.run().ok(t).stdout), "/mnt"), c.want)
		})
	}
}

// TestBindKeepsFlags: the source's own ro, nosuid, nodev, noexec stay, unless the options
// name any of a mount's own: then it has those that they set.
func TestBindKeepsFlags(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("cat", "/proc/self/mountinfo"))
	source := hostTmpfs(t, b.path("source"), "nosuid,nodev,noexec")
	bindMount(source, "/mnt")(b.spec)
	bindMount(source, "/kept", "rprivate")(b.spec)
	bindMount(source, "/cleared", "suid", "dev", "exec")(b.spec)
	bindMount(source, "/other", "noexec")(b.spec)
	b.writeSpec()
	list := parseMounts(t, b.run().ok(t).stdout)
	checkOptions(t, mountAt(t, list, "/mnt"), "nosuid,nodev,noexec")
	checkOptions(t, mountAt(t, list, "/kept"), "nosuid,nodev,noexec")
	checkOptions(t, mountAt(t, list, "/other"), "!nosuid,!nodev,noexec")
	if runtimeName == "hutch" { // 1.1 cannot tell "clear" from "unset"
		checkOptions(t, mountAt(t, list, "/cleared"), "!nosuid,!nodev,!noexec")
	}
}

// hostTmpfs mounts a tmpfs for the test, in the test's own mount namespace.
func hostTmpfs(t testing.TB, dir, options string) string {
	t.Helper()
	for _, words := range [][]string{{"mkdir", "-p", dir}, {"mount", "-t", "tmpfs", "-o", options, "tmpfs", dir}} {
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", words, err, out)
		}
	}
	t.Cleanup(func() { exec.Command("umount", "-l", dir).Run() })
	return dir
}

// hostMount runs mount(8) in the test's own mount namespace.
func hostMount(t testing.TB, words ...string) {
	t.Helper()
	if out, err := exec.Command("mount", words...).CombinedOutput(); err != nil {
		t.Fatalf("mount %q: %v\n%s", words, err, out)
	}
}

// TestRecursiveOptions: r* options reach the mounts below, plain ones do not.
func TestRecursiveOptions(t *testing.T) {
	t.Parallel()
	cases := []struct{ options, top, below, only string }{
		{"rbind,ro", "ro", "rw", ""},
		{"rbind,rro", "ro", "ro", "1.1 has no recursive options"},
		{"rbind,ro,rrw", "rw", "rw", "1.1 has no recursive options"},
		{"rbind,rnosuid,rnodev,rnoexec", "nosuid,nodev,noexec", "nosuid,nodev,noexec", "1.1 has no recursive options"},
		{"rbind,rnosuid,rsuid", "!nosuid", "!nosuid", "1.1 has no recursive options"},
		{"rbind,rnodev,rdev", "!nodev", "!nodev", "1.1 has no recursive options"},
		{"rbind,rnoexec,rexec", "!noexec", "!noexec", "1.1 has no recursive options"},
		{"rbind,rnoatime", "noatime", "noatime", "1.1 has no recursive options"},
		{"rbind,rnoatime,ratime", "!noatime", "!noatime", "1.1 has no recursive options"},
		{"rbind,rstrictatime", "!relatime,!noatime", "!relatime,!noatime", "1.1 has no recursive options"},
		{"rbind,rstrictatime,rnostrictatime", "relatime", "relatime", "1.1 has no recursive options"},
		{"rbind,rrelatime", "relatime", "relatime", "1.1 has no recursive options"},
		{"rbind,rnoatime,rnorelatime", "!relatime", "!relatime", "1.1 has no recursive options"},
		{"rbind,rnodiratime", "nodiratime", "nodiratime", "1.1 has no recursive options"},
		{"rbind,rnodiratime,rdiratime", "!nodiratime", "!nodiratime", "1.1 has no recursive options"},
		{"rbind,rnosymfollow", "nosymfollow", "nosymfollow", "1.1 has no recursive options"},
		{"rbind,rnosymfollow,rsymfollow", "!nosymfollow", "!nosymfollow", "1.1 has no recursive options"},
	}
	for _, c := range cases {
		t.Run(c.options, func(t *testing.T) {
			t.Parallel()
			if c.only != "" {
				hutchOnly(t, c.only)
			}
			b := newBundle(t, args("cat", "/proc/self/mountinfo"))
			source := hostTmpfs(t, b.path("source"), "rw")
			hostTmpfs(t, source+"/below", "rw")
			mountOptions := strings.Split(c.options, ",")
			bindMount(source, "/mnt", mountOptions...)(b.spec)
			b.spec.Mounts[len(b.spec.Mounts)-1].Options = mountOptions // without plain bind
			b.writeSpec()
			if strings.Contains(c.options, "symfollow") && !kernelHas("5.14") {
				b.run().failed(t, "set its options (needs Linux 5.14")
				return
			}
			list := parseMounts(t, b.run().ok(t).stdout)
			checkOptions(t, mountAt(t, list, "/mnt"), c.top)
			checkOptions(t, mountAt(t, list, "/mnt/below"), c.below)
		})
	}
}

// TestMountPropagation: the options that say where later mounts spread.
func TestMountPropagation(t *testing.T) {
	t.Parallel()
	cases := []struct {
		option string
		check  func(m mountLine) bool
	}{
		{"shared", func(m mountLine) bool { return m.tag("shared:") }},
		{"rshared", func(m mountLine) bool { return m.tag("shared:") }},
		{"slave", func(m mountLine) bool { return m.tag("master:") && !m.tag("shared:") }},
		{"rslave", func(m mountLine) bool { return m.tag("master:") && !m.tag("shared:") }},
		{"private", func(m mountLine) bool { return len(m.tags) == 0 }},
		{"rprivate", func(m mountLine) bool { return len(m.tags) == 0 }},
		{"unbindable", func(m mountLine) bool { return m.tag("unbindable") }},
		{"runbindable", func(m mountLine) bool { return m.tag("unbindable") }},
	}
	for _, c := range cases {
		t.Run(c.option, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, args("cat", "/proc/self/mountinfo"), func(s *specs.Spec) { s.Linux.RootfsPropagation = "rslave" })
			source := hostTmpfs(t, b.path("source"), "rw")
			hostMount(t, "--make-shared", source)
			bindMount(source, "/mnt", c.option)(b.spec)
			b.writeSpec()
			if m := mountAt(t, parseMounts(t, b.run().ok(t).stdout), "/mnt"); !c.check(m) {
				t.Errorf("%s: %+v", c.option, m)
			}
		})
	}
}

func TestMountOptionUnknownToFilesystem(t *testing.T) {
	t.Parallel()
	refused(t, []string{"nosuchoption"}, tmpfsMount("/mnt", "nosuchoption=1"))
}

// TestTmpfsMode: a tmpfs has the mode of an existing mount point, which the mount table
// shows, and the kernel's where the mount point is new.
func TestTmpfsMode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, dest, options, mode, shown string
		prepare                          func(*bundle)
	}{
		{"new", "/new/scratch", "nosuid", "1777", "", nil},
		{"existing", "/scratch", "nosuid", "710", "mode=710", nil},
		{"its own", "/scratch", "mode=0750", "750", "mode=750", nil},
		{"read-only", "/scratch", "ro", "710", "mode=710", nil},
		{"below another mount", "/vol/sub", "nosuid", "701", "", func(b *bundle) {
			if err := os.MkdirAll(b.path("vol/sub"), 0o755); err != nil {
				b.t.Fatal(err)
			}
			if err := os.Chmod(b.path("vol/sub"), 0o701); err != nil {
				b.t.Fatal(err)
			}
			bindMount(b.path("vol"), "/vol")(b.spec)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			hutchOnly(t, "1.1 has other rules")
			b := newBundle(t, sh("stat -c %a "+c.dest+"; cat /proc/self/mounts"))
			if err := os.Mkdir(b.rootfs("scratch"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(b.rootfs("scratch"), 0o710); err != nil {
				t.Fatal(err)
			}
			if c.prepare != nil {
				c.prepare(b)
			}
			tmpfsMount(c.dest, c.options)(b.spec)
			b.writeSpec()
			mode, table, _ := strings.Cut(b.run().ok(t).stdout, "\n")
			if mode != c.mode {
				t.Errorf("mode %s, want %s", mode, c.mode)
			}
			for line := range strings.Lines(table) {
				if strings.HasPrefix(line, "tmpfs "+c.dest+" ") && !strings.Contains(line, c.shown) {
					t.Errorf("got %q, want %s in it", line, c.shown)
				}
			}
		})
	}
}

// TestDestinationWithTheRootInFront: a destination may be written as the host sees it.
func TestDestinationWithTheRootInFront(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("grep -c -E ' (/mnt/a|/mnt) ' /proc/self/mounts; ls /; test -w /mnt/a"))
	tmpfsMount(b.rootfs("mnt"))(b.spec)
	tmpfsMount(b.rootfs() + "/x/../mnt/a")(b.spec)
	beside := b.rootfs() + "-beside"
	bindMount(b.path("."), beside)(b.spec)
	b.writeSpec()
	out := b.run().ok(t).stdout
	if !strings.HasPrefix(out, "2\n") {
		t.Errorf("got %q", out)
	}
	if _, err := os.Stat(b.rootfs(beside)); err != nil {
		t.Errorf("a path that only begins like the root's: %v", err)
	}
}

// TestBindOfWhatIsMounted: mounts are made in their order, so that the source of one may lie in an
// earlier one; it is looked for in the container, where no link may lie on the way
// (TestSourceInTheContainerIsNoLink).
//
// Source: runtime-spec config.md "Mounts".
func TestBindOfWhatIsMounted(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("cat /final/file; stat -c %u /mapped/file; grep ' /final ' /proc/self/mounts"))
	if err := os.MkdirAll(b.path("source/inner"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeText(t, b.path("source/inner/file"), "deep\n")
	bindMount(b.path("source"), "/mnt")(b.spec)
	bindMount(b.rootfs("mnt/inner"), "/final", "ro", "nodev")(b.spec)
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 7, Size: 1}}
	mount(specs.Mount{Destination: "/mapped", Type: "bind", Source: b.rootfs("mnt/inner"), Options: []string{"bind"}, UIDMappings: ids, GIDMappings: ids})(b.spec)
	b.writeSpec()
	out := b.run().ok(t).stdout
	if !strings.HasPrefix(out, "deep\n7\n") || !strings.Contains(out, " ro,nodev,") {
		t.Errorf("got %q", out)
	}
	b.rt("plan", "--verify", "--bundle", b.dir).ok(t)
}

// TestMountPointsInEarlierMounts: what an earlier mount of the container lacks on the way to
// a later one is made in it, whoever the caller is, and a tmpfs on what was made has the
// kernel's mode.
func TestMountPointsInEarlierMounts(t *testing.T) {
	t.Parallel()
	const text = `cat /run/secrets/a/b /ro/x/y/file /dev/x/y/file; ls /vol/d/e
stat -c %a /run/secrets/a /vol/x /vol/x/y /vol/one /ro/x /host/x /host/x/y /dev/x`
	const want = "bound\nbound\nbound\nfile\n755\n755\n1777\n1777\n755\n755\n1777\n755\n"
	for _, s := range standings() {
		for name, run := range map[string]func(*guest, program) result{"run": (*guest).byRun, "create and start": (*guest).byStart} {
			t.Run(s.name+", "+name, func(t *testing.T) {
				t.Parallel()
				g := s.guest(t)
				dir := g.path("dir")
				if err := os.MkdirAll(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(dir+"/file", []byte("bound\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				os.Mkdir(g.path("host"), 0o755)
				root := 0 // of the container, on the host
				for _, m := range g.spec.Linux.UIDMappings {
					root = int(m.HostID)
				}
				if err := os.Chown(g.path("host"), root, root); err != nil {
					t.Fatal(err)
				}
				for _, e := range []edit{
					tmpfsMount("/run"), bindMount(dir+"/file", "/run/secrets/a/b"),
					tmpfsMount("/vol"), tmpfsMount("/vol/x/y"), tmpfsMount("/vol/one"), bindMount(dir, "/vol/d/e"),
					tmpfsMount("/ro", "ro"), bindMount(dir+"/file", "/ro/x/y/file"),
					bindMount(g.path("host"), "/host"), tmpfsMount("/host/x/y"),
					bindMount(dir+"/file", "/dev/x/y/file"),
				} {
					e(g.spec)
				}
				res := run(g, program{args: []string{"/bin/sh", "-c", text}})
				if res.code != 0 || res.stdout != want {
					t.Errorf("want %q:\n%s", want, res)
				}
			})
		}
	}
}
