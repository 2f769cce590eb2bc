package sys

import (
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTheFirstThreadStays: what is done on a thread of its own is never done on that which stands
// for the process in /proc.
func TestTheFirstThreadStays(t *testing.T) {
	const many = 16 // at a time, so that none of Go's threads is idle
	var ready, done sync.WaitGroup
	ready.Add(many)
	for range many {
		done.Go(func() {
			_ = Apart(func() error {
				if unix.Gettid() == unix.Getpid() {
					t.Error("it is on the first thread")
				}
				ready.Done()
				ready.Wait()
				return nil
			})
		})
	}
	done.Wait()
}
