package life

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/host/idmap"
)

// idmapOptions puts the mappings that are in options of mounts, idmap=… and ridmap=…, where
// the specification has them.
func idmapOptions(spec *specs.Spec) error {
	for i := range spec.Mounts {
		mount := &spec.Mounts[i]
		for j, o := range mount.Options {
			name, text, ok := strings.Cut(o, "=")
			if !ok || name != "idmap" && name != "ridmap" {
				continue
			}
			element := fmt.Sprintf("config.json: mounts[%d].options[%d]: %q", i, j, o)
			if len(mount.UIDMappings)+len(mount.GIDMappings) > 0 {
				return fmt.Errorf("%s: the mount has uidMappings or gidMappings too; give the mappings once", element)
			}
			var own specs.Linux
			if spec.Linux != nil {
				own = *spec.Linux
			}
			uids, gids, err := idmap.ParseOption(text, own.UIDMappings, own.GIDMappings)
			if err != nil {
				return fmt.Errorf("%s: %w", element, err)
			}
			if len(uids) == 0 || len(gids) == 0 {
				return fmt.Errorf("%s: give both uids and gids, since the container has no mappings for the other", element)
			}
			mount.UIDMappings, mount.GIDMappings, mount.Options[j] = uids, gids, name
		}
	}
	return nil
}

// openIdmaps makes the user namespaces of idmapped mounts and puts their descriptors into
// the program. The caller calls done after the clone.
func (p *Plan) openIdmaps() (done func(), err error) {
	var closers []func() error
	done = func() {
		for _, c := range closers {
			_ = c()
		}
	}
	for _, m := range p.out.Root.Idmaps {
		f, err := p.bundle.idmapNS(m.UIDs, m.GIDs)
		if err != nil {
			done()
			return nil, fmt.Errorf("mounts[%d].uidMappings: %w", m.Mount, err)
		}
		closers = append(closers, f.Close)
		p.out.Program.Set(m.Fd, int64(f.Fd()))
	}
	return done, nil
}

// idmapNS returns a user namespace with the mappings; without any it is one with those of
// the container, which may be known to the one that it joins alone.
func (b *bundle) idmapNS(uids, gids []specs.LinuxIDMapping) (*os.File, error) {
	if len(uids) > 0 {
		return idmap.UserNS(uids, gids)
	}
	if b.spec.Linux == nil {
		return nil, errors.New("the container has no user namespace")
	}
	for _, n := range b.spec.Linux.Namespaces {
		if n.Type == specs.UserNamespace && n.Path != "" {
			return os.Open(n.Path)
		}
	}
	return idmap.UserNS(b.spec.Linux.UIDMappings, b.spec.Linux.GIDMappings)
}
