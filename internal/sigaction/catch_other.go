//go:build !amd64

package sigaction

import "golang.org/x/sys/unix"

// Catcher is for amd64 alone.
type Catcher struct{ Fd int }

// Catch is for amd64 alone: ok is false.
func Catch([]unix.Signal) (c *Catcher, ok bool) { return nil, false }

// Stop does nothing.
func (*Catcher) Stop() {}
