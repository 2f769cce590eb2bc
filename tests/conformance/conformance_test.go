// Package conformance runs the validation programs of OCI runtime-tools on the
// binary that RUNTIME names (../../hutch without it).
//
// Each program prints TAP. A failing assertion fails the test unless
// testdata/outdated.tsv lists it: README.md says what may stand there.
package conformance

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/isolate"
	"github.com/hutch-project/hutch/tests/testruntime"
	"github.com/hutch-project/hutch/tests/testwait"
)

// atOnce programs run together: most of their time is spent asleep.
const atOnce = 4

// raceTries is how often a program of kind "race" is run until it passes.
const raceTries = 6

// tally counts assertions.
type tally struct {
	sync.Mutex
	passed, failed, skipped int
	listed                  map[string]int // by kind
}

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "tests/conformance: needs root: the programs create containers with host ids")
		os.Exit(1)
	}
	code, first := isolate.Rerun()
	if !first {
		code = m.Run()
	}
	os.Exit(code)
}

func TestConformance(t *testing.T) {
	runtime, _, err := testruntime.Find()
	if err != nil {
		t.Fatal(err)
	}
	outdated := readOutdated(t)
	tree := buildTools(t)
	reap := newReaper(t)
	programs, err := filepath.Glob(filepath.Join(tree, "programs", "*"))
	if err != nil || len(programs) < 50 {
		t.Fatalf("%d validation programs built (%v), want more than 50", len(programs), err)
	}
	sort.Strings(programs)

	count := tally{listed: map[string]int{}}
	var wait sync.WaitGroup
	var oneCgroup sync.Mutex
	slots := make(chan struct{}, atOnce)
	t.Cleanup(clearCgroups)
	for _, path := range programs {
		wait.Add(1)
		go func() {
			defer wait.Done()
			if strings.HasPrefix(filepath.Base(path), "linux_cgroups") || strings.HasSuffix(path, "_resources") {
				oneCgroup.Lock() // they all use the cgroup /testdir/cgrouptest
				defer oneCgroup.Unlock()
			}
			slots <- struct{}{}
			defer func() { <-slots }()
			p := program{name: filepath.Base(path), path: path, tree: tree, runtime: runtime, reap: reap}
			p.judge(t, outdated, &count)
		}()
	}
	wait.Wait()
	for _, o := range outdated {
		if !o.seen {
			t.Logf("# listed as outdated, but did not fail here: %s: %s", o.program, o.text)
		}
	}
	if count.passed == 0 {
		t.Error("no assertion passed: the programs proved nothing")
	}
	fmt.Printf("conformance: %d passed, %d failed, %d listed as outdated, %d lack something on this machine, %d skipped, in %d programs\n",
		count.passed, count.failed, count.listed["outdated"], count.listed["machine"], count.skipped, len(programs))
}

// program is one validation program.
type program struct {
	name, path, tree, runtime string
	reap                      *reaper
}

// judge runs the program, prints its TAP and counts its assertions.
func (p program) judge(t *testing.T, outdated []*exception, count *tally) {
	tries := 1
	for _, o := range outdated {
		if o.program == p.name && o.kind == "race" {
			tries, o.seen = raceTries, true
		}
	}
	stdout, stderr, err := p.run(t)
	for ; tries > 1 && !clean(stdout, err); tries-- {
		stdout, stderr, err = p.run(t)
	}
	lines, ends := assertions(stdout)
	count.Lock()
	defer count.Unlock()
	fmt.Printf("# %s\n%s", p.name, brief(stdout))
	excused := false
	for _, a := range lines {
		switch {
		case a.skipped:
			count.skipped++
		case a.ok:
			count.passed++
		case count.excuse(outdated, p.name, a.text):
			excused = true
		default:
			count.failed++
			t.Errorf("%s: not ok: %s", p.name, a.text)
		}
	}
	if err == nil && ends && len(lines) > 0 {
		return
	}
	if err == nil && ends {
		// The programs on hooks assert nothing; they print an error, or do not.
		text, bad := diagnosed(stdout)
		switch {
		case !bad:
			count.passed++
		case count.excuse(outdated, p.name, text):
		default:
			count.failed++
			t.Errorf("%s: error: %s", p.name, text)
		}
		return
	}
	if err == nil && len(stdout) == 0 && strings.HasSuffix(p.name, "_fail") {
		// The programs that want create to fail are silent when it does.
		count.passed++
		return
	}
	// The program gave up, or printed no plan: as good as a failed assertion.
	reason := strings.TrimSpace(string(stderr))
	if err != nil {
		reason = strings.TrimSpace(err.Error() + ": " + reason)
	}
	fmt.Printf("# %s: %s\n", p.name, strings.ReplaceAll(reason, "\n", "\n# "))
	switch {
	case count.excuse(outdated, p.name, reason):
	case excused && err != nil && strings.HasPrefix(err.Error(), "exit status"):
		// It exits so after a failed assertion.
	default:
		count.failed++
		t.Errorf("%s: gave up: %s", p.name, reason)
	}
}

