package rootfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/program/call/idiom"
	"github.com/hutch-project/hutch/internal/program/spawn"
)

// copier steers the child in copying a directory: files, directories and symbolic
// links with mode and owner. Other files, and extended attributes, are left out. Holes
// stay holes. What comes from the child is taken as data: names, sizes and modes are the
// image's anyway, and are used for requests to the child only.
type copier struct {
	child *spawn.Child
	tag   uint32
	dirs  int // directories so far
	left  int // how often a directory may yet be entered again on the way back to another
}

// fileInfo is what is to be copied of a file beside its content. That of a file or a
// directory comes from the descriptor that the content is read from: a name may be
// another file's by then, and a secret would have that one's mode.
type fileInfo struct {
	mode, uid, gid uint32
	size           int64
	id             fileID
}

// fileID is which file it is.
type fileID struct {
	inode        uint64
	major, minor uint32
}

// enteredDir is a directory on the way from the top.
type enteredDir struct {
	name string
	id   fileID // of the source
}

// errExchanged is the error for a directory that is another one when it is entered again.
var errExchanged = errors.New("the directory was exchanged while it was copied")

// maxDirs and maxDepth bound what an image can have the parent remember, and maxReturns how
// long: for each directory all those above it are entered again.
const (
	maxDirs    = 1 << 18
	maxDepth   = 256
	maxReturns = 1 << 19
)

// errTooMany is the error for what is beyond that. No path comes before it: that of a
// directory so deep tells nothing, and may be long.
var errTooMany = errors.New("the image has too many directories there, or too deep ones; leave tmpcopyup out")

// namedDirs is how many directories, from the top, the path in an error has.
const namedDirs = 16

// maxSend is what one request copies at most, in bytes: sendfile(2) takes no more.
const maxSend = 1 << 30

// tree copies the directory at path from the top, which is the current one.
func (c *copier) tree(path []enteredDir) error {
	var dirs []string
	for {
		e, err := c.ask(&copyRequest{op: copyList})
		if err != nil {
			return fmt.Errorf("read the directory: %w", err)
		}
		if len(e.Data) == 0 {
			break
		}
		_, _, names := unix.ParseDirent(slices.Clone(e.Data), -1, nil)
		for _, name := range names {
			dir, err := c.entry(name)
			if err != nil {
				return fmt.Errorf("%s: %w", fault.Name(name), err)
			}
			if dir == nil {
				continue
			}
			dirs = append(dirs, name)
			if c.dirs++; c.dirs > maxDirs || len(path) >= maxDepth {
				return errTooMany
			}
		}
	}
	// After the last entry was read: whoever goes down reads other directories by the same
	// descriptor.
	for _, name := range dirs {
		switch err := c.dir(path, name); {
		case err == nil:
		case err == errTooMany || len(path) >= namedDirs:
			return err
		default:
			return fmt.Errorf("%s: %w", fault.Name(name), err)
		}
	}
	return nil
}

// dir copies the directory name, which is made already, and comes back.
func (c *copier) dir(path []enteredDir, name string) error {
	st, err := c.enter(name)
	if err != nil {
		return err
	}
	if err := c.tree(append(path, enteredDir{name, st.id})); err != nil {
		return err
	}
	if _, err := c.ask(&copyRequest{op: copyTop}); err != nil {
		return err
	}
	if c.left -= len(path); c.left < 0 {
		return errTooMany
	}
	for _, parent := range path {
		again, err := c.enter(parent.name)
		if err != nil {
			return err
		}
		if again.id != parent.id { // its mode is the first one's, and guards no other
			return errExchanged
		}
	}
	return c.attributes(name, st) // last: the mode may forbid what was to be done in it
}

// enter goes to the directory name and returns what the source has there.
func (c *copier) enter(name string) (*fileInfo, error) {
	return parseInfo(c.named(copyEnter, name, 0, 0))
}

// stat looks at name, which is good for the kind of a file alone.
func (c *copier) stat(name string) (*fileInfo, error) {
	return parseInfo(c.named(copyStat, name, 0, 0))
}

// parseInfo reads an answer that is a struct statx.
func parseInfo(event spawn.Event, err error) (*fileInfo, error) {
	if err != nil {
		return nil, err
	}
	if len(event.Data) != idiom.StatxSize {
		return nil, unix.EPROTO
	}
	const uid, gid, inode, size, major, minor = 20, 24, 32, 40, 136, 140 // offsets in struct statx
	order := binary.NativeEndian
	return &fileInfo{
		mode: uint32(order.Uint16(event.Data[idiom.StatxMode:])), uid: order.Uint32(event.Data[uid:]), gid: order.Uint32(event.Data[gid:]),
		size: int64(order.Uint64(event.Data[size:])),
		id:   fileID{order.Uint64(event.Data[inode:]), order.Uint32(event.Data[major:]), order.Uint32(event.Data[minor:])},
	}, nil
}

