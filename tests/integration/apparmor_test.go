package integration

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// needsAppArmor loads two profiles, which are removed at the end.
func needsAppArmor(t *testing.T) {
	t.Helper()
	_, err := os.Stat("/sys/kernel/security/apparmor/profiles")
	needs(t, "apparmor", err == nil)
	const rules = ` flags=(attach_disconnected,mediate_deleted) {
  file, capability, network, mount, umount, pivot_root, ptrace, signal, unix, dbus,
`
	text := "profile hutchtest-a" + rules + "  deny /secret r,\n}\nprofile hutchtest-b" + rules + "  deny /other r,\n}\n"
	parser := func(action string) {
		cmd := exec.Command("apparmor_parser", action, "--skip-cache")
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("apparmor_parser %s: %v\n%s", action, err, out)
		}
	}
	parser("--replace")
	t.Cleanup(func() { parser("--remove") })
}

func appArmor(profile string) edit {
	return func(s *specs.Spec) { s.Process.ApparmorProfile = profile }
}

// TestAppArmor: the profile holds for init, for exec'd processes, which inherit it,
// and exec's own flag changes it.
func TestAppArmor(t *testing.T) {
	needsAppArmor(t)
	look := "cat /proc/self/attr/current; cat /secret 2>&1; cat /other 2>&1; true"
	b := newBundle(t, sh(look+"; sleep 1000"), appArmor("hutchtest-a"))
	writeText(t, b.rootfs("secret"), "secret read\n")
	writeText(t, b.rootfs("other"), "other read\n")
	b.writeSpec()
	b.create()
	b.start()
	want := "hutchtest-a (enforce)\ncat: can't open '/secret': Permission denied\nother read\n"
	eventually(t, "init has looked", func() bool { return strings.Count(b.output(), "\n") == 3 })
	if got := b.output(); got != want {
		t.Errorf("init: %q, want %q", got, want)
	}
	if got := b.exec(nil, "sh", "-c", look).ok(t).stdout; got != want {
		t.Errorf("exec: %q, want %q", got, want)
	}
	want = "hutchtest-b (enforce)\nsecret read\ncat: can't open '/other': Permission denied\n"
	if got := b.exec([]string{"--apparmor", "hutchtest-b"}, "sh", "-c", look).ok(t).stdout; got != want {
		t.Errorf("exec --apparmor: %q, want %q", got, want)
	}
	if res := b.exec([]string{"--apparmor", "hutchtest-none"}, "true"); res.code != 255 || !strings.Contains(res.stderr, "process.apparmorProfile: apply the profile hutchtest-none") {
		t.Errorf("an unknown profile: %s", res)
	}
	b.delete("--force")
	b.nothingLeft()
}

func TestAppArmorUnknownProfile(t *testing.T) {
	needsAppArmor(t)
	refused(t, []string{"process.apparmorProfile", "hutchtest-none"}, appArmor("hutchtest-none"))
}
