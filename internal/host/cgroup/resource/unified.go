package resource

import (
	"slices"
	"strings"
)

// files emits linux.resources.unified, after all else, so that it has the last
// word: each line of a value is one write, as files of several keys take one key
// a write. The files that take processes are refused: they would move foreign
// processes into the container's cgroup.
//
// Source: runtime-spec config-linux.md "Unified": "Configuration unknown to the
// runtime MUST still be written to the relevant file."
func (b *builder) files(values map[string]string) {
	for _, name := range sorted(values) {
		field := "unified[" + name + "]"
		controller, _, dot := strings.Cut(name, ".")
		switch {
		case !b.unified:
			b.failf("%s.%s: this host has cgroup %s; unified is for cgroup v2", resources, field, b.mode)
			return
		case !dot || controller == "" || strings.ContainsAny(name, "/\x00"):
			b.failf("%s.unified: %q: give the name of a file as CONTROLLER.PARAMETER, with no slash", resources, name)
			return
		case name == "cgroup.procs" || name == "cgroup.threads":
			b.failf("%s.%s: takes processes, which is no resource; leave it out", resources, field)
			return
		}
		for line := range strings.Lines(values[name]) {
			if line = strings.TrimSuffix(line, "\n"); line != "" {
				b.add(field, controller, name, line)
			}
		}
	}
}

// sorted returns the keys of m in a fixed order.
func sorted[V any](m map[string]V) []string {
	if len(m) == 0 {
		return nil
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
