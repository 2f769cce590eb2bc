// Mutants takes each defence of register.txt out, one at a time, and runs the
// tests that are said to hold it. A test that passes all the same proves
// nothing, and the run fails.
//
//	go run ./tests/mutants [-quick] [-list] [-vm=false] [-find PACKAGE,…] [PATTERN]
//
// PATTERN, a regular expression, picks records by name, file or test. The work
// tree is never touched: go's -overlay gives the compiler the changed files. It
// needs root, as the tests do; a mutant may damage the machine that it runs on,
// so its processes are ended and the null device is looked after.
package main

import (
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
	packages := flag.String("find", "", "find the tests that notice, in these packages: PACKAGE,…")
	flag.Parse()
	if err := run(flag.Arg(0), *packages, *quick, *list, *vm); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(pattern, packages string, quick, list, vm bool) error {
	match, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	top, err := os.Getwd()
	if err != nil {
		return err
	}
	chapters, err := readRegister(top)
	if err != nil {
		return fmt.Errorf("%w (run from the module's top)", err)
	}
	picked := pick(all(chapters), func(d *defence) bool {
		return (!quick || d.quick) && (vm || !d.vm) && d.matches(match)
	})
	if len(picked) == 0 {
		return fmt.Errorf("no record of %s matches %q", registerFile, pattern)
	}
	if list {
		for _, d := range picked {
			fmt.Printf("%-40s %s\n", d.name, strings.Join(d.files(), " "))
		}
		return nil
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
	if packages != "" {
		return w.findTests(picked, strings.Split(packages, ","))
	}
	return w.tryAll(picked)
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
			fmt.Printf("    %s:%d: %s\n", registerFile, d.line, strings.ReplaceAll(err.Error(), "\n", "\n    "))
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
