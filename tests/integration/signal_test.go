package integration

import (
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestSignalToTheNumberOfCreated: the same signals end it when an engine sends them itself, as
// runc's init, whatever its pid namespace and its filter are; the program then has the
// default actions.
func TestSignalToTheNumberOfCreated(t *testing.T) {
	t.Parallel()
	deny := func(s *specs.Spec) { // what programs need, and no call of the wait's own
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
			{Names: []string{"rt_sigaction", "ppoll", "signalfd4"}, Action: specs.ActErrno},
		}}
		s.Process.NoNewPrivileges = true
	}
	for name, edits := range map[string][]edit{
		"pid namespace": nil, "none": {withoutNamespace(specs.PIDNamespace)}, "user namespace": {userNamespace}, "filter": {deny},
		"joined": {namespace(specs.PIDNamespace, "/proc/self/ns/pid")},
		"hooks":  {hooks("startContainer", specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", "exit 0"}})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, s := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT} {
				b := newBundle(t, append(slices.Clone(edits), args("sleep", "1000"))...).create()
				if err := unix.Kill(b.pid, unix.SIGUSR1); err != nil {
					t.Fatal(err)
				}
				b.status("created")
				pidfd, err := unix.PidfdOpen(b.pid, 0)
				if err == nil {
					err = unix.PidfdSendSignal(pidfd, s, nil, 0)
					unix.Close(pidfd)
				}
				if err != nil {
					t.Fatal(err)
				}
				if code, want := b.wait(), 128+int(s); code != want && runtimeName == "hutch" {
					t.Errorf("exit code %d, want %d", code, want)
				}
				b.status("stopped").delete()
			}
			b := newBundle(t, append(slices.Clone(edits), args("grep", "^Sig[BIC]", "/proc/self/status"))...).create().start()
			b.wait()
			for _, set := range strings.Fields(b.output()) {
				if !strings.HasPrefix(set, "Sig") && strings.Trim(set, "0") != "" {
					t.Errorf("the program has signals blocked, ignored or caught:\n%s", b.output())
				}
			}
			b.delete()
		})
	}
}
