package resource

import (
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// hugepages limits use and, where the kernel can (5.7), reservation.
//
// Source: runtime-spec config-linux.md "Huge page limits"; cgroup-v1/hugetlb.rst.
func (b *builder) hugepages(list []specs.LinuxHugepageLimit) {
	suffix := b.pick(".limit_in_bytes", ".max")
	for i := range list {
		size, field := list[i].Pagesize, indexed("hugepageLimits", i)
		if !pageSize(size) {
			b.failf("%s.%s.pageSize: %q: give a size as 64KB, 2MB or 1GB", resources, field, size)
			return
		}
		text := decimal(list[i].Limit)
		b.add(field, "hugetlb", "hugetlb."+size+suffix, text)
		b.add(field, "hugetlb", "hugetlb."+size+".rsvd"+suffix, text).optional = true
	}
}

// pageSize reports whether s is a number and a unit: it becomes part of a file's name.
func pageSize(s string) bool {
	n := len(s) - len("KB")
	if n < 1 || s[0] == '0' || s[n+1] != 'B' || !strings.Contains("KMG", s[n:n+1]) {
		return false
	}
	return strings.Trim(s[:n], "0123456789") == ""
}
