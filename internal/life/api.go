// Package life is the container and its life: it creates a container
// from an OCI bundle, starts, watches, signals and deletes it.
//
// The commands in the project's top folder are thin callers of this package;
// a Go program that embeds the runtime calls it in the same way. It needs no
// re-execution of the caller's binary and no cgo. Do not use it to prepare
// images or networks: a bundle must be complete.
//
// Source: runtime-spec runtime.md and config.md.
package life

import (
	"time"

	"golang.org/x/sys/unix"
)

// Runtime is what all containers of one state directory share.
type Runtime struct {
	// Root is the directory that holds one sub-directory of state a container.
	Root string
	// CgroupManager is the cgroup driver of new containers.
	CgroupManager CgroupManager
	// SessionBus and RuntimeDir are the variables DBUS_SESSION_BUS_ADDRESS and
	// XDG_RUNTIME_DIR, by which a user without privilege finds systemd.
	SessionBus, RuntimeDir string
	// Resctrl is where the resctrl file system is mounted; empty asks the
	// kernel for it when a configuration has linux.intelRdt.
	Resctrl string
	// Rootless is set when cgroups that cannot be used are tolerated.
	Rootless bool
	// NeedCgroups refuses to go without cgroups that the caller may not make.
	NeedCgroups bool
	// HookEnv returns the environment of hooks without env in the configuration, as
	// os.Environ does; nil stands for an empty one.
	HookEnv func() []string
	// Alone is set when this process does nothing else than one call of the
	// Runtime: the usual signals are then for the container alone while an
	// attached Run or Exec lasts, and os/signal does not see them.
	Alone bool
	// Warn is called, when not nil, with what was tolerated and what it costs.
	Warn func(text string)
	// Note is called, when not nil, with what was tolerated that engines write all the
	// time: for a log.
	Note func(text string)
	// Debug is called, when not nil, with what helps to find a fault.
	Debug func(text string)
}

// CgroupManager is a cgroup driver: who makes a container's cgroups.
type CgroupManager uint8

const (
	Cgroupfs CgroupManager = iota // Hutch, in the cgroup file systems
	Systemd                       // systemd, as a transient scope unit
	Disabled                      // nobody: the container stays in the caller's cgroups, without limits
)

// String returns the value of the flag --cgroup-manager.
func (m CgroupManager) String() string {
	return [...]string{"cgroupfs", "systemd", "disabled"}[m]
}

// CreateOptions are what create and run take beside the bundle's config.json.
type CreateOptions struct {
	ID     string
	Bundle string // directory of config.json; empty is the working directory
	// ConfigFile is the path of what is read in place of the bundle's config.json.
	ConfigFile string

	ConsoleSocket string // path of the socket that takes the terminal's descriptor
	PidfdSocket   string // path of the socket that takes init's pidfd
	PidFile       string // path of the file that takes init's process id
	NoPivot       bool   // MS_MOVE and chroot in place of pivot_root
	NoNewKeyring  bool   // keep the caller's session keyring
	PreserveFds   int    // number of descriptors, from 3 on, handed to the container

	Detach    bool   // Run: return when the process runs
	Keep      bool   // Run: keep state and cgroup after the process has ended
	NoReaper  bool   // Run: do not become a child subreaper
	TraceFile string // path of a Chrome trace to write; empty is none

	// ListenFds is the number of descriptors, from 3 on, that systemd's
	// socket activation handed to the caller (LISTEN_FDS), added to PreserveFds.
	ListenFds int
	// NotifySocket is the caller's NOTIFY_SOCKET, empty when there is none.
	NotifySocket string

	Embed *Embedder // nil for a command
}

// Status is the runtime-spec's state of a container, and runc's "paused".
type Status string

const (
	Creating Status = "creating"
	Created  Status = "created"
	Running  Status = "running"
	Paused   Status = "paused"
	Stopped  Status = "stopped"
)

// State is what the commands state and list print. Its JSON form is the
// runtime-spec's state with runc's additions rootfs, created and owner.
//
// Source: runtime-spec runtime.md "State".
type State struct {
	OCIVersion  string            `json:"ociVersion"`
	ID          string            `json:"id"`
	Pid         int               `json:"pid"` // 0 once stopped, never absent
	Status      Status            `json:"status"`
	Bundle      string            `json:"bundle"` // absolute
	Rootfs      string            `json:"rootfs"` // absolute
	Created     time.Time         `json:"created"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Owner       string            `json:"owner"` // user name of the state directory's owner, or its number
}

// Signal is the number of a signal.
type Signal = unix.Signal
