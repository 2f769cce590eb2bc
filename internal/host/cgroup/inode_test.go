package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSuccessorIsLeftAlone: a container that has ended has no cgroup any more when another
// one is in its place: nothing that the first does lists, freezes, kills or removes it.
func TestSuccessorIsLeftAlone(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		path := unique()
		first, err := l.Plan(path, "unused")
		if err != nil {
			t.Fatal(err)
		}
		if err := first.Create(); err != nil {
			t.Fatal(err)
		}
		for _, dir := range first.Paths() { // as containers leave them that have used them
			if err := os.Mkdir(dir+"/below", 0o755); err != nil {
				t.Fatal(err)
			}
		}
		loaded, err := Load(first.Paths(), first.Inodes())
		if err != nil {
			t.Fatal(err)
		}
		p, m := planned(t, l, path)
		cmd := born(t, p, "echo ready; exec sleep 1000")
		for _, old := range []Manager{loaded, first.Manager()} {
			if old.Exists() || len(old.Own()) != 0 || old.Frozen() {
				t.Error("another container's cgroups count as those of the one before")
			}
			if pids, err := old.Pids(); len(pids) != 0 || !errors.Is(err, ErrTaken) {
				t.Errorf("Pids: %v, %v, want %v", pids, err, ErrTaken)
			}
			if err := old.Freeze(); !errors.Is(err, ErrTaken) {
				t.Errorf("Freeze: got %v, want %v", err, ErrTaken)
			}
			err := errors.Join(old.SignalAll(unix.SIGKILL), old.KillAll(), old.Thaw(), old.Remove())
			if err != nil {
				t.Error(err)
			}
		}
		if err := first.Undo(); err != nil {
			t.Error(err)
		}
		pids, err := m.Pids()
		if err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
			t.Errorf("in the cgroups are %v, %v, want %d", pids, err, cmd.Process.Pid)
		}
		if err := cmd.Process.Signal(unix.Signal(0)); err != nil || !p.Manager().Exists() {
			t.Errorf("the container that has the cgroups now is ended: %v", err)
		}
	})
}

// TestCreateTakesNoForeignDirectory: a user to whom a cgroup is handed makes the directory
// of root's container beforehand, to have its files. It is made anew; with something in it
// that stays it is refused.
func TestCreateTakesNoForeignDirectory(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		path := unique()
		p, err := l.Plan(path, "unused")
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range p.Paths() {
			if err := errors.Join(os.Mkdir(dir, 0o755), chownTree(dir, 1000)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range p.dirs {
			if err := p.dirs[i].usable(); err == nil || !strings.Contains(err.Error(), "belongs to user 1000") {
				t.Errorf("%s: got %v", p.dirs[i].Abs, err)
			}
		}
		_, m := planned(t, l, path)
		for _, dir := range m.Paths() {
			var st unix.Stat_t
			if err := unix.Stat(dir, &st); err != nil || st.Uid != 0 {
				t.Errorf("%s belongs to %d: %v", dir, st.Uid, err)
			}
			if err := unix.Stat(dir+"/cgroup.procs", &st); err != nil || st.Uid != 0 {
				t.Errorf("cgroup.procs of %s belongs to %d: %v", dir, st.Uid, err)
			}
		}
	})
}

// TestEntryOfAnotherDirectory: a process is not born in what somebody, who may write the
// directory above, has put into the place of the one that was made.
func TestEntryOfAnotherDirectory(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		p, _ := planned(t, l, unique())
		dir, ok := p.Paths()[""]
		if !ok {
			t.Skip("needs cgroup v2")
		}
		if err := errors.Join(os.Remove(dir), os.Mkdir(dir, 0o755)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(dir) })
		e, err := p.Entry(true)
		if err == nil {
			e.Close()
		}
		if !errors.Is(err, ErrTaken) {
			t.Errorf("got %v, want %v", err, ErrTaken)
		}
	})
}

func chownTree(dir string, uid int) error {
	return filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, uid, uid))
	})
}
