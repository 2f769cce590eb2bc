package trust

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testfuse"
)

// TestOwnerOnFUSE: the server of a user's FUSE says that a directory in it is root's; root's own
// server is believed.
func TestOwnerOnFUSE(t *testing.T) {
	for uid, want := range map[int]Doubt{1718: Foreign, 0: None} {
		mount := testfuse.Mount(t, uid, "dir")
		for _, name := range []string{"", "/dir"} {
			var st unix.Stat_t
			must(t, Lstat(mount+name, &st))
			if got := (Rule{}).Of(&st); got != want || want != None && st.Uid != uint32(uid) {
				t.Errorf("%q of user %d: %d, owner %d, want %d", name, uid, got, st.Uid, want)
			}
		}
		dir, err := unix.Open(mount+"/dir", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		must(t, err)
		err = Above(dir, 0)
		unix.Close(dir)
		if (err == nil) != (want == None) || err != nil && !strings.Contains(err.Error(), "belongs to user 1718") {
			t.Errorf("above a directory of user %d: %v", uid, err)
		}
	}
	var st unix.Stat_t
	if err := Lstat(t.TempDir()+"/none", &st); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestMounter(t *testing.T) {
	const text = `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
40 36 0:45 / /home/a/m rw,nosuid,nodev,relatime shared:7 - fuse.sshfs user_id=0 rw,user_id=1718,group_id=1718,allow_other
41 36 0:46 / /home/a/n rw,nosuid - fuse  rw,user_id=1719,group_id=0
42 36 0:47 / /shared rw - virtiofs shared rw
43 36 0:48 / /odd rw - fuse odd rw
`
	for minor, want := range map[uint32]uint32{45: 1718, 46: 1719, 47: 0, 48: unknown, 49: unknown} {
		if got := mounter(text, unix.Mkdev(0, minor)); got != want {
			t.Errorf("0:%d: %d, want %d", minor, got, want)
		}
	}
}
