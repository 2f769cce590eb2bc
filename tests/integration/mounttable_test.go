package integration

import (
	"strings"
	"testing"
)

// mountLine is one line of a container's /proc/self/mountinfo.
type mountLine struct {
	root, at, options, fs, source, super string
	tags                                 []string // shared:N, master:N, unbindable
}

// has reports whether the mount has an option, among its own or its file system's.
func (m mountLine) has(option string) bool {
	for _, list := range []string{m.options, m.super} {
		for _, o := range strings.Split(list, ",") {
			if o == option {
				return true
			}
		}
	}
	return false
}

// tag reports whether the mount has a propagation tag that starts with prefix.
func (m mountLine) tag(prefix string) bool {
	for _, t := range m.tags {
		if strings.HasPrefix(t, prefix) {
			return true
		}
	}
	return false
}

// parseMounts reads mountinfo.
//
// Source: proc_pid_mountinfo(5).
func parseMounts(t testing.TB, text string) []mountLine {
	t.Helper()
	var list []mountLine
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		before, after, ok := strings.Cut(line, " - ")
		own, fs := strings.Fields(before), strings.Fields(after)
		if !ok || len(own) < 6 || len(fs) < 2 {
			t.Fatalf("not a line of mountinfo: %q in\n%s", line, text)
		}
		m := mountLine{root: own[3], at: own[4], options: own[5], tags: own[6:], fs: fs[0], source: fs[1]}
		if len(fs) > 2 {
			m.super = fs[2]
		}
		list = append(list, m)
	}
	return list
}

// mountAt is the last mount on a path.
func mountAt(t testing.TB, list []mountLine, at string) mountLine {
	t.Helper()
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].at == at {
			return list[i]
		}
	}
	t.Fatalf("no mount on %s in %+v", at, list)
	return mountLine{}
}

// mountsIn runs a container and returns its mount table.
func mountsIn(t testing.TB, edits ...edit) []mountLine {
	t.Helper()
	return parseMounts(t, command(t, []string{"cat", "/proc/self/mountinfo"}, edits...))
}
