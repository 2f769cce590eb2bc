package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/tests/testfuse"
	"github.com/hutch-project/hutch/tests/testneed"
)

// TestForeignIsNotTrusted: the root, a container's directory and its record must be
// root's or the caller's, and nobody else's to write.
func TestForeignIsNotTrusted(t *testing.T) {
	const somebody = 1718
	for name, c := range map[string]struct {
		file  string // below the root
		mode  os.FileMode
		uid   int
		want  string // in the error; empty is none
		needs int    // the user id that the test needs; -1 is any
	}{
		"root of another":            {"", 0o700, somebody, "belongs to user 1718", 0},
		"root that all may write":    {"", 0o777, -1, "mode 0777", -1},
		"root that a group may":      {"", 0o770, -1, "mode 0770", -1},
		"root that all may read":     {"", 0o755, -1, "", -1},
		"root as engines make it":    {"", 0o711, -1, "", -1},
		"root as /tmp is":            {"", 0o777 | os.ModeSticky, -1, "", -1},
		"sticky root of another":     {"", 0o777 | os.ModeSticky, somebody, "belongs to user 1718", 0},
		"directory of another":       {"web1", 0o711, somebody, "belongs to user 1718", 0},
		"directory that all write":   {"web1", 0o777, -1, "mode 0777", -1},
		"directory that group write": {"web1", 0o730, -1, "mode 0730", -1},
		"record of another":          {"web1/state.json", 0o600, somebody, "belongs to user 1718", 0},
		"record that all may write":  {"web1/state.json", 0o666, -1, "mode 0666", -1},
		"sticky record":              {"web1/state.json", 0o622 | os.ModeSticky, -1, "mode 1622", -1},
		"record that all may read":   {"web1/state.json", 0o644, -1, "", -1},
	} {
		t.Run(name, func(t *testing.T) {
			if c.needs >= 0 && os.Geteuid() != c.needs {
				t.Skip("needs root")
			}
			r, d := newContainer(t, "web1")
			if err := d.Save(sample()); err != nil {
				t.Fatal(err)
			}
			d.Close()
			file := filepath.Join(r.path, c.file)
			if err := os.Chown(file, c.uid, -1); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(file, c.mode); err != nil {
				t.Fatal(err)
			}
			err := look(r.path)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file) {
				t.Errorf("got %v, want %v with %q of %s", err, ErrForeign, c.want, file)
			}
			if c.file == "" { // nothing is made there either
				if root, err := Open(r.path); err == nil {
					t.Errorf("opened: %+v", root)
				}
			}
		})
	}
}

// look does what every command does with a container.
func look(root string) error {
	r, err := Open(root)
	if err != nil {
		return err
	}
	defer r.Close()
	d, err := r.Load("web1")
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = d.Record()
	return err
}

// TestForeignAfterALook: what others get hold of is not trusted by who has it open.
func TestForeignAfterALook(t *testing.T) {
	r, d := newContainer(t, "web1")
	if err := d.Save(sample()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Record(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(r.path, "web1"), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Record(); !errors.Is(err, ErrForeign) {
		t.Errorf("got %v, want %v", err, ErrForeign)
	}
}

// TestPlaceOfTheRoot: a root that somebody else can put there is not trusted, whoever it
// belongs to: neither below a directory of theirs, nor behind a link of theirs. Nothing is
// made there either.
func TestPlaceOfTheRoot(t *testing.T) {
	testneed.Root(t)
	const somebody = 1718
	dir := t.TempDir()
	for _, name := range []string{"theirs/root", "image/root"} {
		if err := os.MkdirAll(filepath.Join(dir, name, "web1"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(dir+"/image", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"theirs", "link"} {
		if err := os.Lchown(filepath.Join(dir, name), somebody, somebody); err != nil {
			t.Fatal(err)
		}
	}
	if err := look(dir + "/image/root"); errors.Is(err, ErrForeign) {
		t.Error("one of root's:", err)
	}
	for _, path := range []string{"theirs/root", "link/root"} {
		if err := look(filepath.Join(dir, path)); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, path := range []string{"theirs/new", "link/new"} {
		r, err := Open(filepath.Join(dir, path))
		if err == nil {
			_, err = r.Create("web1")
		}
		if !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := os.Stat(dir + "/image/new"); !errors.Is(err, os.ErrNotExist) {
		t.Error("made where a link of another user's leads")
	}
}

// TestRootOnFUSE: what a user has mounted says that its directories are root's.
func TestRootOnFUSE(t *testing.T) {
	for uid, foreign := range map[int]bool{1718: true, 0: false} {
		mount := testfuse.Mount(t, uid, "root", "web1")
		for _, path := range []string{mount, mount + "/root"} {
			if err := look(path); errors.Is(err, ErrForeign) != foreign {
				t.Errorf("%s of user %d: %v", path, uid, err)
			}
		}
	}
}
