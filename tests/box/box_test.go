package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testruntime"
	"github.com/hutch-project/hutch/tests/testwait"
)

// boxPath is the box under test, built from what is tested.
var boxPath string

func TestMain(m *testing.M) {
	if os.Getenv(actVariable) != "" {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "box-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // for the tests as another user
	}
	boxPath = filepath.Join(dir, "box")
	if err == nil {
		err = testruntime.Build(boxPath, ".")
	}
	code := 1
	if err == nil {
		code = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// inBox is a command that runs acts, by a pattern of their names, in a box. ready is
// the file by which an act says that it is there.
func inBox(t *testing.T, acts string, flags ...string) (cmd *exec.Cmd, ready string) {
	t.Helper()
	ready = filepath.Join(t.TempDir(), "ready")
	must(t, os.WriteFile(ready, nil, 0o666))
	must(t, os.Chmod(ready, 0o666))
	words := append(flags, os.Args[0], "-test.run=^TestAct("+acts+")$", "-test.timeout=5m")
	cmd = exec.Command(boxPath, words...)
	cmd.Env = append(os.Environ(), actVariable+"="+ready)
	return cmd, ready
}

// outputOf runs a command and returns what it prints and its exit code.
func outputOf(t *testing.T, cmd *exec.Cmd) (string, int) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

func asRoot(t *testing.T) {
	t.Helper()
	if !canUnshare() {
		t.Skip("needs root")
	}
}

// within waits for something to hold.
func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	testwait.Until(t, what, ok)
}

// ofBox finds what is on the machine of the box that a process is: files, cgroups,
// processes.
func ofBox(pid int) []string {
	name := fmt.Sprintf("hutch-box-%d-", pid)
	found, _ := filepath.Glob(filepath.Join(tempDir(), name+"*"))
	for _, root := range cgroupRoots() {
		for _, dir := range subtree(root) {
			if strings.HasPrefix(filepath.Base(dir), name) {
				found = append(found, dir)
			}
		}
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range lines {
		text, _ := os.ReadFile(file)
		if bytes.Contains(text, []byte(name)) {
			found = append(found, filepath.Dir(file)+" "+string(text[:min(30, len(text))]))
		}
	}
	return found
}

func wantText(t *testing.T, out string, code, wantCode int, patterns ...string) {
	t.Helper()
	if code != wantCode {
		t.Errorf("exit code %d, want %d", code, wantCode)
	}
	for _, p := range patterns {
		if !regexp.MustCompile(p).MatchString(out) {
			t.Errorf("no %q in the output", p)
		}
	}
	if t.Failed() {
		t.Logf("output:\n%s", out)
	}
}

// TestBoxWorld: the tests are children of an init, see its processes, and are in
// cgroups of their own, that they see as the roots.
func TestBoxWorld(t *testing.T) {
	t.Parallel()
	asRoot(t)
	cmd, _ := inBox(t, "Look|Orphan")
	cmd.Args = append(cmd.Args, "-test.v")
	out, code := outputOf(t, cmd)
	wantText(t, out, code, 0, `look: descriptors 0 1 2 3, parent 1, proc true, stdin /dev/null, temporary /tmp, cgroups .*`, `PASS\n$`)
	_, groups, _ := strings.Cut(out, ", cgroups ")
	for word := range strings.FieldsSeq(strings.SplitN(groups, "\n", 2)[0]) {
		if path := strings.SplitN(word, ":", 3)[2]; path != "/" && path != "/"+leaf {
			t.Errorf("the tests are in the cgroup %s", word)
		}
	}
	if left := ofBox(cmd.Process.Pid); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// TestBoxOwnCgroups: what the tests see as the roots is the box's on the machine.
func TestBoxOwnCgroups(t *testing.T) {
	t.Parallel()
	asRoot(t)
	cmd, ready := inBox(t, "Signal")
	must(t, cmd.Start())
	waitReady(t, ready)
	roots := cgroupRoots()
	found := strings.Join(ofBox(cmd.Process.Pid), "\n")
	for _, root := range roots {
		if !strings.Contains(found, root+"/") {
			t.Errorf("no cgroup of the box below %s:\n%s", root, found)
		}
	}
	must(t, cmd.Process.Signal(unix.SIGTERM))
	must(t, cmd.Wait())
}

func waitReady(t *testing.T, file string) {
	t.Helper()
	within(t, "the act is ready", func() bool {
		data, _ := os.ReadFile(file)
		return string(data) == "ready\n"
	})
}

func TestBoxClosedDescriptors(t *testing.T) {
	t.Parallel()
	cmd, _ := inBox(t, "Look")
	cmd.Args = append(cmd.Args, "-test.v")
	cmd.Args = append([]string{"sh", "-c", `exec "$@" <&-`, "sh"}, cmd.Args...)
	cmd.Path = "/bin/sh"
	out, code := outputOf(t, cmd)
	wantText(t, out, code, 0, `stdin /dev/null`)
}

func TestBoxExitCode(t *testing.T) {
	t.Parallel()
	cmd, _ := inBox(t, "Exit")
	out, code := outputOf(t, cmd)
	wantText(t, out, code, 7)
	cmd, _ = inBox(t, "Killed")
	out, code = outputOf(t, cmd)
	wantText(t, out, code, 128+9, `box: the tests ended by signal: killed`)
}

func TestBoxSignals(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{unix.SIGTERM, unix.SIGUSR1} {
		cmd, ready := inBox(t, "Signal")
		cmd.Args = append(cmd.Args, "-test.v")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		must(t, cmd.Start())
		waitReady(t, ready)
		must(t, cmd.Process.Signal(s))
		cmd.Wait()
		wantText(t, out.String(), cmd.ProcessState.ExitCode(), 0, "signal: "+s.String())
	}
}

// TestBoxPrintsAsWithout: a box shows of tests what they show without it.
func TestBoxPrintsAsWithout(t *testing.T) {
	t.Parallel()
	seconds := regexp.MustCompile(`\d+\.\d+s`)
	for _, verbose := range []string{"", "-test.v", "-test.v=true", "-test.v=test2json", "-test.v=false"} {
		cmd, _ := inBox(t, "Fail|Pass|Look")
		cmd.Args = append(cmd.Args, verbose)
		if verbose == "" {
			cmd.Args = cmd.Args[:len(cmd.Args)-1]
		}
		plain := exec.Command(cmd.Args[1], cmd.Args[2:]...)
		plain.Env = cmd.Env
		want, wantCode := outputOf(t, plain)
		got, gotCode := outputOf(t, cmd)
		want, got = seconds.ReplaceAllString(want, "T"), seconds.ReplaceAllString(got, "T")
		if verbose == "" || verbose == "-test.v=false" {
			// What a passing test prints itself is not kept.
			want = regexp.MustCompile(`look: .*\n`).ReplaceAllString(want, "")
			if strings.Contains(got, "words of the parent") != strings.Contains(want, "words of the parent") || !strings.Contains(got, "words of the worse") || strings.Contains(got, "words of the passing") {
				t.Errorf("%q: box:\n%s\nwithout:\n%s", verbose, got, want)
			}
			want, got = sorted(want), sorted(got)
		}
		look := regexp.MustCompile(`look: .*`)
		want, got = look.ReplaceAllString(want, "look"), look.ReplaceAllString(got, "look")
		if got != want || gotCode != wantCode {
			t.Errorf("%q: box, exit code %d:\n%s\nwithout, exit code %d:\n%s", verbose, gotCode, got, wantCode, want)
		}
	}
}

// sorted has the lines in an order, without their indentation: of a test's own
// lines and those of its subtests either may come first.
func sorted(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	for i := range lines {
		for j := i; j > 0 && lines[j] < lines[j-1]; j-- {
			lines[j], lines[j-1] = lines[j-1], lines[j]
		}
	}
	return strings.Join(lines, "\n")
}

// TestBoxLeftBehind: what a test leaves fails the package, and names the test.
func TestBoxLeftBehind(t *testing.T) {
	t.Parallel()
	asRoot(t)
	cmd, _ := inBox(t, ".*Leaves.*|[ADG]|Last")
	user := t.TempDir()
	cmd.Env = append(cmd.Env, "XDG_RUNTIME_DIR="+user)
	out, code := outputOf(t, cmd)
	wantText(t, out, code, 1,
		leftWords+`TestActBLeavesFiles:\n(\t.*\n)*\tfile /tmp/act\n`, `\tfile /run/hutch-act\n`, `\tfile `+user+`/act\n`,
		leftWords+`TestActCLeavesCgroups:\n(\tcgroup /.*/act\n)+`,
		leftWords+`TestActELeavesMount:\n\tmount \d+ of tmpfs tmpfs on /mnt\n`,
		leftWords+`TestActFLeavesNamespace:\n(\t.*\n)*\tmount \d+ of nsfs nsfs on /run/netns/act\n`, `\tnetwork namespace act\n`,
		leftWords+`TestActHLeavesProcess:\n\tprocess \d+: sleep 1001\n`)
	for _, root := range cgroupRoots() {
		if !strings.Contains(out, "\tcgroup "+root+"/act\n") {
			t.Errorf("the cgroup below %s is not named", root)
		}
	}
	if left := ofBox(cmd.Process.Pid); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// TestBoxHang: a test that hangs is ended and named, with the stacks.
func TestBoxHang(t *testing.T) {
	t.Parallel()
	stack := `goroutine \d+ [^\n]*\n(.*\n)*.*/tests/box\.TestActHang`
	for name, patterns := range map[string][]string{"Hang": {stack}, "HangFrozen": {stack + "Frozen"}, "HangIgnoring": nil} {
		if name == "HangFrozen" && !canUnshare() {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd, _ := inBox(t, "Pass|"+name, "-bound", "1s")
			out, code := outputOf(t, cmd)
			if code == 0 {
				t.Error("exit code 0")
			}
			wantText(t, out, code, code, append(patterns, `box: TestAct`+name+` hung: no end after 1s`)...)
			if left := ofBox(cmd.Process.Pid); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
		})
	}
}

// TestBoxKilled: also of a box that is killed nothing is left.
func TestBoxKilled(t *testing.T) {
	t.Parallel()
	for _, user := range []uint32{0, 65534} {
		if user == 0 {
			asRoot(t)
		}
		cmd, ready := inBox(t, "Mess")
		as(t, cmd, user)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		t.Cleanup(func() {
			if t.Failed() {
				t.Log(out.String())
			}
		})
		must(t, cmd.Start())
		waitReady(t, ready)
		spinning := processesOf(ready)
		if len(spinning) < 3 {
			t.Errorf("%d processes of the box", len(spinning))
		}
		must(t, cmd.Process.Kill())
		cmd.Wait()
		within(t, "nothing is left of the box", func() bool {
			return len(ofBox(cmd.Process.Pid)) == 0 && len(processesOf(ready)) == 0
		})
	}
}

// processesOf lists processes with a text in their environment.
func processesOf(text string) []string {
	var found []string
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		data, _ := os.ReadFile(file)
		if bytes.Contains(data, []byte(actVariable+"="+text)) && file != fmt.Sprintf("/proc/%d/environ", os.Getpid()) {
			found = append(found, file)
		}
	}
	return found
}

// as has a command run as another user, where this test is root's.
func as(t *testing.T, cmd *exec.Cmd, user uint32) {
	t.Helper()
	if os.Geteuid() != 0 || user == 0 {
		return
	}
	copied := filepath.Join(t.TempDir(), "acts")
	if _, err := os.Stat(copied); err != nil {
		from, err := os.Open(os.Args[0])
		must(t, err)
		defer from.Close()
		to, err := os.OpenFile(copied, os.O_WRONLY|os.O_CREATE, 0o755)
		must(t, err)
		_, err = io.Copy(to, from)
		must(t, err)
		must(t, to.Close())
	}
	for i, word := range cmd.Args {
		if word == os.Args[0] {
			cmd.Args[i] = copied
		}
	}
	for dir := t.TempDir(); dir != os.TempDir() && len(dir) > 1; dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755))
	}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
}

// TestBoxOfUser: without root there are no namespaces, and no word of it.
func TestBoxOfUser(t *testing.T) {
	t.Parallel()
	cmd, _ := inBox(t, "Look")
	cmd.Args = append(cmd.Args, "-test.v")
	as(t, cmd, 65534)
	out, code := outputOf(t, cmd)
	if os.Geteuid() == 0 {
		wantText(t, out, code, 0, `^=== RUN   TestActLook\nlook: [^\n]*temporary \S*/hutch-box-[^\n]*/tmp, [^\n]*\n--- PASS[^\n]*\nPASS\n$`)
	}
	cmd, _ = inBox(t, "A|HLeavesProcess|Last")
	as(t, cmd, 65534)
	out, code = outputOf(t, cmd)
	wantText(t, out, code, 1, leftWords+`TestActHLeavesProcess:\n\tprocess \d+: sleep 1001\n$`)
	if left := ofBox(cmd.Process.Pid); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}
