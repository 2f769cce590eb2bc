package integration

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestErrorsAreNoTerminalControl: names of the image's files stand in errors, which a
// terminal shows and logs keep: they control nothing there, and begin no line.
func TestErrorsAreNoTerminalControl(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "it is about Hutch's own messages")
	const odd = "a\x1b]0;owned\a\nhutch: warning: all is well"
	for name, c := range map[string]struct {
		mount specs.Mount
		make  func(root string) error
	}{
		"copy": {
			specs.Mount{Destination: "/up", Type: "tmpfs", Source: "tmpfs", Options: []string{"tmpcopyup", "size=4k"}},
			func(root string) error {
				if err := os.Mkdir(root+"/up", 0o755); err != nil {
					return err
				}
				return os.WriteFile(root+"/up/"+odd, make([]byte, 64<<10), 0o644)
			},
		},
		"link": {
			specs.Mount{Destination: "/link/y", Type: "tmpfs", Source: "tmpfs"},
			func(root string) error { return os.Symlink("/new/"+odd+"/"+strings.Repeat("x", 300), root+"/link") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, func(s *specs.Spec) { s.Mounts = append(s.Mounts, c.mount) })
			if err := c.make(b.dir + "/rootfs"); err != nil {
				t.Fatal(err)
			}
			log := b.path("log.json")
			res := call{root: b.root, global: []string{"--log", log, "--log-format", "json"}, args: b.line("run")}.do(t)
			if res.code == 0 || !strings.Contains(res.stderr, "owned") || strings.ContainsAny(res.stderr, "\x1b\a") {
				t.Errorf("%s", res)
			}
			if lines := strings.Count(res.stderr, "hutch:") - strings.Count(res.stderr, "\\nhutch:"); lines != 1 || strings.Contains(res.stderr, "\nhutch: w") {
				t.Errorf("%d lines look like the runtime's: %q", lines, res.stderr)
			}
			if !json.Valid([]byte(readText(t, log))) {
				t.Errorf("the log: %q", readText(t, log))
			}
		})
	}
	// What stands in a message as it is, in no quotes of its own.
	root := t.TempDir() + "/a\x1b]0;owned\a"
	if err := os.WriteFile(root, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if res := (call{root: root, args: []string{"state", "x"}}).do(t); !strings.Contains(res.stderr, `a\x1b]0;owned\a: not a directory`) {
		t.Errorf("%s", res)
	}
}
