package libcontainer

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"github.com/hutch-project/hutch/internal/config"
	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/life"
	"github.com/hutch-project/hutch/internal/program"
)

// What errors of the operations may wrap. Their texts are stable.
var (
	// ErrNotExist: there is no container of that id.
	ErrNotExist = life.ErrNotExist
	// ErrExists: there is a container of that id already.
	ErrExists = life.ErrExists
	// ErrRunning: a container is to be started that has been.
	ErrRunning = life.ErrRunning
	// ErrNotRunning: a signal, a pause or events of a container that has ended.
	ErrNotRunning = life.ErrNotRunning
	// ErrStopped: a container is to be started that has ended.
	ErrStopped = life.ErrStopped
	// ErrNotStopped: a container is to be deleted, without force, that has not ended.
	ErrNotStopped = life.ErrNotStopped
	// ErrNotPaused: a container is to be resumed that is not paused.
	ErrNotPaused = life.ErrNotPaused
	// ErrStatusUnknown: a process has ended, and how is not known, since another process is
	// its parent or has waited for it.
	ErrStatusUnknown = errors.New("the process has ended; its exit status is known to the process that waited for it alone")
)

// Error is the error of an operation. The members that are not known are zero.
type Error struct {
	// Op is the operation by its command: create, start, exec, kill, pause, resume, update,
	// events, state, list, ps, delete, wait.
	Op string
	// ID is the container's id.
	ID string
	// Element is what of the configuration the error is about, as mounts[3].source or
	// process.user. A fault of the configuration itself has an Element and no Errno.
	Element string
	// Step is what was done, in words.
	Step string
	// Call is the system call that failed, as openat2.
	Call string
	// Object is the path that the step was about.
	Object string
	// Errno is the kernel's answer.
	Errno syscall.Errno
	// Err is the cause, with all that the text says. It wraps Errno and the Err values.
	Err error
}

// Error returns the text that the command prints.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// wrap makes an *Error of what the runtime returns; a nil error stays nil.
func wrap(op, id string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Op: op, ID: id, Err: err}
	errors.As(err, &e.Errno)
	var (
		failed   *program.Error
		faulty   *fault.Error
		misread  *config.Error
		ofPath   *fs.PathError
		hasCause bool
	)
	if errors.As(err, &failed) {
		e.Element, e.Step, e.Call = failed.Note.Element.String(), failed.Note.Doing.String(), failed.Call
		if step := failed.Note.Step.String(); step != "" {
			e.Step += ": " + step
		}
		e.Object, hasCause = object(&failed.Note), true
	}
	switch {
	case hasCause:
	case errors.As(err, &faulty):
		e.Element, e.Step = faulty.Element, "check config.json"
	case errors.As(err, &misread):
		e.Element, e.Step = misread.Element, "read config.json"
	case errors.As(err, &ofPath):
		e.Step, e.Call, e.Object = ofPath.Op+" "+ofPath.Path, ofPath.Op, ofPath.Path
	}
	return e
}

// object returns the path that a note is about, the most special one.
func object(n *program.Note) string {
	for _, text := range [...]string{n.Step.A, n.Step.B, n.Doing.B, n.Doing.A} {
		if strings.HasPrefix(text, "/") {
			return text
		}
	}
	return ""
}

// cancelled is the error of an operation whose context has ended: it is that of the context,
// and what came of it follows.
type cancelled struct{ because, came error }

func (c *cancelled) Error() string { return c.because.Error() + ": " + c.came.Error() }

func (c *cancelled) Unwrap() []error { return []error{c.because, c.came} }

// because returns err as that of an operation that ctx has ended, where it has.
func because(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	if errors.Is(err, ctx.Err()) {
		return err
	}
	return &cancelled{ctx.Err(), err}
}
