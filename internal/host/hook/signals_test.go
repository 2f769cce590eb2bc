package hook

import (
	"os"
	"os/signal"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/sigaction"
)

// TestHookHasDefaultSignals: what the runtime ignores, as under nohup, is not ignored in
// a hook, and is ignored in the runtime afterwards.
func TestHookHasDefaultSignals(t *testing.T) {
	ignored := []unix.Signal{unix.SIGHUP, unix.SIGTERM, unix.SIGTTOU, 34}
	signal.Ignore(unix.SIGHUP, unix.SIGTERM, unix.SIGTTOU)
	sigaction.SetIgnored(34, true)
	defer func() {
		c := make(chan os.Signal, 1) // Reset leaves ignored what Go has a handler for
		signal.Notify(c, unix.SIGHUP, unix.SIGTERM, unix.SIGTTOU)
		signal.Stop(c)
		sigaction.SetIgnored(34, false)
	}()
	path, dir := script(t, "grep -E '^SigIgn' /proc/self/status >$D/seen")
	h := []specs.Hook{{Path: path, Env: []string{"PATH=/bin:/usr/bin"}}}
	for range 2 {
		if err := Run(h, "poststart", nil, Options{Ignored: ignored}); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(content(t, dir, "seen")); got != "SigIgn:\t0000000000000000" {
			t.Errorf("the hook has %q", got)
		}
		for _, s := range ignored {
			if !sigaction.Ignored(s) || s < 32 && !signal.Ignored(s) {
				t.Errorf("signal %d is not ignored any more", int(s))
			}
		}
	}
	if err := Run(h, "poststart", nil, Options{}); err != nil {
		t.Fatal(err)
	}
	if got := content(t, dir, "seen"); strings.HasSuffix(got, "\t0000000000000000\n") {
		t.Errorf("the test proves nothing: a hook inherits %q", got)
	}
}
