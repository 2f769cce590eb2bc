package lsm

import (
	"errors"
	"os"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/parttest"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/tests/testneed"
)

// TestLabelCrossesNoMount covers the directory with the file of the label: what is
// written there is no label.
func TestLabelCrossesNoMount(t *testing.T) {
	testneed.Root(t)
	for rule, process := range map[string]*specs.Process{
		"AppArmor": {ApparmorProfile: "p"},
		"SELinux":  {SelinuxLabel: "l"},
	} {
		t.Run(rule, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.MkdirAll(dir+"/apparmor", 0o755); err != nil {
				t.Fatal(err)
			}
			files := [...]string{dir + "/exec", dir + "/apparmor/exec"}
			for _, f := range files {
				if err := os.WriteFile(f, nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := labelOver(t, process, dir); !errors.Is(err, unix.EXDEV) {
				t.Errorf("got %v, want %v", err, unix.EXDEV)
			}
			for _, f := range files {
				if text, err := os.ReadFile(f); err != nil || len(text) > 0 {
					t.Errorf("%s has %q (%v)", f, text, err)
				}
			}
		})
	}
}

// labelOver applies the labels of a process that has dir mounted over its attributes.
func labelOver(t *testing.T, process *specs.Process, dir string) error {
	t.Helper()
	b := program.New()
	none := program.Imm(0)
	b.Sys(unix.SYS_MOUNT, b.Str("none"), b.Str("/"), none, program.Imm(unix.MS_REC|unix.MS_PRIVATE), none)
	b.Sys(unix.SYS_MOUNT, b.Str("proc"), b.Str("/proc"), b.Str("proc"), none, none)
	proc := b.Sys(unix.SYS_OPENAT, program.Imm(unix.AT_FDCWD), b.Str("/proc"), program.Imm(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)).Fd()
	b.Sys(unix.SYS_MOUNT, b.Str(dir), b.Str("/proc/self/attr"), none, program.Imm(unix.MS_BIND), none)
	Emit(b, proc, process, Host{AppArmor: true, SELinux: true})
	b.Exit(0)
	_, err := parttest.Spawn(t, b, unix.CLONE_NEWNS|unix.CLONE_NEWPID).Next()
	return err
}
