package verify

import (
	"encoding/binary"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/calls"
	"github.com/hutch-project/hutch/internal/program"
)

// where is what a path is resolved in.
type where uint8

const (
	atHost where = iota
	atCont       // the container
	atMnt        // a mount of the container's own that is attached nowhere
	atTree       // a detached mount of the host
	atProc       // a procfs
	atBad        // a descriptor that is none, or of another kind
)

// location is what a directory descriptor and a path lead to.
type location struct {
	where where
	dir   value
	name  string
	dyn   bool  // the name is not known: it comes from outside
	cwd   bool  // from the root or the working directory of the process
	path  int32 // in the container, or of the host
}

// trivial reports whether no component is looked up.
func (l *location) trivial() bool {
	return !l.dyn && strings.Trim(l.name, "/.") == "" && l.name != ".."
}

// single reports whether the name is one component that leads no further by itself.
func (l *location) single() bool {
	return l.dyn || l.name != "" && l.name != "." && l.name != ".." && strings.IndexByte(l.name, '/') < 0
}

// place returns where the path number n of a call leads.
func (w *walker) place(s *state, in *program.Instr, n int) location {
	loc := location{where: atBad}
	c := calls.Of(in.NR)
	dir, name := c.Path(n)
	if name < 0 {
		return loc
	}
	off, ok := in.Args[name].Addr()
	if !ok {
		return loc
	}
	inRoot := c.Find(calls.How) >= 0 // an absolute path, too, is taken from the directory
	if loc.name, ok = w.cstring(off); !ok {
		loc.name, loc.dyn = "", true
	}
	fromCwd := dir < 0
	if dir >= 0 {
		if n, isImm := in.Args[dir].Imm(); isImm {
			if int32(n) != unix.AT_FDCWD {
				return loc
			}
			fromCwd = true
		}
	}
	if fromCwd || !inRoot && strings.HasPrefix(loc.name, "/") {
		w.fromRoot(s, &loc)
		return loc
	}
	r, _ := in.Args[dir].Reg()
	i := w.reg(r)
	if i < 0 {
		return loc
	}
	if loc.dir = w.get(s, i); loc.dir.attr&aMaybe != 0 {
		return loc
	}
	switch loc.dir.k {
	case kHost:
		loc.where = atHost
		if loc.dir.proof&pProc != 0 {
			loc.where = atProc
		}
	case kHostTree:
		loc.where = atTree
	case kProc:
		loc.where = atProc
	case kMnt:
		loc.where = atCont
		if loc.dir.attr&aAttached == 0 {
			loc.where = atMnt
		}
	case kRoot, kCont, kContTree, kBound:
		loc.where = atCont
	}
	w.join(&loc, loc.dir.path)
	return loc
}

// fromRoot is a path from the process's root or working directory.
func (w *walker) fromRoot(s *state, l *location) {
	l.cwd = true
	absolute := strings.HasPrefix(l.name, "/")
	switch {
	case s.root == rootIn || s.root == rootChroot:
		l.where = atCont
		base := int32(0)
		if !absolute && s.cwd == cwdIn {
			base = s.cwdPath
		}
		w.join(l, base)
	case !absolute && (s.cwd == cwdRoot || s.cwd == cwdIn):
		l.where = atCont
		w.join(l, s.cwdPath)
	default:
		l.where = atHost
		if !l.dyn {
			l.path = w.text(l.name)
		}
	}
}

// join gives l the path of its name below base.
func (w *walker) join(l *location, base int32) {
	switch {
	case l.dyn:
		return
	case l.where == atHost && base > 0 && l.name != "" && l.name[0] != '/':
		l.path = w.text(w.texts[base] + "/" + l.name)
		return
	case l.where == atHost && l.name == "":
		l.path = base
		return
	case l.where != atCont:
		l.path = w.text(l.name)
		return
	case l.name == "" || l.name == ".":
		l.path = base
		if base == 0 {
			l.path = w.x.slash
		}
		return
	}
	full := l.name
	if base > 0 && w.texts[base] != "/" {
		full = w.texts[base] + "/" + l.name
	}
	if full[0] == '/' && !strings.Contains(full, "//") && !strings.Contains(full, "/.") && (len(full) == 1 || full[len(full)-1] != '/') {
		l.path = w.text(full) // clean as it is
		return
	}
	l.path = w.text(clean(full))
}

