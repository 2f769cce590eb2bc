package nearest

import "testing"

func TestTo(t *testing.T) {
	limits := []string{"RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_CPU", "RLIMIT_STACK"}
	for _, c := range []struct {
		name  string
		names []string
		want  string
	}{
		{"creat", []string{"create", "start"}, "create"},
		{"craete", []string{"create", "start"}, "create"}, // neighbours swapped are one difference
		{"Create", []string{"create", "start"}, "create"},
		{"net", []string{"pid", "network", "mount"}, "network"},
		{"KLL", []string{"ILL", "KILL", "HUP"}, "KILL"}, // as near as ILL, with the same beginning
		{"abc", []string{"bbc", ""}, "bbc"},
		{"mnt", []string{"pid", "network", "mount"}, ""},
		{"NOFILE", limits, "RLIMIT_NOFILE"},
		{"nofile", limits, "RLIMIT_NOFILE"},
		{"RLIMIT_NOFILES", limits, "RLIMIT_NOFILE"},
		{"RLIMIT_", limits, ""}, // the beginning of all
		{"SYS_ADMIN", []string{"CAP_SYS_ADMIN", "CAP_SYSLOG"}, "CAP_SYS_ADMIN"},
		{"SYS_ADMN", []string{"CAP_SYS_ADMIN", "CAP_SYSLOG"}, "CAP_SYS_ADMIN"},
		{"no", []string{"nosuid", "nodev"}, ""},
		{"nosiud", []string{"nosuid", "nodev"}, "nosuid"},
		{"xyzzy", []string{"nosuid", "nodev"}, ""},
		{"SCMP_ALLOW", []string{"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"}, "SCMP_ACT_ALLOW"},
		{"", []string{"a", "b"}, ""},
		{"a", nil, ""},
	} {
		if got := To(c.name, c.names); got != c.want {
			t.Errorf("%q of %q: got %q, want %q", c.name, c.names, got, c.want)
		}
	}
}

func TestOr(t *testing.T) {
	for name, want := range map[string]string{"ned": "use net; did you mean net?", "pid": "use net"} {
		if got := Or(name, []string{"net"}, "use net"); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