// run runs the program with a state directory and a temporary directory of its
// own, and takes away what it leaves.
func (p program) run(t *testing.T) (stdout, stderr []byte, err error) {
	tmp, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		t.Error(err)
		return nil, nil, err
	}
	defer os.RemoveAll(tmp)
	root, wrapper := filepath.Join(tmp, "state"), filepath.Join(tmp, "runtime")
	// The bundles are of mode 0700: container ids that are not the host's root
	// could not enter them.
	script := fmt.Sprintf("#!/bin/sh\nchmod 0755 '%s' '%s'/ocitest*\nexec '%s' --root '%s' \"$@\"\n", tmp, tmp, p.runtime, root)
	if err := os.WriteFile(wrapper, []byte(script), 0o755); err != nil {
		t.Error(err)
		return nil, nil, err
	}
	ctx := testwait.Context(t)
	cmd := exec.CommandContext(ctx, p.path)
	cmd.Dir = p.tree // rootfs-*.tar.gz and runtimetest are looked for here
	cmd.Env = append(os.Environ(), "RUNTIME="+wrapper, "TMPDIR="+tmp)
	// A mount namespace of its own: one program makes a container without.
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	// A program killed at its limit leaves containers that hold the pipe.
	cmd.WaitDelay = 2 * time.Second
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = p.reap.run(cmd)
	if ctx.Err() != nil {
		err = fmt.Errorf("did not end within %v", testwait.Bound())
	}
	p.clear(root)
	return out.Bytes(), errOut.Bytes(), err
}

// clear deletes the containers that the program left. Several never delete
// theirs; that is no fault of the runtime.
func (p program) clear(root string) {
	entries, _ := os.ReadDir(root)
	for _, e := range entries {
		p.reap.run(exec.Command(p.runtime, "--root", root, "delete", "--force", e.Name()))
	}
}

// assertion is one line of TAP.
type assertion struct {
	ok, skipped bool
	text        string // without the number
}

// assertions reads TAP; ends says that a plan ("1..N") was seen.
func assertions(tap []byte) (list []assertion, ends bool) {
	lines := bufio.NewScanner(bytes.NewReader(tap))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		text, ok := strings.CutPrefix(line, "ok ")
		if !ok {
			var bad bool
			if text, bad = strings.CutPrefix(line, "not ok "); !bad {
				ends = ends || strings.HasPrefix(line, "1..")
				continue
			}
		}
		_, text, _ = strings.Cut(text, " ")
		text = strings.TrimPrefix(text, "- ")
		list = append(list, assertion{ok: ok, skipped: strings.HasPrefix(strings.ToUpper(text), "# SKIP"), text: text})
	}
	return list, ends
}

// clean reports whether a run has nothing to be judged.
func clean(stdout []byte, err error) bool {
	_, bad := diagnosed(stdout)
	return err == nil && !bad && !bytes.Contains(stdout, []byte("not ok "))
}

