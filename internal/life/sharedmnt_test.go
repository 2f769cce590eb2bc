package life

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/state"
	"github.com/hutch-project/hutch/tests/testneed"
)

// sharedRootOf binds bundle/rootfs on itself, as a container without a mount namespace does,
// and returns its record.
func sharedRootOf(t *testing.T, dir string) *state.Record {
	t.Helper()
	root := filepath.Join(dir, "rootfs")
	must(t, os.MkdirAll(root, 0o755))
	shared, err := askSharedRoot(&bundle{dir: dir, rootfs: root, spec: &specs.Spec{}})
	must(t, err)
	mountAt(t, root, root, "", unix.MS_BIND)
	return &state.Record{Bundle: dir, Rootfs: root, RootMount: shared.mount, RootFile: shared.file}
}

func mountAt(t *testing.T, source, target, kind string, flags uintptr) {
	t.Helper()
	must(t, unix.Mount(source, target, kind, flags, ""))
	t.Cleanup(func() {
		for unix.Unmount(target, unix.MNT_DETACH) == nil {
		}
	})
}

func isMounted(t *testing.T, at string) bool {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	return strings.Contains(string(text), " "+at+" ")
}

// TestRemoveRootOfAnotherBundle: the owner of a bundle puts a link to a directory with a mount
// of the host in its place. The container's own root is unmounted, wherever it is by then, and
// nothing else.
func TestRemoveRootOfAnotherBundle(t *testing.T) {
	testneed.Root(t)
	for name, exchange := range map[string]func(bundle, victim string){
		"nothing": func(string, string) {},
		"a link": func(bundle, victim string) {
			must(t, os.Rename(bundle, bundle+".old"))
			must(t, os.Symlink(victim, bundle))
		},
		"no bundle": func(bundle, _ string) { must(t, os.Rename(bundle, bundle+".old")) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			victim := filepath.Join(dir, "victim")
			must(t, os.MkdirAll(victim+"/rootfs", 0o755))
			mountAt(t, "tmpfs", victim+"/rootfs", "tmpfs", 0)
			bundle := filepath.Join(dir, "bundle")
			rec := sharedRootOf(t, bundle)
			exchange(bundle, victim)
			must(t, removeRoot(rec))
			if !isMounted(t, victim+"/rootfs") {
				t.Error("a mount of the host is gone")
			}
			for _, at := range []string{bundle, bundle + ".old"} {
				if isMounted(t, at+"/rootfs") {
					t.Errorf("the container's root is still mounted at %s", at)
				}
			}
		})
	}
}
