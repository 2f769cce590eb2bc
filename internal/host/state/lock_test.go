package state

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hutch-project/hutch/tests/testwait"
)

func TestLock(t *testing.T) {
	r, d := newContainer(t, "web1") // created locked
	other := load(t, r)
	if !other.Locked() || d.Locked() {
		t.Errorf("locked for the other: %v, want true; for the holder: %v, want false", other.Locked(), d.Locked())
	}
	d.Unlock()
	if err := other.Lock(time.Minute); err != nil {
		t.Fatal(err)
	}
	if !d.Locked() {
		t.Error("not locked for the first after the second has it")
	}
	got := make(chan error)
	go func() { got <- d.Lock(time.Minute) }()
	other.Unlock()
	if err := <-got; err != nil {
		t.Errorf("the lock that was given up: %v", err)
	}
}

// TestLockHasAnEnd: whoever waits for a lock that nobody gives up is told who has it.
func TestLockHasAnEnd(t *testing.T) {
	r, d := newContainer(t, "web1")
	other := load(t, r)
	err := other.Lock(time.Millisecond)
	if want := fmt.Sprintf("for 1ms: by process %d (", os.Getpid()); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %v with %q", err, ErrLocked, want)
	}
	d.Unlock()
	if pid := d.Holder(); pid != 0 {
		t.Errorf("process %d has a lock that nobody has", pid)
	}
}

func TestHolder(t *testing.T) {
	const locks = "1: POSIX  ADVISORY  WRITE 11 00:1b:4523 0 EOF\n2: FLOCK  ADVISORY  WRITE 12 00:1b:14523 0 EOF\n" +
		"3: FLOCK  ADVISORY  READ 13 00:1b:4523 0 EOF\n3: -> FLOCK  ADVISORY  WRITE 14 00:1b:4523 0 EOF\n4: FLOCK\n5: FLOCK  ADVISORY  WRITE -1 00:1b:7 0 EOF\n"
	for inode, want := range map[uint64]int{4523: 13, 14523: 12, 7: 0, 8: 0} {
		if got := holder([]byte(locks), inode); got != want {
			t.Errorf("inode %d: process %d, want %d", inode, got, want)
		}
	}
}

// TestLockOfRemovedContainer: also while its last holder keeps the lock, as one that runs
// the poststop hooks could.
func TestLockOfRemovedContainer(t *testing.T) {
	r, d := newContainer(t, "web1")
	var waiters sync.WaitGroup
	for range 4 {
		other := load(t, r)
		waiters.Go(func() {
			if err := other.Lock(time.Minute); !errors.Is(err, ErrNotExist) {
				t.Errorf("got %v, want %v", err, ErrNotExist)
			}
		})
	}
	if err := remove(d); err != nil {
		t.Error(err)
	}
	again, err := r.Create("web1") // the path is there again, the directory is another
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	waiters.Wait() // d has it still
	d.Unlock()     // now nobody has it
	if err := d.Lock(time.Minute); !errors.Is(err, ErrNotExist) {
		t.Errorf("got %v, want %v", err, ErrNotExist)
	}
	if d.Current() || !d.Replaced() || again.Replaced() {
		t.Error("the new directory is taken for the old one")
	}
}

