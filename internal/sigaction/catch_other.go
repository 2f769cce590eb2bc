//go:build !amd64 || plain

package sigaction

import "golang.org/x/sys/unix"

// Catcher is for amd64 alone, and not for a plain build.
type Catcher struct{ Fd int }

// Catch reports false: os/signal has to do.
func Catch([]unix.Signal) (c *Catcher, ok bool) { return nil, false }

// Stop does nothing.
func (*Catcher) Stop() {}
