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
func hookState(rec *state.Record, s Status) []byte {
	buf := append([]byte(nil), `{"ociVersion":`...)
	buf = jsontext.AppendString(buf, rec.OCIVersion)
	buf = append(buf, `,"id":`...)
	buf = jsontext.AppendString(buf, rec.ID)
	buf = append(buf, `,"status":`...)
	buf = jsontext.AppendString(buf, string(s))
	buf = append(buf, `,"pid":`...)
	pid := rec.Pid
	if s == Stopped {
		pid = 0
	}
	buf = strconv.AppendInt(buf, int64(pid), 10)
	buf = append(buf, `,"bundle":`...)
	buf = jsontext.AppendString(buf, rec.Bundle)
	buf = append(buf, `,"root":`...)
	buf = jsontext.AppendString(buf, rec.Rootfs)
	buf = append(buf, `,"annotations":{`...)
	keys := make([]string, 0, len(rec.Annotations))
	for k := range rec.Annotations {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for i, k := range keys {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = jsontext.AppendString(buf, k)
		buf = append(buf, ':')
		buf = jsontext.AppendString(buf, rec.Annotations[k])
	}
	return append(buf, "}}"...)
}
