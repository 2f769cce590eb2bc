package life

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/features"
	"github.com/hutch-project/hutch/internal/part/seccomp"
	"github.com/hutch-project/hutch/internal/part/user"
)

// rawFilter has the profile be nothing but the path of the agent's socket, where the annotation
// has a filter in its place. l may be nil where there is no listener either.
//
// Source: crun(1), "run.oci.seccomp_bpf_data".
func rawFilter(l *specs.Linux, annotations map[string]string) error {
	text, ok := annotations[seccomp.RawAnnotation]
	if !ok {
		return nil
	}
	if text == "" {
		_, err := seccomp.Raw(text, false)
		return err
	}
	if l != nil {
		l.Seccomp = &specs.LinuxSeccomp{}
	}
	return nil
}

// listenerPath sets the path of the seccomp agent's socket by the annotation, where
// config.json names none.
//
// Source: crun(1), "run.oci.seccomp.receiver".
func listenerPath(l *specs.Linux, annotations map[string]string) error {
	path := annotations[seccomp.ReceiverAnnotation]
	if path == "" || l == nil || l.Seccomp == nil || l.Seccomp.ListenerPath != "" {
		return nil
	}
	if !filepath.IsAbs(path) {
		return fmt.Errorf("config.json: annotations[%s]: %q is no absolute path; give one", seccomp.ReceiverAnnotation, path)
	}
	l.Seccomp.ListenerPath = path
	return nil
}

// pidfdReceiver returns the path of the socket that takes init's pidfd, the caller's or that
// of the annotation, and what errors call it.
//
// Source: crun(1), "run.oci.pidfd_receiver".
func (m *maker) pidfdReceiver() (path, name string) {
	if m.PidfdSocket != "" {
		return m.PidfdSocket, "--pidfd-socket"
	}
	return m.bundle.spec.Annotations[features.PidfdReceiver], "annotations[" + features.PidfdReceiver + "]"
}

// refuseUnknownCalls refuses a profile with names of system calls that are none, where the
// annotation asks for that.
//
// Source: crun(1), "run.oci.seccomp_fail_unknown_syscall".
func (p *Plan) refuseUnknownCalls() error {
	if len(p.out.UnknownCalls) == 0 || !isSet(p.bundle.spec.Annotations, seccomp.FailUnknownAnnotation) {
		return nil
	}
	return errors.New("config.json: linux.seccomp.syscalls: no system calls: " + strings.Join(p.out.UnknownCalls, ", ") +
		"; remove them, or annotations[" + seccomp.FailUnknownAnnotation + "]")
}

// annotated returns what the annotations say of the container's processes.
func annotated(annotations map[string]string) compile.Annotated {
	return compile.Annotated{RawFilter: annotations[seccomp.RawAnnotation], KeepGroups: keepsGroups(annotations)}
}

// keepsGroups reports whether the container's processes have the groups of the caller.
func keepsGroups(annotations map[string]string) bool {
	return isSet(annotations, user.KeepGroups)
}

// isSet reports whether an annotation that is a switch is on: it is there, and not "0".
//
// Source: crun 1.8.1, run with each.
func isSet(annotations map[string]string, name string) bool {
	value, ok := annotations[name]
	return ok && value != "0"
}
