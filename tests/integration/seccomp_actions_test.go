package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestSeccompActions has the kernel's verdict for each action: what becomes of a
// sethostname, for init and exec'd processes, with and without noNewPrivileges.
// (SCMP_ACT_NOTIFY: TestSeccompNotify.)
func TestSeccompActions(t *testing.T) {
	t.Parallel()
	errno := uint(77) // EBADFD
	for _, c := range []struct {
		action specs.LinuxSeccompAction
		errno  *uint
		want   string // shell's status, and a part of what is said
		text   string
	}{
		{specs.ActErrno, nil, "1", "Operation not permitted"},
		{specs.ActErrno, &errno, "1", "File descriptor in bad state"},
		{specs.ActKill, nil, "159", ""},
		{specs.ActKillThread, nil, "159", ""},
		{specs.ActKillProcess, nil, "159", ""},
		{specs.ActTrap, nil, "159", ""},
		{specs.ActTrace, nil, "1", "Function not implemented"}, // nobody traces
		{specs.ActLog, nil, "1", "Operation not permitted"},    // the kernel's own, for the lack of a capability
		{specs.ActAllow, nil, "1", "Operation not permitted"},
	} {
		for _, nnp := range []bool{false, true} {
			name := string(c.action)
			if c.errno != nil {
				name += " with errnoRet"
			}
			if nnp {
				name += ", no new privileges"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				deflt := specs.ActAllow
				if c.action == specs.ActAllow {
					deflt = specs.ActLog
				}
				profile := func(s *specs.Spec) {
					s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: deflt, Syscalls: []specs.LinuxSyscall{
						{Names: []string{"sethostname"}, Action: c.action, ErrnoRet: c.errno},
					}}
				}
				look := "hostname x 2>&1; echo status $?"
				check := func(res result) {
					t.Helper()
					if res.code != 0 || !strings.HasSuffix(res.stdout, "status "+c.want+"\n") || !strings.Contains(res.stdout, c.text) {
						t.Errorf("%s", res)
					}
				}
				check(newBundle(t, sh(look), profile, noNewPrivileges(nnp)).run())
				check(asleep(t, profile, noNewPrivileges(nnp)).exec(nil, "sh", "-c", look))
			})
		}
	}
}

// TestSeccompConditions compares arguments: chmod with one mode is refused, others
// pass; two rules for one call are alternatives.
func TestSeccompConditions(t *testing.T) {
	t.Parallel()
	is := func(op specs.LinuxSeccompOperator, value, two uint64) []specs.LinuxSeccompArg {
		return []specs.LinuxSeccompArg{{Index: 1, Op: op, Value: value, ValueTwo: two}}
	}
	at := func(args []specs.LinuxSeccompArg) []specs.LinuxSeccompArg {
		out := append([]specs.LinuxSeccompArg{}, args...)
		out[0].Index = 2
		return out
	}
	var rules []specs.LinuxSyscall
	for _, args := range [][]specs.LinuxSeccompArg{is(specs.OpEqualTo, 0o611, 0), is(specs.OpMaskedEqual, 0o4000, 0o4000)} {
		rules = append(rules,
			specs.LinuxSyscall{Names: []string{"chmod"}, Action: specs.ActErrno, Args: args},
			specs.LinuxSyscall{Names: []string{"fchmodat"}, Action: specs.ActErrno, Args: at(args)})
	}
	got := script(t, "cd /tmp; touch f; for m in 600 611 4711 755; do chmod $m f 2>/dev/null; echo $m $?; done", func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: rules}
	})
	if want := "600 0\n611 1\n4711 1\n755 0"; strings.TrimSpace(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestSeccompDockersProfile runs programs under Docker's default profile, init and
// exec, and has refused what it refuses; a call that it cannot know is ENOSYS.
func TestSeccompDockersProfile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "internal", "part", "seccomp", "testdata", "profiles", "docker.json"))
	if err != nil {
		t.Fatal(err)
	}
	profile := func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{}
		if err := json.Unmarshal(text, s.Linux.Seccomp); err != nil {
			t.Fatal(err)
		}
		s.Linux.Seccomp.Architectures = nil // Docker writes those of its machine, and this is amd64's
	}
	look := "ls / >/dev/null && sleep 0 && mkdir /tmp/d && echo works; unshare -m true 2>&1; mount -t tmpfs none /tmp 2>&1; swapoff /x 2>&1; true"
	for _, nnp := range []bool{false, true} {
		for who, got := range map[string]string{
			"init": newBundle(t, sh(look), profile, noNewPrivileges(nnp)).run().ok(t).stdout,
			"exec": asleep(t, profile, noNewPrivileges(nnp)).exec(nil, "sh", "-c", look).ok(t).stdout,
		} {
			if !strings.HasPrefix(got, "works\n") || strings.Count(got, "Operation not permitted")+strings.Count(got, "permission denied") < 2 {
				t.Errorf("%s, noNewPrivileges %v: %q", who, nnp, got)
			}
		}
	}
}

// TestSeccompUnknownNames: a name that no kernel has is passed over, and told in
// the log.
func TestSeccompUnknownNames(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "its text is another")
	b := newBundle(t, args("true"), func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
			{Names: []string{"no_such_call", "mkdir"}, Action: specs.ActErrno},
		}}
	})
	log := b.path("log")
	call{root: b.root, args: []string{"--debug", "--log", log, "run", "--bundle", b.dir, b.id}}.do(t).ok(t)
	if text := readText(t, log); !strings.Contains(text, "level=debug") || !strings.Contains(text, "no_such_call") {
		t.Errorf("the log has %q", text)
	}
}

// TestSeccompDeniesSetUp has profiles that deny what init itself does between its
// filter and its execve: nobody waits for it, it ends, and what is said names the
// profile. Where exit_group is denied it ends all the same.
func TestSeccompDeniesSetUp(t *testing.T) {
	t.Parallel()
	none := uint(0) // "denied" calls that claim to have worked
	for name, profile := range map[string]*specs.LinuxSeccomp{
		"all":                {DefaultAction: specs.ActErrno},
		"write":              {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"write"}, Action: specs.ActErrno}}},
		"write, in silence":  {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"write"}, Action: specs.ActErrno, ErrnoRet: &none}}},
		"write, exit_group":  {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"write", "exit_group"}, Action: specs.ActErrno}}},
		"execve, write":      {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"write", "execve"}, Action: specs.ActErrno}}},
		"read":               {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActErrno}}},
		"read and the group": {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"read", "exit_group"}, Action: specs.ActErrno}}},
	} {
		for _, nnp := range []bool{false, true} {
			t.Run(name+", no new privileges "+strconv.FormatBool(nnp), func(t *testing.T) {
				t.Parallel()
				b := newBundle(t, args("/bin/true"), noNewPrivileges(nnp), func(s *specs.Spec) { s.Linux.Seccomp = profile })
				if res := b.run(); res.code != 1 || !strings.Contains(res.stderr, "linux.seccomp denies read, write, execve or exit_group") {
					t.Errorf("run: %s", res)
				}
			})
		}
	}
}
