package life

import (
	"errors"
	"time"

	"github.com/hutch-project/hutch/internal/host/cgroup/stats"
)

// Usage is what a container has used up to a moment.
type Usage struct {
	ID     string
	Status Status
	At     time.Time
	Stats  *stats.Stats // nil for one that is stopped
}

// Usages returns what the containers of the ids, of all with none, have used, in the order
// of the ids. Those that are deleted meanwhile are left out.
func (r *Runtime) Usages(ids []string) ([]Usage, error) {
	all := len(ids) == 0
	if all {
		states, err := r.List()
		if err != nil {
			return nil, err
		}
		for i := range states {
			ids = append(ids, states[i].ID)
		}
	}
	var out []Usage
	for _, id := range ids {
		u, err := r.usage(id)
		switch {
		case errors.Is(err, ErrNotExist) && all:
		case err != nil:
			return nil, named("top", id, err)
		default:
			out = append(out, u)
		}
	}
	return out, nil
}

func (r *Runtime) usage(id string) (Usage, error) {
	c, err := r.open(id, false)
	if err != nil {
		return Usage{}, err
	}
	defer c.close()
	u := Usage{ID: id, Status: c.status()}
	if u.Status != Stopped {
		u.Stats, err = stats.Read(c.cg.Own())
	}
	u.At = time.Now()
	return u, err
}
