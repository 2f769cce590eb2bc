package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// findTests helps to write a record: it takes each defence out, runs all the tests
// of some packages, and prints those that fail.
func (w *workshop) findTests(list []*defence, packages []string) error {
	base := map[string]*trial{}
	for _, pkg := range packages {
		base[pkg] = w.test(w.original, place{pkg: pkg}, []string{".*"}, 10*time.Minute)
		if base[pkg].err != nil {
			fmt.Printf("unchanged, %s: %v\n%s\n", pkg, base[pkg].err, tail(base[pkg].output))
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
	for _, pkg := range packages {
		t := w.test(tree, place{pkg: pkg}, []string{".*"}, 10*time.Minute)
		var failed []string
		for name, verdict := range t.verdicts {
			if verdict == "FAIL" && base[pkg].verdicts[name] == "PASS" {
				failed = append(failed, name)
			}
		}
		slices.Sort(failed)
		if len(failed) > 0 {
			fmt.Fprintf(&b, "test: %s %s\n", pkg, strings.Join(failed, " "))
		} else if t.err != nil {
			fmt.Fprintf(&b, "# %s: %v\n%s\n", pkg, t.err, tail(t.output))
		}
	}
	return b.String(), nil
}
