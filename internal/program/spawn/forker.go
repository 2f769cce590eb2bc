package spawn

import "github.com/hutch-project/hutch/internal/plain"

// Forker is a thread that makes one child and ends. What a thread has and its
// child inherits can be made on it early, while the caller does other work: a
// network namespace takes the kernel longer than all other namespaces together.
//
// Where there is assembly for it (thread_*.s) it is a thread of the kernel's, unknown
// to Go's scheduler, and the child has nothing of the caller's memory but the program;
// elsewhere, and with the build tag plain, it is a goroutine's.
type Forker struct{ forker }

// NewForker starts the thread, which makes the namespaces of the CLONE_NEW flags
// unshareEarly; what it cannot make is left to clone3. The caller gives the Forker to
// Spawn and closes it.
//
// A user namespace, which would own the others, and a pid namespace, which a
// thread does not enter itself, cannot be made early.
//
// Source: unshare(2); clone(2).
func NewForker(unshareEarly uint64) *Forker {
	f := &Forker{}
	if plain.Build {
		unshareEarly = 0
	}
	f.start(unshareEarly)
	return f
}

// Close waits for the end of the thread. A nil Forker, and one that is closed,
// may be closed too.
func (f *Forker) Close() {
	if f != nil {
		f.end()
	}
}
