package netdev

import (
	"encoding/binary"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// addr is an address of a device, as the kernel tells it.
type addr struct {
	family, prefix byte
	flags          uint32
	attrs          []attr
}

type attr struct {
	typ   uint16
	value []byte
}

// keptFlags are the flags of an address that a user sets; the others are the
// kernel's state of it.
const keptFlags = unix.IFA_F_NODAD | unix.IFA_F_HOMEADDRESS | unix.IFA_F_MANAGETEMPADDR | unix.IFA_F_NOPREFIXROUTE | unix.IFA_F_MCAUTOJOIN

// ifaProto is IFA_PROTO of linux/if_addr.h, which x/sys does not have.
const ifaProto = 11

func ifaddr(family, prefix, flags byte, index int32) []byte {
	b := make([]byte, unix.SizeofIfAddrmsg)
	b[0], b[1], b[2], b[3] = family, prefix, flags, unix.RT_SCOPE_UNIVERSE
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	return b
}

// addrs lists the addresses of a device that go with it, of all families.
//
// Source: runtime-spec config-linux.md "Network Devices": "all permanent IP
// addresses (IFA_F_PERMANENT flag) of any family with global scope
// (RT_SCOPE_UNIVERSE value)".
func (c *conn) addrs(index int32) (out []addr, err error) {
	m := newMessage(unix.RTM_GETADDR, unix.NLM_F_DUMP, ifaddr(unix.AF_UNSPEC, 0, 0, index))
	err = c.do(m, func(body []byte) error {
		if len(body) < unix.SizeofIfAddrmsg || int32(binary.NativeEndian.Uint32(body[4:])) != index {
			return nil
		}
		a := addr{family: body[0], prefix: body[1], flags: uint32(body[2])}
		attrs(body[unix.SizeofIfAddrmsg:], func(typ uint16, v []byte) {
			if typ == unix.IFA_FLAGS && len(v) == 4 {
				a.flags = binary.NativeEndian.Uint32(v)
				return
			}
			a.attrs = append(a.attrs, attr{typ, append([]byte(nil), v...)})
		})
		if body[3] == unix.RT_SCOPE_UNIVERSE && a.flags&unix.IFA_F_PERMANENT != 0 {
			out = append(out, a)
		}
		return nil
	})
	return out, err
}

// addAddr gives a device the address a. A label that begins with the device's
// former name, as the kernel asks labels to, begins with its new one.
func (c *conn) addAddr(index int32, a addr, former, name string) error {
	msg := newMessage(unix.RTM_NEWADDR, unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL, ifaddr(a.family, a.prefix, byte(a.flags&keptFlags), index))
	for _, at := range a.attrs {
		switch at.typ {
		case unix.IFA_LABEL:
			label := strings.TrimRight(string(at.value), "\x00")
			if rest, ok := strings.CutPrefix(label, former); ok {
				label = name + rest
			}
			if len(label) < unix.IFNAMSIZ {
				msg = msg.attrString(unix.IFA_LABEL, label)
			}
		case unix.IFA_ADDRESS, unix.IFA_LOCAL, unix.IFA_BROADCAST, unix.IFA_RT_PRIORITY, unix.IFA_CACHEINFO, ifaProto:
			msg = msg.attr(at.typ, at.value)
		}
	}
	return c.do(msg.attrUint32(unix.IFA_FLAGS, a.flags&keptFlags), nil)
}

// text is the address for messages: 10.0.0.1/24, fd00:0:0:0:0:0:0:1/64.
func (a addr) text() string {
	var v []byte
	for _, at := range a.attrs {
		if at.typ == unix.IFA_LOCAL || at.typ == unix.IFA_ADDRESS && v == nil {
			v = at.value
		}
	}
	var out []byte
	for i := 0; i < len(v); i++ {
		if a.family == unix.AF_INET {
			out = append(strconv.AppendUint(out, uint64(v[i]), 10), '.')
		} else if i%2 == 1 {
			out = append(strconv.AppendUint(out, uint64(v[i-1])<<8|uint64(v[i]), 16), ':')
		}
	}
	return string(out[:max(0, len(out)-1)]) + "/" + strconv.Itoa(int(a.prefix))
}
