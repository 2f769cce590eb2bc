package engines

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hutch-project/hutch/tests/testwait"
)

// TestContainerd runs Debian's containerd, by ctr.
func TestContainerd(t *testing.T) {
	need(t, "containerd", "ctr", "containerd-shim-runc-v2")
	containerd(t, "containerd-1", nil)
}

// TestContainerd2 runs a current containerd, where CONTAINERD names the folder
// of its programs.
func TestContainerd2(t *testing.T) {
	folder := os.Getenv("CONTAINERD")
	if _, err := os.Stat(filepath.Join(folder, "ctr")); err != nil || folder == "" {
		t.Skip("needs CONTAINERD, the folder of a built containerd 2 (make engines)")
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	containerd(t, "containerd-2", ctrCDI)
}

// ctrImage is the image's name in containerd.
const ctrImage = "docker.io/library/bb:latest"

// containerd starts a containerd and runs its scenarios; cdi is that of a version that
// knows CDI devices.
func containerd(t *testing.T, dir string, cdi func(*testing.T, *engine)) {
	e := startContainerd(t, dir)
	for _, s := range []struct {
		name string
		run  func(*testing.T, *engine)
	}{
		{"run", ctrRun},
		{"limits", ctrLimits},
		{"confined", ctrConfined},
		{"terminal", ctrTerminal},
		{"task", ctrTask},
		{"kill all", ctrKillAll},
		{"failed create", ctrFailed},
		{"CDI", cdi},
	} {
		if s.run == nil {
			continue
		}
		t.Run(s.name, func(t *testing.T) { s.run(t, e) })
	}
	is(t, e.run(t, "container", "ls", "-q"), "")
	if left := cgroupsLeft(); len(left) > 0 {
		t.Errorf("cgroups left:\n%s", strings.Join(left, "\n"))
	}
}

// startContainerd starts a containerd with an image of busybox.
func startContainerd(t *testing.T, dir string) *engine {
	t.Helper()
	e := &engine{name: "containerd", call: []string{"ctr", "--address", containerdServer(t, dir)}, image: ctrImage, parent: cgroupParent()}
	testwait.Until(t, "containerd answers", func() bool {
		return exec.Command(e.call[0], append(slices.Clone(e.call[1:]), "version")...).Run() == nil
	})
	archive := archiveImage(t, ctrImage, `"Env": ["PATH=/bin"]`)
	e.run(t, "image", "import", archive)
	return e
}

// containerdServer starts a containerd without Kubernetes' interface, and returns its socket.
func containerdServer(t *testing.T, dir string) (socket string) {
	t.Helper()
	base := filepath.Join(space, dir)
	if err := os.MkdirAll(base, 0o711); err != nil {
		t.Fatal(err)
	}
	socket = base + "/socket"
	write(t, base+"/config.toml", fmt.Sprintf(`version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.grpc.v1.cri"]

[grpc]
  address = %q
`, base+"/root", base+"/state", socket))
	daemon(t, "containerd", "--config", base+"/config.toml", "--log-level", "warn")
	there(t, socket)
	return socket
}

// there waits for a server's socket, before a client costs a slow machine its time.
func there(t *testing.T, socket string) {
	t.Helper()
	testwait.Until(t, socket+" is there", func() bool {
		_, err := os.Stat(socket)
		return err == nil
	})
}

// archiveImage makes an image of that name as `docker save` does; config is the inside of its
// configuration.
func archiveImage(t *testing.T, name, config string) string {
	t.Helper()
	dir := t.TempDir()
	layer, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/layer.tar", string(layer))
	write(t, dir+"/config.json", imageConfig(config, layer))
	write(t, dir+"/manifest.json", `[{"Config": "config.json", "RepoTags": ["`+name+`"], "Layers": ["layer.tar"]}]`)
	archive := filepath.Join(t.TempDir(), "image.tar")
	if out, err := exec.Command("tar", "-C", dir, "-cf", archive, "config.json", "layer.tar", "manifest.json").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return archive
}

// imageConfig is the configuration of an image of one layer; config are members of its config.
func imageConfig(config string, layer []byte) string {
	return fmt.Sprintf(`{"architecture": "amd64", "os": "linux", "config": {%s}, "rootfs": {"type": "layers", "diff_ids": [%q]}}`, config, digest(layer))
}

// digest is the name of a blob of an image.
func digest(blob []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(blob)) }

