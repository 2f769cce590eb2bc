package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// findLimit is how long all tests of a package may take.
const findLimit = 3 * time.Minute

// findTests helps to write a record: it takes each defence out, runs tests, and
// prints those that fail: PACKAGE, or PACKAGE:PATTERN for tests of that name.
func (w *workshop) findTests(list []*defence, packages []string) error {
	base := map[string]*trial{}
	for _, words := range packages {
		place, names := testsNamed(words)
		t := w.test(w.original, place, names, findLimit)
		if base[words] = t; t.err != nil {
			fmt.Printf("unchanged, %s: %v\n%s\n", words, t.err, tail(t.output))
		}
	}
	each(list, func(d *defence) {
		text, err := w.find(d, packages, base)
		if err != nil {
			text = err.Error()
		}
		fmt.Printf("[%s]\n%s", d.name, text)
	})
	return nil
}

// testsNamed reads PACKAGE[:PATTERN].
func testsNamed(words string) (place, []string) {
	pkg, pattern, _ := strings.Cut(words, ":")
	return place{pkg: pkg}, []string{".*(" + pattern + ").*"}
}

func (w *workshop) find(d *defence, packages []string, base map[string]*trial) (string, error) {
	files, err := d.mutated(w.top)
	if err != nil {
		return "", err
	}
	tree, err := w.overlay(d.name, files)
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tree.dir)
	var b strings.Builder
	for _, words := range packages {
		place, names := testsNamed(words)
		t := w.test(tree, place, names, findLimit)
		var failed []string
		for name, verdict := range t.verdicts {
			if verdict == "FAIL" && base[words].verdicts[name] == "PASS" {
				failed = append(failed, name)
			}
		}
		slices.Sort(failed)
		if len(failed) > 0 {
			fmt.Fprintf(&b, "test: %s %s\n", place.pkg, strings.Join(failed, " "))
		} else if t.err != nil {
			fmt.Fprintf(&b, "# %s: %v\n%s\n", words, t.err, tail(t.output))
		}
	}
	return b.String(), nil
}
