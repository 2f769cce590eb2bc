package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/hutch-project/hutch/tests/testruntime"
)

// job is a test binary and the part of it that is run.
type job struct {
	name, pkg string
	args      []string
	dir       string // its package, where a test is run
}

// suite is the part of the tests that touches processes, signals, terminals and files,
// and takes seconds.
func suite() []job {
	jobs := []job{
		{name: "sigaction", pkg: "internal/sigaction"},
		{name: "inherited", pkg: "internal/inherited"},
		{name: "console", pkg: "internal/part/terminal"},
		{name: "hook", pkg: "internal/host/hook", args: []string{"-test.skip", "Timeout"}},
		{name: "program", pkg: "internal/program", args: []string{"-test.short", "-test.run", "Child|Adopt|Clone|Message|Spawn"}},
		{name: "process", pkg: "internal/part/process", args: []string{"-test.short"}},
		{name: "state", pkg: "internal/host/state", args: []string{"-test.short"}},
		{name: "notify", pkg: "internal/host/notify"},
		{name: "integration", pkg: "tests/integration", args: []string{"-test.run",
			"^Test(Signals|Kill$|RunForwards|RunEnds|Umask|NoOtherDescriptor|PreserveFds$|Terminal|Console|ContractRule(09|10|29)|Rlimit|HookOrder|Session|NotifySocket|Exec$)"}},
	}
	for i := range jobs {
		jobs[i].dir = jobs[i].pkg
		jobs[i].args = append([]string{"-test.timeout=10m"}, jobs[i].args...)
	}
	return jobs
}

// build makes the test binaries, the integration tests' probe, and the bundles.
func (b *bench) build() error {
	for _, j := range b.jobs {
		if err := goTool("test", "-tags", testruntime.Tags, "-ldflags", "-s -w", "-c", "-o", filepath.Join(b.dir, j.name+".test"), "./"+j.pkg); err != nil {
			return err
		}
	}
	if err := testruntime.Build(filepath.Join(b.dir, "probe"), "tests/integration/probe"); err != nil {
		return err
	}
	return b.bundle()
}

func goTool(args ...string) error {
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}
