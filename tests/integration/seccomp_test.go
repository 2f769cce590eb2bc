package integration

import (
	"os"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// denies has a profile that allows all but mkdir and mkdirat, which give EIO, and
// sethostname, which kills.
func denies(s *specs.Spec) {
	eio := uint(5)
	s.Linux.Seccomp = &specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow,
		Syscalls: []specs.LinuxSyscall{
			{Names: []string{"mkdir", "mkdirat"}, Action: specs.ActErrno, ErrnoRet: &eio},
			{Names: []string{"sethostname"}, Action: specs.ActKillProcess},
		},
	}
}

func noNewPrivileges(v bool) edit { return func(s *specs.Spec) { s.Process.NoNewPrivileges = v } }

func TestSeccompInitAndExec(t *testing.T) {
	t.Parallel()
	for name, nnp := range map[string]bool{"with privileges": false, "without new privileges": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			look := "sed -n 's/^Seccomp:.//p' /proc/self/status; mkdir /tmp/d 2>&1; hostname x; echo $?"
			check := func(res result) {
				t.Helper()
				if res.code != 0 || !strings.HasPrefix(res.stdout, "2\n") || !strings.Contains(res.stdout, "Input/output error") || !strings.HasSuffix(res.stdout, "159\n") {
					t.Errorf("%s", res)
				}
			}
			check(newBundle(t, sh(look), denies, noNewPrivileges(nnp)).run())
			check(newBundle(t, sh(look), denies, noNewPrivileges(nnp), asUser(1000)).run())
			check(asleep(t, denies, noNewPrivileges(nnp)).exec(nil, "sh", "-c", look))
		})
	}
}

func TestSeccompRefuses(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "the texts are others")
	refused(t, []string{"linux.seccomp"}, func(s *specs.Spec) {
		s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_NONE"}
	})
}

// TestLimitsAreApplied looks at the limits from outside, then changes them.
func TestLimitsAreApplied(t *testing.T) {
	t.Parallel()
	pids, memory := int64(20), int64(64<<20)
	b := asleep(t, func(s *specs.Spec) {
		s.Linux.Resources = &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &pids}, Memory: &specs.LinuxMemory{Limit: &memory}}
	})
	has := func(want string) bool {
		for _, dir := range cgroupsNamed(b.id) {
			if text, err := os.ReadFile(dir + "/pids.max"); err == nil && strings.TrimSpace(string(text)) == want {
				return true
			}
		}
		return false
	}
	if !has("20") {
		t.Error("pids.max is not 20")
	}
	b.rt("update", b.id).ok(t) // nothing to do
	b.rt("update", "--pids-limit", "30", b.id).ok(t)
	if !has("30") {
		t.Error("pids.max is not 30")
	}
	b.rt("pause", b.id).ok(t)
	b.status("paused")
	if res := b.exec(nil, "true"); res.code != 255 || !strings.Contains(res.stderr, "paused") {
		t.Errorf("%s", res)
	}
	b.rt("resume", b.id).ok(t)
	b.rt("resume", b.id).failed(t, "container not paused")
	if res := b.rt("events", "--stats", b.id); res.code != 0 || !strings.HasPrefix(res.stdout, `{"type":"stats","id":"`+b.id+`","data":{`) {
		t.Errorf("%s", res)
	}
}
