package state

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/jsontext"
)

// decodeRecord reads what appendRecord has written. Members that it does not
// know are skipped. After an error r has what can be relied on all the same: the process,
// which its start time proves.
func decodeRecord(text []byte, rec *Record) (err error) {
	d := &decoder{s: string(text)} // a copy, of which the record's strings are parts
	v := d.record(rec)
	d.end()
	defer func() {
		if err != nil { // a record that is cut short may have ended within any member
			pid, start := rec.Pid, rec.PidStart
			*rec = Record{}
			if v > 0 && v <= version && start != 0 {
				rec.Pid, rec.PidStart = pid, start
			}
		}
	}()
	switch {
	case d.fault != "":
		return fmt.Errorf("offset %d: %s", d.at, d.fault)
	case v < 0:
		return errors.New("is no record: version is absent")
	case v > version:
		return fmt.Errorf("is a record of version %d, this program knows up to %d: use the newer one that wrote it", v, version)
	}
	return nil
}

// record reads the members, and returns the version, -1 where there is none.
func (d *decoder) record(rec *Record) (version int64) {
	version = -1
	d.object(func(name string) {
		switch name {
		case "version":
			version = d.number()
		case "id":
			rec.ID = d.text()
		case "bundle":
			rec.Bundle = d.text()
		case "rootfs":
			rec.Rootfs = d.text()
		case "onRoot":
			rec.OnRoot = d.text()
		case "ociVersion":
			rec.OCIVersion = d.text()
		case "status":
			rec.Status = d.text()
		case "pid":
			rec.Pid = int(d.number())
		case "pidStart":
			rec.PidStart = d.unsigned()
		case "created":
			rec.Created = d.time()
		case "annotations":
			rec.Annotations = d.texts()
		case "cgroup":
			d.cgroup(&rec.Cgroup)
		case "rdt":
			d.rdt(&rec.Rdt)
		case "namespaces":
			d.list(func() { rec.Namespaces = append(rec.Namespaces, d.namespace()) })
		case "hasProcess":
			rec.HasProcess = d.bool()
		case "process":
			rec.Process = d.text()
		case "resources":
			rec.Resources = d.text()
		case "ownKeyring":
			rec.OwnKeyring = d.bool()
		case "keyring":
			rec.Keyring = d.text()
		case "keyringSerial":
			rec.KeyringSerial = d.number()
		case "rootMount":
			rec.RootMount = d.unsigned()
		case "rootFile":
			rec.RootFile = d.text()
		case "userNS":
			rec.UserNS = d.text()
		case "mountNS":
			rec.MountNS = d.text()
		case "privatePid":
			rec.PrivatePid = d.bool()
		case "streams":
			d.list(func() { rec.Streams = append(rec.Streams, d.text()) })
		case "afterStart":
			d.list(func() { rec.AfterStart = append(rec.AfterStart, d.failure()) })
		case "hooks":
			d.hooks(&rec.Hooks)
		default:
			d.skip()
		}
	})
	return version
}

func (d *decoder) cgroup(c *Cgroup) {
	d.object(func(name string) {
		switch name {
		case "driver":
			c.Driver = d.text()
		case "unit":
			c.Unit = d.text()
		case "user":
			c.User = d.bool()
		case "paths":
			c.Paths = d.texts()
		case "own":
			c.Own = d.bool()
		case "inodes":
			c.Inodes = map[string]uint64{}
			d.object(func(name string) { c.Inodes[name] = d.unsigned() })
		default:
			d.skip()
		}
	})
}

func (d *decoder) rdt(r *Rdt) {
	d.object(func(name string) {
		switch name {
		case "dir":
			r.Dir = d.text()
		case "monitor":
			r.Monitor = d.text()
		case "own":
			r.Own = d.bool()
		default:
			d.skip()
		}
	})
}

func (d *decoder) namespace() (n Namespace) {
	d.object(func(name string) {
		switch name {
		case "type":
			n.Type = d.text()
		case "path":
			n.Path = d.text()
		default:
			d.skip()
		}
	})
	return n
}

func (d *decoder) failure() (f Failure) {
	d.object(func(name string) {
		switch name {
		case "pc":
			f.PC = int(d.number())
		case "text":
			f.Text = d.text()
		default:
			d.skip()
		}
	})
	return f
}

