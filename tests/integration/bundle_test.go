package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testplain"
)

// bundle is one container of a test: its folder, its id, its state directory.
type bundle struct {
	t    testing.TB
	id   string
	dir  string // config.json and rootfs, nothing else
	tmp  string // what the test makes beside it
	root string // --root
	spec *specs.Spec
	pid  int // of init on the host, after create

	release []func() // called after the container is deleted, before the look for leftovers
}

// uniqueID is a container id that no other test and no other run has.
func uniqueID() string { return testplain.Unique("hutchtest") }

// newBundle lays out a bundle with the default configuration and the edits.
// When the test ends the container is deleted by force, and anything that is
// then left of it fails the test.
func newBundle(t testing.TB, edits ...edit) *bundle {
	t.Helper()
	notAsUser(t)
	b := &bundle{t: t, id: uniqueID()}
	top := filepath.Join(workDir, b.id)
	b.dir, b.tmp, b.root = filepath.Join(top, "bundle"), filepath.Join(top, "tmp"), filepath.Join(top, "state")
	for _, dir := range []string{b.dir, b.tmp} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := layRootfs(b.rootfs()); err != nil {
		t.Fatal(err)
	}
	b.spec = defaultSpec(b.id)
	for _, e := range edits {
		e(b.spec)
	}
	b.writeSpec()
	t.Cleanup(b.cleanup)
	return b
}

func (b *bundle) rootfs(elem ...string) string {
	return filepath.Join(append([]string{b.dir, "rootfs"}, elem...)...)
}

// path is a name in the test's own folder beside the bundle.
func (b *bundle) path(name string) string { return filepath.Join(b.tmp, name) }

// writeSpec writes b.spec as config.json.
func (b *bundle) writeSpec() {
	b.t.Helper()
	data, err := json.Marshal(b.spec)
	if err != nil {
		b.t.Fatal(err)
	}
	b.writeConfig(data)
}

func (b *bundle) writeConfig(data []byte) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, "config.json"), data, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// rt runs a command of the runtime on the test's state directory.
func (b *bundle) rt(words ...string) result {
	b.t.Helper()
	return call{root: b.root, args: words}.do(b.t)
}

// run runs the container in the foreground.
func (b *bundle) run(flags ...string) result {
	b.t.Helper()
	return b.rt(b.line("run", flags...)...)
}

// line is a create or run command line.
func (b *bundle) line(command string, flags ...string) []string {
	return append(append([]string{command, "--bundle", b.dir}, flags...), b.id)
}

// createCall is the create of this container, its output in out and err.
func (b *bundle) createCall(flags ...string) call {
	return call{
		root: b.root, stdout: b.path("out"), stderr: b.path("err"),
		args: b.line("create", append([]string{"--pid-file", b.path("pid")}, flags...)...),
	}
}

// create creates the container, which must succeed in silence.
func (b *bundle) create(flags ...string) *bundle {
	b.t.Helper()
	b.createCall(flags...).do(b.t).ok(b.t)
	b.readPid()
	return b
}

// readPid takes init's pid from the pid file.
func (b *bundle) readPid() {
	b.t.Helper()
	data, err := os.ReadFile(b.path("pid"))
	if err != nil {
		b.t.Fatal(err)
	}
	if b.pid, err = strconv.Atoi(string(data)); err != nil {
		b.t.Fatalf("pid file: %v", err)
	}
}

func (b *bundle) start() *bundle {
	b.t.Helper()
	b.rt("start", b.id).ok(b.t)
	return b
}

func (b *bundle) kill(signal ...string) *bundle {
	b.t.Helper()
	b.rt(append([]string{"kill", b.id}, signal...)...).ok(b.t)
	return b
}

func (b *bundle) delete(flags ...string) *bundle {
	b.t.Helper()
	b.rt(append(append([]string{"delete"}, flags...), b.id)...).ok(b.t)
	return b
}

