package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// tests is what all phases say of each test, by its package and name.
type tests map[string]*outcome

// outcome is of one test, which may be run by several phases and machines.
type outcome struct {
	passed  []string          // where
	skipped map[string]string // why, by where
}

func (a tests) add(where string, list []*test) {
	for _, t := range list {
		o := a[t.pkg+" "+t.name]
		if o == nil {
			o = &outcome{skipped: map[string]string{}}
			a[t.pkg+" "+t.name] = o
		}
		switch t.action {
		case "pass":
			o.passed = append(o.passed, where)
		case "skip":
			o.skipped[where] = t.reason
		}
	}
}

var (
	packageLine = regexp.MustCompile(`^=== PACKAGE (\S+)`) // tests/vm/guest/several
	runLine     = regexp.MustCompile(`^=== (?:RUN|CONT|NAME) +(\S+)`)
	doneLine    = regexp.MustCompile(`^\s*--- (PASS|SKIP): (\S+)`)
)

// addLog adds the tests of a machine, whose output is go test -v's; no file, no tests.
func (a tests) addLog(path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		return
	}
	pkg, current, reasons := "", "", map[string]string{}
	var list []*test
	for line := range strings.Lines(string(data)) {
		if m := packageLine.FindStringSubmatch(line); m != nil {
			pkg, current, reasons = m[1], "", map[string]string{}
		} else if m := runLine.FindStringSubmatch(line); m != nil {
			current = m[1]
		} else if m := doneLine.FindStringSubmatch(line); m != nil {
			list = append(list, &test{pkg: pkg, name: m[2], action: strings.ToLower(m[1]), reason: reasons[m[2]]})
		} else if m := reasonLine.FindStringSubmatch(line); m != nil {
			reasons[current] = m[1]
		}
	}
	a.add("vm "+strings.TrimSuffix(filepath.Base(path), ".log"), list)
}

// judgeLogs prints what machines have skipped that make vm does not start, and reports
// whether a list of skips allows all of it.
func judgeLogs(list string, logs []string) bool {
	allowed, err := readAllowed(list)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return false
	}
	good := true
	for _, log := range logs {
		a := tests{}
		a.addLog(log)
		if len(a) == 0 {
			fmt.Printf("%s: no tests\n", log)
			good = false
		}
		good = a.printSkips(allowed, true) && good
	}
	return good
}

// allowed is a line of skips.txt.
type allowed struct {
	test, reason *regexp.Regexp
	why          string
}

// readAllowed reads lines of: tests, reason that they print (both regular
// expressions), and why it may be so, with tabs between them.
func readAllowed(path string) ([]allowed, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var list []allowed
	for i, line := range strings.Split(string(data), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 3 || f[2] == "" {
			return nil, fmt.Errorf("%s:%d: want tests, reason and why, with a tab between them", path, i+1)
		}
		test, err := regexp.Compile("^(" + f[0] + ")$")
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
		reason, err := regexp.Compile(f[1])
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
		list = append(list, allowed{test, reason, f[2]})
	}
	return list, nil
}

// printSkips prints why tests were skipped, and reports whether that may be: because
// they have passed elsewhere, or skips.txt allows it. It is judged when all has run.
func (a tests) printSkips(list []allowed, judged bool) bool {
	byReason := map[string][]string{}
	good := true
	for name, o := range a {
		for where, reason := range o.skipped {
			verdict := a.mayBe(name, reason, list)
			if verdict == "" && !judged {
				verdict = "not judged: not all phases have run"
			} else if verdict == "" {
				good = false
				verdict = "NOT ALLOWED: the list of skips does not say why this may be"
			}
			key := reason + "\n    " + verdict
			label := name
			if len(o.passed) == 0 {
				label += " (" + where + ")"
			}
			if !slices.Contains(byReason[key], label) {
				byReason[key] = append(byReason[key], label)
			}
		}
	}
	if len(byReason) > 0 {
		fmt.Println("\nskipped")
	}
	for _, key := range sortedKeys(byReason) {
		names := byReason[key]
		slices.Sort(names)
		fmt.Printf("  %s\n      %s\n", key, strings.Join(names, ", "))
	}
	return good
}

// mayBe says why a test may be skipped. An empty answer is that it may not.
func (a tests) mayBe(name, reason string, list []allowed) string {
	if o := a[name]; len(o.passed) > 0 {
		return "these pass in another phase: " + o.passed[0]
	}
	for _, l := range list {
		if l.test.MatchString(name) && l.reason.MatchString(reason) {
			return l.why
		}
	}
	return ""
}

func sortedKeys(m map[string][]string) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