// dynamic reports whether one of the n bytes at off is written while the program runs: by
// somebody else, or as the result of a call.
func (w *walker) dynamic(off, n uint32) bool {
	for at := off / 8; n > 0 && at <= (off+n-1)/8 && int(at) < len(w.results); at++ {
		if w.results[at] {
			return true
		}
	}
	for at := off / 8; at <= (off+n)/8 && int(at) < len(w.written); at++ {
		if !w.written[at] {
			continue
		}
		for _, o := range w.dynamics {
			if o[0] < off+n && off < o[1] {
				return true
			}
		}
	}
	return false
}

// cstring returns the string at off, which nobody writes while the program runs.
func (w *walker) cstring(off uint32) (string, bool) {
	if i, ok := w.byOff[off]; ok {
		return w.texts[max(i, 0)], i >= 0
	}
	t, ok := w.p.CString(off)
	i := int32(-1)
	if ok = ok && !w.dynamic(off, uint32(len(t)+1)); ok {
		i = w.text(t)
	}
	w.byOff[off] = i
	return t, ok
}

func (w *walker) str(a program.Arg) (string, bool) {
	off, ok := a.Addr()
	if !ok {
		return "", false
	}
	return w.cstring(off)
}

// bytes returns the n bytes that a points to, nil where they are not known.
func (w *walker) bytes(a program.Arg, n uint32) []byte {
	off, ok := a.Addr()
	if !ok || w.dynamic(off, n) {
		return nil
	}
	return w.p.Data(off, n)
}

func word64(b []byte, at int) uint64 { return binary.NativeEndian.Uint64(b[at:]) }
func word32(b []byte, at int) uint32 { return binary.NativeEndian.Uint32(b[at:]) }

func imm(in *program.Instr, i int) uint64 {
	v, _ := in.Args[i].Imm()
	return v
}

// howOf is struct open_how of openat2(2).
func (w *walker) howOf(in *program.Instr) (flags, mode, resolve uint64, ok bool) {
	i := calls.Of(in.NR).Find(calls.How)
	if i < 0 {
		return 0, 0, 0, false
	}
	b := w.bytes(in.Args[i], 24)
	if b == nil || imm(in, i+1) != 24 {
		return 0, 0, 0, false
	}
	return word64(b, 0), word64(b, 8), word64(b, 16), true
}

// mountAttr is struct mount_attr of the call in.
func (w *walker) mountAttr(in *program.Instr) (set, clr, prop uint64, ok bool) {
	i := calls.Of(in.NR).Find(calls.MountAttr)
	if i < 0 {
		return 0, 0, 0, false
	}
	off, isAddr := in.Args[i].Addr()
	const descriptor = 24 // where that of a user namespace is, which a call may have put there
	b := w.p.Data(off, 32)
	if !isAddr || b == nil || w.dynamic(off, descriptor) || imm(in, i+1) != 32 {
		return 0, 0, 0, false
	}
	return word64(b, 0), word64(b, 8), word64(b, 16), true
}

// restricting are the bits of what restricts a mount, as mount_setattr(2) and mount(2) call them.
var restricting = [...]struct {
	attr, flag uint64
	bit        uint32
}{
	{unix.MOUNT_ATTR_RDONLY, unix.MS_RDONLY, aRO},
	{unix.MOUNT_ATTR_NOSUID, unix.MS_NOSUID, aNoSuid},
	{unix.MOUNT_ATTR_NODEV, unix.MS_NODEV, aNoDev},
	{unix.MOUNT_ATTR_NOEXEC, unix.MS_NOEXEC, aNoExec},
}

// attrBits returns the bits of attributes of mount_setattr(2).
func attrBits(attrs uint64) (bits uint32) {
	for _, r := range restricting {
		if attrs&r.attr != 0 {
			bits |= r.bit
		}
	}
	return bits
}

// flagBits returns the bits of flags of mount(2).
func flagBits(flags uint64) (bits uint32) {
	for _, r := range restricting {
		if flags&r.flag != 0 {
			bits |= r.bit
		}
	}
	return bits
}

// hides records that what is mounted at a path of the host and below is gone.
func (w *walker) hides(s *state, point string) {
	for path, f := range w.x.hidden {
		if w.beneath(path, w.text(point)) {
			s.done(f)
		}
	}
}

// hidden returns the fact of a path of the host that is hidden for a container without
// pivot_root.
func (w *walker) hidden(s *state, in *program.Instr) (int, bool) {
	p, ok := w.pathText(in, 0)
	if !ok || s.inside() {
		return 0, false
	}
	f, ok := w.x.hidden[w.text(p)]
	return f, ok
}
