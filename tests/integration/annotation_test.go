package integration

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
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
	newBundle(t, profile, annotation("run.oci.seccomp_fail_unknown_syscall", "0")).run().ok(t)
	refused(t, []string{"linux.seccomp.syscalls: no system calls: no_such_call; remove them"}, profile, annotation("run.oci.seccomp_fail_unknown_syscall", "1"))
}

// TestPidfdReceiver: the socket of the annotation takes init's pidfd, as that of the flag.
//
// Source: crun(1), "run.oci.pidfd_receiver".
func TestPidfdReceiver(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no such annotation")
	b := newBundle(t, sh("sleep 1000"), annotation("run.oci.pidfd_receiver", "/no/such/socket"))
	b.refuse([]string{"annotations[run.oci.pidfd_receiver]: ", "/no/such/socket"})
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

// rawFilter returns a filter for run.oci.seccomp_bpf_data that fails the call nr with EXDEV.
func rawFilter(nr uint32) string {
	var b []byte
	for _, i := range []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: nr},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EXDEV)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	} {
		b = binary.NativeEndian.AppendUint16(b, i.Code)
		b = append(b, i.Jt, i.Jf)
		b = binary.NativeEndian.AppendUint32(b, i.K)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// TestSeccompRawFilter: the filter of the annotation is in force in the place of
// linux.seccomp, for init and for each further process.
//
// Source: crun(1), "run.oci.seccomp_bpf_data".
func TestSeccompRawFilter(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc has no such annotation")
	profile := func(s *specs.Spec) { // which would leave no process alive
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActKill}
	}
	for name, edits := range map[string][]edit{
		"root":            {profile, noNewPrivileges(true)},
		"without a limit": {profile, noNewPrivileges(false)},
		"user namespace":  {profile, userNamespace},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const script = "grep Seccomp: /proc/self/status; uname"
			b := newBundle(t, append(edits, sh(script), annotation("run.oci.seccomp_bpf_data", rawFilter(unix.SYS_UNAME)))...)
			b.rt("plan", "--verify", "--bundle", b.dir).ok(t)
			if r := b.run(); !strings.Contains(r.stdout, "Seccomp:\t2\n") || strings.Contains(r.stdout, "Linux") || r.code != 0 {
				t.Error(r)
			}
			args("sleep", "1000")(b.spec)
			b.id = uniqueID()
			b.writeSpec()
			b.create().start()
			if r := b.rt("exec", b.id, "/bin/sh", "-c", script); !strings.Contains(r.stdout, "Seccomp:\t2\n") || strings.Contains(r.stdout, "Linux") || r.code != 0 {
				t.Errorf("exec: %s", r)
			}
		})
	}
	refused(t, []string{"annotations[run.oci.seccomp_bpf_data]: instruction 0 is the last, and returns nothing"},
		annotation("run.oci.seccomp_bpf_data", base64.StdEncoding.EncodeToString(make([]byte, 8))))
	for value, what := range map[string]string{"%": "is no base64", "": "0 bytes are no filter"} {
		b := newBundle(t, annotation("run.oci.seccomp_bpf_data", value))
		b.refuse([]string{"create " + b.id + ": config.json: annotations[run.oci.seccomp_bpf_data]: " + what})
	}
}
