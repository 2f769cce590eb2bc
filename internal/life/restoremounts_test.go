package life

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/criu"
	"github.com/hutch-project/hutch/internal/mountinfo"
	"github.com/hutch-project/hutch/tests/criutest"
	"github.com/hutch-project/hutch/tests/testneed"
)

// TestRestoreHasTheOptionsOfTheConfiguration: binds, and what is mounted below them, have the
// options of config.json again when the container's processes have taken them off.
func TestRestoreHasTheOptionsOfTheConfiguration(t *testing.T) {
	top := []string{"rbind", "ro", "nosymfollow"}
	// mount_setattr knows the last one since Linux 5.14, and says so before it looks for a mount.
	symlinks := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSYMFOLLOW}
	if unix.MountSetattr(-1, "", unix.AT_EMPTY_PATH, &symlinks) == unix.EINVAL {
		top = top[:2]
	}
	for _, userns := range []bool{false, true} {
		tree := mountedTree(t)
		// On mounts without options: a user namespace locks what a temporary directory may have.
		file := filepath.Join(mountedTree(t), "file")
		must(t, os.WriteFile(file, nil, 0o644))
		w := newCRIUWorld(t, &criutest.Behaviour{Mounts: true, Userns: userns}, func(s *specs.Spec) {
			s.Mounts = append(s.Mounts,
				specs.Mount{Destination: "/all", Type: "bind", Source: tree, Options: []string{"rbind", "rro", "rnosuid", "rnodev", "noexec"}},
				specs.Mount{Destination: "/top", Type: "bind", Source: tree, Options: top},
				specs.Mount{Destination: "/later", Type: "bind", Source: file, Options: []string{"bind"}},
				specs.Mount{Destination: "/later", Type: "bind", Source: "none", Options: []string{"remount", "bind", "ro", "nodev"}},
				specs.Mount{Destination: "/own", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "rnoexec"}},
				specs.Mount{Destination: "/file", Type: "bind", Source: file, Options: []string{"bind", "ro"}})
			if userns {
				inUserNamespace(s) // where the kernel locks access times
			} else {
				s.Mounts[len(s.Mounts)-1].Options = []string{"bind", "ro", "noatime"}
			}
		})
		w.start()
		before := w.optionsAt("/all", "/all/sub", "/top", "/top/sub", "/later", "/own", "/file")
		w.inMounts(func() error {
			for at := range before {
				clr := unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC}
				if err := unix.MountSetattr(unix.AT_FDCWD, at, 0, &clr); err != nil {
					return err
				}
			}
			return nil
		})
		must(t, w.checkpoint(func(*DumpOptions) {}))
		reapAll(t)
		must(t, w.restore(func(*RestoreOptions) {}))
		for at, after := range w.optionsAt("/all", "/all/sub", "/top", "/top/sub", "/later", "/own", "/file") {
			if after != before[at] {
				t.Errorf("in a user namespace: %v: %s has %q after the restore, and %q before", userns, at, after, before[at])
			}
		}
		w.end()
	}
}

// mountedTree returns a directory with a mount, and another in it at sub.
func mountedTree(t *testing.T) string {
	t.Helper()
	testneed.Root(t)
	dir := t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
	must(t, unix.Mount("tmpfs", filepath.Join(dir, "sub"), "tmpfs", 0, ""))
	return dir
}

// inUserNamespace gives the container a user namespace with the ids of the host.
func inUserNamespace(s *specs.Spec) {
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 0, Size: 65536}}
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
	s.Linux.UIDMappings, s.Linux.GIDMappings = ids, ids
}

// optionsAt returns the options of the container's mounts at the places.
func (w *criuWorld) optionsAt(places ...string) map[string]string {
	w.t.Helper()
	text, err := os.ReadFile(nsFile(w.pid(), "../mountinfo"))
	must(w.t, err)
	out := map[string]string{}
	for _, m := range mountinfo.Parse(string(text)) {
		for _, at := range places {
			if m.Point == at {
				out[at] = m.Options
			}
		}
	}
	if len(out) != len(places) {
		w.t.Fatalf("of %v there are %v:\n%s", places, out, text)
	}
	return out
}

