package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/list"
)

// exchanging exchanges two entries of the source until the function that it returns is
// called, and counts.
func (c *copying) exchanging(one, two string) (swaps *atomic.Int64, stop func()) {
	swaps = new(atomic.Int64)
	var stopped atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !stopped.Load() {
			if unix.Renameat2(unix.AT_FDCWD, c.in(one), unix.AT_FDCWD, c.in(two), unix.RENAME_EXCHANGE) == nil {
				swaps.Add(1)
			}
		}
	}()
	return swaps, func() {
		stopped.Store(true)
		<-done
	}
}

// TestCopyUpTakesModeAndContentOfOneFile: two files that change their names all the time
// keep what is theirs.
func TestCopyUpTakesModeAndContentOfOneFile(t *testing.T) {
	c := newCopying(t, "")
	must(t, os.WriteFile(c.in("one"), []byte("evil"), 0o644))
	must(t, os.Chown(c.in("one"), 1000, 1000))
	must(t, os.WriteFile(c.in("two"), []byte("secret"), 0o700))
	must(t, unix.Chmod(c.in("two"), 0o4700))
	c.serve()
	swaps, stop := c.exchanging("one", "two")
	defer stop()
	copied := filepath.Join(c.dst, "one")
	for i := 0; i < 1000 || swaps.Load() < 1000; i++ {
		_, err := c.copier.entry("one")
		must(t, err)
		var st unix.Stat_t
		must(t, unix.Stat(copied, &st))
		text, err := os.ReadFile(copied)
		must(t, err)
		must(t, os.Remove(copied))
		if secret := string(text) == "secret"; secret != (st.Uid == 0) || secret != (st.Mode&0o7777 == 0o4700) {
			t.Fatalf("%q belongs to %d with the mode %o", text, st.Uid, st.Mode)
		}
	}
}

// TestCopyUpTakesModeAndContentOfOneDirectory is the same for directories.
func TestCopyUpTakesModeAndContentOfOneDirectory(t *testing.T) {
	c := newCopying(t, "")
	must(t, os.Mkdir(c.in("one"), 0o755))
	must(t, os.Mkdir(c.in("two"), 0o700))
	must(t, os.WriteFile(c.in("two/secret"), nil, 0o644))
	c.serve()
	swaps, stop := c.exchanging("one", "two")
	defer stop()
	copied := filepath.Join(c.dst, "one")
	for i := 0; i < 1000 || swaps.Load() < 1000; i++ {
		_, err := c.copier.entry("one")
		must(t, err)
		must(t, c.copier.dir(nil, "one"))
		info, err := os.Stat(copied)
		must(t, err)
		_, err = os.Stat(filepath.Join(copied, "secret"))
		must(t, os.RemoveAll(copied))
		if secret := err == nil; secret != (info.Mode().Perm() == 0o700) {
			t.Fatalf("the directory, with the secret: %v, has the mode %o", secret, info.Mode().Perm())
		}
	}
}

// TestCopyUpOfADirectoryThatIsAnother: the rest of a directory comes from no other.
func TestCopyUpOfADirectoryThatIsAnother(t *testing.T) {
	c := newCopying(t, "")
	must(t, os.MkdirAll(c.in("d/below"), 0o755))
	must(t, os.MkdirAll(c.in("other"), 0o700))
	c.serve()
	_, err := c.copier.entry("d")
	must(t, err)
	first, err := c.copier.enter("d")
	must(t, err)
	_, err = c.copier.entry("below")
	must(t, err)
	must(t, unix.Renameat2(unix.AT_FDCWD, c.in("d"), unix.AT_FDCWD, c.in("other"), unix.RENAME_EXCHANGE))
	if err := c.copier.dir([]enteredDir{{"d", first.id}}, "below"); !errors.Is(err, errExchanged) {
		t.Errorf("%v, want %v", err, errExchanged)
	}
}

// TestCopyUpSetsNoIDsOfOthers: a program whose owner the copy cannot have is set-user-ID
// of nobody.
func TestCopyUpSetsNoIDsOfOthers(t *testing.T) {
	w := newWorld(t, proc(), tmpfs("/up", "tmpcopyup"))
	must(t, os.Mkdir(w.inRoot("up"), 0o755))
	must(t, os.WriteFile(w.inRoot("up/program"), nil, 0o755))
	must(t, os.Chown(w.inRoot("up/program"), 1000, 1000))
	must(t, unix.Chmod(w.inRoot("up/program"), 0o6755))
	if out := w.ok("stat -c '%a %u' /up/program"); out != "6755 1000\n" {
		t.Errorf("%q", out)
	}
	denied := 0
	w.fault = func(p *program.Program) *program.Fault {
		for _, l := range list.Lines(p, &list.Options{}) {
			if l.Section != "parent" && l.Call == "fchownat" && strings.Contains(fmt.Sprint(l), "copy the content") {
				denied++
				return &program.Fault{PC: l.PC, Errno: unix.EINVAL}
			}
		}
		return nil
	}
	if out := w.ok("stat -c '%a %u' /up/program"); out != "755 0\n" || denied != 1 {
		t.Errorf("without the owner: %q, %d denied", out, denied)
	}
}
