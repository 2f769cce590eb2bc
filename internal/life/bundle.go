package life

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/config"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/validate"
)

// bundle is a configuration that has been read, adapted to the caller and checked.
type bundle struct {
	dir    string // of config.json
	rootfs string // the directory at root.path, absolute
	spec   *specs.Spec
	text   []byte // of config.json
}

// readBundle reads and checks config.json in the directory dir, the file in its place unless
// that is empty, or what e has in their place.
func (r *Runtime) readBundle(dir, file string, e *Embedder) (*bundle, error) {
	read := func() (*specs.Spec, []byte, error) { return e.load(dir) }
	if file != "" {
		read = func() (*specs.Spec, []byte, error) { return readConfig(file) }
	}
	s, text, err := read()
	if err != nil {
		return nil, err
	}
	return r.newBundle(dir, s, text)
}

// readConfig is config.Load of a configuration that lies anywhere.
func readConfig(file string) (*specs.Spec, []byte, error) {
	text, err := config.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	s, err := config.Decode(text)
	if err != nil {
		return nil, text, fmt.Errorf("%s: %w", file, err)
	}
	return s, text, nil
}

// newBundle adapts and checks the configuration s, whose text is kept for later commands.
func (r *Runtime) newBundle(dir string, spec *specs.Spec, text []byte) (*bundle, error) {
	rootfs.AddDefaultOptions(spec) // before adapt, which takes out what the caller cannot have
	// Before the checks, which are of what will be run.
	if err := r.adapt(spec); err != nil {
		return nil, err
	}
	if err := errors.Join(idmapOptions(spec), rawFilter(spec.Linux, spec.Annotations), listenerPath(spec.Linux, spec.Annotations)); err != nil {
		return nil, err
	}
	if spec.Root != nil {
		stripRoot(spec.Mounts, rootPath(dir, spec.Root.Path))
	}
	warnings, err := validate.Spec(spec, validate.Options{Rootless: r.Rootless})
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		r.warn(w)
	}
	r.warnOfUnknown(spec.Process)
	for i := range spec.Mounts { // relative sources are the bundle's
		if m := &spec.Mounts[i]; rootfs.IsBind(m) && !filepath.IsAbs(m.Source) {
			m.Source = filepath.Join(dir, m.Source)
		}
	}
	b := &bundle{dir: dir, rootfs: rootPath(dir, spec.Root.Path), spec: spec, text: text}
	r.warnOfBeneath(b)
	return b, nil
}

// stripRoot takes the path of the container's root, as it is on the host, off destinations
// that begin with it: they stand for places in the container.
//
// Source: what runc does.
func stripRoot(mounts []specs.Mount, root string) {
	for i := range mounts {
		dest := filepath.Clean(mounts[i].Destination)
		if rest, ok := strings.CutPrefix(dest, root); ok && root != "/" && strings.HasPrefix(rest, "/") {
			mounts[i].Destination = rest
		}
	}
}

// linux returns the Linux part of the configuration, an empty one where there is none.
func (b *bundle) linux() *specs.Linux {
	if b.spec.Linux == nil {
		return &specs.Linux{}
	}
	return b.spec.Linux
}

// read reads the bundle, and makes what the caller has named absolute.
func (q *request) read(r *Runtime) (err error) {
	if err := validate.ID(q.ID); err != nil {
		return err
	}
	if err := absolute(&q.Bundle); err != nil {
		return err
	}
	if err := absolute(&q.PidFile); err != nil {
		return err
	}
	q.bundle, err = r.readBundle(q.Bundle, q.ConfigFile, q.Embed)
	return err
}

// checkTerminal refuses combinations of terminal and console socket that leave
// the terminal without a reader, as runc does. A run that stays may have a socket, too:
// who asks for the terminal by it reads it.
func (q *request) checkTerminal() error {
	terminal := q.bundle.spec.Process != nil && q.bundle.spec.Process.Terminal
	detached := q.fifo || q.Detach
	switch {
	case terminal && detached && q.ConsoleSocket == "" && q.Embed == nil:
		return errors.New("cannot allocate tty if runc will detach without setting console socket: give --console-socket, or set process.terminal to false")
	case !terminal && q.ConsoleSocket != "":
		return errors.New("cannot use console socket if runc will not detach or allocate tty: leave --console-socket out, or set process.terminal to true")
	}
	return nil
}

// absolute makes *path absolute; an empty path is the working directory for a
// bundle and stays empty otherwise.
func absolute(path *string) error {
	if *path == "" {
		return nil
	}
	p, err := filepath.Abs(*path)
	*path = p
	return err
}

// has reports whether the configuration has a namespace of the kind, new or joined.
func has(s *specs.Spec, kind specs.LinuxNamespaceType) bool {
	return s.Linux != nil && slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
		return n.Type == kind
	})
}

// joins reports whether the configuration has a namespace of the kind that was there before.
func joins(s *specs.Spec, kind specs.LinuxNamespaceType) bool {
	return has(s, kind) && !makes(s, kind)
}

// makes reports whether the configuration has a new namespace of the kind.
func makes(s *specs.Spec, kind specs.LinuxNamespaceType) bool {
	return s.Linux != nil && slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
		return n.Type == kind && n.Path == ""
	})
}
