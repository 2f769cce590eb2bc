package user

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/parttest"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/tests/testneed"
)

// TestChangeOfIDsStaysClosed: where a change of ids opens a process to others, which
// fs.suid_dumpable decides, it is closed again. It changes that for the whole machine,
// so it runs only where HUTCH_MUST has suid_dumpable: in the VM.
func TestChangeOfIDsStaysClosed(t *testing.T) {
	testneed.OpenDumps(t)
	b := program.New()
	b = b.Element(program.T("test"))
	Groups(b, &specs.Process{User: specs.User{UID: 7, GID: 7}})
	IDs(b, &specs.Process{User: specs.User{UID: 7, GID: 7}})
	open := b.Reg()
	b.Sys(unix.SYS_PRCTL, program.Imm(unix.PR_GET_DUMPABLE), program.Imm(0)).To(open)
	b.Tell(1, open)
	c := parttest.Spawn(t, b, 0)
	if got, err := c.Expect(1); got != 0 || err != nil {
		t.Errorf("dumpable: %d, %v", got, err)
	}
}
