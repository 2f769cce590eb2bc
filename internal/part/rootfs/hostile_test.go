package rootfs

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call/idiom"
	"github.com/hutch-project/hutch/internal/program/list"
	"github.com/hutch-project/hutch/internal/program/spawn"
	"github.com/hutch-project/hutch/tests/testneed"
)

// Nothing is mounted below /proc, however it is written and whatever it is.
func TestNothingIsMountedInProc(t *testing.T) {
	for _, dest := range []string{"/proc/sys", "/proc/sys/", "/proc/./sys", "//proc/sys", "proc/sys", "/proc/../proc/sys", "/etc/../proc/sys/kernel", "/proc/self/attr", "/proc/1",
		"/to-proc/sys", "/to-sys", "/etc/to-sys", "/to-sys/kernel"} {
		for _, kind := range []string{"tmpfs", "bind", "rbind of a directory that has it", "proc"} {
			if dest != "/proc/sys" && dest != "/to-proc/sys" && kind != "tmpfs" {
				continue
			}
			t.Run(dest+" "+kind, func(t *testing.T) {
				w := newWorld(t, proc())
				must(t, os.Symlink("/proc", w.inRoot("to-proc")))
				must(t, os.Symlink("/proc/sys", w.inRoot("to-sys")))
				must(t, os.Symlink("../proc/sys", w.inRoot("etc/to-sys")))
				m := tmpfs(dest)
				switch kind {
				case "bind":
					must(t, os.Mkdir(w.path("src"), 0o755))
					m = bind(w.path("src"), dest)
				case "proc":
					m = specs.Mount{Destination: dest, Type: "proc", Source: "proc"}
				case "rbind of a directory that has it":
					must(t, os.MkdirAll(w.path("src/kernel"), 0o755))
					m = bind(w.path("src"), dest, "rbind")
				}
				w.spec.Mounts = append(w.spec.Mounts, m)
				out, err := w.run("true")
				if err == nil {
					t.Fatalf("mounted: %s", out)
				}
				if s := err.Error(); !strings.Contains(s, "mounts[1]") || !strings.Contains(s, "inside /proc") && !strings.Contains(s, "no symbolic link") {
					t.Error(err)
				}
			})
		}
	}
}

// A path that cannot be opened, other than because it is missing, is not left
// without its mask.
func TestMasksAreNotSkipped(t *testing.T) {
	for name, n := range map[string]int{"few": 1, "many": manyFds + 1} {
		for _, element := range []string{"linux.maskedPaths", "linux.readonlyPaths"} {
			t.Run(element+" "+name, func(t *testing.T) {
				w := newWorld(t, proc())
				must(t, os.Symlink("loop", w.inRoot("loop")))
				var list []string
				for i := range n {
					list = append(list, "/loop/secret"+strconv.Itoa(i))
				}
				if w.spec.Linux.MaskedPaths = list; element != "linux.maskedPaths" {
					w.spec.Linux.MaskedPaths, w.spec.Linux.ReadonlyPaths = nil, list
				}
				w.fails(element, "open it: too many levels of symbolic links")
			})
		}
	}
}

