package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// buildTags are those of the released binary.
const buildTags = "urfave_cli_no_docs,urfave_cli_no_suggest"

// integration holds the tests that drive the built binary, as all below tests/ do.
const integration = "tests/integration"

// workshop is the folder where trees are built and run.
type workshop struct {
	top      string
	dir      string
	tool     string // this program
	original *tree
	probe    string
	null     guard

	mutex sync.Mutex
	built map[string]*binary // by path
}

// tree is the module with some files replaced.
type tree struct {
	dir     string // for what is built of it
	overlay string // the file for go's -overlay; empty for the module as it is
}

// binary is something that is built at most once.
type binary struct {
	once sync.Once
	path string
	err  error
}

// toolError is a fault of the register or the machine: no verdict on a mutant.
type toolError struct{ err error }

func (e *toolError) Error() string { return e.err.Error() }
func (e *toolError) Unwrap() error { return e.err }

func newWorkshop(top string) (*workshop, error) {
	// The VM sees the current directory, not /tmp. What begins with _ is no package.
	if err := os.MkdirAll(filepath.Join(top, "bin"), 0o755); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(filepath.Join(top, "bin"), "_mutants-")
	if err != nil {
		return nil, err
	}
	// Tests run programs of theirs as other users.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	tool, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w := &workshop{top: top, dir: dir, tool: tool, original: &tree{dir: filepath.Join(dir, "original")}, built: map[string]*binary{}}
	if err := w.null.look(); err != nil {
		return nil, err
	}
	w.probe = filepath.Join(dir, "probe")
	return w, w.goTool(w.original, "build", "-trimpath", "-ldflags", "-s -w", "-o", w.probe, "./"+integration+"/probe")
}

func (w *workshop) remove() { os.RemoveAll(w.dir) }

// overlay lays changed files beside the module.
func (w *workshop) overlay(name string, files map[string]string) (*tree, error) {
	t := &tree{dir: filepath.Join(w.dir, "mutant-"+name)}
	replace := map[string]string{}
	for rel, text := range files {
		path := filepath.Join(t.dir, "source", rel)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return nil, err
		}
		replace[filepath.Join(w.top, rel)] = path
	}
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, err
	}
	t.overlay = filepath.Join(t.dir, "overlay.json")
	return t, os.WriteFile(t.overlay, data, 0o644)
}

// goTool runs the go command on a tree.
func (w *workshop) goTool(t *tree, words ...string) error {
	cmd := exec.Command("go", words...)
	cmd.Dir, cmd.Env = w.top, append(os.Environ(), t.env()...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return &toolError{fmt.Errorf("go %s: %w\n%s", strings.Join(words, " "), err, tail(string(out)))}
	}
	return nil
}

// env makes every go command see the tree, also those that a test starts.
func (t *tree) env() []string {
	flags := "GOFLAGS=-tags=" + buildTags
	if t.overlay != "" {
		flags += " -overlay=" + t.overlay
	}
	return []string{"CGO_ENABLED=0", flags}
}

// compiles builds what the defence's edits change and all that its tests need,
// since a mutant that does not compile shows nothing.
func (w *workshop) compiles(t *tree, d *defence) error {
	for _, file := range d.files() {
		if err := w.goTool(t, "build", "-o", os.DevNull, "./"+filepath.Dir(file)); err != nil {
			return err
		}
	}
	for _, of := range d.tests {
		if _, err := w.testBinary(t, of.pkg); err != nil {
			return err
		}
		if _, err := w.runtime(t, of.pkg); err != nil {
			return err
		}
	}
	return nil
}

// testBinary builds a package's tests. Those that drive the binary are the same
// for each tree.
func (w *workshop) testBinary(t *tree, pkg string) (string, error) {
	if outside(pkg) {
		t = w.original
	}
	return w.build(t, strings.ReplaceAll(pkg, "/", "_")+".test", "test", "-ldflags", "-s -w", "-c", "./"+pkg)
}

// runtime builds the binary that the tests drive, or returns an empty path.
func (w *workshop) runtime(t *tree, pkg string) (string, error) {
	if !outside(pkg) {
		return "", nil
	}
	return w.build(t, "hutch", "build", "-trimpath", "-ldflags", "-s -w", ".")
}

func outside(pkg string) bool { return strings.HasPrefix(pkg, "tests/") }

func (w *workshop) build(t *tree, name string, words ...string) (string, error) {
	path := filepath.Join(t.dir, name)
	last := len(words) - 1
	words = append(append(words[:last:last], "-o", path), words[last])
	w.mutex.Lock()
	b := w.built[path]
	if b == nil {
		b = &binary{path: path}
		w.built[path] = b
	}
	w.mutex.Unlock()
	b.once.Do(func() { b.err = w.goTool(t, words...) })
	return b.path, b.err
}

// run runs tests of a package on a tree and returns what they print.
func (w *workshop) run(t *tree, p place, names []string, limit time.Duration) (string, error) {
	test, err := w.testBinary(t, p.pkg)
	if err != nil {
		return "", err
	}
	runtime, err := w.runtime(t, p.pkg)
	if err != nil {
		return "", err
	}
	env := append(t.env(), "PROBE="+w.probe, "RUNTIME="+runtime)
	args := []string{test, "-test.v=test2json", "-test.run=^(" + strings.Join(names, "|") + ")$"}
	folder := filepath.Join(w.top, p.pkg)
	if p.vm {
		limit += 5 * time.Minute // all is slower there
		args = append([]string{"tests/vm/run", "--timeout", seconds(limit)}, append(strings.Fields(p.opt),
			append(append([]string{"--", "env", "-C", folder, "SLOW=10", "HUTCH_MUST=apparmor selinux suid_dumpable"}, env...), args...)...)...)
		folder, env = w.top, nil
	}
	out, err := w.jailed(folder, env, args, limit)
	if p.vm && strings.Contains(out, "tests/vm/run: the VM stood still") { // which emulation does once in a while
		out, err = w.jailed(folder, env, args, limit)
	}
	if p.vm && exitCode(err) == 125 {
		return out, &toolError{fmt.Errorf("the VM could not run it: %w\n%s", err, tail(out))}
	}
	return out, err
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

// jailed runs a command by this program's other half, which leaves no process
// and no mount, with a folder of its own for temporary files.
func (w *workshop) jailed(folder string, env, args []string, limit time.Duration) (string, error) {
	tmp, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return "", &toolError{err}
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return "", &toolError{err}
	}
	out, err := os.CreateTemp(w.dir, "output-")
	if err != nil {
		return "", &toolError{err}
	}
	defer out.Close()
	defer os.Remove(out.Name())
	cmd := exec.Command(w.tool, append([]string{jailWord, seconds(limit)}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, out, out
	// A test that waits for what the mutant has taken away need not wait for minutes.
	cmd.Env = append(append(append(os.Environ(), "HUTCH_TEST_BOUND=30s"), env...), "TMPDIR="+tmp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} // it then ends the rest
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS // a mutant may name the host
	}
	runErr := cmd.Run()
	text, err := os.ReadFile(out.Name())
	if err != nil {
		return "", &toolError{err}
	}
	if err := w.null.restore(); err != nil {
		return "", &toolError{err}
	}
	return string(text), runErr
}
