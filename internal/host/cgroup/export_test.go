package cgroup

import (
	"slices"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/internal/cgroupfs"
)

// What the tests of limits and of counters, which are in a package of their own since
// limit and stats import this one, share with those here.
var (
	ForEach = forEach
	Roots   = roots
	Planned = planned
	Born    = born
	Started = started
	Unique  = unique
	Needs   = needs
	Has     = has
)

// needs skips the test where the hierarchy lacks a controller.
func needs(t *testing.T, l *Layout, controllers ...string) {
	t.Helper()
	for _, c := range controllers {
		if !has(t, l, c) {
			t.Skipf("needs the controller %s on cgroup %s", c, l.Mode)
		}
	}
}

func has(t *testing.T, l *Layout, controller string) bool {
	t.Helper()
	for i := range l.hierarchies {
		h := &l.hierarchies[i]
		if l.Mode != V2 && hasController(h.name, controller) {
			return true
		}
		if l.Mode == V2 {
			text, err := cgroupfs.ReadLine(h.fd, "cgroup.controllers")
			if err != nil {
				t.Fatal(err)
			}
			return slices.Contains(strings.Fields(text), controller)
		}
	}
	return false
}
