package rootfs

import (
	"errors"
	"fmt"
	"path"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// Links returns where the symbolic links lead that are sources of mounts with the option
// copy-symlink, by their indices; nil where there are none. What cannot be read is bound,
// which then says why it cannot be.
//
// Source: crun(1), "copy-symlink".
func Links(mounts []specs.Mount) map[int]string {
	var links map[int]string
	for i := range mounts {
		if o := parseOptions(mounts[i].Options); !o.copyLink || !o.bind || o.remount {
			continue
		}
		buf := make([]byte, unix.PathMax)
		n, err := unix.Readlink(mounts[i].Source, buf)
		if err != nil || n == 0 || n == len(buf) {
			continue
		}
		if links == nil {
			links = map[int]string{}
		}
		links[i] = string(buf[:n])
	}
	return links
}

// copyLink emits the making of a symbolic link at the destination: by the child itself in
// the usual case that its directory is there, and no link on the way; else the parent is
// asked, which makes the directory as for a mount point, and knows a link that is there.
func (r *Root) copyLink(b *program.Builder, i int) {
	s := &r.mounts[i]
	tag := uint32(TargetTag + len(r.targets))
	r.targets = append(r.targets, missingTarget{dest: s.dest, link: s.link, done: r.done})
	dir, name := path.Split(s.dest)
	parent, ask, done := b.RegOf(-1), b.Label(), b.Label()
	step := b.Step(program.T("open the directory %s", path.Clean(dir)))
	open(step, r.Fd, path.Clean(dir), unix.O_PATH|unix.O_DIRECTORY, plain).To(parent).Ignore()
	step.If(parent, program.Lt, 0, ask)
	step = b.Step(program.T("make the link"))
	call.Symlinkat(step, call.TextOf(b, s.link), call.In(parent), call.PathTo(b, name)).On(0, ask)
	b.Jump(done)
	b.Bind(ask)
	step = b.Step(program.T("let the runtime make the link"))
	r.tellTarget(step, tag)
	step.Wait(tag, b.Zero(1))
	b.Bind(done)
	r.closeUsed(b, parent)
}

// LinkTags returns the tags of the messages by which the parent is asked for symbolic
// links, with what it then makes: the destination, and where it leads.
func (r *Root) LinkTags() map[uint32][2]string {
	tags := map[uint32][2]string{}
	for i := range r.targets {
		if w := &r.targets[i]; w.link != "" {
			tags[uint32(TargetTag+i)] = [2]string{w.dest, w.link}
		}
	}
	return tags
}

// link makes the symbolic link name in the directory at, unless it is there.
func (m *maker) link(at, name string) error {
	d, err := m.open(at, unix.RESOLVE_NO_SYMLINKS|m.resolve)
	if err != nil {
		return err
	}
	defer unix.Close(d)
	if m.linked && !m.mayMakeIn(d) {
		return m.elsewhere()
	}
	make := func() error {
		err := unix.Symlinkat(m.to, d, name)
		if err != unix.EEXIST { // another one that is right is as good
			return err
		}
		buf := make([]byte, unix.PathMax)
		if n, err := unix.Readlinkat(d, name, buf); err == nil && string(buf[:n]) == m.to {
			return nil
		}
		return fmt.Errorf("%w, and no symbolic link to %s; remove it from the image, or name another destination", err, fault.Name(m.to))
	}
	if err = make(); errors.Is(err, unix.EACCES) {
		err = inReadOnly(d, make)
	}
	return err
}