func (d *decoder) hooks(h *Hooks) {
	d.object(func(name string) {
		var to *[]specs.Hook
		switch name {
		case "startContainer":
			to = &h.StartContainer
		case "poststart":
			to = &h.Poststart
		case "poststop":
			to = &h.Poststop
		default:
			d.skip()
			return
		}
		d.list(func() { *to = append(*to, d.hook()) })
	})
}

func (d *decoder) hook() (h specs.Hook) {
	d.object(func(name string) {
		switch name {
		case "path":
			h.Path = d.text()
		case "args":
			d.list(func() { h.Args = append(h.Args, d.text()) })
		case "env":
			d.list(func() { h.Env = append(h.Env, d.text()) })
		case "timeout":
			v := int(d.number())
			h.Timeout = &v
		default:
			d.skip()
		}
	})
	return h
}

// decoder reads JSON as appendRecord writes it, with white space between.
// Its first fault is kept and ends all reading.
type decoder struct {
	s     string
	i     int
	depth int
	fault string
	at    int
}

// maxDepth bounds how deep skipped values may nest.
const maxDepth = 100

func (d *decoder) fail(fault string) {
	if d.fault == "" {
		d.fault, d.at = fault, d.i
	}
	d.i = len(d.s)
}

// peek skips white space and returns the next byte, 0 at the end.
func (d *decoder) peek() byte {
	for ; d.i < len(d.s); d.i++ {
		switch c := d.s[d.i]; c {
		case ' ', '\n', '\t', '\r':
		default:
			return c
		}
	}
	return 0
}

// take skips c when it comes next.
func (d *decoder) take(c byte) bool {
	if d.peek() == c {
		d.i++
		return true
	}
	return false
}

func (d *decoder) want(c byte) bool {
	if d.take(c) {
		return true
	}
	d.fail("want " + strconv.QuoteRune(rune(c)))
	return false
}

func (d *decoder) end() {
	if d.fault == "" && d.peek() != 0 || d.i < len(d.s) {
		d.fail("want the end")
	}
}

// object calls member with each name; member reads the value.
func (d *decoder) object(member func(name string)) {
	d.items('{', '}', func() {
		name := d.text()
		if d.want(':') {
			member(name)
		}
	})
}

// list calls item before each element.
func (d *decoder) list(item func()) { d.items('[', ']', item) }

func (d *decoder) items(open, end byte, item func()) {
	if !d.want(open) || d.take(end) {
		return
	}
	if d.depth++; d.depth > maxDepth {
		d.fail("nests too deep")
	}
	for d.fault == "" {
		item()
		if d.take(end) {
			break
		}
		d.want(',')
	}
	d.depth--
}

func (d *decoder) texts() map[string]string {
	m := make(map[string]string)
	d.object(func(name string) { m[name] = d.text() })
	return m
}

func (d *decoder) bool() bool {
	d.peek()
	switch rest := d.s[d.i:]; {
	case strings.HasPrefix(rest, "true"):
		d.i += 4
		return true
	case strings.HasPrefix(rest, "false"):
		d.i += 5
		return false
	}
	d.fail("want true or false")
	return false
}

// digits returns the text of an integer.
func (d *decoder) digits() string {
	d.peek()
	start := d.i
	for d.i < len(d.s) && (d.s[d.i] == '-' || '0' <= d.s[d.i] && d.s[d.i] <= '9') {
		d.i++
	}
	return d.s[start:d.i]
}

func (d *decoder) number() int64 {
	v, err := strconv.ParseInt(d.digits(), 10, strconv.IntSize)
	if err != nil {
		d.fail("want an integer")
	}
	return v
}

func (d *decoder) unsigned() uint64 {
	v, err := strconv.ParseUint(d.digits(), 10, 64)
	if err != nil {
		d.fail("want an integer of 0 or more")
	}
	return v
}

func (d *decoder) time() time.Time {
	t, err := time.Parse(time.RFC3339Nano, d.text())
	if err != nil {
		d.fail("want a time of RFC 3339")
	}
	return t.UTC()
}

// text reads a string. Without escapes the result is a part of d.s.
func (d *decoder) text() string {
	if !d.want('"') {
		return ""
	}
	value, next, fault := jsontext.ReadString(d.s, d.i)
	if d.i = next; fault != "" {
		d.fail(fault)
		return ""
	}
	return value
}

// skip reads a value of any kind.
func (d *decoder) skip() {
	switch c := d.peek(); {
	case c == '{':
		d.object(func(string) { d.skip() })
	case c == '[':
		d.list(d.skip)
	case c == '"':
		d.text()
	case c == 't' || c == 'f':
		d.bool()
	default:
		d.number()
	}
}
