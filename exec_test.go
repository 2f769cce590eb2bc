package main

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/life"
)

// TestParseID: an id is decimal digits alone, and never -1, which to the kernel
// means no change (CVE-2026-30892).
func TestParseID(t *testing.T) {
	for text, want := range map[string]uint32{"0": 0, "00": 0, "7": 7, "1000": 1000, "4294967294": 4294967294} {
		if got, err := parseID(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "+1", "+0", "4294967295", "4294967296", "18446744073709551615", "0x10", "0o7", "1_000", " 1", "1 ", "1e3", "root", "１"} {
		if got, err := parseID(text); err == nil {
			t.Errorf("%q is taken for %d", text, got)
		}
	}
}

// TestAddCapabilities: the inheritable set, which outlives execve, gets none
// (CVE-2022-29162).
func TestAddCapabilities(t *testing.T) {
	p := &specs.Process{}
	addCapabilities(p, []string{"CAP_CHOWN"})
	for name, set := range map[string][]string{"bounding": p.Capabilities.Bounding, "effective": p.Capabilities.Effective, "permitted": p.Capabilities.Permitted} {
		if len(set) != 1 || set[0] != "CAP_CHOWN" {
			t.Errorf("%s: %q", name, set)
		}
	}
	if c := p.Capabilities; len(c.Inheritable)+len(c.Ambient) > 0 {
		t.Errorf("inheritable %q, ambient %q", c.Inheritable, c.Ambient)
	}
}

func TestParseUser(t *testing.T) {
	was := specs.User{UID: 5, GID: 6}
	for text, want := range map[string]specs.User{"": was, "1": {UID: 1, GID: 6}, "1:2": {UID: 1, GID: 2}, "0:0": {}} {
		p := &specs.Process{User: was}
		set, name, err := parseUser(text)
		if err != nil || name != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if set(p); p.User.UID != want.UID || p.User.GID != want.GID {
			t.Errorf("%q: got %+v, want %+v", text, p.User, want)
		}
	}
	for text, want := range map[string]life.UserName{
		"root": {User: "root"}, "www-data:adm": {User: "www-data", Group: "adm"}, "7:adm": {User: "7", Group: "adm"}, "adm:7": {User: "adm", Group: "7"},
	} {
		if _, name, err := parseUser(text); err != nil || name == nil || *name != want {
			t.Errorf("%q: %+v, %v", text, name, err)
		}
	}
	for _, text := range []string{":", "1:", ":1", "+1", "1:+1", "4294967295", "1:4294967295", "1:2:3", "root:", ":root", "root:a:b", "root:-1", "root:4294967295", "4294967295:adm", "1a", "a\nb"} {
		if _, _, err := parseUser(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