// registry serves the image, with members of its configuration's config, as "bb", and returns
// the host and port. Engines take http for what is on this machine.
//
// Source: OCI distribution-spec, "Pull"; image-spec, "Image Manifest Specification".
func registry(t *testing.T, config string) string {
	t.Helper()
	layer, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	const manifestType = "application/vnd.oci.image.manifest.v1+json"
	conf := []byte(imageConfig(config, layer))
	manifest := fmt.Appendf(nil, `{"schemaVersion": 2, "mediaType": %q,
"config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": %q, "size": %d},
"layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": %q, "size": %d}]}`,
		manifestType, digest(conf), len(conf), digest(layer), len(layer))
	blobs := map[string][]byte{digest(conf): conf, digest(layer): layer, digest(manifest): manifest, "latest": manifest}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, name := path.Split(strings.TrimPrefix(r.URL.Path, "/v2/bb/"))
		blob, ok := blobs[name]
		switch {
		case r.URL.Path == "/v2/":
			return
		case !ok:
			http.NotFound(w, r)
			return
		case kind == "manifests/":
			w.Header().Set("Content-Type", manifestType)
		}
		w.Header().Set("Docker-Content-Digest", digest(blob))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(blob))
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// ctr makes the arguments of `ctr run` for a container id with options.
func ctr(e *engine, id string, options []string, program ...string) []string {
	args := append([]string{"run", "--runc-binary", runtimePath, "--cgroup", e.parent + "/" + id}, options...)
	return append(append(args, e.image, id), program...)
}

// background starts a container that sleeps and takes care of its removal.
func background(t *testing.T, e *engine, id string, options []string, program ...string) {
	t.Helper()
	t.Cleanup(func() {
		e.try(t, "task", "kill", "-s", "KILL", id)
		e.try(t, "task", "rm", "-f", id)
		e.try(t, "container", "rm", id)
	})
	e.run(t, ctr(e, id, append([]string{"-d"}, options...), program...)...)
}

