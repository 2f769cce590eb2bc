// Package integration drives the built binary as an engine would and checks
// effects: mount tables, /proc/PID/status, cgroup folders, exit codes, texts.
// It imports no package of ours.
//
// RUNTIME=path picks the binary; without it ../../hutch is taken. Each test
// has been seen to pass on Debian's runc too, or says by hutchOnly why not.
// machine_test.go has the other variables.
package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/isolate"
	"github.com/hutch-project/hutch/tests/testplain"
	"github.com/hutch-project/hutch/tests/testruntime"
)

var (
	runtimePath string // absolute path of the binary under test
	runtimeName string // "hutch", "runc", "crun": first word of its --version
	workDir     string // everything that the tests make is below it
)

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if os.Geteuid() != 0 {
		return refuse("needs root: containers with host ids, mounts, cgroups")
	}
	// As an engine is, this process is a child subreaper: containers become
	// its children.
	if code, first := isolate.Rerun(); first {
		return code
	}
	unix.Umask(0o022)
	if err := readEnvironment(); err != nil {
		return refuse("%v", err)
	}
	if err := findRuntime(); err != nil {
		return refuse("%v", err)
	}
	dir, err := os.MkdirTemp("", "hutch-integration-")
	if err != nil {
		return refuse("%v", err)
	}
	defer os.RemoveAll(dir)
	workDir = dir
	if err := layAssets(); err != nil {
		return refuse("%v", err)
	}
	if userCaller {
		if err := layUser(); err != nil {
			return refuse("CALLER=user: %v", err)
		}
	}
	code := m.Run()
	// Told of here, where the reason is known: the box would name it alone.
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintf(os.Stderr, "tests/integration: left behind: %v\n", err)
		code = 1
	}
	// What a failed test has reported as left is taken away.
	for _, dir := range slices.Backward(cgroupsNamed(testplain.UniquePrefix("hutchtest"))) {
		unix.Rmdir(dir)
	}
	if left := livingChildren(); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "tests/integration: processes left behind:\n%s\n", strings.Join(left, "\n"))
		code = 1
	}
	return code
}

func refuse(format string, args ...any) int {
	fmt.Fprintf(os.Stderr, "tests/integration: "+format+"\n", args...)
	return 1
}

func findRuntime() error {
	path, version, err := testruntime.Find()
	if err != nil {
		return err
	}
	runtimePath = path
	runtimeName, _, _ = strings.Cut(version, " ")
	return nil
}

// livingChildren reaps what is dead and describes the rest.
func livingChildren() []string {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if err != nil || pid <= 0 {
			break
		}
	}
	var left []string
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, file := range tasks {
		data, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for _, pid := range strings.Fields(string(data)) {
			cmdline, _ := os.ReadFile("/proc/" + pid + "/cmdline")
			left = append(left, pid+" "+strings.ReplaceAll(string(cmdline), "\x00", " "))
			if n, err := strconv.Atoi(pid); err == nil {
				unix.Kill(n, unix.SIGKILL)
				unix.Wait4(n, nil, 0, nil)
			}
		}
	}
	return left
}

// hutchOnly skips a test on another runtime. reason says where that one falls
// short of the specification or differs from Hutch's decided behaviour.
func hutchOnly(t testing.TB, reason string) {
	t.Helper()
	if runtimeName != "hutch" {
		t.Skipf("%s: %s", runtimeName, reason)
	}
}
