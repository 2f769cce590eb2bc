package integration

import (
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// callersMounts takes the mount namespace away, and what needs one.
func callersMounts(s *specs.Spec) {
	l := s.Linux
	l.Namespaces = slices.DeleteFunc(l.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.MountNamespace })
	l.MaskedPaths, l.ReadonlyPaths = nil, nil
}

func TestCallersMountNamespaceIsAsBeforeInTheEnd(t *testing.T) {
	hutchOnly(t, "runc leaves the mounts")
	b := newBundle(t, sh("pwd; ls /; sleep 1000"), callersMounts).create().start()
	if got := b.waitOutput("tmp"); !strings.HasPrefix(got, "/\nbin\ndev\n") {
		t.Errorf("the root is %q", got)
	}
	if got := mountsWith("/" + b.id + "/"); len(got) < 3 {
		t.Errorf("mounts of the container: %q", got)
	}
	b.kill("KILL")
	b.wait()
	b.delete()
	if got := mountsWith("/" + b.id + "/"); len(got) > 0 {
		t.Errorf("left: %q", got)
	}
}

func TestCallersMountNamespaceIsAsBeforeAfterAFailure(t *testing.T) {
	b := newBundle(t, callersMounts, func(s *specs.Spec) { s.Process.Args = []string{"/bin/none"} })
	b.refuse([]string{"/bin/none"}) // and look for what is left
}
