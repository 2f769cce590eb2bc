package netdev

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// link is a network device.
type link struct {
	index int32
	flags uint32
	name  string
}

// ifinfo is a struct ifinfomsg.
func ifinfo(index int32, flags, change uint32) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], flags)
	binary.NativeEndian.PutUint32(b[12:], change)
	return b
}

func parseLink(body []byte) (link, error) {
	if len(body) < unix.SizeofIfInfomsg {
		return link{}, fmt.Errorf("netlink: a link of %d bytes", len(body))
	}
	l := link{index: int32(binary.NativeEndian.Uint32(body[4:])), flags: binary.NativeEndian.Uint32(body[8:])}
	attrs(body[unix.SizeofIfInfomsg:], func(typ uint16, v []byte) {
		if typ == unix.IFLA_IFNAME {
			l.name = string(bytes.TrimRight(v, "\x00"))
		}
	})
	return l, nil
}

// find looks a device up by its name; ENODEV when there is none.
func (c *conn) find(name string) (l link, err error) {
	m := newMessage(unix.RTM_GETLINK, 0, ifinfo(0, 0, 0)).attrString(unix.IFLA_IFNAME, name)
	err = c.do(m, func(body []byte) (err error) {
		l, err = parseLink(body)
		return err
	})
	return l, err
}

// byIndex looks a device up by its index.
func (c *conn) byIndex(index int32) (l link, err error) {
	err = c.do(newMessage(unix.RTM_GETLINK, 0, ifinfo(index, 0, 0)), func(body []byte) (err error) {
		l, err = parseLink(body)
		return err
	})
	return l, err
}

// links lists all devices, by index.
func (c *conn) links() (map[int32]link, error) {
	all := map[int32]link{}
	err := c.do(newMessage(unix.RTM_GETLINK, unix.NLM_F_DUMP, ifinfo(0, 0, 0)), func(body []byte) error {
		l, err := parseLink(body)
		all[l.index] = l
		return err
	})
	return all, err
}

// set changes a device: its flags as far as change has them, and what attributes
// edit adds.
func (c *conn) set(index int32, flags, change uint32, edit func(message) message) error {
	m := newMessage(unix.RTM_NEWLINK, unix.NLM_F_ACK, ifinfo(index, flags, change))
	if edit != nil {
		m = edit(m)
	}
	return c.do(m, nil)
}

// give moves a device into the network namespace ns, where it is called name. A
// device that was up is down afterwards.
func (c *conn) give(index int32, ns int, name string) error {
	return c.set(index, 0, unix.IFF_UP, func(m message) message {
		return m.attrUint32(unix.IFLA_NET_NS_FD, uint32(ns)).attrString(unix.IFLA_IFNAME, name)
	})
}

func (c *conn) up(index int32) error { return c.set(index, unix.IFF_UP, unix.IFF_UP, nil) }

// arrived finds, in the namespace of c, the device that was given the name, which
// may be a template; before are the devices that were there. Its index is its
// former one, unless that was taken.
func (c *conn) arrived(before map[int32]link, name string, former int32) (link, error) {
	if !isTemplate(name) {
		return c.find(name)
	}
	now, err := c.links()
	if err != nil {
		return link{}, err
	}
	if _, was := before[former]; !was {
		if l, ok := now[former]; ok && matches(name, l.name) {
			return l, nil
		}
	}
	for index, l := range now {
		if _, was := before[index]; !was && matches(name, l.name) {
			return l, nil
		}
	}
	return link{}, errors.New("the device is not to be found in the container's network namespace")
}
