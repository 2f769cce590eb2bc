package cgroup

import "golang.org/x/sys/unix"

// none is the Manager of a container without cgroups.
type none struct{}

func (none) Paths() Paths         { return nil }
func (none) Own() Paths           { return nil }
func (none) Exists() bool         { return false }
func (none) Pids() ([]int, error) { return nil, nil }
func (none) KillAll() error       { return nil }

func (none) SignalAll(unix.Signal) error { return nil }
func (none) Freeze() error               { return ErrCannotFreeze }
func (none) Frozen() bool                { return false }
func (none) Thaw() error                 { return nil }
func (none) Stuck() bool                 { return false }
func (none) Remove() error               { return nil }
