package cgroup_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/cgroup/stats"
)

// TestStatsOfAContainer looks at what is sure to be there.
func TestStatsOfAContainer(t *testing.T) {
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		p, m := planned(t, l, "/"+unique())
		r := typical()
		r.CPU = nil
		if !has(t, l, "memory") {
			r = nil
		}
		if err := settings(t, r, l.Mode).Apply(p); err != nil {
			t.Fatal(err)
		}
		born(t, p, "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; echo ready; exec sleep 1000")
		s, err := stats.Read(m.Paths())
		if err != nil {
			t.Fatal(err)
		}
		if s.CPU.Total == 0 || s.Pids.Current != 1 {
			t.Errorf("%d ns, %d tasks; want some and 1", s.CPU.Total, s.Pids.Current)
		}
		if r != nil && (s.Pids.Limit != 100 || s.Memory.Usage.Limit != 64<<20 || s.Memory.Usage.Usage == 0 || len(s.Memory.Raw) == 0) {
			t.Errorf("got %+v, %+v", s.Pids, s.Memory.Usage)
		}
		if b := s.AppendJSON(nil, `{"l3_cache_schema":"x"}`); !json.Valid(b) || !strings.Contains(string(b), `"intel_rdt":{"l3`) {
			t.Errorf("JSON: %s", b)
		}
		if err := m.KillAll(); err != nil {
			t.Fatal(err)
		}
		if err := m.Remove(); err != nil {
			t.Fatal(err)
		}
		if _, err := stats.Read(m.Paths()); err != nil {
			t.Errorf("of a container that has gone: %v", err)
		}
	})
}
