package rootfs

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// A list of paths becomes instructions for each of them. From manyFds paths on it
// becomes a loop that reads them from a file in memory: a path costs kilobytes of
// program otherwise, and a configuration may name hundreds of thousands.

// forEach emits body for each path of the list that is there, with a descriptor of
// it; last says that no other follows. Paths that stand there twice count once, as
// engines merge lists. doing has the path put in.
func (r *Root) forEach(b *program.Builder, element string, paths []string, doing string, body func(b *program.Builder, fd program.Reg, last bool)) {
	if len(paths) > manyFds {
		r.loops(b, element, paths, doing, body)
		return
	}
	last, seen := 0, make([]string, len(paths))
	for i, p := range paths {
		if p = destination(p); !slices.Contains(seen[:i], p) {
			seen[i], last = p, i
		}
	}
	for i, p := range seen {
		if p == "" || p == "/" { // see readonlyPaths
			continue
		}
		b := b.Element(program.N(element+"[%d]", i)).Doing(program.T(doing, paths[i]))
		next := b.Label()
		dir, name := r.below(p)
		var fd program.Reg
		if name == "." { // the mount itself, which is there
			fd = openAt(b.Step(program.T("open it")), call.In(dir), call.PathTo(b, name), unix.O_PATH, inRoot).Fd()
		} else {
			fd = r.openExisting(b, dir, call.PathTo(b, name), next)
		}
		body(b, fd, i == last)
		r.closeUsed(b, fd)
		b.Bind(next)
	}
}

// batch is paths of one loop: below one directory, and of about the same length.
type batch struct {
	dir  program.Reg
	size int // of an entry, with zeroes at its end
	text []byte
	n    int
}

// sizes are those of the entries, so that one long path does not make all long.
var sizes = [...]int{64, 256, unix.PathMax}

func batches(b *program.Builder, paths []string, below func(string) (program.Reg, string)) []*batch {
	var out []*batch
	seen := make(map[string]struct{}, len(paths))
	for i, p := range paths {
		p = destination(p)
		if _, ok := seen[p]; ok || p == "/" { // see readonlyPaths
			continue
		}
		seen[p] = struct{}{}
		dir, name := below(p)
		k := slices.IndexFunc(sizes[:], func(n int) bool { return len(name) < n })
		switch {
		case strings.IndexByte(name, 0) >= 0:
			b.Fault(fmt.Errorf("[%d]: %q %w", i, p, program.ErrNul))
			continue
		case k < 0:
			b.Fault(fmt.Errorf("[%d]: %q...: %w", i, p[:64], unix.ENAMETOOLONG))
			continue
		}
		j := slices.IndexFunc(out, func(t *batch) bool { return t.dir == dir && t.size == sizes[k] })
		if j < 0 {
			j = len(out)
			out = append(out, &batch{dir: dir, size: sizes[k]})
		}
		t := out[j]
		t.text = append(t.text, name...)
		t.n++
		t.text = append(t.text, make([]byte, t.n*t.size-len(t.text))...)
	}
	return out
}

// loops emits a loop for each batch of the paths.
func (r *Root) loops(b *program.Builder, element string, paths []string, doing string, body func(b *program.Builder, fd program.Reg, last bool)) {
	b = b.Element(program.T(element)).Doing(program.T(doing, fmt.Sprintf("one of %d paths", len(paths))))
	for _, t := range batches(b, paths, r.below) {
		list := r.inMemory(b, t.text)
		path, n := b.Zero(t.size), b.Reg()
		next, end := b.Label(), b.Label()
		b.Bind(next)
		step := b.Step(program.T("read its name"))
		call.Read(step, call.In(list), path).To(n)
		step.If(n, program.Eq, 0, end)
		fd := r.openExisting(b, t.dir, call.PathIn(path), next)
		body(b, fd, false)
		r.closeUsed(b, fd)
		b.Jump(next)
		b.Bind(end)
		call.Close(b, call.In(list))
	}
}

// inMemory emits a file in memory with the text, to be read from its beginning.
func (r *Root) inMemory(b *program.Builder, text []byte) program.Reg {
	step := b.Step(program.T("put the names in memory"))
	fd := MemFile(step, "paths")
	// A write may be cut at 2 GiB; the config.json has an end far below.
	call.Pwrite64(step, call.In(fd), text, 0)
	return fd
}

// MemFile emits a file in memory, which no program can be executed from.
//
// Source: memfd_create(2).
func MemFile(b *program.Builder, name string) program.Reg {
	fd, old, made := b.RegOf(-1), b.Label(), b.Label()
	create := func(flags uint64) program.Call {
		return call.MemfdCreate(b, name, flags).To(fd)
	}
	create(unix.MFD_CLOEXEC|unix.MFD_NOEXEC_SEAL).On(unix.EINVAL, old)
	b.Jump(made)
	// Remove once 6.3 (MFD_NOEXEC_SEAL, which a host may ask for) is the floor.
	b.Bind(old)
	create(unix.MFD_CLOEXEC)
	b.Bind(made)
	return fd
}
