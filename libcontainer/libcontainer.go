// Package libcontainer creates a container from an OCI bundle, starts, watches, signals
// and deletes it.
//
// The commands in the project's top folder are thin callers of this package; a Go
// program that embeds the runtime calls it in the same way. It needs no re-execution of
// the caller's binary and no cgo. Do not use it to prepare images or networks: a bundle
// must be complete.
//
// Source: runtime-spec runtime.md and config.md.
package libcontainer

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/host/selfexe"
	"github.com/hutch-project/hutch/internal/life"
)

// Runtime is what all containers of one state directory share.
type Runtime = life.Runtime

// CgroupManager is a cgroup driver: who makes a container's cgroups.
type CgroupManager = life.CgroupManager

const (
	Cgroupfs = life.Cgroupfs // Hutch, in the cgroup file systems
	Systemd  = life.Systemd  // systemd, as a transient scope unit
	Disabled = life.Disabled // nobody: the container stays in the caller's cgroups, without limits
)

// CreateOptions are the options of Runtime.Create and Runtime.Run.
type CreateOptions = life.CreateOptions

// StartOptions are the options of Runtime.Start.
type StartOptions = life.StartOptions

// ExecOptions are the options of Runtime.Exec.
type ExecOptions = life.ExecOptions

// Signal is a signal's number.
type Signal = life.Signal

// State is the state of a container.
type State = life.State

// Status is the status of a container.
type Status = life.Status

// Merge puts what with names in the place of what r has.
func Merge(r, with *specs.LinuxResources) { life.Merge(r, with) }

// Protect makes the file of this program unreachable for containers; a program calls it
// first of all, as it may execute this program again, from a copy.
func Protect(args, env []string) error { return selfexe.Protect(args, env) }
