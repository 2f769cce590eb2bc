package life

import (
	"bytes"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/part/user"
	"github.com/hutch-project/hutch/internal/program/spawn"
)

// home looks for the home directory of a user in the container's passwd file, which the
// child sends piece by piece.
type home struct {
	line []byte // the last one, as far as it has come
	read int    // bytes so far
}

// homeHandler answers a piece of the file with the home directory of the user, or asks
// for the next piece.
func homeHandler(child *spawn.Child, p *specs.Process) handler {
	h := &home{}
	serve := func(e spawn.Event) (answer, error) {
		dir, found := h.find(e.Data, p.User.UID)
		if !found {
			return silence, child.Send(user.HomeMore())
		}
		return silence, child.Send(user.HomeReply(dir))
	}
	return handler{tag: user.HomeTag, doing: "answer with the user's home directory", serve: serve}
}

// find looks through the next piece, an empty one being the end of the file. It reports
// false when it takes more to know.
func (h *home) find(piece []byte, uid uint32) (dir string, found bool) {
	h.line, h.read = append(h.line, piece...), h.read+len(piece)
	end := len(piece) == 0 || h.read >= user.Limit
	dir, found = user.Home(h.line, uid, end)
	if found || end {
		*h = home{}
		return dir, true
	}
	h.line = h.line[bytes.LastIndexByte(h.line, '\n')+1:] // the rest is done with
	return "", false
}
