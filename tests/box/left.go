package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hutch-project/hutch/tests/descent"
)

// leftovers watches what tests make, so that what is there at their end can be
// traced to the tests that ran when it was first seen.
type leftovers struct {
	plan   *plan
	places []string        // where files are looked for
	before map[string]bool // what was there before the tests
	mutex  sync.Mutex
	seen   map[string]*sight
}

func watchLeftovers(p *plan) *leftovers {
	l := &leftovers{plan: p, before: map[string]bool{}, seen: map[string]*sight{}}
	switch {
	case !p.Root:
		l.places = []string{filepath.Join(p.Dir, "tmp"), filepath.Join(p.Dir, "run")}
	default:
		l.places = []string{"/tmp", "/run"}
		if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
			l.places = append(l.places, dir)
		}
	}
	for _, thing := range l.all() {
		l.before[thing.key] = true
	}
	return l
}

// left is something that tests have left.
type left struct {
	What  string
	Tests []string // that ran when it was first seen
}

// look returns what is there and was not before the tests. What it sees for the
// first time is remembered for the tests that are running, and for those that have
// begun before the next look: they may have run during this one.
func (l *leftovers) look(running []string) []left {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	var found []left
	now := map[string]*sight{}
	for _, thing := range l.all() {
		if l.before[thing.key] {
			continue
		}
		s := l.seen[thing.key]
		if s == nil {
			s = &sight{}
		}
		if s.looks++; s.looks <= 2 {
			for _, name := range running {
				if !slices.Contains(s.tests, name) {
					s.tests = append(s.tests, name)
				}
			}
		}
		now[thing.key] = s
		found = append(found, left{thing.what, s.tests})
	}
	l.seen = now
	return found
}

// sight says when something was first seen.
type sight struct {
	looks int
	tests []string
}

// thing is something that tests can leave. Its description may change: a process
// executes programs.
type thing struct{ key, what string }

// same is a thing that is as it is described.
func same(what string) thing { return thing{what, what} }

func (l *leftovers) all() []thing {
	return slices.Concat(l.processes(), l.mounts(), l.cgroups(), l.files())
}

// processWord begins the description of a process.
const processWord = "process "

func (l *leftovers) processes() []thing {
	var found []thing
	for _, pid := range descent.Descendants() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		// After the name, which may have anything in it: state, …, start time.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if err != nil || len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
			continue
		}
		words, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		name := strings.TrimSpace(string(bytes.ReplaceAll(words, []byte{0}, []byte{' '})))
		if len(name) > 200 {
			name = name[:200] + "…"
		}
		found = append(found, thing{fmt.Sprintf("%d %s", pid, fields[19]), fmt.Sprintf(processWord+"%d: %s", pid, name)})
	}
	return found
}

// mounts lists those of this mount namespace: of tests without one of their own.
// Those of network namespaces are among them.
func (l *leftovers) mounts() []thing {
	if !l.plan.Root {
		return nil
	}
	table, _ := os.ReadFile("/proc/self/mountinfo")
	var found []thing
	for line := range strings.Lines(string(table)) {
		if m, ok := parseMount(line); ok {
			found = append(found, same(fmt.Sprintf("mount %s of %s %s on %s", m.id, m.fs, m.source, m.at)))
		}
	}
	return found
}

func (l *leftovers) cgroups() []thing {
	var found []thing
	for _, g := range l.plan.Groups {
		for _, dir := range subtree(g.Mount) {
			if dir != g.Mount && !(g.V2 && dir == filepath.Join(g.Mount, leaf)) {
				found = append(found, same("cgroup "+dir))
			}
		}
	}
	return found
}

func (l *leftovers) files() []thing {
	var found []thing
	for _, dir := range l.places {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			found = append(found, same("file "+filepath.Join(dir, e.Name())))
		}
	}
	// What `ip netns` makes, where /run/netns was there before.
	entries, _ := os.ReadDir("/run/netns")
	for _, e := range entries {
		if l.plan.Root {
			found = append(found, same("network namespace "+e.Name()))
		}
	}
	return found
}
