package life

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/host/criu"
	"github.com/hutch-project/hutch/internal/mountinfo"
	"github.com/hutch-project/hutch/internal/sys"
	"github.com/hutch-project/hutch/tests/criutest"
	"github.com/hutch-project/hutch/tests/testneed"
)

// TestHostileDestinations: whatever a mount point is called, and wherever links of the image
// lead, CRIU's keys are numbers, and each leads to the source that the bundle has for it.
func TestHostileDestinations(t *testing.T) {
	sources := t.TempDir()
	names := []string{"/a", "/a]", "/a:", "/a,b", "/a]\n", "/[b]", "/a]x:hutch1", "/ ]: "[:3], "/link/c", "/up/d", "/deep/e/f]"}
	outside := t.TempDir()
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(s *specs.Spec) {
		for i, name := range names {
			source := filepath.Join(sources, strconv.Itoa(i))
			must(t, os.Mkdir(source, 0o755))
			s.Mounts = append(s.Mounts, specs.Mount{Destination: name, Type: "bind", Source: source, Options: []string{"rbind", "rprivate"}})
		}
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/up", Type: "tmpfs", Source: "tmpfs"})
	})
	root := filepath.Join(w.bundle, "rootfs")
	must(t, os.RemoveAll(filepath.Join(root, "link")))
	must(t, os.MkdirAll(filepath.Join(root, "place"), 0o755))
	must(t, os.Symlink("../../../place", filepath.Join(root, "link")))
	w.start()
	must(t, w.checkpoint(func(*DumpOptions) {}))
	reapAll(t)
	// The image changes its links between checkpoint and restore: they lead to the host.
	must(t, os.Symlink(outside, filepath.Join(root, "new")))
	must(t, w.restore(func(*RestoreOptions) {}))
	r := criutest.Requests(t, w.path)
	keys := map[string]string{} // from CRIU's point of view: by the point in the container
	for _, e := range r[0].Strings[criutest.External] {
		point, key, ok := strings.Cut(strings.TrimPrefix(e, "mnt["), "]:")
		if _, number := criu.KeyNumber(key); !ok || !number {
			if !criu.IsStream(e) {
				t.Errorf("%q is no key", e)
			}
			continue
		}
		keys[point] = key
	}
	staged := mountinfo.Parse(r[1].Mounts)
	for i, name := range names {
		point := filepath.Clean(name)
		if name == "/link/c" {
			point = "/place/c"
		}
		if name == "/up/d" { // covered by the tmpfs that comes later
			continue
		}
		path := ""
		for _, e := range r[1].Strings[criutest.External] {
			if rest, ok := strings.CutPrefix(e, "mnt["+keys[point]+"]:"); ok && keys[point] != "" {
				path = rest
			}
		}
		at := slices.IndexFunc(staged, func(m mountinfo.Mount) bool { return m.Point == path })
		if at < 0 || !strings.HasSuffix(staged[at].Root, fmt.Sprintf("%s/%d", filepath.Base(sources), i)) {
			t.Errorf("%q has the key %q, and that %q", point, keys[point], path)
		}
	}
	if left, _ := os.ReadDir(outside); len(left) > 0 {
		t.Errorf("something was made outside: %v", left)
	}
	w.end()
}

// TestDestinationThatIsTwo: CRIU would take a part of the name for its end.
func TestDestinationThatIsTwo(t *testing.T) {
	source := t.TempDir()
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(s *specs.Spec) {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/a]:hutch0", Type: "bind", Source: source, Options: []string{"bind"}})
	})
	w.start()
	if err := w.checkpoint(func(*DumpOptions) {}); err == nil || !strings.Contains(err.Error(), "/a]:hutch0") {
		t.Errorf("got %v", err)
	}
	if n := len(criutest.Requests(t, w.path)); n != 0 {
		t.Errorf("CRIU was asked")
	}
	w.end()
}