// Long lists become loops: of paths of all lengths, in procfs and elsewhere, files
// and directories, some missing, some twice.
func TestLongLists(t *testing.T) {
	w := newWorld(t, proc())
	long := strings.Repeat("d/", 60) + "file"
	longest := strings.Repeat(strings.Repeat("n", 200)+"/", 3) + "file"
	var masked, readonly []string
	for i := range 3 * manyFds {
		masked = append(masked, fmt.Sprintf("/none/%d", i), fmt.Sprintf("/tmp/%d", i), fmt.Sprintf("/tmp//%d/", i), "/tmp/1/below")
		readonly = append(readonly, fmt.Sprintf("/etc/%d", i))
		p := fmt.Sprintf("tmp/%d", i)
		if i%2 == 0 {
			must(t, os.MkdirAll(w.inRoot(p+"/secret"), 0o755))
		} else {
			must(t, os.WriteFile(w.inRoot(p), []byte("secret"), 0o644))
		}
		must(t, os.WriteFile(w.inRoot(fmt.Sprintf("etc/%d", i)), nil, 0o644))
	}
	for _, p := range []string{long, longest} {
		must(t, os.MkdirAll(w.inRoot(p[:strings.LastIndex(p, "/")]), 0o755))
		must(t, os.WriteFile(w.inRoot(p), []byte("secret"), 0o644))
		masked = append(masked, "/"+p)
	}
	w.spec.Linux.MaskedPaths = append(masked, "/proc/keys", "/proc/timer_list", "/proc/sysvipc")
	w.spec.Linux.ReadonlyPaths = append(readonly, "/proc/sys")
	out := w.ok(`cat /` + long + ` /` + longest + ` /proc/keys /proc/timer_list; for f in /tmp/*; do [ -f $f ] && cat $f; ls -A $f | grep secret; done 2>/dev/null
		for f in /etc/[0-9]*; do touch $f; done 2>&1 | grep -c Read-only; echo x 2>/dev/null >/proc/sys/kernel/domainname || echo refused
		ls /proc/sysvipc; grep -c ' /tmp/[0-9]' /proc/self/mountinfo; ls /proc/self/fd | wc -l`)
	if want := fmt.Sprintf("%d\nrefused\n%d\n", 3*manyFds, 3*manyFds); !strings.HasPrefix(out, want) {
		t.Errorf("got %.300q, want %q", out, want)
	}
	if n := w.total; n > 40+12*len(masked) {
		t.Errorf("%d calls for %d paths", n, len(masked))
	}
	w.spec.Linux.MaskedPaths = append(slices.Clone(masked), "/"+strings.Repeat("x", unix.PathMax))
	w.fails("linux.maskedPaths", fmt.Sprintf("[%d]", len(masked)), "file name too long")
	w.spec.Linux.MaskedPaths = append(slices.Clone(masked), "/a\x00b")
	w.fails("linux.maskedPaths", fmt.Sprintf("[%d]", len(masked)), "NUL")
}

// The program does not grow with the list.
func TestLongListsAreLoops(t *testing.T) {
	length := func(n int) int {
		s := &specs.Spec{Process: &specs.Process{}, Mounts: []specs.Mount{proc()}, Linux: &specs.Linux{}}
		for i := range n {
			s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, fmt.Sprintf("/proc/%d", i))
			s.Linux.ReadonlyPaths = append(s.Linux.ReadonlyPaths, fmt.Sprintf("/a/%d", i))
		}
		return len(listing(t, Config{Spec: s, Rootfs: "/r", SourcesInParent: true}))
	}
	if a, b := length(manyFds+1), length(50*manyFds); a != b {
		t.Errorf("%d instructions for %d paths, %d for %d", a, manyFds+1, b, 50*manyFds)
	}
}

// listing returns the whole program of a root.
func listing(t *testing.T, c Config) []list.Line {
	t.Helper()
	b, r := program.New(), New(c)
	r.Open(b)
	r.Mount(b)
	r.Pivot(b)
	r.Finish(b)
	p, err := b.Program()
	must(t, err)
	return list.Lines(p, &list.Options{})
}

// What is below a procfs or sysfs of the configuration is masked in that mount,
// and not where its name leads by then: a neighbour may have put another directory
// there, and puts it back afterwards.
func TestMasksGoByTheMount(t *testing.T) {
	s := &specs.Spec{Process: &specs.Process{}, Mounts: []specs.Mount{proc(), defaults()[5]}, Linux: &specs.Linux{
		MaskedPaths: []string{"/proc/keys", "/sys/firmware", "/etc/secret"}, ReadonlyPaths: []string{"/proc/sys"}}}
	mounts, seen := map[string]string{}, 0
	want := map[string]string{`"keys"`: "proc", `"firmware"`: "sysfs", `"sys"`: "proc", `"/etc/secret"`: ""}
	for _, l := range listing(t, Config{Spec: s, Rootfs: "/r", SourcesInParent: true}) {
		if l.Call == "fsmount" {
			mounts[l.Result] = strings.TrimPrefix(l.Step, "fsmount ")
		}
		if l.Call != "openat2" || !strings.HasPrefix(l.Element, "linux.maskedPaths") && !strings.HasPrefix(l.Element, "linux.readonlyPaths") {
			continue
		}
		seen++
		if kind, ok := want[l.Args[1]]; !ok || mounts[l.Args[0]] != kind {
			t.Errorf("%s is opened below %s, a %q: want %q", l.Args[1], l.Args[0], mounts[l.Args[0]], kind)
		}
	}
	if seen != 8 { // each twice
		t.Errorf("%d openings", seen)
	}
}

