package idmap

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/parttest"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/spawn"
	"github.com/hutch-project/hutch/tests/testneed"
)

func ids(n ...uint32) (out []specs.LinuxIDMapping) {
	for ; len(n) > 0; n = n[3:] {
		out = append(out, specs.LinuxIDMapping{ContainerID: n[0], HostID: n[1], Size: n[2]})
	}
	return out
}

func root(t *testing.T) {
	t.Helper()
	testneed.Root(t, "to map ids")
}

// waiting makes a process in a new user namespace.
func waiting(t *testing.T) *spawn.Child {
	t.Helper()
	b := program.New()
	b.Barrier(1, 0)
	return parttest.Spawn(t, b, unix.CLONE_NEWUSER)
}

func file(t *testing.T, pid int, name string) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(b)), " ")
}

func TestWriteMaps(t *testing.T) {
	root(t)
	c := waiting(t)
	if err := WriteMaps(c.Pid, ids(0, 100000, 1000, 1000, 5, 1), ids(0, 200000, 10), false); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"uid_map": "0 100000 1000 1000 5 1", "gid_map": "0 200000 10", "setgroups": "allow"} {
		if got := file(t, c.Pid, name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestWriteMapsOfItsOwnIdOnlyDeniesSetgroups(t *testing.T) {
	c := waiting(t)
	if err := WriteMaps(c.Pid, ids(0, uint32(os.Geteuid()), 1), ids(0, uint32(os.Getegid()), 1), true); err != nil {
		t.Fatal(err)
	}
	if got := file(t, c.Pid, "setgroups"); got != "deny" {
		t.Errorf("setgroups: got %q, want deny", got)
	}
}

func TestWriteMapsErrors(t *testing.T) {
	root(t)
	for _, c := range []struct {
		name       string
		uids, gids []specs.LinuxIDMapping
		want       string
	}{
		{"overlap", ids(0, 1, 10, 5, 100, 10), nil, `write "0 1 10\n5 100 10\n" to uid_map: invalid argument: ranges overlap`},
		{"gids", ids(0, 0, 1), ids(0, 0, 0), `write "0 0 0\n" to gid_map: invalid argument`},
		{"too many", make([]specs.LinuxIDMapping, 341), nil, "uid_map: 341 mappings are more than the kernel's 340"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := WriteMaps(waiting(t).Pid, c.uids, c.gids, false)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if err := WriteMaps(-1, ids(0, 0, 1), nil, false); !errors.Is(err, unix.ENOENT) {
		t.Errorf("no process: got %v", err)
	}
}

// helperRuns runs a helper to its end.
func helperRuns(dirs []string, tool string, pid int, ids []specs.LinuxIDMapping) error {
	h, err := startHelper(dirs, tool, pid, ids)
	if err != nil {
		return err
	}
	return h.wait()
}

func TestHelper(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\n[ \"$1\" = 1 ] && { echo \"uid range [0-1) -> [5-6) not allowed\" >&2; exit 1; }\n" +
		"[ -z \"$PATH_FROM_CALLER\" ] && echo \"$@\" > " + dir + "/args\n"
	if err := os.WriteFile(filepath.Join(dir, "newuidmap"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH_FROM_CALLER", "x")
	dirs := []string{filepath.Join(dir, "absent"), dir}
	if err := helperRuns(dirs, "newuidmap", 42, ids(0, 1000, 1, 1, 100000, 65536)); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(dir + "/args"); string(got) != "42 0 1000 1 1 100000 65536\n" {
		t.Errorf("arguments: got %q, %v", got, err)
	}
	err := helperRuns(dirs, "newuidmap", 1, ids(0, 5, 1))
	if want := dir + "/newuidmap: exit status 1: uid range [0-1) -> [5-6) not allowed"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	err = helperRuns(dirs, "newgidmap", 1, ids(0, 5, 1))
	if err == nil || !strings.Contains(err.Error(), "newgidmap is not installed in any of "+dirs[0]) {
		t.Errorf("got %v", err)
	}
}

func TestHelperIsNotTakenFromPATH(t *testing.T) {
	for _, dir := range helperDirs() {
		if _, err := os.Stat(dir + "/newhutchmap"); err == nil {
			t.Skip("the name is taken")
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "newhutchmap"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	if _, err := startHelper(helperDirs(), "newhutchmap", 1, nil); err == nil {
		t.Error("a helper of PATH was run")
	}
}

func TestUserNSMapsAMount(t *testing.T) {
	root(t)
	f, err := UserNS(ids(0, 100000, 65536), ids(0, 200000, 65536))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if typ, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_NSTYPE); err != nil || typ != unix.CLONE_NEWUSER {
		t.Fatalf("no user namespace: %#x, %v", typ, err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tree, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(tree)
	err = unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(f.Fd())})
	if err != nil {
		t.Skipf("needs a file system with idmapped mounts for temporary files: %v", err)
	}
	var st unix.Stat_t
	if err := unix.Fstatat(tree, "f", &st, 0); err != nil || st.Uid != 100000 || st.Gid != 200000 {
		t.Errorf("owner: got %d:%d, %v, want 100000:200000", st.Uid, st.Gid, err)
	}
}

func TestUserNSIsSharedAndEachFileIsTheCallers(t *testing.T) {
	root(t)
	inode := func(f *os.File) uint64 {
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil {
			t.Fatal(err)
		}
		return st.Ino
	}
	var first uint64
	for i := range uint32(3) {
		for range 2 {
			f, err := UserNS(ids(0, 1000+i, 1), ids(0, 5, 1))
			if err != nil {
				t.Fatal(err)
			}
			n := inode(f)
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if i == 0 && first != 0 && n != first {
				t.Error("equal mappings have two namespaces")
			}
			if i > 0 && n == first {
				t.Error("different mappings share a namespace")
			}
			if i == 0 {
				first = n
			}
		}
	}
	for i := range uint32(2 * maxCached) {
		f, err := UserNS(ids(0, 2000+i, 1), ids(0, 5, 1))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	if n := len(cached.entries); n > maxCached {
		t.Errorf("%d namespaces are kept", n)
	}
}

func TestUserNSErrors(t *testing.T) {
	root(t)
	if _, err := UserNS(ids(0, 1, 1), nil); err == nil || !strings.Contains(err.Error(), "must both be given") {
		t.Errorf("got %v", err)
	}
	_, err := UserNS(ids(0, 1, 0), ids(0, 1, 1))
	if !errors.Is(err, unix.EINVAL) || !strings.HasPrefix(err.Error(), "user namespace for an idmapped mount: ") {
		t.Errorf("got %v", err)
	}
}
