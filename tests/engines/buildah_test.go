package engines

import (
	"path/filepath"
	"testing"
)

// TestBuildah builds with buildah, whose steps the runtime runs.
func TestBuildah(t *testing.T) {
	need(t, "buildah")
	setUpPodman(t)
	buildah := &engine{name: "buildah", call: []string{"buildah", "--cgroup-manager", "cgroupfs"}, image: "localhost/bb"}
	if code, _ := buildah.try(t, "--version"); code != 0 { // not every version has the option
		buildah.call = []string{"buildah"}
	}
	tested := []string{"--runtime", runtimePath, "--isolation", "oci"}
	t.Run("run", func(t *testing.T) {
		name := buildah.run(t, "from", "--cgroup-parent", cgroupParent()+"/build", "scratch")
		t.Cleanup(func() { buildah.try(t, "rm", name) })
		buildah.run(t, "copy", "-q", name, busyboxTree, "/")
		run := func(args ...string) string {
			return buildah.run(t, append(append([]string{"run"}, tested...), args...)...)
		}
		is(t, run(name, "--", "sh", "-c", "echo hello; cat /proc/1/comm; touch /made; true"), "hello", "sh")
		is(t, run("--user", "1000", "--env", "A=1", "--workingdir", "/etc", name, "--", "sh", "-c", "id -u; echo $A; pwd; ls /made"), "1000", "1", "/etc", "/made")
		is(t, run("--cap-drop", "all", name, "--", "grep", "CapEff", "/proc/self/status"), "CapEff:\t0000000000000000")
		if code, out := buildah.try(t, append(append([]string{"run"}, tested...), name, "--", "sh", "-c", "exit 6")...); code != 6 {
			t.Errorf("exit code %d, want 6: %s", code, out)
		}
		run("-t", name, "--", "sh", "-c", "tty >/tmp/tty")
		is(t, run(name, "--", "cat", "/tmp/tty"), "/dev/pts/0")
	})
	t.Run("bud", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir+"/Dockerfile", `FROM localhost/bb
COPY word /etc/word
RUN cat /etc/word && mkdir /made && id -u >/made/user
RUN --mount=type=tmpfs,target=/scratch touch /scratch/x && grep -c ' /scratch ' /proc/mounts
`)
		write(t, filepath.Join(dir, "word"), "copied\n")
		t.Cleanup(func() { buildah.try(t, "rmi", "-f", "built") })
		has(t, buildah.run(t, append(append([]string{"bud"}, tested...), "--cgroup-parent", cgroupParent()+"/build", "-t", "built", dir)...), "copied")
		name := buildah.run(t, "from", "--cgroup-parent", cgroupParent()+"/build", "localhost/built")
		t.Cleanup(func() { buildah.try(t, "rm", name) })
		is(t, buildah.run(t, append(append([]string{"run"}, tested...), name, "--", "cat", "/made/user")...), "0")
	})
}
