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

func appendRecord(b []byte, rec *Record) []byte {
	e := &encoder{b}
	e.open('{')
	e.number("version", version)
	e.text("id", rec.ID)
	e.text("bundle", rec.Bundle)
	e.text("rootfs", rec.Rootfs)
	if rec.OnRoot != "" {
		e.text("onRoot", rec.OnRoot)
	}
	e.text("ociVersion", rec.OCIVersion)
	e.text("status", rec.Status)
	e.number("pid", int64(rec.Pid))
	e.name("pidStart")
	e.b = strconv.AppendUint(e.b, rec.PidStart, 10)
	e.name("created")
	e.b = append(rec.Created.UTC().AppendFormat(append(e.b, '"'), time.RFC3339Nano), '"')
	e.texts("annotations", rec.Annotations)
	e.name("cgroup")
	e.open('{')
	e.text("driver", rec.Cgroup.Driver)
	if rec.Cgroup.Unit != "" {
		e.text("unit", rec.Cgroup.Unit)
		e.bool("user", rec.Cgroup.User)
	}
	e.texts("paths", rec.Cgroup.Paths)
	e.bool("own", rec.Cgroup.Own)
	e.numbers("inodes", rec.Cgroup.Inodes)
	e.close('}')
	if rec.Rdt.Dir != "" {
		e.name("rdt")
		e.open('{')
		e.text("dir", rec.Rdt.Dir)
		e.text("monitor", rec.Rdt.Monitor)
		e.bool("own", rec.Rdt.Own)
		e.close('}')
	}
	list(e, "namespaces", rec.Namespaces, func(n *Namespace) {
		e.text("type", n.Type)
		e.text("path", n.Path)
	})
	e.bool("hasProcess", rec.HasProcess)
	e.text("process", rec.Process)
	e.text("resources", rec.Resources)
	e.bool("ownKeyring", rec.OwnKeyring)
	e.text("keyring", rec.Keyring)
	e.number("keyringSerial", rec.KeyringSerial)
	if rec.RootMount != 0 {
		e.name("rootMount")
		e.b = strconv.AppendUint(e.b, rec.RootMount, 10)
	}
	e.text("rootFile", rec.RootFile)
	e.text("userNS", rec.UserNS)
	e.text("mountNS", rec.MountNS)
	e.bool("privatePid", rec.PrivatePid)
	e.strings("streams", rec.Streams)
	list(e, "afterStart", rec.AfterStart, func(f *Failure) {
		e.number("pc", int64(f.PC))
		e.text("text", f.Text)
	})
	e.name("hooks")
	e.open('{')
	list(e, "startContainer", rec.Hooks.StartContainer, e.hook)
	list(e, "poststart", rec.Hooks.Poststart, e.hook)
	list(e, "poststop", rec.Hooks.Poststop, e.hook)
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

func (e *encoder) texts(name string, m map[string]string) { object(e, name, m, e.quote) }

func (e *encoder) numbers(name string, m map[string]uint64) {
	object(e, name, m, func(n uint64) { e.b = strconv.AppendUint(e.b, n, 10) })
}

// object writes a map that is not empty, its keys in alphabetical order.
func object[V any](e *encoder, name string, m map[string]V, write func(V)) {
	if len(m) == 0 {
		return
	}
	e.name(name)
	e.open('{')
	for _, k := range slices.Sorted(maps.Keys(m)) {
		e.name(k)
		write(m[k])
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

func (e *encoder) quote(text string) {
	const hex = "0123456789abcdef"
	buf := append(e.b, '"')
	start := 0
	for i := range len(text) {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		buf = append(buf, text[start:i]...)
		if c < ' ' {
			buf = append(buf, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		} else {
			buf = append(buf, '\\', c)
		}
		start = i + 1
	}
	e.b = append(append(buf, text[start:]...), '"')
}
