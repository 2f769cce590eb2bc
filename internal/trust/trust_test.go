package trust

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testneed"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOf(t *testing.T) {
	self, other := uint32(os.Geteuid()), uint32(4321)
	const dir, file = unix.S_IFDIR, unix.S_IFREG
	for name, c := range map[string]struct {
		rule     Rule
		uid, gid uint32
		mode     uint32
		want     Doubt
	}{
		"the caller's":               {Rule{}, self, other, file | 0o644, None},
		"root's":                     {Rule{}, 0, other, file | 0o644, None},
		"another's":                  {Rule{}, other, 0, file | 0o644, Foreign},
		"an owner's":                 {Rule{Owners: []int{4321}}, other, other, file | 0o644, None},
		"everybody's":                {Rule{}, 0, 0, file | 0o646, Writable},
		"a group's":                  {Rule{}, 0, 0, file | 0o664, Writable},
		"a known group's":            {Rule{Groups: []int{0}}, 0, 0, file | 0o664, None},
		"an unknown group's":         {Rule{Groups: []int{0}}, 0, other, file | 0o664, Writable},
		"sticky":                     {Rule{Sticky: true}, 0, 0, dir | 0o1777, None},
		"sticky, another's":          {Rule{Sticky: true}, other, 0, dir | 0o1777, Foreign},
		"sticky, by a strict rule":   {Rule{}, 0, 0, dir | 0o1777, Writable},
		"sticky, but no directory":   {Rule{Sticky: true}, 0, 0, file | 0o1666, Writable},
		"of nobody who is known":     {Rule{}, overflow, overflow, file | 0o644, Foreign},
		"owner's, but everybody's":   {Rule{Owners: []int{4321}}, other, 0, file | 0o666, Writable},
		"known group's, everybody's": {Rule{Groups: []int{0}}, 0, 0, file | 0o666, Writable},
	} {
		if got := c.rule.Of(&unix.Stat_t{Uid: c.uid, Gid: c.gid, Mode: c.mode}); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// TestAbove: who may rename a directory above another may put something else into its place.
func TestAbove(t *testing.T) {
	testneed.Root(t, "directories of others")
	for name, c := range map[string]struct {
		uid, gid int
		mode     os.FileMode
		fine     bool
	}{
		"the caller's":            {0, 0, 0o755, true},
		"its group's too":         {0, 0, 0o775, true},
		"as /tmp is":              {0, 0, 0o777 | os.ModeSticky, true},
		"another's":               {1000, 1000, 0o755, false},
		"another's with a sticky": {1000, 1000, 0o777 | os.ModeSticky, false},
		"everybody's":             {0, 0, 0o777, false},
		"another group's":         {0, 1000, 0o775, false},
	} {
		above := t.TempDir() + "/above"
		must(t, os.MkdirAll(above+"/between/dir", 0o755))
		must(t, os.Chown(above, c.uid, c.gid))
		must(t, os.Chmod(above, c.mode))
		dir, err := unix.Open(above+"/between/dir", unix.O_PATH|unix.O_CLOEXEC, 0)
		must(t, err)
		err = Above(dir, 0)
		unix.Close(dir)
		if c.fine != (err == nil) || err != nil && !strings.Contains(err.Error(), above) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
