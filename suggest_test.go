package main

import (
	"strings"
	"testing"
)

// TestMisspelt: what is misspelt is told with what may be meant.
func TestMisspelt(t *testing.T) {
	for line, want := range map[string]string{
		"rum":               `"rum" is no command; did you mean run?`,
		"creat -b x id":     `"creat" is no command; did you mean create?`,
		"satrt id":          `"satrt" is no command; did you mean start?`,
		"docker":            `"docker" is no command: there are create, start, `,
		"run --bundel x id": "flag provided but not defined: -bundel; did you mean --bundle?",
		"list --fromat x":   "did you mean --format?",
		"list --rot x":      "did you mean --root?",
		"run --zzzzzzzz id": "flag provided but not defined: -zzzzzzzz",
	} {
		err := app().Run(append([]string{"hutch"}, strings.Fields(line)...))
		if err == nil || !strings.HasPrefix(err.Error(), want) && !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
		if line == "run --zzzzzzzz id" && strings.Contains(err.Error(), "mean") {
			t.Errorf("%s: %v", line, err)
		}
	}
}
