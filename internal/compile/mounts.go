package compile

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/verify"
)

// MountsInput is all that the program depends on by which a container that runs gets mounts,
// or loses them.
type MountsInput struct {
	Init   namespace.Init
	Mounts []specs.Mount
	Add    bool
	Links  map[int]string // as in Input
	Rootfs string         // as in Input

	RootUID, RootGID int                          // of the container's root, on the host
	Privileged       bool                         // the caller may mount for the host: see rootfs.Config.Relock
	Shield           func(*program.Builder) error // as in Input
}

// userns reports whether the container has a user namespace of its own.
func (in *MountsInput) userns() bool { return in.Init.Flags&unix.CLONE_NEWUSER != 0 }

// copies reports whether the sources of binds are cloned in a copy of the host's mount namespace
// that belongs to the container's user namespace: there the kernel locks them, and there a caller
// without privilege may clone.
func (in *MountsInput) copies() bool { return in.Add && in.userns() }

// locks reports whether they are cloned there a second time, in the place of what a caller with
// privilege has cloned outside, of which nothing is locked.
func (in *MountsInput) locks() bool { return in.Privileged && in.copies() }

// join is how the process comes to the container: to all of its namespaces but that of
// processes, where they could reach it.
func (in *MountsInput) join() *namespace.Init {
	init := in.Init
	init.Flags &^= unix.CLONE_NEWPID
	return &init
}

// Mounts builds the program. Sources of binds are opened with the caller's rights, in its
// mount namespace; all else is done as the root of the container's namespaces.
func Mounts(in *MountsInput) (*program.Program, *rootfs.Root, error) {
	b := program.New()
	if in.Shield != nil {
		if err := in.Shield(b); err != nil {
			return nil, nil, err
		}
	}
	root := rootfs.New(rootfs.Config{
		Spec: &specs.Spec{Mounts: in.Mounts}, Rootfs: in.Rootfs, Links: in.Links, Running: true,
		SourcesInParent: in.Privileged || !in.copies(), Relock: in.locks(),
		Userns: in.userns(), RootUID: in.RootUID, RootGID: in.RootGID,
	})
	if in.Add {
		root.OpenRunning(b) // while names are the host's
	}
	switch {
	case in.locks():
		in.join().JoinLocking(b, root.CloneSources)
	case in.copies():
		in.join().JoinOwn(b, root.CloneSources)
	default:
		in.join().Join(b)
	}
	// Before the first name: in other namespaces than the container's it would be another tree's.
	b.Element(program.T("linux.namespaces")).Doing(program.T("wait for the runtime to see that init has left none of them")).Barrier(Joined, 0)
	if in.Add {
		root.AddRunning(b)
	} else {
		root.RemoveRunning(b)
	}
	b = b.Element(program.T("mounts")).Doing(program.T("end"))
	b.Tell(Executing, 0)
	b.Exit(0)
	p, err := b.Program()
	return p, root, err
}

// Expect returns what the program is to be proven against.
func (in *MountsInput) Expect(root *rootfs.Root) *verify.Expect {
	mountNS := ""
	if in.locks() {
		mountNS = in.Init.MountNS()
	}
	return &verify.Expect{
		MountNS: mountNS, Copies: in.copies(), Kind: verify.Exec, Spec: &specs.Spec{Mounts: in.Mounts, Linux: &specs.Linux{}}, Adds: in.Add, Removes: !in.Add,
		Rootfs: in.Rootfs, Userns: in.userns(), Links: in.Links, LinkTags: root.LinkTags(),
		Join: in.Init.Flags &^ unix.CLONE_NEWPID, Pidfd: in.Init.Pidfd, Tags: tags(true),
	}
}
