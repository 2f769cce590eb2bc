package libcontainer_test

import (
	"runtime"
	"strings"
)

// stacks returns the goroutines that run code of this module beside the tests' own.
func stacks() string {
	text := make([]byte, 1<<20)
	text = text[:runtime.Stack(text, true)]
	var out []string
	for _, s := range strings.Split(string(text), "\n\n") {
		if strings.Contains(s, "hutch/libcontainer.") || strings.Contains(s, "hutch/internal/") {
			out = append(out, s)
		}
	}
	return strings.Join(out, "\n\n")
}

func count(stacks string) int { return strings.Count(stacks, "goroutine ") }
