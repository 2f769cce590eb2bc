package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// verdict is what go's testing package says of a test: PASS, FAIL, SKIP; empty
// when it did not come to an end.
type verdict string

// Lines begin with ^V where the tests are run with -test.v=test2json, so that
// output without a newline hides none.
var verdictLine = regexp.MustCompile(`(?m)(?:^|\x16)--- (PASS|FAIL|SKIP): (\w+) \(([0-9.]+)s\)`)

func verdicts(output string) map[string]verdict {
	found := map[string]verdict{}
	for _, m := range verdictLine.FindAllStringSubmatch(output, -1) {
		found[m[2]] = verdict(m[1])
	}
	return found
}

// baseline is how each package's tests do on the unchanged tree.
type baseline map[place]*trial

// place is where tests are run.
type place struct {
	pkg string
	vm  bool
	opt string // of tests/vm/run
}

func (d *defence) place(of testsOf) place {
	return place{of.pkg, d.vm, strings.Join(d.vmOptions, " ")}
}

// trial is one run of some tests.
type trial struct {
	verdicts map[string]verdict
	took     map[string]time.Duration
	err      error // why the run as a whole failed
	output   string
}

// baseline runs all the tests that the list names, unchanged.
func (w *workshop) baseline(list []*defence) baseline {
	wanted := map[place][]string{}
	for _, d := range list {
		for _, of := range d.tests {
			p := d.place(of)
			for _, name := range of.names {
				if !slices.Contains(wanted[p], name) {
					wanted[p] = append(wanted[p], name)
				}
			}
		}
	}
	base := baseline{}
	var mutex sync.Mutex
	each(slices.Collect(maps.Keys(wanted)), func(p place) {
		names := wanted[p]
		t := w.test(w.original, p, names, time.Duration(len(names))*time.Minute)
		mutex.Lock()
		base[p] = t
		mutex.Unlock()
	})
	return base
}

// each calls do for every item, workers at a time.
func each[T any](list []T, do func(T)) {
	jobs := make(chan T)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for item := range jobs {
				do(item)
			}
		})
	}
	for _, item := range list {
		jobs <- item
	}
	close(jobs)
	group.Wait()
}

// sound fails unless a test passes on the unchanged tree.
func (b baseline) sound(p place, names []string) error {
	t := b[p]
	for _, name := range names {
		switch v := t.verdicts[name]; v {
		case "PASS":
		case "":
			return fmt.Errorf("unchanged, %s %s does not run or end: %v\n%s", p.pkg, name, t.err, tail(t.output))
		default:
			return fmt.Errorf("unchanged, %s %s: %s\n%s", p.pkg, name, v, excerpt(t.output, name))
		}
	}
	if t.err != nil && !slices.Contains(slices.Collect(maps.Values(t.verdicts)), "FAIL") {
		return fmt.Errorf("unchanged, %s: %v\n%s", p.pkg, t.err, tail(t.output))
	}
	return nil
}

// limit is how long the tests may take on a mutant.
func (b baseline) limit(p place, names []string) time.Duration {
	limit := time.Minute
	for _, name := range names {
		limit += 10 * b[p].took[name]
	}
	return limit
}

// try takes one defence out. It succeeds when each of its tests notices.
func (w *workshop) try(d *defence, base baseline) error {
	if fault := d.fault(); fault != "" {
		return errors.New(fault)
	}
	files, err := d.mutated(w.top)
	if err != nil {
		return err
	}
	for _, of := range d.tests {
		if err := base.sound(d.place(of), of.names); err != nil {
			return err
		}
	}
	tree, err := w.overlay(d.name, files)
	if err != nil {
		return err
	}
	defer os.RemoveAll(tree.dir)
	if err := w.compiles(tree, d); err != nil {
		return err
	}
	for _, of := range d.tests {
		p := d.place(of)
		if err := w.notice(tree, p, of.names, base.limit(p, of.names)); err != nil {
			return err
		}
	}
	return nil
}

// notice fails unless each of the tests fails. A run that ends early, by a panic
// or the time limit, says nothing of the tests that were to come: those are run
// again, each alone.
func (w *workshop) notice(tree *tree, p place, names []string, limit time.Duration) error {
	t := w.test(tree, p, names, limit)
	var broken *toolError
	if errors.As(t.err, &broken) {
		return t.err
	}
	for _, name := range names {
		switch v := t.verdicts[name]; {
		case v == "PASS" || v == "SKIP":
			return fmt.Errorf("survived: %s %s: %s", p.pkg, name, v)
		case v == "" && t.err == nil:
			return fmt.Errorf("%s has no test %s", p.pkg, name)
		case v == "" && len(names) > 1:
			if err := w.notice(tree, p, []string{name}, limit); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *workshop) test(tree *tree, p place, names []string, limit time.Duration) *trial {
	output, err := w.run(tree, p, names, limit)
	t := &trial{verdicts: verdicts(output), took: map[string]time.Duration{}, err: err, output: output}
	for _, m := range verdictLine.FindAllStringSubmatch(output, -1) {
		seconds, _ := strconv.ParseFloat(m[3], 64)
		t.took[m[2]] = time.Duration(seconds * float64(time.Second))
	}
	return t
}

// excerpt is what a test printed.
func excerpt(output, name string) string {
	_, rest, _ := strings.Cut(output, "=== RUN   "+name+"\n")
	text, _, _ := strings.Cut(rest, "\x16=== RUN   Test")
	return tail(text)
}

// tail is the end of an output.
func tail(text string) string {
	const most = 2000
	text = strings.TrimSpace(strings.ReplaceAll(text, "\x16", ""))
	if len(text) > most {
		text = "…" + strings.ToValidUTF8(text[len(text)-most:], "")
	}
	return text
}
