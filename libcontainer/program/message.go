package program

import (
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// msghdr writes struct msghdr of sendmsg(2): the data, or for what is received
// the places it goes to, and the descriptors that go along.
func (l *lister) msghdr(off uint64, sent bool) string {
	var h unix.Msghdr
	if l.bytes(off, uint64(unsafe.Sizeof(h))) == nil {
		return ""
	}
	iov, _ := l.long(off + uint64(unsafe.Offsetof(h.Iov)))
	n, _ := l.long(off + uint64(unsafe.Offsetof(h.Iovlen)))
	control, _ := l.long(off + uint64(unsafe.Offsetof(h.Control)))
	clen, _ := l.long(off + uint64(unsafe.Offsetof(h.Controllen)))
	return fields(l.iovecs(iov, n, sent), l.rights(control, clen, sent))
}

// iovecs writes an array of n struct iovec.
func (l *lister) iovecs(off, n uint64, sent bool) string {
	var v unix.Iovec
	size := uint64(unsafe.Sizeof(v))
	if n > maxArray || l.bytes(off, n*size) == nil {
		return l.address(off)
	}
	out := make([]string, n)
	for i := range out {
		at := off + uint64(i)*size
		base, _ := l.long(at)
		length, _ := l.long(at + uint64(unsafe.Offsetof(v.Len)))
		if sent {
			out[i] = l.data(base, Imm(length))
		}
		if out[i] == "" {
			out[i] = strconv.FormatUint(length, 10) + " bytes at " + l.address(base)
		}
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// rights writes a control message of n bytes that carries descriptors, empty for
// none.
//
// Source: unix(7), SCM_RIGHTS.
func (l *lister) rights(off, n uint64, sent bool) string {
	var h unix.Cmsghdr
	if off == 0 || n == 0 {
		return ""
	}
	if !sent {
		return strconv.FormatUint(n, 10) + " bytes of control at " + l.address(off)
	}
	level, _ := l.uint(off+uint64(unsafe.Offsetof(h.Level)), 4)
	kind, _ := l.uint(off+uint64(unsafe.Offsetof(h.Type)), 4)
	size, _ := l.long(off)
	head := uint64(unix.CmsgLen(0))
	if level != unix.SOL_SOCKET || kind != unix.SCM_RIGHTS || size < head || size > n || l.bytes(off, size) == nil {
		return "control at " + l.address(off)
	}
	s := "SCM_RIGHTS"
	for at := off + head; at+4 <= off+size; at += 4 {
		fd := l.field("", at, 4, signed32)
		if fd == "" {
			fd = "0"
		}
		s += " " + fd
	}
	return s
}
