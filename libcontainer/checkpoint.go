package libcontainer

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/hutch-project/hutch/internal/life"
)

// Images are where a checkpoint is, and how CRIU makes it or restores from it. What is
// false or empty is CRIU's default.
type Images struct {
	// Path is the directory of the images. It holds the memory of the processes, and is made
	// for the caller alone where it is missing. Required.
	Path string
	// WorkPath is the directory of CRIU's logs; empty is that of the images.
	WorkPath string

	// TCPEstablished keeps TCP connections.
	TCPEstablished bool
	// ExternalUnixSockets allows sockets that are connected with processes outside.
	ExternalUnixSockets bool
	// FileLocks keeps file locks.
	FileLocks bool
	// LazyPages copies the memory when it is used.
	LazyPages bool
	// AutoDedup removes memory from former images of a chain that is in later ones.
	AutoDedup bool

	// ManageCgroups is soft, full, strict, ignore, none or props; empty is soft.
	ManageCgroups string
	// NetworkLock is iptables, nftables or skip; empty is CRIU's choice.
	NetworkLock string

	// SearchPath is a PATH that CRIU is looked for by, before the usual directories. Only
	// directories and programs that nobody but root and the caller may write are used.
	SearchPath string
}

func (i *Images) options() (life.CheckpointOptions, error) {
	if i.Path == "" {
		return life.CheckpointOptions{}, errors.New("Images.Path: is empty; give a directory")
	}
	return life.CheckpointOptions{
		ImagePath: i.Path, WorkPath: i.WorkPath,
		TCPEstablished: i.TCPEstablished, ExtUnixSockets: i.ExternalUnixSockets, FileLocks: i.FileLocks,
		LazyPages: i.LazyPages, AutoDedup: i.AutoDedup,
		ManageCgroups: i.ManageCgroups, NetworkLock: i.NetworkLock, Path: i.SearchPath,
	}, nil
}

// CheckpointOptions describe a checkpoint.
type CheckpointOptions struct {
	Images

	// LeaveRunning lets the container run on; else it is deleted when the images are made.
	LeaveRunning bool
	// PreDump writes the memory alone, ahead of a later checkpoint whose ParentPath leads
	// here, and lets the container run on.
	PreDump bool
	// ParentPath is the directory of the former images of a chain, relative to Path.
	ParentPath string
	// TCPSkipInFlight leaves out connections that are being set up.
	TCPSkipInFlight bool
	// LinkRemap keeps deleted files that are open, by new names for them.
	LinkRemap bool
	// PageServer is the ADDRESS:PORT that takes the memory in place of the images.
	PageServer string
}

// Checkpoint has CRIU write the container's processes down in images, and deletes the
// container, with its poststop hooks, unless it is to go on running. A Checkpoint that fails
// leaves it running. It needs root of the host and takes as long as CRIU does.
func (c *Container) Checkpoint(o *CheckpointOptions) error {
	return c.r.do("checkpoint", c.id, func(l *life.Runtime) error {
		images, err := o.options()
		if err == nil {
			err = l.Checkpoint(c.id, &life.DumpOptions{
				CheckpointOptions: images, ParentPath: o.ParentPath, PreDump: o.PreDump, LeaveRunning: o.LeaveRunning,
				TCPSkipInFlight: o.TCPSkipInFlight, LinkRemap: o.LinkRemap, PageServer: o.PageServer, StatusFd: -1,
			})
		}
		if err != nil || o.LeaveRunning || o.PreDump {
			return err
		}
		c.r.forget(c)
		if c.init.child {
			<-c.init.ended
		}
		return nil
	})
}

// RestoreOptions describe a container that comes out of a checkpoint. NoPivot is not
// possible.
type RestoreOptions struct {
	CreateOptions
	Images

	// TCPClose restores connections as closed ones.
	TCPClose bool
	// LSMProfile is TYPE:NAME, with apparmor or selinux, in the place of the former label.
	LSMProfile string
	// LSMMountContext is the SELinux label in the place of that of the mounts.
	LSMMountContext string
}

// Restore makes a container of the specification, with the processes of a checkpoint, which
// run when it returns. The standard descriptors that were pipes are those of Streams. A
// Restore that fails, or whose ctx ends, leaves nothing.
func (r *Runtime) Restore(ctx context.Context, o *RestoreOptions) (*Container, error) {
	var c *Container
	err := r.do("restore", o.ID, func(l *life.Runtime) (err error) {
		c, err = r.restore(ctx, l, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	r.remember(c)
	return c, nil
}

func (r *Runtime) restore(ctx context.Context, inner *life.Runtime, o *RestoreOptions) (*Container, error) {
	images, err := o.options()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("restore %s: %w", o.ID, err)
	}
	e, std, bundle, err := o.embed(ctx)
	if err != nil {
		return nil, fmt.Errorf("restore %s: %w", o.ID, err)
	}
	ctr := &Container{r: r, id: o.ID}
	e.Take = func(pid, pidfd int, terminal *os.File) {
		ctr.init = newProcess(pid, pidfd, terminal, std, o.WaitDelay)
	}
	_, err = inner.Restore(&life.RestoreOptions{
		CreateOptions: life.CreateOptions{
			ID: o.ID, Bundle: bundle, NoPivot: o.NoPivot, NoNewKeyring: o.NoNewKeyring, Detach: true, Embed: e,
		},
		CheckpointOptions: images,
		TCPClose:          o.TCPClose, LSMProfile: o.LSMProfile, LSMMountContext: o.LSMMountContext,
	})
	std.closeFds()
	if err != nil {
		std.abandon()
		return nil, because(ctx, err)
	}
	if err := ctr.note(ctx, inner, "restore"); err != nil {
		return nil, err
	}
	return ctr, nil
}