// A procfs or sysfs is masked, or made read-only, as a whole: by its descriptor, so that
// one which the image has had moved is masked, too, and is noticed.
func TestProcAndSysAreMaskedAsAWhole(t *testing.T) {
	sysfs := func(dest string) specs.Mount { m := defaults()[5]; m.Destination = dest; return m }
	for _, row := range []struct {
		mounts []specs.Mount
		masks  []string
	}{
		{[]specs.Mount{proc(), defaults()[5]}, []string{"/sys"}},
		{[]specs.Mount{proc(), defaults()[5]}, []string{"/sys/", "/proc/keys", "/proc", "/sys/firmware"}},
		{[]specs.Mount{proc(), tmpfs("/new"), sysfs("/new/sys")}, []string{"/new/sys/kernel", "/new"}},
		{[]specs.Mount{proc(), sysfs("/sys"), tmpfs("/sys/fs/cgroup")}, []string{"/sys/../sys/."}},
	} {
		for _, more := range []int{0, 2 * manyFds} {
			w := newWorld(t, row.mounts...)
			w.spec.Linux.MaskedPaths = row.masks
			for i := range more {
				w.spec.Linux.MaskedPaths = append(w.spec.Linux.MaskedPaths, fmt.Sprintf("/none/%d", i))
			}
			shown := path.Clean(row.masks[len(row.masks)-1])
			if row.masks[0] == "/sys/" {
				shown = "/proc /sys"
			}
			if out := w.ok("for d in " + shown + "; do ls -A $d; busybox touch $d/new 2>/dev/null && echo $d is writable; done; true"); out != "" {
				t.Errorf("%q with %d more: shows %q", row.masks, more, out)
			}
		}
	}
	for _, name := range []string{"proc", "sys"} {
		w := newWorld(t, proc(), defaults()[5])
		mountOn(t, "tmpfs", w.path("root")) // as the mask is
		w.layRoot()
		w.spec.Linux.MaskedPaths = []string{"/" + name}
		w.late = func(b *program.Builder, _ *Root) { b.Barrier(paused, 0) }
		w.before = func(*spawn.Child) {
			must(t, os.Rename(w.inRoot(name), w.inRoot("moved")))
			must(t, os.Mkdir(w.inRoot(name), 0o755))
		}
		w.fails("check that /"+name+" is still the mount: the root file system was changed meanwhile", "stale")
	}
}

// Masks and read-only paths are made in what programs see: not in a procfs or sysfs that
// a later mount of the configuration covers.
func TestMasksReachWhatCovers(t *testing.T) {
	w := newWorld(t, proc(), defaults()[5], bind("/sys", "/sys", "rbind"), bind("/proc", "/proc", "rbind"))
	w.spec.Linux.MaskedPaths = []string{"/sys/class/net", "/proc/timer_list"}
	w.spec.Linux.ReadonlyPaths = []string{"/proc/sys"}
	out := w.ok(`ls -A /sys/class/net
test -c /proc/timer_list || echo timer_list is not masked
(: >>/proc/sys/kernel/panic) 2>/dev/null && echo /proc/sys is writable; true`)
	if out != "" {
		t.Errorf("got %q", out)
	}
	// What is covered need not be where its path leads.
	w = newWorld(t, proc(), defaults()[5], tmpfs("/sys"))
	if got := w.mounts()["/sys"]; !strings.Contains(got, "- tmpfs") {
		t.Errorf("/sys: %q", got)
	}
}

// The root among linux.readonlyPaths makes all that is in the container read-only, and
// cannot be masked.
func TestReadonlyPathsOfTheRoot(t *testing.T) {
	for _, more := range []int{0, 2 * manyFds} {
		w := newWorld(t, proc(), dev(), tmpfs("/tmp"))
		w.spec.Linux.ReadonlyPaths = []string{"/proc/sys", "/etc/.."}
		for i := range more {
			w.spec.Linux.ReadonlyPaths = append(w.spec.Linux.ReadonlyPaths, fmt.Sprintf("/none/%d", i))
		}
		out := w.ok(`for d in / /etc /tmp /dev; do busybox touch $d/new 2>/dev/null && echo $d is writable; done; echo >/dev/null || echo no device`)
		if out != "" {
			t.Errorf("with %d more: got %q", more, out)
		}
	}
	w := newWorld(t, proc())
	w.spec.Linux.MaskedPaths = []string{"/proc/keys", "//"}
	w.fails("linux.maskedPaths[1]", "root of the container", "name the directories in it")
}

