package libcontainer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/life"
)

// CreateOptions describe a new container.
type CreateOptions struct {
	// ID is the container's name in the state directory: letters, digits and _ + - . up to
	// 1024 bytes. Required.
	ID string
	// Bundle is the directory with config.json, and what relative paths of the specification
	// start at. A relative one starts at the working directory. It may be empty with a Spec
	// whose root.path is absolute.
	Bundle string
	// Spec is the specification, in place of the file config.json. It is read while Create
	// runs, and neither changed nor kept. Nil reads the file.
	Spec *specs.Spec

	// Streams are the standard descriptors of init.
	Streams

	// NoPivot changes the root without pivot_root, for roots on a ramdisk. Processes with
	// CAP_SYS_ADMIN in the container can leave such a root.
	NoPivot bool
	// NoNewKeyring leaves the container this program's session keyring.
	NoNewKeyring bool
}

// Create makes a container, whose init waits for Start.
//
// A Create that fails leaves nothing: no process, mount, cgroup or file, and no state. The
// error is ErrExists, wrapped, where there is a container of the id. When ctx ends before
// Create returns, what is made is killed and taken back, and the error wraps that of ctx;
// what runs in a hook, or cannot be killed yet, may hold that up for seconds.
//
// Source: runtime-spec runtime.md "Create".
func (r *Runtime) Create(ctx context.Context, o *CreateOptions) (*Container, error) {
	var c *Container
	err := r.do("create", o.ID, func(l *life.Runtime) (err error) {
		c, err = r.create(ctx, l, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	r.remember(c)
	return c, nil
}

func (r *Runtime) create(ctx context.Context, inner *life.Runtime, opts *CreateOptions) (*Container, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("create %s: %w", opts.ID, err)
	}
	e, std, bundle, err := opts.embed(ctx)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", opts.ID, err)
	}
	ctr := &Container{r: r, id: opts.ID}
	e.Take = func(pid, pidfd int, terminal *os.File) {
		ctr.init = newProcess(pid, pidfd, terminal, std, opts.WaitDelay)
	}
	err = inner.Create(&life.CreateOptions{ID: opts.ID, Bundle: bundle, NoPivot: opts.NoPivot, NoNewKeyring: opts.NoNewKeyring, Embed: e})
	std.closeFds()
	if err != nil {
		std.abandon()
		return nil, because(ctx, err)
	}
	if err := ctr.note(ctx, inner, "create"); err != nil {
		return nil, err
	}
	return ctr, nil
}

// note notes the time of creation, which is what tells the container from others of the id.
// Where that fails, or ctx has ended, the container is deleted.
func (c *Container) note(ctx context.Context, l *life.Runtime, operation string) error {
	state, err := l.State(c.id)
	if err == nil {
		c.created, err = state.Created, ctx.Err()
	}
	if err != nil {
		deleted := c.delete(l, true)
		return errors.Join(fmt.Errorf("%s %s: %w", operation, c.id, err), deleted)
	}
	return nil
}

// embed opens the streams of init, and reads a specification by value.
func (o *CreateOptions) embed(ctx context.Context) (e *life.Embedder, std *streams, bundle string, err error) {
	if e, std, err = embed(ctx, &o.Streams); err != nil {
		return nil, nil, "", err
	}
	bundle = o.Bundle
	if o.Spec != nil {
		if e.Config, bundle, err = byValue(o.Spec, o.Bundle); err != nil {
			std.discard()
			return nil, nil, "", err
		}
	}
	return e, std, bundle, nil
}

// embed opens streams for a process that is to be made.
func embed(ctx context.Context, given *Streams) (*life.Embedder, *streams, error) {
	s, err := given.open()
	if err != nil {
		return nil, nil, err
	}
	return &life.Embedder{Context: ctx, Streams: s.fds}, s, nil
}

// byValue returns the text of config.json for a specification, and its bundle.
func byValue(s *specs.Spec, bundle string) (text []byte, dir string, err error) {
	if bundle == "" {
		if s.Root == nil || !filepath.IsAbs(s.Root.Path) {
			return nil, "", errors.New("config.json: root.path: is not absolute, and there is no bundle that it could start at; " +
				"give an absolute path, or CreateOptions.Bundle")
		}
		bundle = "/"
	}
	text, err = json.Marshal(s)
	return text, bundle, err
}