// TestRestoreOfOtherMounts: a key that the bundle has no source for is refused by its name,
// and one that is no key is not handed on.
func TestRestoreOfOtherMounts(t *testing.T) {
	source := t.TempDir()
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(*specs.Spec) {})
	w.start()
	must(t, w.checkpoint(func(*DumpOptions) {}))
	reapAll(t)
	out, err := readOutsideAt(t, w.images)
	must(t, err)
	for _, m := range []outsideMount{{"hutch90", "/etc", ""}, {"hutch90", source, ""}, {"x]:/", "/etc", ""}, {"hutch90", "/proc/kcore/../../etc", ""}, {"hutch90", "../..", ""}} {
		bad := *out
		bad.Mounts = append(slices.Clone(out.Mounts), m)
		must(t, bad.saveAt(w.images))
		want := "which the bundle has no source for"
		if m.Key != "hutch90" {
			want = "is no key"
		}
		if err := w.restore(func(*RestoreOptions) {}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %s", m, err, want)
		}
		reapAll(t)
		w.checkNothingLeft(fmt.Sprint(m))
	}
	bad := *out
	bad.Streams[0] = "file[1:2]:/etc/shadow"
	must(t, bad.saveAt(w.images))
	if err := w.restore(func(*RestoreOptions) {}); err == nil || !strings.Contains(err.Error(), "is no stream") {
		t.Errorf("got %v", err)
	}
}

// TestNoCheckpointOfAMountOnRoot: CRIU is told of one root, which is root.path, so that a
// container with another one is neither written down nor restored.
func TestNoCheckpointOfAMountOnRoot(t *testing.T) {
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(*specs.Spec) {})
	w.start()
	must(t, w.checkpoint(func(*DumpOptions) {}))
	reapAll(t)
	const want = "is mounted on /, in the place of root.path"
	images := w.images
	w = newCRIUWorld(t, &criutest.Behaviour{}, func(s *specs.Spec) {
		s.Mounts = append([]specs.Mount{{Destination: "/", Type: "bind", Source: s.Root.Path, Options: []string{"rbind"}}}, s.Mounts...)
	})
	w.images = images
	if err := w.restore(func(*RestoreOptions) {}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("restore: got %v", err)
	}
	w.start()
	if err := w.checkpoint(func(*DumpOptions) {}); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("checkpoint: got %v", err)
	}
	w.end()
	reapAll(t)
}

// TestJoinedNamespaces: of a pod's namespaces CRIU gets descriptors, and the keys of those
// that are not in the images.
func TestJoinedNamespaces(t *testing.T) {
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(s *specs.Spec) {
		for i := range s.Linux.Namespaces {
			n := &s.Linux.Namespaces[i]
			switch n.Type {
			case specs.NetworkNamespace:
				n.Path = "/proc/self/ns/net"
			case specs.IPCNamespace:
				n.Path = "/proc/self/ns/ipc"
			}
		}
		s.Linux.Sysctl = nil
	})
	w.start()
	must(t, w.checkpoint(func(*DumpOptions) {}))
	reapAll(t)
	must(t, w.restore(func(*RestoreOptions) {}))
	r := criutest.Requests(t, w.path)
	var st unix.Stat_t
	must(t, unix.Stat("/proc/self/ns/net", &st))
	dumped := slices.ContainsFunc(r[0].Strings[criutest.External], func(e string) bool {
		return strings.HasPrefix(e, fmt.Sprintf("net[%d]:hutch", st.Ino))
	})
	inherited := slices.ContainsFunc(r[1].Strings[criutest.InheritFd], func(m string) bool {
		key, _ := criutest.Pair(m)
		_, ok := criu.KeyNumber(key)
		return ok
	})
	kind, file := criutest.Pair(append(r[1].Strings[criutest.JoinNS], "")[0])
	if !dumped || !inherited || kind != "ipc" || !strings.HasPrefix(file, "/proc/") {
		t.Errorf("dumped %v, inherited %v, joined %s %s", dumped, inherited, kind, file)
	}
	w.end()
	if _, err := joinable("user"); err == nil || !strings.Contains(err.Error(), "linux.namespaces: the user namespace is joined") {
		t.Errorf("got %v", err)
	}
}

// TestRestoreIsProven: a process that is not confined as the configuration says does not go
// on, and nothing of it is left.
func TestRestoreIsProven(t *testing.T) {
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(*specs.Spec) {})
	w.start()
	must(t, w.checkpoint(func(*DumpOptions) {}))
	reapAll(t)
	testUnproven = false
	if err := w.restore(func(*RestoreOptions) {}); err == nil || !strings.Contains(err.Error(), "is not confined as config.json says: ") {
		t.Errorf("got %v", err)
	}
	killStray(t, w.path)
	reapAll(t)
	w.checkNothingLeft("a restore that was refused")
}