// attached gives ctr args and a shell with a script to run, and returns what the script prints. ctr
// closes its end of the output when the process has ended, read or not: so the shell lives until
// its input ends, which it does when all has been read.
func attached(t *testing.T, e *engine, args []string, script string) string {
	t.Helper()
	const end = "end of output\n"
	args = slices.Concat(e.call[1:], args, []string{"sh", "-c", script + "\nprintf '" + end + "'; cat"})
	cmd := exec.CommandContext(testwait.Context(t), e.call[0], args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text, line string
	lines := bufio.NewReader(out)
	for err == nil && line != end {
		text += line
		line, err = lines.ReadString('\n')
	}
	in.Close()
	more, _ := io.ReadAll(lines)
	if waited := cmd.Wait(); waited != nil || line != end || len(more) > 0 {
		t.Fatalf("%s %s: %v, after the output %q, then %q %q, with the errors:\n%s", e.name, strings.Join(args, " "), waited, text, line, more, &errs)
	}
	return text
}

func ctrRun(t *testing.T, e *engine) {
	is(t, attached(t, e, ctr(e, "one", []string{"--rm", "--env", "A=1"}), "echo hello $A; cat /proc/1/comm"), "hello 1", "sh")
	if code, out := e.try(t, ctr(e, "two", []string{"--rm"}, "sh", "-c", "exit 7")...); code != 7 {
		t.Errorf("exit code %d, want 7: %s", code, out)
	}
}

func ctrLimits(t *testing.T, e *engine) {
	background(t, e, "limited", []string{"--memory-limit", "67108864", "--cpus", "0.5"}, "sleep", "1000")
	for file, want := range map[string]string{"memory/%s/memory.limit_in_bytes": "67108864", "cpu/%s/cpu.cfs_quota_us": "50000"} {
		path := "/sys/fs/cgroup/" + fmt.Sprintf(file, e.parent+"/limited")
		if data, err := os.ReadFile(path); err != nil || strings.TrimSpace(string(data)) != want {
			t.Errorf("%s: %q (%v), want %s", path, data, err, want)
		}
	}
}

func ctrConfined(t *testing.T, e *engine) {
	dir := t.TempDir()
	write(t, dir+"/file", "from the host\n")
	is(t, attached(t, e, ctr(e, "confined", []string{"--rm", "--cap-drop", "CAP_CHOWN", "--read-only", "--seccomp", "--mount", "type=bind,src=" + dir + ",dst=/tmp,options=rbind:ro"}),
		"touch /x 2>/dev/null || echo refused; cat /tmp/file; grep -E 'CapEff|Seccomp:' /proc/self/status"),
		"refused", "from the host", "CapEff:\t00000000a80425fa", "Seccomp:\t2")
}

// ctrTerminal gives ctr a terminal by script(1).
func ctrTerminal(t *testing.T, e *engine) {
	line := strings.Join(append(slices.Clone(e.call), ctr(e, "typed", []string{"--rm", "-t"}, "tty")...), " ")
	code, out := tryInput(t, "", "script", "-qec", line, "/dev/null")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	has(t, out, "/dev/pts/0")
}

func ctrTask(t *testing.T, e *engine) {
	background(t, e, "task", nil, "sleep", "1000")
	is(t, attached(t, e, []string{"task", "exec", "--exec-id", "x1", "task"}, "cat /proc/1/comm"), "sleep")
	if code, _ := e.try(t, "task", "exec", "--exec-id", "x2", "task", "sh", "-c", "exit 9"); code != 9 {
		t.Errorf("exec: exit code %d, want 9", code)
	}
	e.run(t, "task", "pause", "task")
	has(t, e.run(t, "task", "ls"), "PAUSED")
	e.run(t, "task", "resume", "task")
	has(t, e.run(t, "task", "ls"), "RUNNING")
	if lines := strings.Count(e.run(t, "task", "ps", "task"), "\n"); lines != 1 {
		t.Errorf("ps has %d lines below its head, want 1", lines)
	}
	has(t, e.run(t, "task", "metrics", "task"), "memory", "pids.current")
	e.run(t, "task", "kill", "-s", "KILL", "task")
	testwait.Until(t, "it is stopped", func() bool {
		return strings.Contains(e.run(t, "task", "ls"), "STOPPED")
	})
	if code, out := e.try(t, "task", "rm", "task"); code != 0 && code != 137 {
		t.Errorf("task rm: exit code %d: %s", code, out)
	}
}

// ctrKillAll kills every process of a container that shares the host's pids.
func ctrKillAll(t *testing.T, e *engine) {
	background(t, e, "all", []string{"--with-ns", "pid:/proc/1/ns/pid"}, "sh", "-c", "sleep 54321 & exec sleep 12345")
	e.run(t, "task", "kill", "-a", "-s", "KILL", "all")
	testwait.Until(t, "none is left", func() bool {
		out, _ := exec.Command("ps", "-e", "-o", "stat=,args=").Output()
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "sleep 54321") && !strings.HasPrefix(line, "Z") {
				return false
			}
		}
		return true
	})
}

func ctrFailed(t *testing.T, e *engine) {
	code, out := e.try(t, ctr(e, "failed", []string{"--rm"}, "nosuch")...)
	if code == 0 {
		t.Error("a missing program is run")
	}
	has(t, out, "executable file not found")
}
