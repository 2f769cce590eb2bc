package state

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newRoot(t testing.TB) *Root {
	t.Helper()
	r, err := Open(filepath.Join(t.TempDir(), "a", "root"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func newContainer(t testing.TB, id string) (*Root, *Dir) {
	t.Helper()
	r := newRoot(t)
	d, err := r.Create(id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return r, d
}

func remove(d *Dir) error {
	_, err := d.Remove()
	return err
}

func load(t testing.TB, r *Root) *Dir {
	t.Helper()
	d, err := r.Load("web1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func TestMissingRootHoldsNothing(t *testing.T) {
	r := newRoot(t)
	if ids, err := r.List(); ids != nil || err != nil {
		t.Errorf("List: %v, %v", ids, err)
	}
	if _, err := r.Load("web1"); !errors.Is(err, ErrNotExist) {
		t.Errorf("Load: %v, want %v", err, ErrNotExist)
	}
	if _, err := os.Stat(r.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s was made by reading: %v", r.path, err)
	}
}

func TestCreateLoadRemove(t *testing.T) {
	r, d := newContainer(t, "web1")
	for path, want := range map[string]os.FileMode{r.path: 0o700, filepath.Join(r.path, "web1"): 0o711} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v, want %v", path, st.Mode().Perm(), err, want)
		}
	}
	if _, err := r.Create("web1"); err != ErrExists {
		t.Errorf("second create: %v, want %v", err, ErrExists)
	}
	if err := d.CreateFifos(); err != nil {
		t.Fatal(err)
	}
	if err := d.Save(sample()); err != nil {
		t.Fatal(err)
	}
	other, err := r.Load("web1")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for range 2 {
		if err := remove(d); err != nil {
			t.Errorf("remove: %v", err)
		}
	}
	if entries, err := os.ReadDir(r.path); len(entries) != 0 || err != nil {
		t.Errorf("left: %v, %v", entries, err)
	}
	if _, err := r.Load("web1"); !errors.Is(err, ErrNotExist) {
		t.Errorf("load after remove: %v", err)
	}
	// A container of the same id that comes later is not the other's to remove.
	again, err := r.Create("web1")
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := remove(other); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(r.path, "web1")); err != nil {
		t.Errorf("the new container is gone: %v", err)
	}
}

func TestRemoveLeavesForeignFiles(t *testing.T) {
	r, d := newContainer(t, "web1")
	foreign := filepath.Join(r.path, "web1", "notes")
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Remove(); err == nil || !strings.Contains(err.Error(), "remove that by hand") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Error(err)
	}
}

func TestHalfMadeContainerLoads(t *testing.T) {
	for name, left := range map[string]func(dir string) error{
		"nothing":              func(string) error { return nil },
		"an uncommitted state": func(dir string) error { return os.WriteFile(dir+"/state.json.new", []byte(`{"ver`), 0o600) },
		"an empty state":       func(dir string) error { return os.WriteFile(dir+"/state.json", nil, 0o600) },
		"one fifo":             func(dir string) error { return unix.Mkfifo(dir+"/exec.fifo", 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			r, d := newContainer(t, "web1")
			d.Close() // as if killed
			if err := left(filepath.Join(r.path, "web1")); err != nil {
				t.Fatal(err)
			}
			d, err := r.Load("web1")
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			rec, err := d.Record()
			if err != nil {
				t.Fatal(err)
			}
			if rec.ID != "web1" || rec.Status != "creating" || rec.Pid != 0 || time.Since(rec.Created).Abs() > time.Hour {
				t.Errorf("got %+v", rec)
			}
			if err := remove(d); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestListIsSortedAndSkipsWhatIsNoContainer(t *testing.T) {
	r := newRoot(t)
	for _, id := range []string{"b", "a", "c.d_e+f-1"} {
		d, err := r.Create(id)
		if err != nil {
			t.Fatal(err)
		}
		d.Close()
	}
	for _, err := range []error{
		os.WriteFile(filepath.Join(r.path, "file"), nil, 0o600),
		os.Symlink("a", filepath.Join(r.path, "link")),
		os.Mkdir(filepath.Join(r.path, ".hidden"), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second one reads from the start again
		ids, err := r.List()
		if want := []string{"a", "b", "c.d_e+f-1"}; err != nil || !reflect.DeepEqual(ids, want) {
			t.Errorf("got %q, %v, want %q", ids, err, want)
		}
	}
}

func TestHostileNamesReachNothing(t *testing.T) {
	r, d := newContainer(t, "web1")
	d.Close()
	canary := filepath.Join(filepath.Dir(r.path), "canary")
	if err := os.Mkdir(canary, 0o700); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"up": "../canary", "abs": canary, "self": "web1", "magic": "/proc/self/cwd"} {
		if err := os.Symlink(target, filepath.Join(r.path, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"", ".", "..", "../canary", "up", "abs", "self", "magic", canary, "web1/", "web1/..", "a\x00b", strings.Repeat("x", 300)} {
		if d, err := r.Load(id); !errors.Is(err, ErrNotExist) {
			t.Errorf("load %.20q: %v, %v, want %v", id, d, err, ErrNotExist)
		}
		if d, err := r.Create(id); err == nil {
			t.Errorf("create %.20q: made %s", id, d.path)
		}
	}
	if entries, err := os.ReadDir(canary); len(entries) != 0 || err != nil {
		t.Errorf("canary: %v, %v", entries, err)
	}
	// Links in a container's directory are not followed either.
	d, err := r.Load("web1")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	secret := filepath.Join(canary, "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"state.json", "state.json.new", "exec.fifo", "result.fifo"} {
		if err := os.Symlink(secret, filepath.Join(r.path, "web1", name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Record(); !errors.Is(err, unix.ELOOP) {
		t.Errorf("read through a link: %v", err)
	}
	if err := d.Save(sample()); !errors.Is(err, unix.ELOOP) {
		t.Errorf("write through a link: %v", err)
	}
	if err := d.Go(); !errors.Is(err, unix.ELOOP) {
		t.Errorf("go through a link: %v", err)
	}
	if p, err := os.ReadFile(secret); string(p) != "x" || err != nil {
		t.Errorf("the secret is now %q, %v", p, err)
	}
}

// Creates and deletes of one id race: each create either has the container or
// learns that it exists, or gives up, which on one processor happens; the end is an empty root.
func TestCreateRacesWithRemove(t *testing.T) {
	r := newRoot(t)
	if err := r.make(); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 200 {
				d, err := r.Create("web1")
				if err == nil {
					if err := d.Save(sample()); err != nil && !errors.Is(err, ErrExists) {
						t.Errorf("save: %v", err)
					}
					d.Close()
				} else if !errors.Is(err, ErrExists) && !strings.HasSuffix(err.Error(), "another command removes it again and again") {
					t.Errorf("create: %v", err)
				}
				if d, err = r.Load("web1"); err == nil {
					if d.Lock(time.Minute) == nil {
						if err := remove(d); err != nil {
							t.Errorf("remove: %v", err)
						}
					}
					d.Close()
				}
			}
		})
	}
	all.Wait()
	if ids, err := r.List(); len(ids) != 0 || err != nil {
		t.Errorf("left: %v, %v", ids, err)
	}
}
