// Command box runs a test binary so that nothing of it hangs and nothing of it is
// left: go test -exec 'bin/box' ./...
//
// As root the tests get pid, mount and cgroup namespaces, a cgroup of their own in
// each mounted hierarchy, and a /tmp and a /run of their own. Who runs them otherwise
// gets a directory for temporary files and the rest of the supervision.
//
//	box          waits, hands signals on, takes all away at the end
//	├─ box watch takes all away when box was killed
//	└─ box init  the pid namespace's init: bounds the tests' time, reaps, looks for what is left
//	   └─ tests  (box enter, until it executes the test binary: goes into the cgroups)
//
// Only the tests are in the cgroups: they may freeze all of these.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// margin is what go test's own limit is given to end the tests, before box does.
// go test kills what it runs a minute after its limit.
const margin = 30 * time.Second

// plan is what the processes of a box know of it. It is made before anything of it.
type plan struct {
	Root   bool          // it has namespaces
	Dir    string        // of its files, as the machine sees it
	Groups []group       // its cgroups
	Bound  time.Duration // of the tests' time
	Binary string
	Args   []string

	alone map[string][]string // what tests left that were run alone
}

func main() {
	// Namespaces and the signal at the parent's death are a thread's.
	runtime.LockOSThread()
	if len(os.Args) > 2 {
		switch os.Args[1] {
		case "watch":
			os.Exit(watch(decode(os.Args[2])))
		case "init":
			os.Exit(runInit(decode(os.Args[2])))
		case "enter":
			os.Exit(enter(decode(os.Args[2])))
		}
	}
	bound := flag.Duration("bound", 0, "end the tests after this time (default: half a minute after -test.timeout)")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: box [-bound TIME] TESTBINARY [ARGUMENT...]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	code, err := run(flag.Arg(0), flag.Args()[1:], *bound)
	if err != nil {
		code = complain(err)
	}
	os.Exit(code)
}

// complain prints an error of the box, and returns the exit code for it.
func complain(err error) int {
	fmt.Fprintf(os.Stderr, "box: %v\n", err)
	return 125
}

func (p *plan) encode() string {
	data, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func decode(text string) *plan {
	p := new(plan)
	if err := json.Unmarshal([]byte(text), p); err != nil {
		os.Exit(complain(err))
	}
	return p
}

// newPlan says what will be made; nothing is made yet.
func newPlan(binary string, args []string, bound time.Duration) (*plan, error) {
	path, err := exec.LookPath(binary)
	if err != nil {
		return nil, err
	}
	if bound == 0 {
		bound = boundOf(args)
	}
	name := fmt.Sprintf("hutch-box-%d-%x", os.Getpid(), time.Now().UnixNano())
	p := &plan{Root: canUnshare(), Dir: tempDir() + "/" + name, Bound: bound, Binary: path, Args: args}
	if p.Root {
		p.Groups, err = planGroups(name)
	}
	return p, err
}

// boundOf is -test.timeout and the margin. Tests without a limit get half an hour.
func boundOf(args []string) time.Duration {
	for _, arg := range args {
		if text, ok := strings.CutPrefix(strings.TrimPrefix(arg, "-"), "-test.timeout="); ok {
			if d, err := time.ParseDuration(text); err == nil && d > 0 {
				return d + margin
			}
		}
	}
	return 30 * time.Minute
}

// tempDir is where the box's own directory lies, whatever TMPDIR says.
func tempDir() string {
	dir := os.TempDir()
	if st, err := os.Stat(dir); err != nil || !st.IsDir() || !strings.HasPrefix(dir, "/") || unix.Access(dir, unix.W_OK) != nil {
		return "/tmp"
	}
	return strings.TrimRight(dir, "/")
}

// canUnshare reports whether the caller may make the namespaces: a root without
// CAP_SYS_ADMIN may not.
func canUnshare() bool {
	head, data := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{}
	return os.Geteuid() == 0 && unix.Capget(&head, &data[0]) == nil && data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}