// TestProof: a container of the configuration passes, and each thing that a checkpoint could
// have left out is found.
func TestProof(t *testing.T) {
	testneed.Root(t)
	tree := mountedTree(t)
	w := newWorld(t, func(s *specs.Spec) {
		s.Process.NoNewPrivileges = false
		inUserNamespace(s)
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/tree", Type: "bind", Source: tree, Options: []string{"rbind", "ro"}})
		s.Linux.Seccomp = nil
		s.Root.Readonly = false
		s.Process.Args = []string{"sh", "-c", "while :; do sleep 1000; done"}
	})
	must(t, w.r.Create(w.options()))
	must(t, w.r.Start(w.id, &StartOptions{}))
	state, err := w.r.State(w.id)
	must(t, err)
	supplied := map[string]shown{}
	own, outside, err := mountsOf(state.Pid)
	must(t, err)
	for _, m := range criu.Foreign(own, outside, true) {
		supplied[m.Point] = shownBy(&m)
	}
	prove := func(change func(*specs.Spec)) error {
		b, err := w.r.readBundle(w.bundle, "", nil)
		must(t, err)
		change(b.spec)
		p := &restoredProof{spec: b.spec, pid: state.Pid, supplied: supplied}
		if err := p.namespaces(); err != nil {
			return err
		}
		if err := p.root(); err != nil {
			return err
		}
		return p.process(state.Pid)
	}
	if err := prove(func(*specs.Spec) {}); err != nil {
		t.Errorf("as it was made: %v", err)
	}
	for want, change := range map[string]func(*specs.Spec){
		"linux.namespaces[0]: it is not in": func(s *specs.Spec) { s.Linux.Namespaces[0].Path = "/proc/self/ns/pid" },
		"has the host's time namespace": func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.TimeNamespace})
		},
		"linux.uidMappings: it has the ids": func(s *specs.Spec) {
			s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 0, Size: 10}}
		},
		"linux.gidMappings: it has the ids": func(s *specs.Spec) {
			s.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1, Size: 65536}}
		},
		"root.readonly: / is writable": func(s *specs.Spec) { s.Root.Readonly = true },
		"is writable":                  func(s *specs.Spec) { s.Mounts[1].Options = append(s.Mounts[1].Options, "ro") },
		"/tree/sub, which comes with it, is writable": func(s *specs.Spec) {
			m := &s.Mounts[len(s.Mounts)-1]
			m.Options = append(m.Options, "rro")
		},
		"linux.maskedPaths: /proc/uptime is not masked":                     func(s *specs.Spec) { s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/proc/uptime") },
		"linux.maskedPaths: /bin is not masked":                             func(s *specs.Spec) { s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/bin") },
		"linux.readonlyPaths: /bin is writable":                             func(s *specs.Spec) { s.Linux.ReadonlyPaths = append(s.Linux.ReadonlyPaths, "/none", "/bin") },
		"linux.seccomp: process":                                            func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{} },
		"process.noNewPrivileges: process":                                  func(s *specs.Spec) { s.Process.NoNewPrivileges = true },
		"process.capabilities: process":                                     func(s *specs.Spec) { s.Process.Capabilities = &specs.LinuxCapabilities{} },
		"process.capabilities: process " + strconv.Itoa(state.Pid) + " has": func(s *specs.Spec) { s.Process.Capabilities = nil },
		"label": func(s *specs.Spec) { s.Process.SelinuxLabel = "a:b:c:d" },
	} {
		if err := prove(change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	sub := supplied["/tree/sub"]
	delete(supplied, "/tree/sub")
	if err := prove(func(*specs.Spec) {}); err == nil || !strings.Contains(err.Error(), "mounts: something of the host is mounted at /tree/sub") {
		t.Errorf("a mount that images alone have: got %v", err)
	}
	supplied["/tree/sub"] = sub
	pidfd, err := unix.PidfdOpen(state.Pid, 0)
	must(t, err)
	defer unix.Close(pidfd)
	for _, at := range []string{"/tree/sub", "/"} {
		if err := prove(func(*specs.Spec) {}); err != nil {
			t.Errorf("before something is on %s: %v", at, err)
		}
		mount, err := unix.OpenTree(unix.AT_FDCWD, t.TempDir(), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
		must(t, err)
		must(t, criu.InMounts(pidfd, func() error {
			return unix.MoveMount(mount, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH)
		}))
		unix.Close(mount)
		if err := prove(func(*specs.Spec) {}); err == nil || !strings.Contains(err.Error(), "mounts: something of the host is mounted at "+at) {
			t.Errorf("a second mount on %s: got %v", at, err)
		}
		must(t, criu.InMounts(pidfd, func() error { return unix.Unmount(at, unix.MNT_DETACH) }))
	}
	must(t, w.r.Delete(w.id, true))
	reapAll(t)
}

// TestProofOfThreads: a thread has capabilities and a filter of its own, by which its process
// is looked at, too.
func TestProofOfThreads(t *testing.T) {
	testneed.Root(t)
	tids, end := make(chan int), make(chan struct{})
	go sys.Apart(func() error {
		_, _, errno := unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
		if errno != 0 {
			t.Error(errno)
		}
		tids <- unix.Gettid()
		<-end
		return nil
	})
	tid := <-tids
	defer close(end)
	p := &restoredProof{spec: &specs.Spec{Process: &specs.Process{NoNewPrivileges: true, Capabilities: allCapabilities()}}}
	if err := p.thread(unix.Getpid(), strconv.Itoa(tid)); err != nil {
		t.Errorf("the thread with noNewPrivileges: %v", err)
	}
	// By a thread's number the kernel shows that one's status, and the tasks of all.
	if err := p.process(tid); err == nil || !strings.Contains(err.Error(), "process.noNewPrivileges: process") {
		t.Errorf("a process with threads without noNewPrivileges: %v", err)
	}
	p.spec.Process.NoNewPrivileges = false
	must(t, p.process(unix.Getpid()))
}

// TestProofOfFilters: a filter around the runtime, which what is restored has from it, is not
// taken for the container's.
func TestProofOfFilters(t *testing.T) {
	one := map[string]string{"Seccomp": "2", "Seccomp_filters": "1"}
	for _, c := range []struct {
		status map[string]string
		want   int
	}{
		{map[string]string{"Seccomp": "0", "Seccomp_filters": "0"}, 0},
		{map[string]string{"Seccomp": "1", "Seccomp_filters": "0"}, 0}, // strict mode
		{one, 1},
		{map[string]string{"Seccomp": "2", "Seccomp_filters": "3"}, 3},
		{map[string]string{"Seccomp": "2"}, 1},
	} {
		if got := filters(c.status); got != c.want {
			t.Errorf("%v: got %d, want %d", c.status, got, c.want)
		}
	}
	must(t, sys.Apart(func() error {
		allow := unix.SockFilter{Code: unix.BPF_RET, K: unix.SECCOMP_RET_ALLOW}
		filter := unix.SockFprog{Len: 1, Filter: &allow}
		err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
		if err == nil {
			err = unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&filter)), 0, 0)
		}
		if err != nil {
			return err
		}
		own, err := statusIn("/proc/thread-self")
		if err != nil {
			return err
		}
		p := &restoredProof{outer: filters(own) - 1, spec: &specs.Spec{
			Process: &specs.Process{Capabilities: allCapabilities()}, Linux: &specs.Linux{Seccomp: &specs.LinuxSeccomp{}}}}
		if err := p.thread(unix.Getpid(), strconv.Itoa(unix.Gettid())); err != nil {
			t.Errorf("with a filter: %v", err)
		}
		p.outer++
		if err := p.thread(unix.Getpid(), strconv.Itoa(unix.Gettid())); err == nil || !strings.Contains(err.Error(), "has no filter") {
			t.Errorf("with the runtime's filter alone: %v", err)
		}
		return nil
	}))
}

// allCapabilities returns all that the kernel has.
func allCapabilities() *specs.LinuxCapabilities {
	var names []string
	for _, c := range enum.Capabilities {
		names = append(names, c.Name)
	}
	return &specs.LinuxCapabilities{Bounding: names, Effective: names, Permitted: names, Inheritable: names, Ambient: names}
}

func TestPageServer(t *testing.T) {
	for value, want := range map[string]string{"1.2.3.4:5": "1.2.3.4", "[::1]:5": "::1", "host:5": "host", "::1:5": "", ":5": "", "h:": "", "h:0": "", "h:65536": "", "[::1:5": ""} {
		got, port, err := pageServer(value)
		if got != want || err == nil && port != 5 || (err == nil) != (want != "") {
			t.Errorf("%s: got %s, %d, %v", value, got, port, err)
		}
	}
}

// saveAt is save for a directory by its path.
func (o *outside) saveAt(dir string) error {
	fd, err := openDir(dir, false)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return o.save(fd, dir)
}

func readOutsideAt(t *testing.T, dir string) (*outside, error) {
	t.Helper()
	fd, err := openDir(dir, false)
	must(t, err)
	defer unix.Close(fd)
	return readOutside(fd, dir)
}