// brief leaves the YAML out of the TAP of a program that passes; it is six of
// seven lines.
func brief(tap []byte) string {
	if !clean(tap, nil) {
		return string(tap)
	}
	var text strings.Builder
	for line := range strings.Lines(string(tap)) {
		if !strings.HasPrefix(line, "  ") {
			text.WriteString(line)
		}
	}
	return text.String()
}

// diagnosed is the error in a program's YAML, if there is one.
func diagnosed(tap []byte) (text string, bad bool) {
	_, text, bad = strings.Cut(string(tap), `"error": "`)
	text, _, _ = strings.Cut(text, "\n")
	return text, bad
}

// exception is one line of testdata/outdated.tsv.
type exception struct {
	program string
	kind    string // "outdated", "machine" or "race": see README.md
	text    string // part of the failure
	reason  string
	seen    bool
}

// excuse reports whether a failure is listed, and counts it.
func (c *tally) excuse(outdated []*exception, name, text string) bool {
	for _, o := range outdated {
		if o.program == name && o.kind != "race" && strings.Contains(text, o.text) {
			o.seen = true
			c.listed[o.kind]++
			return true
		}
	}
	return false
}

// readOutdated reads the list: program, kind, part of the failure's text,
// reason, separated by tabs.
func readOutdated(t *testing.T) []*exception {
	t.Helper()
	data, err := os.ReadFile("testdata/outdated.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var list []*exception
	for i, line := range strings.Split(string(data), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 4 || f[0] == "" || !slices.Contains([]string{"outdated", "machine", "race"}, f[1]) || f[2] == "" || f[3] == "" {
			t.Fatalf("testdata/outdated.tsv:%d: %q: want program, kind, text and reason", i+1, line)
		}
		list = append(list, &exception{program: f[0], kind: f[1], text: f[2], reason: f[3]})
	}
	return list
}

// clearCgroups removes what the programs' cgroup, and the folder above it that
// no runtime removes, leave empty: at the top of each hierarchy, and below this
// process's own cgroup for relative paths.
func clearCgroups() {
	const mounted = "/sys/fs/cgroup"
	tops := []string{mounted}
	data, _ := os.ReadFile("/proc/self/cgroup")
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		_, own, _ := strings.Cut(line, ":")
		_, own, _ = strings.Cut(own, ":")
		hierarchies, _ := filepath.Glob(mounted + "/*")
		for _, h := range append(hierarchies, mounted) {
			tops = append(tops, h, filepath.Join(h, own))
		}
	}
	const ending = 10 * time.Second // else they are somebody else's
	for _, top := range tops {
		for _, name := range []string{"testdir/cgrouptest", "testdir", "cgrouptest"} {
			// The last container may be ending.
			for end := time.Now().Add(ending); unix.Rmdir(filepath.Join(top, name)) == unix.EBUSY && time.Now().Before(end); {
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
}

// reaper takes the exit status of orphans: containers whose runtime has ended
// become children of this subreaper, and a zombie's pid namespace lives on.
type reaper struct {
	sync.Mutex
	own map[int]bool // waited for by their exec.Cmd
}

func newReaper(t *testing.T) *reaper {
	t.Helper()
	r := &reaper{own: map[int]bool{}}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for tick := time.NewTicker(10 * time.Millisecond); ; {
			select {
			case <-stop:
				return
			case <-tick.C:
				r.reapOrphans()
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped })
	return r
}

// run runs a command whose status is its own to take.
func (r *reaper) run(cmd *exec.Cmd) error {
	r.Lock()
	err := cmd.Start()
	if err == nil {
		r.own[cmd.Process.Pid] = true
	}
	r.Unlock()
	if err != nil {
		return err
	}
	return cmd.Wait()
}

func (r *reaper) reapOrphans() {
	r.Lock()
	defer r.Unlock()
	files, _ := filepath.Glob("/proc/self/task/*/children")
	for _, file := range files {
		data, _ := os.ReadFile(file)
		for _, word := range strings.Fields(string(data)) {
			var pid int
			if _, err := fmt.Sscan(word, &pid); err == nil && !r.own[pid] {
				unix.Wait4(pid, nil, unix.WNOHANG, nil)
			}
		}
	}
}
