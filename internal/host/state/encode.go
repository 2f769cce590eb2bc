package state

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// encoder appends JSON. encoding/json is not used here: its first call in a
// process costs more than the rest of a save or a load.
//
// Bytes of strings that are not UTF-8 stay as they are, as file names may have
// them; other readers of the file see replacement characters there.
type encoder struct {
	b []byte
}

func appendRecord(b []byte, r *Record) []byte {
	e := &encoder{b}
	e.open('{')
	e.number("version", version)
	e.text("id", r.ID)
	e.text("bundle", r.Bundle)
	e.text("rootfs", r.Rootfs)
	if r.OnRoot != "" {
		e.text("onRoot", r.OnRoot)
	}
	e.text("ociVersion", r.OCIVersion)
	e.text("status", r.Status)
	e.number("pid", int64(r.Pid))
	e.name("pidStart")
	e.b = strconv.AppendUint(e.b, r.PidStart, 10)
	e.name("created")
	e.b = append(r.Created.UTC().AppendFormat(append(e.b, '"'), time.RFC3339Nano), '"')
	e.texts("annotations", r.Annotations)
	e.name("cgroup")
	e.open('{')
	e.text("driver", r.Cgroup.Driver)
	if r.Cgroup.Unit != "" {
		e.text("unit", r.Cgroup.Unit)
		e.bool("user", r.Cgroup.User)
	}
	e.texts("paths", r.Cgroup.Paths)
	e.bool("own", r.Cgroup.Own)
	e.numbers("inodes", r.Cgroup.Inodes)
	e.close('}')
	if r.Rdt.Dir != "" {
		e.name("rdt")
		e.open('{')
		e.text("dir", r.Rdt.Dir)
		e.text("monitor", r.Rdt.Monitor)
		e.bool("own", r.Rdt.Own)
		e.close('}')
	}
	list(e, "namespaces", r.Namespaces, func(n *Namespace) {
		e.text("type", n.Type)
		e.text("path", n.Path)
	})
	e.bool("hasProcess", r.HasProcess)
	e.text("process", r.Process)
	e.text("resources", r.Resources)
	e.bool("ownKeyring", r.OwnKeyring)
	e.text("keyring", r.Keyring)
	e.number("keyringSerial", r.KeyringSerial)
	if r.RootMount != 0 {
		e.name("rootMount")
		e.b = strconv.AppendUint(e.b, r.RootMount, 10)
	}
	e.text("rootFile", r.RootFile)
	e.text("userNS", r.UserNS)
	e.text("mountNS", r.MountNS)
	e.bool("privatePid", r.PrivatePid)
	e.strings("streams", r.Streams)
	list(e, "afterStart", r.AfterStart, func(f *Failure) {
		e.number("pc", int64(f.PC))
		e.text("text", f.Text)
	})
	e.name("hooks")
	e.open('{')
	list(e, "startContainer", r.Hooks.StartContainer, e.hook)
	list(e, "poststart", r.Hooks.Poststart, e.hook)
	list(e, "poststop", r.Hooks.Poststop, e.hook)
	e.close('}')
	e.close('}')
	return append(e.b, '\n')
}

func (e *encoder) hook(h *specs.Hook) {
	e.text("path", h.Path)
	e.strings("args", h.Args)
	e.strings("env", h.Env)
	if h.Timeout != nil {
		e.number("timeout", int64(*h.Timeout))
	}
}

// next puts a comma behind what stands before, if anything does.
func (e *encoder) next() {
	if c := e.b[len(e.b)-1]; c != '{' && c != '[' {
		e.b = append(e.b, ',')
	}
}

func (e *encoder) open(c byte)  { e.b = append(e.b, c) }
func (e *encoder) close(c byte) { e.b = append(e.b, c) }

func (e *encoder) name(name string) {
	e.next()
	e.quote(name)
	e.b = append(e.b, ':')
}

// text, like strings, texts, bool and list, leaves out what is empty.
func (e *encoder) text(name, s string) {
	if s != "" {
		e.name(name)
		e.quote(s)
	}
}

func (e *encoder) number(name string, v int64) {
	e.name(name)
	e.b = strconv.AppendInt(e.b, v, 10)
}

func (e *encoder) bool(name string, v bool) {
	if v {
		e.name(name)
		e.b = append(e.b, "true"...)
	}
}

func (e *encoder) strings(name string, list []string) {
	if len(list) == 0 {
		return
	}
	e.name(name)
	e.open('[')
	for _, s := range list {
		e.next()
		e.quote(s)
	}
	e.close(']')
}

func (e *encoder) texts(name string, m map[string]string) {
	if len(m) == 0 {
		return
	}
	e.name(name)
	e.open('{')
	for _, k := range slices.Sorted(maps.Keys(m)) {
		e.name(k)
		e.quote(m[k])
	}
	e.close('}')
}

func (e *encoder) numbers(name string, m map[string]uint64) {
	if len(m) == 0 {
		return
	}
	e.name(name)
	e.open('{')
	for _, k := range slices.Sorted(maps.Keys(m)) {
		e.name(k)
		e.b = strconv.AppendUint(e.b, m[k], 10)
	}
	e.close('}')
}

func list[T any](e *encoder, name string, all []T, members func(*T)) {
	if len(all) == 0 {
		return
	}
	e.name(name)
	e.open('[')
	for i := range all {
		e.next()
		e.open('{')
		members(&all[i])
		e.close('}')
	}
	e.close(']')
}

func (e *encoder) quote(s string) {
	const hex = "0123456789abcdef"
	b := append(e.b, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[start:i]...)
		if c < ' ' {
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		} else {
			b = append(b, '\\', c)
		}
		start = i + 1
	}
	e.b = append(append(b, s[start:]...), '"')
}
