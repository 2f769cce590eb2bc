// Package tutorial runs docs/tutorial.md and docs/concepts.md: the commands of each as
// they stand, in their order, in one shell, and compares what they print.
//
// RUNTIME=path picks the runtime; without it ../../hutch is taken. With -update
// the outputs that differ are written to the pages.
package tutorial

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/isolate"
	"github.com/hutch-project/hutch/tests/testruntime"
)

// pages are the texts that are run.
var pages = [...]string{"../../docs/tutorial.md", "../../docs/concepts.md"}

var update = flag.Bool("update", false, "write the outputs to the pages")

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "tests/tutorial: needs root: namespaces, mounts, cgroups")
		return 1
	}
	if code, first := isolate.Rerun(); first {
		return code
	}
	return m.Run()
}

func TestTutorial(t *testing.T) { runPage(t, pages[0]) }

func TestConcepts(t *testing.T) { runPage(t, pages[1]) }

// runPage runs one page, and looks at what it leaves.
func runPage(t *testing.T, pagePath string) {
	page, err := os.ReadFile(pagePath)
	if err != nil {
		t.Fatal(err)
	}
	parts := parse(string(page))
	dir := t.TempDir()
	before := namesOnTheMachine(t)
	s, err := startShell(dir, environment(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.close()
		takeAway(t)
	})
	run(t, s, parts)
	if *update {
		if err := os.WriteFile(pagePath, []byte(format(parts)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.close()
	if after := namesOnTheMachine(t); after != before {
		t.Errorf("left behind: before\n%s\nafter\n%s", before, after)
	}
	if left := children(); left != "" {
		t.Errorf("processes left behind: %s", left)
	}
}

func TestFormatIsTheInverseOfParse(t *testing.T) {
	for _, pagePath := range pages {
		page, err := os.ReadFile(pagePath)
		if err != nil {
			t.Fatal(err)
		}
		if got := format(parse(string(page))); got != string(page) {
			t.Errorf("%s: got\n%s", pagePath, got)
		}
	}
}

func TestAnotherOutputIsNoticed(t *testing.T) {
	for _, c := range [...][2]string{
		{"  \"pid\": 12,\n  \"status\": \"created\"\n", "  \"pid\": 12,\n  \"status\": \"running\"\n"},
		{"    1 root     httpd -f\n", "    1 root     sh\n"},
		{"20\n", "21\n"},
		{"", "error\n"},
	} {
		if normal(c[0]) == normal(c[1]) {
			t.Errorf("%q passes for %q", c[1], c[0])
		}
	}
}

// run does all steps and puts outputs that differ into parts.
func run(t *testing.T, s *shell, parts []part) {
	count := 0
	for _, p := range parts {
		for i := range p.steps {
			step := &p.steps[i]
			got, err := s.do(step.command)
			if err != nil {
				t.Fatalf("$ %s\n%s%v", step.command, got, err)
			}
			count++
			if normal(got) == normal(step.output) {
				continue
			}
			if !*update {
				t.Errorf("$ %s\nprints\n%s\nthe page has\n%s", step.command, got, step.output)
			}
			step.output = got
		}
	}
	if count < 40 {
		t.Errorf("the page has only %d commands", count)
	}
	t.Logf("%d commands", count)
}

// normal replaces what differs from run to run, from machine to machine.
func normal(output string) string {
	for _, r := range [...]struct{ pattern, name string }{
		{`"pid": \d+`, `"pid": PID`},
		{`\d{4}-\d\d-\d\dT[0-9:.]+Z`, "TIME"},
		{`(?m)^NSpid:\t\d+`, "NSpid:\tPID"},
		{`(?m)^( *)\d+( [A-Za-z]+ )`, "${1}PID$2"}, // ps
		{`(?m)^ *\d+  `, "NUMBER "},                // plan: place in the program
		{`\$\d+`, "REGISTER"},                      // plan
		{`go to \d+`, "go to NUMBER"},              // plan
		{` +# `, " # "},                            // plan: columns
		{`(?m)^\d+: `, "INDEX: "},                  // of an interface
		{`@if\d+`, "@INDEX"},
		{`curl: \(7\).*`, "curl: (7) NO CONNECTION"}, // the words are the version's
	} {
		output = regexp.MustCompile(r.pattern).ReplaceAllString(output, r.name)
	}
	return output
}

// environment puts the runtime into the PATH, by the name that the page uses.
func environment(t *testing.T, dir string) []string {
	t.Helper()
	runtime, _, err := testruntime.Find()
	if err != nil {
		t.Fatal(err)
	}
	// A copy, as the place of the runtime may be closed to other users than root.
	if out, err := exec.Command("install", "-m", "755", runtime, filepath.Join(dir, "hutch")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return append(os.Environ(), "LC_ALL=C", "PATH="+dir+":/usr/sbin:/sbin:/usr/bin:/bin")
}

// cgroupsOfThePage lists the directories that the pages' cgroupsPath makes.
func cgroupsOfThePage() []string {
	var found []string
	filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && (strings.Contains(path+"/", "/tutorial/") || strings.Contains(path+"/", "/concepts/")) {
			found = append(found, path)
		}
		return nil
	})
	return found
}

// namesOnTheMachine lists what a page could leave: cgroups, files in /run,
// mounts and interfaces of this process's namespaces.
func namesOnTheMachine(t *testing.T) string {
	t.Helper()
	out := strings.Join(cgroupsOfThePage(), "\n") + "\n"
	for _, dir := range [...]string{"/run/web1", "/run/concepts", "/run/netns/web1", "/run/netns/client", "/run/hutch/web1",
		"/sys/class/net/br0", "/sys/class/net/uplink", "/sys/class/net/veth-web1"} {
		if _, err := os.Lstat(dir); err == nil {
			out += dir + "\n"
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return out + string(mounts)
}

// takeAway ends what a failed run has left.
func takeAway(t *testing.T) {
	children()
	found := cgroupsOfThePage()
	for i := len(found) - 1; i >= 0; i-- {
		if err := unix.Rmdir(found[i]); err != nil && err != unix.ENOENT {
			t.Errorf("rmdir %s: %v", found[i], err)
		}
	}
}

// children ends and reaps the children of this process, a subreaper, and
// names those that were alive.
func children() string {
	var left string
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if err != nil {
			return left // ECHILD: none
		}
		if pid > 0 {
			continue
		}
		tasks, _ := filepath.Glob("/proc/self/task/*/children")
		for _, file := range tasks {
			data, _ := os.ReadFile(file)
			for _, word := range strings.Fields(string(data)) {
				var child int
				fmt.Sscan(word, &child)
				line, _ := os.ReadFile("/proc/" + word + "/cmdline")
				left += strings.ReplaceAll(string(line), "\x00", " ") + "\n"
				unix.Kill(child, unix.SIGKILL)
				unix.Wait4(child, nil, 0, nil)
			}
		}
	}
}
