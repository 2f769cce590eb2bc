package life

import (
	"fmt"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/capability"
)

// warnOfUnknown warns of capabilities that no kernel has: the container goes without them.
func (r *Runtime) warnOfUnknown(s *specs.Spec) {
	if p := s.Process; p != nil {
		for _, n := range capability.Unknown(p.Capabilities) {
			r.warn(fmt.Sprintf("process.capabilities: %q is no capability of Linux, ignoring", n))
		}
	}
}

// hostSysctl refuses net.* when the network namespace is joined by a path that
// leads to the runtime's own: the host's values would be changed.
func hostSysctl(s *specs.Spec) error {
	if s.Linux == nil {
		return nil
	}
	for key := range s.Linux.Sysctl {
		if !strings.HasPrefix(key, "net.") && !strings.HasPrefix(key, "net/") {
			continue
		}
		for _, n := range s.Linux.Namespaces {
			if n.Type == specs.NetworkNamespace && n.Path != "" && sameFile(n.Path, "/proc/self/ns/net") {
				return fmt.Errorf("config.json: linux.sysctl[%q]: the network namespace %s is the host's; give the container one of its own", key, n.Path)
			}
		}
	}
	return nil
}

func sameFile(a, b string) bool {
	var s, t unix.Stat_t
	return unix.Stat(a, &s) == nil && unix.Stat(b, &t) == nil && s.Dev == t.Dev && s.Ino == t.Ino
}