// TestOneIsToldThatItRemoved: of many who remove the same container.
func TestOneIsToldThatItRemoved(t *testing.T) {
	r, d := newContainer(t, "web1")
	dirs := []*Dir{d, load(t, r), load(t, r), load(t, r)}
	if err := d.Save(sample()); err != nil {
		t.Fatal(err)
	}
	told := make(chan bool, len(dirs))
	var all sync.WaitGroup
	for _, d := range dirs {
		all.Go(func() {
			removed, err := d.Remove()
			if err != nil {
				t.Error(err)
			}
			told <- removed
		})
	}
	all.Wait()
	close(told)
	n := 0
	for removed := range told {
		if removed {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d were told that they removed it, want 1", n)
	}
}

func TestSetCreated(t *testing.T) {
	r, d := newContainer(t, "web1")
	rec := sample()
	rec.Status = "creating"
	if err := d.Save(rec); err != nil {
		t.Fatal(err)
	}
	other := load(t, r)
	status := func(d *Dir) string {
		t.Helper()
		rec, err := d.Record()
		if err != nil {
			t.Fatal(err)
		}
		return rec.Status
	}
	if got := status(other); got != "creating" {
		t.Errorf("before: %s", got)
	}
	if err := d.SetCreated(); err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]*Dir{"the writer": d, "one that has it open": other, "one that comes": load(t, r)} {
		if got := status(d); got != "created" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if err := remove(d); err != nil {
		t.Fatal(err)
	}
	if err := d.SetCreated(); err != errDeleted {
		t.Errorf("after remove: got %v, want %v", err, errDeleted)
	}
	if err := d.Save(rec); err != errDeleted {
		t.Errorf("save after remove: got %v, want %v", err, errDeleted)
	}
}

// TestTake: what the holder of the lock writes is either taken, or fails.
func TestTake(t *testing.T) {
	r, d := newContainer(t, "web1") // the holder
	if err := d.CreateFifos(); err != nil {
		t.Fatal(err)
	}
	rec := sample()
	rec.Pid = 0
	save := func(pid int) error { rec.Pid = pid; return d.Save(rec) }
	if err := save(0); err != nil {
		t.Fatal(err)
	}
	taker := load(t, r)
	take := func(want int) {
		t.Helper()
		got, err := taker.Take()
		if err != nil || got.Pid != want {
			t.Fatalf("took the record with process %d, %v, want %d", got.Pid, err, want)
		}
	}
	take(0)
	if seen, err := load(t, r).Record(); err != nil || seen.ID != rec.ID {
		t.Errorf("others see %+v, %v, in between", seen, err)
	}
	if err := save(4711); err != nil { // the holder does not know yet
		t.Fatal(err)
	}
	if removed, err := taker.RemoveTaken(); removed || !errors.Is(err, ErrChanged) {
		t.Fatalf("removed %v, %v, want %v: process 4711 would be missed", removed, err, ErrChanged)
	}
	take(4711)
	if removed, err := taker.RemoveTaken(); !removed || err != nil {
		t.Fatalf("removed %v, %v", removed, err)
	}
	if err := save(4712); err != errDeleted {
		t.Errorf("save of the holder: got %v, want %v", err, errDeleted)
	}
	if removed, err := d.Remove(); removed || err != nil {
		t.Errorf("remove of the holder: %v, %v", removed, err)
	}
	if ids, err := r.List(); len(ids) != 0 || err != nil {
		t.Errorf("left: %v, %v", ids, err)
	}
}

// TestTakeThatWasKilled: the next delete finds the record all the same, and leaves
// nothing.
func TestTakeThatWasKilled(t *testing.T) {
	r, d := newContainer(t, "web1")
	if err := d.Save(sample()); err != nil {
		t.Fatal(err)
	}
	d.Close()
	if _, err := load(t, r).Take(); err != nil {
		t.Fatal(err)
	}
	next := load(t, r)
	if rec, err := next.Record(); err != nil || rec.Pid != sample().Pid {
		t.Errorf("the record: %+v, %v", rec, err)
	}
	if err := remove(next); err != nil {
		t.Error(err)
	}
}

// TestCreateBesideDelete has creates and deletes of one id at once: a directory that is made again
// between the mkdir of a create and its lock has two creates that take it for theirs. Whoever
// has saved a record has the container, until a delete finds that record.
func TestCreateBesideDelete(t *testing.T) {
	r := newRoot(t)
	const creates, deletes, enough = 4, 2, 150
	var (
		saved   atomic.Int64
		removed sync.Map // pid of a record -> true
		twice   atomic.Int64
		all     sync.WaitGroup
		done    atomic.Bool
	)
	for range deletes {
		all.Go(func() {
			for !done.Load() {
				d, err := r.Load("web1")
				if err != nil {
					continue
				}
				if err := d.Lock(testwait.Bound()); err == nil {
					if rec, err := d.Record(); err != nil {
						t.Error(err)
					} else if ok, err := d.Remove(); err != nil {
						t.Error(err)
					} else if ok && rec.Pid != 0 {
						if _, again := removed.LoadOrStore(rec.Pid, true); again {
							twice.Add(1)
						}
					}
				}
				d.Close()
			}
		})
	}
	var makers sync.WaitGroup
	for range creates {
		makers.Go(func() {
			for saved.Load() < enough && !t.Failed() {
				d, err := r.Create("web1")
				if errors.Is(err, ErrExists) {
					continue
				}
				if err != nil {
					t.Error(err)
					continue
				}
				rec := sample()
				rec.Pid = int(saved.Add(1))
				if err := d.Save(rec); errors.Is(err, ErrExists) {
					removed.Store(rec.Pid, true)
				} else if err != nil {
					t.Error(err)
				}
				d.Close()
			}
		})
	}
	makers.Wait()
	done.Store(true)
	all.Wait()
	left := 0
	if d, err := r.Load("web1"); err == nil {
		if rec, err := d.Record(); err == nil && rec.Pid != 0 {
			left = 1
		}
		d.Close()
	}
	lost := -left
	for pid := range int(saved.Load()) {
		if _, ok := removed.Load(pid + 1); !ok {
			lost++
		}
	}
	if lost != 0 || twice.Load() != 0 {
		t.Errorf("of %d records %d are lost without a delete, and %d were deleted twice", saved.Load(), lost, twice.Load())
	}
}
