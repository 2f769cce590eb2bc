package main

import (
	"os"
	"strings"
	"testing"
)

// TestCheck finds what is wrong on one architecture alone: in a package, in its tests,
// in tests from outside.
func TestCheck(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module some\n\ngo 1.26\n")
	good := map[string]string{
		"some.go":      "package some\n\nimport \"errors\"\n\nfunc Some() int { _ = errors.New; return 1 }\n",
		"some_test.go": "package some\n\nvar _ = Some()\n",
		"out_test.go":  "package some_test\n\nimport \"some\"\n\nvar _ = some.Some()\n",
	}
	for name, text := range good {
		write(name, text)
	}
	for _, arch := range []string{"arm", "s390x"} {
		if err := check(arch, ""); err != nil {
			t.Errorf("%s: %v", arch, err)
		}
	}
	for name, text := range good {
		write(name, text+"\nfunc large() int { return 1 << 40 }\n")
		if err := check("arm", ""); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if err := check("s390x", ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		write(name, text)
	}
}
