// Mutants takes each defence of register.txt out, one at a time, and runs the
// tests that are said to hold it. A test that passes all the same proves
// nothing, and the run fails.
//
//	go run ./tests/mutants [-quick] [-list] [-vm=false] [-find PACKAGE[:TESTS],…] [-register FILE] [PATTERN]
//
// PATTERN, a regular expression, picks records by name, file or test. The work
// tree is never touched: go's -overlay gives the compiler the changed files. It
// needs root, as the tests do; a mutant may damage the machine that it runs on,
// so its processes are ended and the null device is looked after.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// workers is how many mutants are tried at once.
const workers = 2

func main() {
	if len(os.Args) > 1 && os.Args[1] == jailWord {
		os.Exit(jail(os.Args[2:]))
	}
	quick := flag.Bool("quick", false, "only the representative part")
	list := flag.Bool("list", false, "list the mutants and run nothing")
	vm := flag.Bool("vm", true, "also those whose tests run in the virtual machine")
	find := flag.String("find", "", "find the tests that notice: PACKAGE[:PATTERN of tests],…")
	file := flag.String("register", registerFile, "the register, for the draft of a part")
	flag.Parse()
	if err := run(*file, flag.Arg(0), *find, *quick, *list, *vm); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(file, pattern, find string, quick, list, vm bool) error {
	match, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	top, err := os.Getwd()
	if err != nil {
		return err
	}
	chapters, err := readRegister(top, file)
	if err != nil {
		return fmt.Errorf("%w (run from the module's top)", err)
	}
	picked := pick(all(chapters), func(d *defence) bool {
		return (!quick || d.quick) && (vm || !d.vm) && d.matches(match)
	})
	if len(picked) == 0 {
		return fmt.Errorf("no record of %s matches %q", file, pattern)
	}
	if list {
		return listAll(top, picked)
	}
	w, err := newWorkshop(top)
	if err != nil {
		return err
	}
	defer w.remove()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-stop
		w.remove()
		os.Exit(1)
	}()
	if find != "" {
		return w.findTests(picked, strings.Split(find, ","))
	}
	return w.tryAll(picked)
}

// listAll prints the records, and what is wrong with their edits.
func listAll(top string, list []*defence) error {
	var errs []error
	for _, d := range list {
		fmt.Printf("%-32s %s\n", d.name, strings.Join(d.files(), " "))
		if _, err := d.mutated(top); err != nil {
			errs = append(errs, fmt.Errorf("[%s]: %w", d.name, err))
		}
	}
	return errors.Join(errs...)
}

func pick(list []*defence, keep func(*defence) bool) []*defence {
	return slices.DeleteFunc(list, func(d *defence) bool { return !keep(d) })
}

func (d *defence) matches(match *regexp.Regexp) bool {
	words := append([]string{d.name, d.cve}, d.files()...)
	for _, of := range d.tests {
		words = append(append(words, of.pkg), of.names...)
	}
	return slices.ContainsFunc(words, match.MatchString)
}

// tryAll runs the tests on what is there, then on each mutant, and prints a line
// for each.
func (w *workshop) tryAll(list []*defence) error {
	begin := time.Now()
	killed, equivalent, bad := 0, 0, 0
	base := w.baseline(list)
	var mutex sync.Mutex
	report := func(d *defence, err error, took time.Duration) {
		mutex.Lock()
		defer mutex.Unlock()
		word := "killed"
		switch {
		case err != nil:
			bad++
			word = "FAIL"
		case d.equivalent != "":
			equivalent++
			word = "equivalent"
		default:
			killed++
		}
		fmt.Printf("%-10s %6.1f s  %s\n", word, took.Seconds(), d.name)
		if err != nil {
			fmt.Printf("    line %d: %s\n", d.line, strings.ReplaceAll(err.Error(), "\n", "\n    "))
		}
	}
	each(list, func(d *defence) {
		start := time.Now()
		report(d, w.try(d, base), time.Since(start))
	})
	fmt.Printf("mutants: %d killed / %d, %d equivalent, %d bad, in %.0f s\n", killed, len(list)-equivalent, equivalent, bad, time.Since(begin).Seconds())
	if bad > 0 {
		return fmt.Errorf("%d of %d are not killed", bad, len(list))
	}
	return nil
}
