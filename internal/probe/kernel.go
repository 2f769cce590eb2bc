package probe

import (
	"slices"
	"strconv"
	"strings"
)

// Kernel is the first two numbers of a kernel's version, as {6, 18}.
type Kernel [2]int

// ParseKernel returns the version of a release, as uname(2) has it: 6.18.9-cloud-amd64. What
// is no number is 0.
func ParseKernel(release string) (k Kernel) {
	for i, part := range strings.SplitN(release, ".", len(k)+1) {
		if i < len(k) {
			rest := strings.TrimLeft(part, "0123456789")
			k[i], _ = strconv.Atoi(strings.TrimSuffix(part, rest))
		}
	}
	return k
}

// Has reports whether the kernel is of version since, as 5.14, or a later one. An empty
// since is what every kernel has that Hutch runs on.
func (k Kernel) Has(since string) bool {
	least := ParseKernel(since)
	return slices.Compare(k[:], least[:]) >= 0
}
