package cgroup

import (
	"maps"
	"strings"
	"testing"
)

func TestParseSub(t *testing.T) {
	for _, c := range []struct {
		rule   string
		values []string
		want   Sub
		err    string
	}{
		{"none", nil, Sub{}, ""},
		{"a path on v2", []string{"a/b"}, Sub{"": "a/b"}, ""},
		{"a leading slash is the container's cgroup", []string{"/a"}, Sub{"": "a"}, ""},
		{"the container's own", []string{"/"}, Sub{"": ""}, ""},
		{"and so is a dot", []string{"."}, Sub{"": ""}, ""},
		{"controllers", []string{"cpu,cpuacct:x", "memory:y/z"}, Sub{"cpu": "x", "cpuacct": "x", "memory": "y/z"}, ""},
		{"two without controllers", []string{"a", "b"}, nil, "missing CONTROLLER:"},
		{"an empty controller", []string{":a"}, nil, "want [CONTROLLER,...:]PATH"},
		{"an empty one of several", []string{"cpu,:a"}, nil, "is empty or stands twice"},
		{"twice", []string{"cpu:a", "cpu:b"}, nil, "stands twice"},
		{"upwards", []string{"a/../../b"}, nil, `".." is not allowed`},
		{"upwards alone", []string{".."}, nil, `".." is not allowed`},
		{"a second colon", []string{"cpu:a:b"}, nil, "want [CONTROLLER,...:]PATH"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			got, err := ParseSub(c.values)
			if c.err == "" && (err != nil || !maps.Equal(got, c.want)) {
				t.Errorf("%q: got %v, %v, want %v", c.values, got, err, c.want)
			}
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("%q: got %v, %v, want an error with %s", c.values, got, err, c.err)
			}
		})
	}
}
