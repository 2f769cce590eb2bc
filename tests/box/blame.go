package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// leftWords begin the list of what is left.
const leftWords = "box: left behind by "

// suspects is how many tests are run again, each alone, to find the one that leaves
// something; of how many the names are printed.
const suspects, namesShown = 40, 5

// report prints what is left and by which test. Something is first seen when the
// next test may have begun already, and others run beside: so each is tried alone.
func (p *plan) report(found []left) {
	byTests := map[string][]string{}
	var order []string
	for _, l := range found {
		who := p.guilty(l)
		if len(byTests[who]) == 0 {
			order = append(order, who)
		}
		byTests[who] = append(byTests[who], l.What)
	}
	for _, who := range order {
		fmt.Printf("%s%s:\n\t%s\n", leftWords, who, strings.Join(byTests[who], "\n\t"))
	}
}

// guilty names the tests that may have left something, or the one that has.
func (p *plan) guilty(l left) string {
	tests := l.Tests
	if os.Getenv(aloneVariable) == "" && len(tests) > 1 && len(tests) <= suspects {
		alone := slices.DeleteFunc(slices.Clone(tests), func(name string) bool {
			return !slices.Contains(p.leaves(name), numbers.ReplaceAllString(l.What, ""))
		})
		if len(alone) > 0 {
			tests = alone
		}
	}
	switch {
	case len(tests) == 0:
		return "the test process"
	case len(tests) > namesShown:
		return fmt.Sprintf("one of %s and %d more", strings.Join(tests[:namesShown], ", "), len(tests)-namesShown)
	}
	return strings.Join(tests, " or ")
}

// numbers are what two runs of a test may differ in.
var numbers = regexp.MustCompile(`[0-9]+`)

// leaves lists what a test leaves when it is run alone, without numbers. It is run
// in a box of its own, once.
func (p *plan) leaves(name string) []string {
	if known, ok := p.alone[name]; ok {
		return known
	}
	args := []string{"-bound", p.Bound.String(), p.Binary, "-test.run=^" + name + "$"}
	for _, arg := range p.Args {
		if strings.HasPrefix(strings.TrimLeft(arg, "-"), "test.timeout=") {
			args = append(args, arg)
		}
	}
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), aloneVariable+"=1")
	out, _ := cmd.CombinedOutput()
	_, list, _ := strings.Cut(string(out), leftWords)
	found := []string{}
	for line := range strings.Lines(list) {
		if what, ok := strings.CutPrefix(line, "\t"); ok {
			found = append(found, numbers.ReplaceAllString(strings.TrimSpace(what), ""))
		}
	}
	if p.alone == nil {
		p.alone = map[string][]string{}
	}
	p.alone[name] = found
	return found
}

// aloneVariable marks a box that tries one test for another box.
const aloneVariable = "HUTCH_BOX_ALONE"
