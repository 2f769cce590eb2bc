package lsm

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/list"
)

const resolve = "RESOLVE_BENEATH|RESOLVE_NO_MAGICLINKS|RESOLVE_NO_XDEV"

// emit returns the program for the labels of p.
func emit(p *specs.Process, h Host) (string, error) {
	b := program.New()
	proc := b.Sys(unix.SYS_FSMOUNT, program.Imm(0), program.Imm(0), program.Imm(0)).Fd()
	Emit(b, proc, p, h)
	made, err := b.Program()
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	err = list.WriteText(&text, list.Lines(made, nil))
	return text.String(), err
}

// TestLabelsAreWrittenThroughTheGivenProcfs: each file is opened from the descriptor
// alone, across no mount and no magic link, and the label goes there.
func TestLabelsAreWrittenThroughTheGivenProcfs(t *testing.T) {
	got, err := emit(&specs.Process{ApparmorProfile: "jail", SelinuxLabel: "u:r:t:s0"}, Host{AppArmor: true, SELinux: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`openat2($1, "self/attr/apparmor/exec", {O_WRONLY|O_CLOEXEC, ` + resolve + `}, 24) -> $2`,
		`write($2, "exec jail", 9)`,
		`openat2($1, "self/attr/exec", {O_WRONLY|O_CLOEXEC, ` + resolve + `}, 24) -> $3`,
		`write($3, "u:r:t:s0", 8)`,
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("want once %s in\n%s", want, got)
		}
	}
	for _, line := range strings.Split(got, "\n") {
		if strings.Contains(line, "open") && !strings.Contains(line, "openat2($1, \"self/attr/") || strings.Contains(line, "ignored") || strings.Contains(line, "; on ") {
			t.Errorf("another way in, or an error that is gone over: %s", line)
		}
	}
}

// TestLabelWithoutModule: a label that cannot be applied is an error, not left out.
func TestLabelWithoutModule(t *testing.T) {
	for _, c := range []struct {
		p specs.Process
		h Host
	}{
		{specs.Process{ApparmorProfile: "jail"}, Host{SELinux: true}},
		{specs.Process{SelinuxLabel: "u:r:t:s0"}, Host{AppArmor: true}},
	} {
		if text, err := emit(&c.p, c.h); !errors.Is(err, ErrOff) {
			t.Errorf("%+v on %+v: got %v\n%s", c.p, c.h, err, text)
		}
	}
	if text, err := emit(&specs.Process{}, Host{}); err != nil || strings.Contains(text, "attr") {
		t.Errorf("without labels: %v\n%s", err, text)
	}
}
