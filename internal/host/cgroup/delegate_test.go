package cgroup

import (
	"strings"
	"testing"
)

// TestDelegatedNames: a path from the container's cgroup, which does not leave that.
func TestDelegatedNames(t *testing.T) {
	for text, want := range map[string]string{"": "", "init": "init", "/init": "init", "a//b/.": "a/b"} {
		if got, err := Delegated(map[string]string{DelegateAnnotation: text}); err != nil || got != want {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"/", ".", "..", "a/../..", "a\nb", "a\x00", strings.Repeat("x", 256)} {
		got, err := Delegated(map[string]string{DelegateAnnotation: text})
		if err == nil || !strings.Contains(err.Error(), "annotations["+DelegateAnnotation+"]: ") {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
}

// TestWithinUnit: a unit is known by a whole name.
func TestWithinUnit(t *testing.T) {
	for dir, want := range map[string]string{
		Root + "/system.slice/a.scope": "", Root + "/system.slice/a.scope/sub": "sub",
		Root + "/system.slice/xa.scope/sub": "", Root + "/a.scope/b/c": "b/c", "": "",
	} {
		if got := (Paths{"": dir}).Within("a.scope"); got != want {
			t.Errorf("%s: got %q, want %q", dir, got, want)
		}
	}
}
