package user

import (
	"math"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/tests/testneed"
)

func TestIDsChangeAllOfThem(t *testing.T) {
	testneed.Root(t)
	for _, c := range []struct {
		name             string
		user             specs.User
		uid, gid, groups string
	}{
		{"ids above 16 bits", specs.User{UID: 65536 + 7, GID: 4000000000, AdditionalGids: []uint32{65536, 5}}, "65543", "4000000000", "5 65536"},
		{"no groups", specs.User{UID: 1, GID: 2}, "1", "2", ""},
		{"root", specs.User{AdditionalGids: []uint32{0}}, "0", "0", "0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := status(t, 0, func(b *program.Builder) {
				b.Sys(unix.SYS_SETGROUPS, program.Imm(1), b.Bytes([]byte{9, 0, 0, 0}).Arg()) // the caller's, to be dropped
				Groups(b, &specs.Process{User: c.user})
				IDs(b, &specs.Process{User: c.user})
			})
			four := func(s string) string { return strings.Join([]string{s, s, s, s}, " ") }
			if got["Uid"] != four(c.uid) || got["Gid"] != four(c.gid) || got["Groups"] != c.groups {
				t.Errorf("uid %q, gid %q, groups %q", got["Uid"], got["Gid"], got["Groups"])
			}
		})
	}
}

func TestIDsStayUndumpable(t *testing.T) {
	testneed.Root(t)
	r := program.Reg(0)
	b := program.New()
	Groups(b, &specs.Process{User: specs.User{UID: 5, GID: 5}})
	IDs(b, &specs.Process{User: specs.User{UID: 5, GID: 5}})
	r = b.Reg()
	b.Sys(unix.SYS_PRCTL, program.Imm(unix.PR_GET_DUMPABLE)).To(r)
	b.Tell(1, r)
	if got := tell(t, b, 0); got != 0 {
		t.Errorf("dumpable is %d", got)
	}
}

func TestIDsInAUserNamespace(t *testing.T) {
	// No mappings are written, so that setgroups is refused. Without groups to
	// set this is let pass, and the id that is not mapped is told.
	user := specs.User{UID: 7, GID: 8}
	emit := func(b *program.Builder) { Groups(b, &specs.Process{User: user}); IDs(b, &specs.Process{User: user}) }
	_, err := run(t, unix.CLONE_NEWUSER, []string{busybox, "true"}, emit, nil)
	if want := "process.user.gid: change to group 8: setresgid: invalid argument"; err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
	user.AdditionalGids = []uint32{1, 2}
	_, err = run(t, unix.CLONE_NEWUSER, []string{busybox, "true"}, emit, nil)
	if want := "process.user.additionalGids: set 2 groups: setgroups: operation not permitted"; err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

func TestIDsRefuseNoChange(t *testing.T) {
	for _, c := range []struct {
		user specs.User
		want string
	}{
		{specs.User{UID: math.MaxUint32}, "process.user.uid: "},
		{specs.User{GID: math.MaxUint32}, "process.user.gid: "},
		{specs.User{AdditionalGids: []uint32{math.MaxUint32}}, "process.user.additionalGids: "},
	} {
		b := program.New()
		Groups(b, &specs.Process{User: c.user})
		IDs(b, &specs.Process{User: c.user})
		if _, err := b.Program(); err == nil || !strings.HasPrefix(err.Error(), c.want) || !strings.Contains(err.Error(), check.ErrID.Error()) {
			t.Errorf("%v; want %s", err, c.want)
		}
	}
}

func TestUmaskOnlyWhenSet(t *testing.T) {
	for _, c := range []struct {
		set  *uint32
		want string
	}{{nil, "0037"}, {new(uint32), "0000"}, {new(uint32(0o27)), "0027"}} {
		got := status(t, 0, func(b *program.Builder) {
			b.Sys(unix.SYS_UMASK, program.Imm(0o37))
			Umask(b, &specs.Process{User: specs.User{Umask: c.set}})
		})["Umask"]
		if got != c.want {
			t.Errorf("umask is %s, want %s", got, c.want)
		}
	}
}