// entry copies one entry of the current directory; of a directory, which is returned,
// only itself.
func (c *copier) entry(name string) (dir *fileInfo, err error) {
	st, err := c.stat(name)
	if err != nil {
		return nil, err
	}
	switch st.mode & unix.S_IFMT {
	case unix.S_IFDIR:
		if _, err := c.named(copyMkdir, name, 0, 0); err != nil {
			return nil, err
		}
		return st, nil
	// Owner and mode of what was opened: the name may be that of another file by now.
	case unix.S_IFREG:
		opened, err := c.file(name)
		if opened == nil || err != nil {
			return nil, err
		}
		return nil, c.attributes(name, opened)
	case unix.S_IFLNK:
		if err := c.link(name); err != nil {
			return nil, err
		}
		_, err = c.own(name, st)
		return nil, err
	}
	return nil, nil
}

// attributes sets owner and mode of the copy, which nobody else reaches yet. Without the
// owner it is nobody's program: set-user-ID would make it one of the container's root.
func (c *copier) attributes(name string, st *fileInfo) error {
	owned, err := c.own(name, st)
	if err != nil {
		return err
	}
	mode := st.mode & 0o7777
	if !owned {
		mode &^= unix.S_ISUID | unix.S_ISGID
	}
	_, err = c.named(copyChmod, name, uint64(mode), 0)
	return err
}

// own sets the owner of the copy, and reports whether the container's root may.
func (c *copier) own(name string, st *fileInfo) (bool, error) {
	_, err := c.named(copyChown, name, uint64(st.uid), uint64(st.gid))
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("chown to %d:%d: %w", st.uid, st.gid, err)
	}
	return true, nil
}

func (c *copier) link(name string) error {
	e, err := c.named(copyReadlink, name, 0, 0)
	if err != nil {
		return err
	}
	var to [linkLen]byte
	if len(e.Data) >= len(to) {
		return unix.ENAMETOOLONG
	}
	copy(to[:], e.Data)
	req, err := request(copySymlink, name, 0, 0)
	if err == nil {
		err = c.send(req)
	}
	if err == nil {
		err = c.child.Send(to[:])
	}
	if err != nil {
		return err
	}
	_, err = c.answer()
	return err
}

// file copies the content of the regular file name, and returns what it is. It returns nil
// for one that is none any more.
func (c *copier) file(name string) (*fileInfo, error) {
	st, err := c.open(name)
	if st == nil || err != nil {
		return nil, err
	}
	return st, c.fill(st.size)
}

// open opens the regular file name and makes its copy.
func (c *copier) open(name string) (*fileInfo, error) {
	st, err := parseInfo(c.named(copyOpen, name, 0, 0))
	if errors.Is(err, notRegular) || errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO) {
		return nil, nil
	}
	return st, err
}

// fill copies the content of the open file, and closes it.
func (c *copier) fill(size int64) error {
	err := c.content(size)
	if err == nil {
		_, err = c.ask(&copyRequest{op: copySize, a: uint64(size)})
	}
	if _, shutErr := c.ask(&copyRequest{op: copyClose}); err == nil {
		err = shutErr
	}
	return err
}

// content copies the parts of the open file that hold data, up to size.
func (c *copier) content(size int64) error {
	for at := int64(0); at < size; {
		data, err := c.ask(&copyRequest{op: copyData, a: uint64(at)})
		if errors.Is(err, unix.ENXIO) { // a hole up to the end
			return nil
		}
		if err != nil {
			return err
		}
		hole, err := c.ask(&copyRequest{op: copyHole, a: uint64(data.Value)})
		if errors.Is(err, unix.ENXIO) { // it was cut off meanwhile
			return nil
		}
		if err != nil {
			return err
		}
		end := min(hole.Value, size)
		if data.Value < at || end <= data.Value {
			return nil
		}
		for at = data.Value; at < end; {
			sent, err := c.ask(&copyRequest{op: copySend, a: uint64(at), b: uint64(min(end-at, maxSend))})
			if err != nil {
				return err
			}
			if sent.Value <= 0 {
				return nil
			}
			at += sent.Value
		}
	}
	return nil
}

// named asks for an operation on an entry.
func (c *copier) named(op uint64, name string, a, b uint64) (spawn.Event, error) {
	req, err := request(op, name, a, b)
	if err != nil {
		return spawn.Event{}, err
	}
	return c.ask(req)
}

func request(op uint64, name string, a, b uint64) (*copyRequest, error) {
	if len(name) > nameMax {
		return nil, unix.ENAMETOOLONG
	}
	req := &copyRequest{op: op, a: a, b: b}
	copy(req.name[:], name)
	return req, nil
}

// ask has one operation done; the error is its errno.
func (c *copier) ask(req *copyRequest) (spawn.Event, error) {
	if err := c.send(req); err != nil {
		return spawn.Event{}, err
	}
	return c.answer()
}

func (c *copier) send(req *copyRequest) error {
	p := make([]byte, 0, requestLen)
	for _, v := range [...]uint64{req.op, req.a, req.b} {
		p = binary.NativeEndian.AppendUint64(p, v)
	}
	return c.child.Send(append(p, req.name[:]...))
}

func (c *copier) answer() (spawn.Event, error) {
	event, err := c.child.Next()
	switch {
	case err != nil:
		return event, err
	case event.Tag != c.tag:
		if event.Fd >= 0 {
			unix.Close(event.Fd)
		}
		return event, fmt.Errorf("program: init told %#x in a copy", event.Tag)
	case event.Value < 0:
		return event, unix.Errno(-event.Value)
	}
	return event, nil
}
