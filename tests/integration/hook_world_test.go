package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestHooksBeforeThePivot: hooks that come to the container's mount namespace before the
// pivot find the host's paths, and the container's root with its mounts at root.path; what
// they do there is in the container. So hooks of vendors make devices, libraries and links
// appear: some enter the namespace of state.pid, others are createContainer hooks.
//
// Source: runtime-spec config.md "createRuntime Hooks", "createContainer Hooks".
func TestHooksBeforeThePivot(t *testing.T) {
	t.Parallel()
	const enter = `pid=$(sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' | head -n 1); nsenter -m -t "$pid" `
	for _, kind := range []string{"prestart", "createRuntime", "createContainer"} {
		for _, way := range []struct {
			name  string
			flags []string
			edits []edit
		}{
			{"plain", nil, nil},
			{"read-only root", nil, []edit{readonlyRoot}},
			{"user namespace", nil, []edit{userNamespace}},
			{"without pivot_root", []string{"--no-pivot"}, nil},
			{"root of its own propagation", nil, []edit{func(s *specs.Spec) { s.Linux.RootfsPropagation = "shared" }}},
		} {
			t.Run(kind+" "+way.name, func(t *testing.T) {
				t.Parallel()
				b := newBundle(t, append([]edit{sh("cat /mnt/injected /vendor/lib /link; stat -c %a /vendor/mode")}, way.edits...)...)
				volume := b.path("volume")
				if err := os.Mkdir(volume, 0o777); err != nil {
					t.Fatal(err)
				}
				writeText(t, volume+"/lib", "library\n")
				writeText(t, volume+"/mode", "")
				writeText(t, b.path("injected"), "injected\n")
				bindMount(volume, "/vendor")(b.spec)
				writeText(t, b.rootfs("mnt", "injected"), "")
				root := b.rootfs()
				script := fmt.Sprintf(`set -e
cat %[1]s/vendor/lib
grep " %[1]s/proc " /proc/self/mountinfo
mount --bind %[2]s %[1]s/mnt/injected
chmod 640 %[1]s/vendor/mode
ln -s /vendor/lib %[1]s/link
chroot %[1]s /bin/sh -c "cat /vendor/lib"
echo cwd $(pwd -P)`, root, b.path("injected"))
				writeText(t, b.path("hook.sh"), "{ "+script+"; } >"+b.path("seen")+" 2>&1")
				text := "sh " + b.path("hook.sh")
				if kind != "createContainer" {
					text = enter + text
				}
				hooks(kind, hook(text))(b.spec)
				b.writeSpec()
				if way.name == "user namespace" {
					chownAll(t, b.rootfs(), mappedRoot)
					chownAll(t, b.tmp, mappedRoot)
				}
				res := b.run(way.flags...)
				seen, _ := os.ReadFile(b.path("seen"))
				if want := "injected\nlibrary\nlibrary\n640\n"; res.code != 0 || res.stdout != want {
					t.Fatalf("got %s\nwant %q; the hook saw:\n%s", res, want, seen)
				}
				if kind == "createContainer" && !strings.HasSuffix(string(seen), "cwd "+root+"\n") {
					t.Errorf("the hook saw:\n%s\nwant the root as its working directory", seen)
				}
			})
		}
	}
}

// TestCreateContainerHookWithHiddenBundle: in a user namespace the container's root may
// have no way to root.path. Its hooks then stand in the root all the same.
func TestCreateContainerHookWithHiddenBundle(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("cat /made"), userNamespace)
	if err := os.Chmod(b.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	hooks("createContainer", hook("echo made >made"))(b.spec)
	b.writeSpec()
	chownAll(t, b.rootfs(), mappedRoot)
	if res := b.run(); res.code != 0 || res.stdout != "made\n" {
		t.Errorf("got %s", res)
	}
}

// chownAll gives all at dir and below to the user and the group id.
func chownAll(t *testing.T, dir string, id int) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, id, id)
	}); err != nil {
		t.Fatal(err)
	}
}