// A neighbour that has the image's /proc moved while the container is made does
// not get one without masks.
func TestMovedProcIsNoticed(t *testing.T) {
	for _, name := range []string{"proc", "sys"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, proc(), defaults()[5])
			w.late = func(b *program.Builder, _ *Root) { b.Barrier(paused, 0) }
			w.before = func(*spawn.Child) {
				must(t, os.Rename(w.inRoot(name), w.inRoot("moved")))
				must(t, os.Mkdir(w.inRoot(name), 0o755))
			}
			w.fails("check that /"+name+" is still the mount: the root file system was changed meanwhile", "stale")
		})
	}
}

// procProgram runs PrivateProc in new namespaces, after what before emits, and
// says on what file system sys/kernel/domainname is there.
func procProgram(t *testing.T, flags uint64, fault bool, before func(b *program.Builder)) (int64, error) {
	t.Helper()
	testneed.Root(t, "mounts")
	b := program.New()
	b.Sys(unix.SYS_MOUNT, program.Imm(0), b.Str("/"), program.Imm(0), program.Imm(unix.MS_REC|unix.MS_PRIVATE), program.Imm(0))
	before(b)
	fd := PrivateProc(b)
	f := open(b, fd, "sys/kernel/domainname", unix.O_PATH, plain).Fd()
	buf := b.Zero(idiom.StatfsSize)
	b.Sys(unix.SYS_FSTATFS, program.Val(f), buf.Arg())
	b.Tell(1, buf.Reg(0))
	p, err := b.Program()
	must(t, err)
	o := &spawn.Options{Flags: flags, Cgroup: -1}
	for _, l := range list.Lines(p, &list.Options{}) {
		if fault && l.Call == "fsmount" {
			o.Fault = &program.Fault{PC: l.PC, Errno: unix.EPERM}
		}
	}
	c, err := spawn.Spawn(p, o)
	must(t, err)
	defer func() { c.Kill(); c.Close() }()
	return c.Expect(1)
}

// What is mounted over the host's procfs does not stand in the way of the private
// one.
func TestPrivateProcIsNotTheHosts(t *testing.T) {
	file := t.TempDir() + "/file"
	must(t, os.WriteFile(file, nil, 0o644))
	magic, err := procProgram(t, unix.CLONE_NEWNS|unix.CLONE_NEWPID, false, func(b *program.Builder) {
		b.Sys(unix.SYS_MOUNT, b.Str(file), b.Str("/proc/sys/kernel/domainname"), program.Imm(0), program.Imm(unix.MS_BIND), program.Imm(0))
	})
	if must(t, err); magic != unix.PROC_SUPER_MAGIC {
		t.Errorf("the file is on %#x", magic)
	}
}

// Where the host's takes its place it must be a procfs.
func TestPrivateProcIsAProcfs(t *testing.T) {
	if magic, err := procProgram(t, unix.CLONE_NEWNS, true, func(*program.Builder) {}); err != nil || magic != unix.PROC_SUPER_MAGIC {
		t.Errorf("the host's: %#x %v", magic, err)
	}
	dir := t.TempDir()
	must(t, os.MkdirAll(dir+"/sys/kernel", 0o755))
	must(t, os.WriteFile(dir+"/sys/kernel/domainname", nil, 0o644))
	magic, err := procProgram(t, unix.CLONE_NEWNS, true, func(b *program.Builder) {
		b.Sys(unix.SYS_MOUNT, b.Str(dir), b.Str("/proc"), program.Imm(0), program.Imm(unix.MS_BIND), program.Imm(0))
	})
	if err == nil || !strings.Contains(err.Error(), "open a private procfs: operation not permitted") {
		t.Errorf("a directory in its place: %#x %v", magic, err)
	}
}
