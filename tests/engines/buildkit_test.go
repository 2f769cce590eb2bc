package engines

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/tests/testwait"
)

// needBuildKit returns the folder of a built BuildKit's programs.
func needBuildKit(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("BUILDKIT")
	if _, err := os.Stat(filepath.Join(folder, "buildkitd")); err != nil || folder == "" {
		t.Skip("needs BUILDKIT, the folder of a built BuildKit (make engines-current)")
	}
	return folder
}

// TestBuildKit builds with BuildKit's own daemon, whose steps the runtime runs.
func TestBuildKit(t *testing.T) {
	folder := needBuildKit(t)
	base := filepath.Join(space, "buildkit")
	if err := os.MkdirAll(base, 0o711); err != nil {
		t.Fatal(err)
	}
	daemon(t, slices.Concat([]string{filepath.Join(folder, "buildkitd")}, buildKitOptions(base, runtimePath), []string{"--oci-worker-snapshotter=overlayfs"})...)
	buildKitBuilds(t, folder, base, `! touch /proc/sys/kernel/domainname 2>/dev/null`)
}

// TestRootlessBuildKit is that daemon of a user, in RootlessKit's namespaces. Its containers
// share the daemon's pid namespace, as buildkitd's documentation says for rootless ones where
// no procfs may be mounted.
func TestRootlessBuildKit(t *testing.T) {
	folder := needBuildKit(t)
	need(t, "rootlesskit", "slirp4netns")
	u := newUser(t, "rootless-buildkit")
	options := append(buildKitOptions(u.base+"/home", u.base+"/runtime"), "--rootless", "--oci-worker-snapshotter=native")
	daemon(t, u.inKit(append([]string{filepath.Join(folder, "buildkitd")}, options...)...)...)
	buildKitBuilds(t, folder, u.base+"/home", `tr -s ' ' </proc/self/uid_map | grep -q ' 1 `+subordinate+` 65536'`)
}

// buildKitOptions are those of a daemon with its files below base.
func buildKitOptions(base, runtime string) []string {
	return []string{"--addr", "unix://" + base + "/buildkitd.sock", "--root", base + "/data", "--oci-worker=true", "--containerd-worker=false",
		"--oci-worker-binary", runtime, "--oci-worker-net=host", "--oci-worker-gc=false"}
}

// buildKitBuilds builds an image whose steps see what is theirs; look is a command that has to
// succeed in one.
func buildKitBuilds(t *testing.T, folder, base, look string) {
	t.Helper()
	socket := base + "/buildkitd.sock"
	there(t, socket)
	buildctl := &engine{name: "buildkit", call: []string{filepath.Join(folder, "buildctl"), "--addr", "unix://" + socket}}
	testwait.Until(t, "buildkitd answers", func() bool {
		return exec.Command(buildctl.call[0], append(slices.Clone(buildctl.call[1:]), "debug", "workers")...).Run() == nil
	})
	dir, out := t.TempDir(), t.TempDir()
	if text, err := exec.Command("cp", image, dir+"/busybox.tar").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	write(t, dir+"/word", "secret\n")
	write(t, dir+"/Dockerfile", `FROM scratch AS base
ADD busybox.tar /
RUN id -u >/user && test -c /dev/null && echo x >/dev/null && `+look+`
RUN --mount=type=tmpfs,target=/scratch touch /scratch/x && grep -c ' /scratch tmpfs' /proc/mounts >/mounts
RUN --mount=type=secret,id=word cat /run/secrets/word >/word
RUN --mount=type=cache,target=/cache echo kept >/cache/file
RUN --mount=type=cache,target=/cache cat /cache/file >/kept
RUN --network=none tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d " " >/net
USER 1000
RUN id -u >/tmp/user && ! touch /x 2>/dev/null
FROM scratch
COPY --from=base /user /mounts /word /kept /net /tmp/user /
`)
	args := []string{"build", "--progress=plain", "--frontend=dockerfile.v0", "--opt", "cgroup-parent=" + cgroupParent(), "--local", "context=" + dir, "--local", "dockerfile=" + dir, "--secret", "id=word,src=" + dir + "/word"}
	buildctl.run(t, append(args, "--output", "type=local,dest="+out)...)
	for name, want := range map[string]string{"mounts": "1", "word": "secret", "kept": "kept", "net": "lo", "user": "1000"} {
		if got := strings.TrimSpace(readFile(t, filepath.Join(out, name))); got != want {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
	}
	// A step that fails is one.
	write(t, dir+"/Dockerfile", "FROM scratch\nADD busybox.tar /\nRUN exit 7\n")
	if code, text := buildctl.try(t, args...); code == 0 || !strings.Contains(text, "exit code: 7") {
		t.Errorf("a step that fails: %d, %s", code, text)
	}
}