// state is the answer of the state command.
type state struct {
	OCIVersion  string            `json:"ociVersion"`
	ID          string            `json:"id"`
	Pid         *int              `json:"pid"`
	Status      string            `json:"status"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	Created     time.Time         `json:"created"`
	Annotations map[string]string `json:"annotations"`
	Owner       *string           `json:"owner"`
}

func (b *bundle) state() state {
	b.t.Helper()
	var s state
	res := b.rt("state", b.id).ok(b.t)
	if err := json.Unmarshal([]byte(res.stdout), &s); err != nil {
		b.t.Fatalf("%v\n%s", err, res)
	}
	return s
}

// status fails the test unless the container has that status.
func (b *bundle) status(want string) *bundle {
	b.t.Helper()
	if got := b.state().Status; got != want {
		b.t.Fatalf("status %q, want %q", got, want)
	}
	return b
}

// wait reaps init, as an engine does, and returns its exit code, 128+n for
// signal n.
func (b *bundle) wait() int {
	b.t.Helper()
	if b.pid == 0 {
		b.t.Fatal("wait before create")
	}
	var status unix.WaitStatus
	eventually(b.t, "init ends", func() bool {
		pid, err := unix.Wait4(b.pid, &status, unix.WNOHANG, nil)
		if err != nil && err != unix.EINTR {
			b.t.Fatalf("wait4(%d): %v: init is not the caller's child", b.pid, err)
		}
		return pid == b.pid
	})
	b.pid = 0
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// output is what the created container has written to stdout so far.
func (b *bundle) output() string {
	b.t.Helper()
	data, err := os.ReadFile(b.path("out"))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(data)
}

// waitOutput waits until the container has written text.
func (b *bundle) waitOutput(text string) string {
	b.t.Helper()
	eventually(b.t, "the container writes "+strconv.Quote(text), func() bool {
		return strings.Contains(b.output(), text)
	})
	return b.output()
}

// script runs a shell script in a container in the foreground and returns its
// output; the container must succeed and write nothing to stderr.
func script(t testing.TB, text string, edits ...edit) string {
	t.Helper()
	b := newBundle(t, append([]edit{sh(text)}, edits...)...)
	return b.run().ok(t).stdout
}

// command is script for a program with arguments.
func command(t testing.TB, words []string, edits ...edit) string {
	t.Helper()
	b := newBundle(t, append([]edit{args(words...)}, edits...)...)
	return b.run().ok(t).stdout
}

// refused creates a container, which must fail with the texts and leave
// nothing behind, no state and no pid file.
func refused(t testing.TB, texts []string, edits ...edit) result {
	t.Helper()
	return newBundle(t, edits...).refuse(texts)
}

func (b *bundle) refuse(texts []string, flags ...string) result {
	b.t.Helper()
	res := b.createCall(flags...).do(b.t)
	res.failed(b.t, texts...)
	if _, err := os.Lstat(b.path("pid")); err == nil {
		b.t.Errorf("a failed create left a pid file")
	}
	b.nothingLeft()
	return res
}

func (b *bundle) cleanup() {
	b.t.Helper()
	res := call{root: b.root, args: []string{"delete", "--force", b.id}}.do(b.t)
	if res.code != 0 || res.stdout != "" {
		b.t.Errorf("delete --force at the end:\n%s", res)
	}
	if b.pid != 0 {
		eventually(b.t, "init ends after delete --force", func() bool {
			pid, err := unix.Wait4(b.pid, nil, unix.WNOHANG, nil)
			return pid == b.pid || err == unix.ECHILD
		})
	}
	for _, release := range b.release {
		release()
	}
	b.nothingLeft()
	if !b.t.Failed() {
		os.RemoveAll(filepath.Dir(b.dir))
	}
}

// nothingLeft fails the test for whatever is still there of the container:
// state, cgroup, process, mount, a file in the bundle.
func (b *bundle) nothingLeft() {
	b.t.Helper()
	entries, err := os.ReadDir(b.root)
	if err != nil && !os.IsNotExist(err) {
		b.t.Error(err)
	}
	for _, e := range entries {
		b.t.Errorf("left in the state directory: %s", e.Name())
	}
	for _, dir := range cgroupsNamed(b.id) {
		b.t.Errorf("left: cgroup %s", dir)
	}
	for _, p := range processesOf(b.id) {
		b.t.Errorf("left: process %s", p)
	}
	for _, line := range mountsWith("/" + b.id + "/") {
		b.t.Errorf("left: mount %s", line)
	}
	if names := dirNames(b.t, b.dir); !slices.Equal(names, []string{"config.json", "rootfs"}) {
		b.t.Errorf("the bundle has %q, want only config.json and rootfs", names)
	}
}
