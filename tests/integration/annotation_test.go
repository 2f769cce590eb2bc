package integration

import (
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// annotation sets one annotation.
func annotation(name, value string) edit {
	return func(s *specs.Spec) {
		if s.Annotations == nil {
			s.Annotations = map[string]string{}
		}
		s.Annotations[name] = value
	}
}

// TestSeccompFailsOfUnknownCalls: with the annotation a profile with a name that is no system
// call is refused; without it the name has no effect.
//
// Source: crun(1), "run.oci.seccomp_fail_unknown_syscall".
func TestSeccompFailsOfUnknownCalls(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no such annotation")
	profile := func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{
			DefaultAction: specs.ActAllow,
			Syscalls:      []specs.LinuxSyscall{{Names: []string{"no_such_call"}, Action: specs.ActErrno}},
		}
	}
	newBundle(t, profile).run().ok(t)
	refused(t, []string{"linux.seccomp.syscalls: no system calls: no_such_call; remove them"}, profile, annotation("run.oci.seccomp_fail_unknown_syscall", "1"))
}

// TestPidfdReceiver: the socket of the annotation takes init's pidfd, as that of the flag.
//
// Source: crun(1), "run.oci.pidfd_receiver".
func TestPidfdReceiver(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no such annotation")
	b := newBundle(t, sh("sleep 1000"), annotation("run.oci.pidfd_receiver", "/no/such/socket"))
	b.refuse([]string{"/no/such/socket"})
}

// TestMountContextType: an option that takes no label is refused by name.
//
// Source: crun(1), "run.oci.mount_context_type".
func TestMountContextType(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no such annotation")
	refused(t, []string{"annotations[run.oci.mount_context_type]", "use context, fscontext, defcontext, rootcontext"}, annotation("run.oci.mount_context_type", "xcontext"))
	newBundle(t, annotation("run.oci.mount_context_type", "rootcontext")).run().ok(t)
}

// TestSeccompReceiver: the agent of the annotation is the one of a configuration that names
// none.
//
// Source: crun(1), "run.oci.seccomp.receiver".
func TestSeccompReceiver(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no such annotation")
	b := newBundle(t, notifies("", specs.ActAllow, "mkdir", "mkdirat"), annotation("run.oci.seccomp.receiver", "/no/such/agent"))
	b.spec.Linux.Seccomp.ListenerMetadata = ""
	b.writeSpec()
	if r := b.rt(b.line("create")...); r.code != 1 || !strings.Contains(r.stderr, "/no/such/agent") {
		t.Error(r)
	}
}
