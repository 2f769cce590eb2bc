package life

import (
	"sort"
	"strconv"

	"github.com/hutch-project/hutch/internal/host/hook"
	"github.com/hutch-project/hutch/internal/host/state"
	"github.com/hutch-project/hutch/internal/jsontext"
)

// hookOutput returns the files for what hooks of the container write.
func (c *container) hookOutput() hook.Output { return hook.OutputOf(c.rec.Annotations, c.rec.Bundle) }

func (c *container) hookState(s Status) []byte { return hookState(c.rec, s) }

// hookState returns the state that a hook finds on its standard input.
//
// Source: runtime-spec runtime.md "State"; root is crun's addition, which
// podman's tests look for.
func hookState(r *state.Record, s Status) []byte {
	b := append([]byte(nil), `{"ociVersion":`...)
	b = jsontext.AppendString(b, r.OCIVersion)
	b = append(b, `,"id":`...)
	b = jsontext.AppendString(b, r.ID)
	b = append(b, `,"status":`...)
	b = jsontext.AppendString(b, string(s))
	b = append(b, `,"pid":`...)
	pid := r.Pid
	if s == Stopped {
		pid = 0
	}
	b = strconv.AppendInt(b, int64(pid), 10)
	b = append(b, `,"bundle":`...)
	b = jsontext.AppendString(b, r.Bundle)
	b = append(b, `,"root":`...)
	b = jsontext.AppendString(b, r.Rootfs)
	b = append(b, `,"annotations":{`...)
	keys := make([]string, 0, len(r.Annotations))
	for k := range r.Annotations {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = jsontext.AppendString(b, k)
		b = append(b, ':')
		b = jsontext.AppendString(b, r.Annotations[k])
	}
	return append(b, "}}"...)
}
