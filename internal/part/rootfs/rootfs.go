// Package rootfs emits what makes a container's root file system: the root, the
// mounts, the devices, the masked and read-only paths, the change of root and
// /dev/console.
//
// No path below the root is ever given to the kernel as a string from outside
// it. The root is a detached clone of the tree at root.path, attached on top of
// "/" of the child's mount namespace, or until the pivot at root.path where hooks
// look at it; every target is opened by openat2(2) with
// RESOLVE_IN_ROOT from the root's descriptor; every mount is attached to a
// descriptor, by move_mount(2), or by mount(2) on the working directory that was
// set by fchdir(2) to the target. Nothing reads mountinfo, but for --no-pivot.
//
// A program calls, in this order: Open, Mount, (the container's hooks), Pivot,
// BindConsole when there is a terminal, Finish. While it runs, the parent gives every
// event of the child to Handle.
//
// Kernel: openat2, open_tree, move_mount, fsopen are in 5.10. mount_setattr,
// without which there are no flags on bind mounts, no read-only paths and no
// read-only root, came with 5.12.
//
// Source: runtime-spec config.md "Root", "Mounts", config-linux.md "Devices",
// "Default Devices", "Masked Paths", "Readonly Paths", "Rootfs Mount
// Propagation"; mount_namespaces(7), openat2(2), mount_setattr(2).
package rootfs

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/mountinfo"
	"github.com/hutch-project/hutch/internal/program"
)

// Tags of the events by which the child asks the parent for something. The low
// bits of TargetTag and CopyUpTag are an index that only Handle understands.
const (
	TargetTag = 0x10000 // up to 0x1ffff: make a mount target (without SourcesInParent the root's descriptor comes along), then release
	CopyUpTag = 0x20000 // up to 0x2ffff: steer the filling of a tmpfs, see copier
	TagsEnd   = 0x30000 // the first that is none of these

	AsDir     = 0x8000    // in a tag of TargetTag: a directory
	maxMounts = AsDir / 2 // and so many devices
)

// Config is what the root file system depends on.
type Config struct {
	Spec   *specs.Spec
	Rootfs string // root.path, absolute, in the caller's mount namespace
	Bundle string // the bundle's directory, absolute; may be empty

	Modes map[int]uint32 // see PointModes; may be nil

	Links map[int]string // see the function of that name; may be nil

	NoPivot bool // chroot in place of pivot_root
	// HostMounts are the mounts of the caller's mount namespace, of which the
	// container's is a copy: with NoPivot. Empty where the container joins one.
	HostMounts []mountinfo.Mount
	// Chrooted is set when the caller's root directory is not the top of its mount namespace,
	// so that nothing can be said of the mount namespace by the name "/".
	Chrooted bool
	// SharedMounts is set when the container has the caller's mount namespace:
	// the root is then attached on root.path, where the caller removes it when
	// the container is deleted, and nothing else of the namespace is touched.
	SharedMounts bool
	// Seen is set when hooks see the mount namespace before the pivot: the root is then
	// attached at root.path, where it can be.
	Seen bool
	// SourcesInParent opens the root and the sources of binds in the parent
	// section: with the caller's privileges and in its mount namespace.
	// Otherwise they are opened in the child, for callers that have no
	// privileges outside of the container's user namespace.
	SourcesInParent bool

	// Relock clones the root and the sources of binds a second time, in the child, where it
	// is in a new mount namespace of the container's user namespace: see Root.Relock.
	Relock bool

	// FewFiles is set when the caller may have few descriptors open: each is then closed
	// as soon as it is used.
	FewFiles bool

	// SourcesInChild allows the child to open the sources of binds, where there are too many
	// to be open at once: it sees the host's tree with the caller's privileges, and nobody
	// sees it.
	SourcesInChild bool

	// OldMounts makes file systems by mount(2) in place of fsopen, which is denied. The mount
	// namespace must be new.
	OldMounts bool

	// Running is set when the mounts are those of a container that runs: see OpenRunning.
	Running bool

	Userns      bool // the mounts are made in a user namespace: the container's own, or the caller's
	NewNet      bool // the container has a network namespace of its own, new or joined
	NewCgroupNS bool // the container has a cgroup namespace of its own
	BindDevices bool // bind device nodes: the container's root may not make them
	ParentNodes bool // the parent section may make them; else the host's are bound
	NoNull      bool // the host has no /dev/null
	Terminal    bool // process.terminal

	// PidNS holds the descriptor of the pid namespace that a new procfs shows, when the
	// process that mounts it is not in there itself; else 0.
	PidNS program.Reg

	Cgroup       *Cgroup // nil when the container has no cgroup of its own
	NotifyDir    string  // host directory to bind on NotifyTarget, empty for none
	NotifyTarget string  // where the container has it

	// RootUID and RootGID are the container's root as the caller sees it: the
	// owner of what Handle makes.
	RootUID, RootGID int
}

// Cgroup is where the container's cgroups are, for mounts of type cgroup.
type Cgroup struct {
	V2          bool
	Callers     bool        // they are the caller's, where the container has none: what is bound of them is read-only
	Dir         string      // v2: directory of the container's cgroup on the host; with V2 unset and Dir set, the host is hybrid
	Hierarchies []Hierarchy // v1
}

// Hierarchy is a cgroup v1 hierarchy.
type Hierarchy struct {
	Name    string   // of the directory below /sys/fs/cgroup: cpu,cpuacct or systemd
	Options string   // mount options: cpu,cpuacct or none,name=systemd
	Dir     string   // directory of the container's cgroup on the host
	Links   []string // symlinks to Name beside it: cpu, cpuacct
}

// Idmap is an idmapped mount: before Spawn the caller gives its register, by
// Program.Set, the descriptor of a user namespace with the mappings.
type Idmap struct {
	Mount int         // index in mounts
	Fd    program.Reg // struct mount_attr's userns_fd
	// UIDs and GIDs are the mount's own mappings; without them it takes those of
	// the container.
	UIDs, GIDs []specs.LinuxIDMapping
}

// Root emits the root file system of one container.
type Root struct {
	Fd     program.Reg // descriptor of the root, for openat2; valid after Open
	Idmaps []Idmap     // valid after Open and Mount

	c        Config
	prop     propagation // of linux.rootfsPropagation, or the mount on "/"
	onRoot   *source     // the mount on "/", in the place of root.path; nil for none
	onRootAt int         // its index in mounts
	many     bool        // so many mounts that descriptors are closed after use
	mounts   []source    // by index of mounts
	inChild  bool        // Relock emits: the kernel looks after what is locked
	done     int         // number of mounts that are emitted
	under    program.Reg // with SharedMounts: the directory at root.path
	store    program.Reg // tmpfs of the nodes that the parent section makes; 0 for none
	null     program.Reg // detached mount of a null device, to mask files
	nullNode *node       // the same as a node of the store, nil where there is no store
	notify   source      // of NotifyDir
	dev      program.Reg // /dev of the container; 0 until it is opened
	devOwn   bool        // nothing but this program has reached /dev yet
	made     []node
	targets  []missingTarget // targets that the parent may have to make, by index
	filled   []filled
}

// manyFds is the number of mounts, masks and read-only paths from which on
// descriptors are closed after use. Otherwise execve closes them, in one go.
const manyFds = 100

// New returns the emitter for c. What is wrong in the configuration is reported
// by Builder.Program, after Open.
func New(c Config) *Root { return &Root{c: c} }