func (w *criuWorld) pid() int {
	w.t.Helper()
	s, err := w.r.State(w.id)
	must(w.t, err)
	return s.Pid
}

// inMounts calls f in the container's mount namespace.
func (w *criuWorld) inMounts(f func() error) {
	w.t.Helper()
	pidfd, err := unix.PidfdOpen(w.pid(), 0)
	must(w.t, err)
	defer unix.Close(pidfd)
	must(w.t, criu.InMounts(pidfd, f))
}

// TestRestoreBindsWhatAnEarlierBindBrings: such a source is what the container sees at the path,
// and no symbolic link may lead to another.
func TestRestoreBindsWhatAnEarlierBindBrings(t *testing.T) {
	volume := mountedTree(t)
	must(t, os.WriteFile(filepath.Join(volume, "sub", "file"), nil, 0o644))
	must(t, os.Mkdir(filepath.Join(volume, "dir"), 0o755))
	root := t.TempDir()
	must(t, os.Mkdir(filepath.Join(root, "bin"), 0o755))
	text, err := os.ReadFile("/bin/busybox")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(root, "bin", "sh"), text, 0o755))
	w := newCRIUWorld(t, &criutest.Behaviour{Mounts: true}, func(s *specs.Spec) {
		s.Root.Path = root
		for _, m := range [][2]string{{"/volume", volume}, {"/inner", root + "/volume/sub"}, {"/dir", root + "/volume/dir"}} {
			s.Mounts = append(s.Mounts, specs.Mount{Destination: m[0], Type: "bind", Source: m[1], Options: []string{"rbind", "nosuid"}})
		}
	})
	w.start()
	must(t, w.checkpoint(func(o *DumpOptions) { o.LeaveRunning = true }))
	must(t, w.r.Delete(w.id, true))
	reapAll(t)
	must(t, w.restore(func(*RestoreOptions) {}))
	if _, err := os.Stat(nsFile(w.pid(), "../root/inner/file")); err != nil {
		t.Error(err)
	}
	must(t, w.r.Delete(w.id, true))
	reapAll(t)
	// Whoever may write to the volume has it lead to what the container may not.
	must(t, os.Remove(filepath.Join(volume, "dir")))
	must(t, os.Symlink("/etc", filepath.Join(volume, "dir")))
	err = w.restore(func(*RestoreOptions) {})
	if err == nil || !strings.Contains(err.Error(), "which no symbolic link may lead to: too many levels of symbolic links") {
		t.Errorf("got %v", err)
	}
	killStray(t, w.path)
	reapAll(t)
	w.checkNothingLeft("a restore with a link")
}

// TestOptionsAreForTheMount: what images say is mounted at a place may lie in another mount, or
// beneath what the container has mounted there.
func TestOptionsAreForTheMount(t *testing.T) {
	tree := mountedTree(t)
	must(t, os.Mkdir(filepath.Join(tree, "dir"), 0o755))
	root, err := unix.Open(tree, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(root)
	set := func(name string, other uint64) bool {
		t.Helper()
		var st unix.Stat_t
		must(t, unix.Stat(filepath.Join(tree, name), &st))
		b := bound{at: "/" + name, dev: uint64(st.Dev), ino: st.Ino + other, attrs: unix.MOUNT_ATTR_RDONLY}
		must(t, b.set(root))
		var fs unix.Statfs_t
		must(t, unix.Statfs(filepath.Join(tree, name), &fs))
		return fs.Flags&unix.ST_RDONLY != 0
	}
	if set("dir", 0) {
		t.Error("a directory in another mount")
	}
	if set("sub", 1) {
		t.Error("another mount")
	}
	if !set("sub", 0) {
		t.Error("the mount has not got them")
	}
}
