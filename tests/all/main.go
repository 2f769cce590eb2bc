// Command all runs the phases of `make test-all`, each a target of the Makefile: those of the
// code, of this machine and of virtual ones side by side, on two processors. It stops at the
// first that fails, and prints what its failing tests have printed; bin/all has all
// output. At the end it says what each phase took, and which tests were skipped and why; a
// skip that skips.txt does not allow is a failure.
//
// With -short it runs the phases of `make test`, which are fewer, and has these try a part of
// what is tried in many ways, as go test -short does.
//
// With -skips LIST LOG... it runs nothing and judges the skips of virtual machines that
// are no phase, by a list of their own.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// lanes are phases: those of a row run one after the other, each row beside the others, so that
// two processors have work to the end, and no more than two virtual machines. What runs tests
// comes after test-deps, which installs what they need.
type lanes [][]string

// whole are the phases of make test-all, and usual those of make test.
var whole = lanes{
	{"test-deps", "vm-build", "unit", "surroundings-quick", "integration"},
	{"fmt", "vet", "lint", "containerd", "types", "cross-quick", "fuzz-build-quick", "dist-test", "mutants-quick", "vm-v2", "vm-hybrid"},
	{"vm-systemd", "vm-checkpoint", "tutorial", "conformance", "engines"},
}
var usual = lanes{
	{"test-deps", "vm-build", "unit", "surroundings-quick", "integration"},
	{"fmt", "vet", "lint", "types", "vm-v2"},
	{"vm-systemd", "tutorial", "conformance"},
}

func phases(short bool) lanes {
	if short {
		return usual
	}
	return whole
}

// machines returns the names of the virtual machines that the lanes start.
func (l lanes) machines() (list []string) {
	for _, name := range slices.Concat(l...) {
		list = append(list, machines[name]...)
	}
	return list
}

// after is what a phase of another lane has to wait for.
var after = map[string]string{
	"engines": "containerd", "dist-test": "test-deps", "mutants-quick": "test-deps", "vm-v2": "vm-build", "vm-systemd": "vm-build",
}

// machines are the phases of virtual machines, each with the names of its machines, whose logs
// tests/vm/suite keeps.
var machines = map[string][]string{
	"vm-systemd":    {"v2-systemd"},
	"vm-v2":         {"v2", "selinux"},
	"vm-hybrid":     {"v1", "hybrid-systemd"},
	"vm-checkpoint": {"checkpoint"},
}

// phase is one that has run.
type phase struct {
	name    string
	seconds float64
	busy    float64 // seconds of processors, of all processes that were waited for
	err     error
}

// report is what all phases have to say.
type report struct {
	mutex  sync.Mutex
	done   []phase
	failed bool
	short  bool
	tests  tests
}

func main() {
	signals, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if len(os.Args) > 3 && os.Args[1] == "-skips" {
		if !judgeLogs(os.Args[2], os.Args[3:]) {
			os.Exit(1)
		}
		return
	}
	arguments, short := os.Args[1:], false
	if len(arguments) > 0 && arguments[0] == "-short" {
		arguments, short = arguments[1:], true
	}
	chosen := phases(short)
	if len(arguments) > 0 {
		chosen = lanes{arguments}
	}
	if !all(signals, chosen, short) {
		os.Exit(1)
	}
}

// all runs the lanes and reports whether everything is as it should be.
func all(ctx context.Context, chosen lanes, short bool) bool {
	start := time.Now()
	allowed, err := readAllowed("tests/all/skips.txt")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return false
	}
	if err := os.MkdirAll("bin/all", 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return false
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	r := &report{tests: tests{}, short: short}
	ended := map[string]chan struct{}{}
	for _, names := range chosen {
		for _, name := range names {
			ended[name] = make(chan struct{})
		}
	}
	var group sync.WaitGroup
	for _, names := range chosen {
		group.Go(func() {
			for _, name := range names {
				if first, ok := ended[after[name]]; ok {
					select {
					case <-first:
					case <-ctx.Done():
					}
				}
				if ctx.Err() != nil || !r.run(ctx, name) {
					stop()
					return
				}
				close(ended[name])
			}
		})
	}
	group.Wait()
	good := !r.failed && ctx.Err() == nil
	// Before it is known what the VMs run nothing can be said of a skip.
	judged := good && r.ranMachines()
	if judged {
		for _, name := range chosen.machines() {
			r.tests.addLog("bin/vm/" + name + ".log")
		}
	}
	good = r.tests.printSkips(allowed, judged) && good
	r.printTimes(time.Since(start))
	return good
}

// ranMachines reports whether all phases of virtual machines have been run that make test has, or
// make test-all.
func (r *report) ranMachines() bool {
	for _, name := range slices.Concat(phases(r.short)...) {
		if machines[name] != nil && !slices.ContainsFunc(r.done, func(p phase) bool { return p.name == name }) {
			return false
		}
	}
	return true
}

// run runs a phase and prints its block.
func (r *report) run(ctx context.Context, name string) bool {
	start := time.Now()
	// As JSON the output of tests says which test it is of.
	short := ""
	if r.short {
		short = "-short"
	}
	cmd := exec.CommandContext(ctx, "make", "--no-print-directory", name, "JSON=-json", "SHORT="+short)
	// All of the phase is asked to end when another fails, and its boxes take theirs away.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	out := newOutput()
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	p := phase{name: name, seconds: time.Since(start).Seconds(), err: err}
	if state := cmd.ProcessState; state != nil {
		p.busy = (state.UserTime() + state.SystemTime()).Seconds()
	}

	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.done = append(r.done, p)
	if ctx.Err() != nil {
		fmt.Printf("== %s: stopped\n", name)
		return false
	}
	out.end()
	if logErr := os.WriteFile("bin/all/"+name+".log", out.full.Bytes(), 0o644); err == nil {
		err = logErr
	}
	if err != nil {
		r.failed = true
		fmt.Printf("== %s: FAIL (%v) after %.0f s\n%s%s", name, err, p.seconds, out.failures(), out.brief.String())
		return false
	}
	fmt.Printf("== %s: %.0f s\n%s", name, p.seconds, out.brief.String())
	r.tests.add(name, out.tests)
	return true
}

func (r *report) printTimes(whole time.Duration) {
	fmt.Println("\nphase              seconds  of processors")
	for _, p := range r.done {
		result := ""
		if p.err != nil {
			result = "  did not pass"
		}
		fmt.Printf("%-18s %7.1f %14.1f%s\n", p.name, p.seconds, p.busy, result)
	}
	fmt.Printf("%-18s %7.1f\n%s\n", "all, side by side", whole.Seconds(), strings.Repeat("-", 26))
}
