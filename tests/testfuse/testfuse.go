// Package testfuse mounts a file system of a user's own, by FUSE, whose server says that all in
// it belongs to root.
//
// Only tests import it.
package testfuse

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/tests/testneed"
)

// Mount mounts one of the user, which others may see, at a new directory, and returns the path of
// that. Its entries are directories, and symbolic links where the name has "->" and where to.
func Mount(t testing.TB, uid int, entries ...string) string {
	t.Helper()
	testneed.Root(t, "a mount of another user's FUSE")
	dev, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	testneed.Feature(t, "fuse", err == nil)
	dir := t.TempDir()
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%d,allow_other", dev, uid, uid)
	if err := unix.Mount("lies", dir, "fuse", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		unix.Close(dev)
		t.Fatal(err)
	}
	s := &server{dev: dev, entries: entries}
	done := make(chan struct{})
	go func() {
		s.serve()
		close(done)
	}()
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("umount %s: %v", dir, err)
			_ = unix.Unmount(dir, unix.MNT_DETACH)
			return
		}
		<-done
		unix.Close(dev)
	})
	return dir
}

// server answers the kernel. The number of an entry is 2 and more, by its place in the list.
type server struct {
	dev     int
	entries []string
}

// Operations of the protocol.
//
// Source: linux/fuse.h.
const (
	opLookup      = 1
	opForget      = 2
	opGetattr     = 3
	opReadlink    = 5
	opOpen        = 14
	opStatfs      = 17
	opRelease     = 18
	opInit        = 26
	opOpendir     = 27
	opReaddir     = 28
	opReleasedir  = 29
	opInterrupt   = 36
	opBatchForget = 42
)

const (
	inHeader  = 40
	outHeader = 16
	major     = 7
	minor     = 22 // the last with a short answer to opInit
)

// serve answers until the file system is unmounted.
func (s *server) serve() {
	buf := make([]byte, 1<<20)
	for {
		n, err := unix.Read(s.dev, buf)
		if err == unix.EINTR || err == unix.ENOENT {
			continue
		}
		if err != nil || n < inHeader {
			return
		}
		op, node := binary.NativeEndian.Uint32(buf[4:]), binary.NativeEndian.Uint64(buf[16:])
		if op == opForget || op == opBatchForget || op == opInterrupt {
			continue
		}
		body, errno := s.answer(op, node, buf[inHeader:n])
		out := binary.NativeEndian.AppendUint32(nil, uint32(outHeader+len(body)))
		out = binary.NativeEndian.AppendUint32(out, uint32(-int32(errno)))
		out = append(append(out, buf[8:16]...), body...)
		if _, err := unix.Write(s.dev, out); err != nil && err != unix.ENOENT && err != unix.EINTR {
			return
		}
	}
}

// answer returns what a request is answered with.
func (s *server) answer(op uint32, node uint64, body []byte) ([]byte, unix.Errno) {
	switch op {
	case opInit:
		return words(major, minor, 4096, 0, 0, 4096), 0
	case opGetattr:
		return append(make([]byte, 16), s.attr(node)...), 0
	case opLookup:
		for i := range s.entries {
			if name, _, _ := strings.Cut(s.entries[i], "->"); name == strings.TrimRight(string(body), "\x00") {
				out := binary.NativeEndian.AppendUint64(nil, uint64(i+2))
				return append(append(out, make([]byte, 32)...), s.attr(uint64(i+2))...), 0
			}
		}
		return nil, unix.ENOENT
	case opReadlink:
		_, to, _ := strings.Cut(s.entries[node-2], "->")
		return []byte(to), 0
	case opOpen, opOpendir:
		return make([]byte, 16), 0
	case opStatfs:
		return make([]byte, 80), 0
	case opReaddir, opRelease, opReleasedir:
		return nil, 0
	}
	return nil, unix.ENOSYS
}

// attr returns struct fuse_attr: all is root's, and nobody else's to write.
func (s *server) attr(node uint64) []byte {
	mode := uint32(unix.S_IFDIR | 0o755)
	if node > 1 && strings.Contains(s.entries[node-2], "->") {
		mode = unix.S_IFLNK | 0o777
	}
	out := binary.NativeEndian.AppendUint64(nil, node)
	out = append(out, make([]byte, 5*8)...)                          // size, blocks and times
	return append(out, words(0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)...) // nlink, uid, gid, rdev, blksize
}

func words(list ...uint32) (out []byte) {
	for _, w := range list {
		out = binary.NativeEndian.AppendUint32(out, w)
	}
	return out
}
