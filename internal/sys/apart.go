package sys

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Apart calls work on a thread that ends with it, and whose namespaces, keyring and filters it may
// change. The first thread stands for the process in /proc, and stays as it is: while one goroutine
// has it, the next one is on another.
func Apart(work func() error) (err error) {
	done := make(chan struct{})
	var run func()
	run = func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			defer close(done) // also when work ends the goroutine
			err = work()      // the thread is not unlocked, and ends with the goroutine
			return
		}
		next := make(chan struct{})
		go func() { defer close(next); run() }()
		<-next
		runtime.UnlockOSThread()
	}
	go run()
	<-done
	return err
}
