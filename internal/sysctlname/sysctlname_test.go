package sysctlname

import (
	"errors"
	"path"
	"strings"
	"testing"
)

func TestPath(t *testing.T) {
	for _, c := range []struct{ rule, key, want string }{
		{"dots are separators", "net.ipv4.ip_forward", "net/ipv4/ip_forward"},
		{"so are slashes", "net/ipv4/ip_forward", "net/ipv4/ip_forward"},
		{"a slash first keeps the dots", "net/ipv4/conf/eth0.100/forwarding", "net/ipv4/conf/eth0.100/forwarding"},
		{"a dot first makes dots of slashes", "net.ipv4.conf.eth0/100.forwarding", "net/ipv4/conf/eth0.100/forwarding"},
		{"one component", "kernel", "kernel"},
		{"none", "", ""},
		{"a slash before it", "/kernel/domainname", ""},
		{"a dot before it", ".kernel.domainname", ""},
		{"a slash at the end", "net/", ""},
		{"two slashes", "net//ipv4", ""},
		{"two dots", "net..ipv4", ""},
		{"upwards", "net/../kernel/core_pattern", ""},
		{"upwards in the other form", "net.//.kernel", ""},
		{"here", "net/./ipv4", ""},
		{"a NUL", "net/a\x00b", ""},
		{"too long", "net/" + strings.Repeat("x", 4096), ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			got, err := Path(c.key)
			if got != c.want || (err == nil) != (c.want != "") || err != nil && !errors.Is(err, ErrName) {
				t.Errorf("Path(%q) = %q, %v; want %q", c.key, got, err, c.want)
			}
		})
	}
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"net.ipv4.ip_forward", "net/a.b/c", "a./b", "...", "/", ".a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, key string) {
		got, err := Path(key)
		if err != nil {
			return
		}
		if full := path.Join("/proc/sys", got); full != "/proc/sys/"+got || strings.IndexByte(got, 0) >= 0 || len(full) >= maxPath {
			t.Errorf("Path(%q) = %q", key, got)
		}
	})
}
