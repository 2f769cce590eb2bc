// Surroundings runs a fast part of the suite, and the binary itself, under callers of
// all odd kinds: with signals ignored or blocked, another umask, hardly any
// environment, closed descriptors, low limits, in cgroups and namespaces. It prints a
// table and fails when anything fails, or when a container sees of its caller's state
// what it must not.
//
//	go run ./tests/surroundings [-run PATTERN] [-jobs N] [-v] -hutch ./hutch
//
// It needs root.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 3 && os.Args[1] == inWord {
		fmt.Fprintln(os.Stderr, "surroundings:", enter(os.Args[2], os.Args[3:]))
		os.Exit(125)
	}
	hutch := flag.String("hutch", "hutch", "the binary")
	run := flag.String("run", "", "run the surroundings that match")
	jobs := flag.Int("jobs", 2, "how many run at once")
	verbose := flag.Bool("v", false, "print what the binary's containers see")
	flag.Parse()
	if err := all(*hutch, *run, *jobs, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "surroundings:", err)
		os.Exit(1)
	}
}

// bench is what all surroundings have in common.
type bench struct {
	dir     string // of the built programs, and of the bundles
	hutch   string
	verbose bool
	jobs    []job
	usual   string // what containers see in plain surroundings
}

// row is the outcome of one surrounding: a word for each job, and what went wrong.
type row struct {
	words   []string
	report  string
	seconds float64
}

func all(hutch, pattern string, jobs int, verbose bool) error {
	if os.Geteuid() != 0 {
		return errors.New("needs root")
	}
	match, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("/tmp", "surroundings-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	defer removeCgroups()
	// Others that are not root, as some containers are, come by.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	b := &bench{dir: dir, verbose: verbose, jobs: suite()}
	if b.hutch, err = filepath.Abs(hutch); err != nil {
		return err
	}
	if err := b.build(); err != nil {
		return err
	}
	if b.usual, err = b.life(surrounding{name: "as the program was called"}); err != nil {
		return fmt.Errorf("a container's life as the program was called: %w", err)
	}
	if verbose {
		fmt.Print(b.usual)
	}
	return b.table(match, jobs)
}

// table runs the surroundings that match, and prints their rows in their order.
func (b *bench) table(match *regexp.Regexp, jobs int) error {
	var chosen []surrounding
	for _, s := range surroundings() {
		if match.MatchString(s.name) {
			chosen = append(chosen, s)
		}
	}
	rows := make([]chan row, len(chosen))
	for i := range rows {
		rows[i] = make(chan row, 1)
	}
	var next sync.Mutex
	at := 0
	for range jobs {
		go func() {
			for {
				next.Lock()
				i := at
				at++
				next.Unlock()
				if i >= len(chosen) {
					return
				}
				rows[i] <- b.run(chosen[i])
			}
		}()
	}
	fmt.Printf("%-42s", "surrounding")
	for _, j := range b.jobs {
		fmt.Printf(" %-*s", max(len(j.name), 4), j.name)
	}
	fmt.Printf(" %-9s     s\n", "container")
	failed := 0
	var reports strings.Builder
	for i, s := range chosen {
		r := <-rows[i]
		fmt.Printf("%-42s", s.name)
		for k, word := range r.words {
			width := len("container")
			if k < len(b.jobs) {
				width = max(len(b.jobs[k].name), 4)
			}
			fmt.Printf(" %-*s", width, word)
		}
		fmt.Printf(" %5.1f\n", r.seconds)
		if r.report != "" {
			failed++
			fmt.Fprintf(&reports, "\n=== %s\n%s", s.name, r.report)
		}
	}
	fmt.Print(reports.String())
	if failed > 0 {
		return fmt.Errorf("%d of %d surroundings make a difference", failed, len(chosen))
	}
	fmt.Printf("%d surroundings, %d programs in each: no difference\n", len(chosen), len(b.jobs)+1)
	return nil
}

// run runs all under one surrounding.
func (b *bench) run(s surrounding) (r row) {
	began := time.Now()
	for _, j := range b.jobs {
		out, err := b.in(s, filepath.Join(b.dir, j.name+".test"), j.args, j.dir)
		word := "ok"
		if err != nil {
			word = "FAIL"
			r.report += fmt.Sprintf("--- %s: %v\n%s\n", j.name, err, end(out))
		}
		r.words = append(r.words, word)
	}
	seen, err := b.life(s)
	word := "ok"
	if err == nil {
		err = compare(b.usual, seen, s.passes)
	}
	if err != nil {
		word = "FAIL"
		r.report += fmt.Sprintf("--- a container's life: %v\n", err)
	}
	r.words = append(r.words, word)
	r.seconds = time.Since(began).Seconds()
	return r
}

// end is the end of an output, the lines of failures before it.
func end(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return "\t" + strings.Join(lines[max(0, len(lines)-40):], "\n\t")
}

// in runs a program under a surrounding, with a bound in which a hang ends.
func (b *bench) in(s surrounding, program string, args []string, dir string) (string, error) {
	file, err := os.CreateTemp(b.dir, "output-")
	if err != nil {
		return "", err
	}
	defer file.Close()
	cmd := exec.Command("/proc/self/exe", append([]string{inWord, s.name, program}, args...)...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: !s.session, Setsid: s.session}
	cmd.Env = append(os.Environ(), "RUNTIME="+b.hutch, "PROBE="+filepath.Join(b.dir, "probe"), "HUTCH_TEST_BOUND=2m")
	if s.pipe {
		// Not a file, and gone with the reader.
		return piped(cmd)
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	timer := time.AfterFunc(bound, func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	})
	err = cmd.Wait()
	if !timer.Stop() {
		err = fmt.Errorf("not ended within %v: %w", bound, err)
	}
	out, _ := os.ReadFile(file.Name())
	return string(out), err
}

// bound is how long a program may run before it is ended for a hang.
const bound = 10 * time.Minute

// piped runs cmd with pipes for standard input and output.
func piped(cmd *exec.Cmd) (string, error) {
	cmd.Stdout, cmd.Stderr = nil, nil
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := cmd.CombinedOutput()
	return string(out), err
}
