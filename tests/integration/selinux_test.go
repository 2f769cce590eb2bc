package integration

import (
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Labels of the policy that tests/vm/guest/selinux-load loads.
const (
	selinuxProcess = "system_u:system_r:container_t:s0:c1,c2"
	selinuxOther   = "system_u:system_r:container_t:s0:c3,c4"
	selinuxMount   = "system_u:object_r:container_file_t:s0:c1,c2"
	selinuxSecret  = "system_u:object_r:secret_t:s0"
)

func selinux(process, mount string) edit {
	return func(s *specs.Spec) { s.Process.SelinuxLabel, s.Linux.MountLabel = process, mount }
}

func selinuxOn() bool {
	_, err := os.Stat("/sys/fs/selinux/enforce")
	return err == nil
}

// TestSELinux: the label holds for init and for exec'd processes, which inherit it;
// exec's own flag changes it; the file systems that are made have the mount label.
func TestSELinux(t *testing.T) {
	needs(t, "selinux", selinuxOn())
	look := "cat /proc/self/attr/current; echo; cat /secret 2>&1; true"
	b := newBundle(t, sh(look+"; sleep 1000"), selinux(selinuxProcess, selinuxMount))
	writeText(t, b.rootfs("secret"), "secret read\n")
	if err := unix.Setxattr(b.rootfs("secret"), "security.selinux", []byte(selinuxSecret), 0); err != nil {
		t.Fatal(err)
	}
	b.create()
	b.start()
	want := func(label string) string {
		return label + "\x00\ncat: can't open '/secret': Permission denied\n"
	}
	eventually(t, "init has looked", func() bool { return strings.Count(b.output(), "\n") == 2 })
	if got := b.output(); got != want(selinuxProcess) {
		t.Errorf("init: %q, want %q", got, want(selinuxProcess))
	}
	if got := b.exec(nil, "sh", "-c", look).ok(t).stdout; got != want(selinuxProcess) {
		t.Errorf("exec: %q, want %q", got, want(selinuxProcess))
	}
	if got := b.exec([]string{"--process-label", selinuxOther}, "sh", "-c", look).ok(t).stdout; got != want(selinuxOther) {
		t.Errorf("exec --process-label: %q, want %q", got, want(selinuxOther))
	}
	for _, dir := range []string{"/dev", "/dev/shm", "/dev/pts"} {
		line := b.exec(nil, "grep", " "+dir+" ", "/proc/self/mounts").ok(t).stdout
		if !strings.Contains(line, `context="`+selinuxMount+`"`) {
			t.Errorf("%s is mounted as %q, want the label %s", dir, line, selinuxMount)
		}
	}
	if res := b.exec([]string{"--process-label", "system_u:system_r:none_t:s0"}, "true"); res.code != 255 || !strings.Contains(res.stderr, "process.selinuxLabel: apply the label system_u:system_r:none_t:s0") {
		t.Errorf("an unknown label: %s", res)
	}
	b.delete("--force")
	b.nothingLeft()
}

// TestSELinuxUnlabelled: without a label the process stays in the runtime's domain,
// for which the file that TestSELinux may not read is an ordinary one.
func TestSELinuxUnlabelled(t *testing.T) {
	needs(t, "selinux", selinuxOn())
	b := newBundle(t, sh("cat /secret"))
	writeText(t, b.rootfs("secret"), "secret read\n")
	if err := unix.Setxattr(b.rootfs("secret"), "security.selinux", []byte(selinuxSecret), 0); err != nil {
		t.Fatal(err)
	}
	if got := b.run().ok(t).stdout; got != "secret read\n" {
		t.Errorf("got %q", got)
	}
}

func TestSELinuxUnknownLabel(t *testing.T) {
	needs(t, "selinux", selinuxOn())
	refused(t, []string{"process.selinuxLabel", "none_t"}, selinux("system_u:system_r:none_t:s0", ""))
	refused(t, []string{"none_t"}, selinux("", "system_u:object_r:none_t:s0"))
}

// TestSELinuxOff: a label is refused where the module is off, not passed over.
func TestSELinuxOff(t *testing.T) {
	if selinuxOn() {
		t.Skip("the machine has SELinux")
	}
	hutchOnly(t, "runc passes over the label")
	refused(t, []string{"process.selinuxLabel", "SELinux: the security module is not enabled on this host"}, selinux(selinuxProcess, ""))
}
