package validate

import (
	"maps"
	"slices"
	"strings"

	"github.com/hutch-project/hutch/internal/sysctlname"
)

// sysctls checks linux.sysctl: only parameters that a namespace of the
// container has for its own may be set. The rest would be the host's.
func (c *checker) sysctls() error {
	const name = "linux.sysctl"
	if len(c.linux.Sysctl) == 0 {
		return nil
	}
	paths := make(map[string]string, len(c.linux.Sysctl))
	for _, key := range slices.Sorted(maps.Keys(c.linux.Sysctl)) {
		p, err := sysctlname.Path(key)
		if err != nil {
			return fault(name, quote(key)+" is no name of a kernel parameter", "write it as net.ipv4.ip_forward or net/ipv4/ip_forward")
		}
		element := name + "[" + quote(key) + "]"
		if other, ok := paths[p]; ok {
			return fault(element, "is the same parameter as "+quote(other), "remove one")
		}
		paths[p] = key
		if err := c.sysctl(element, key, p); err != nil {
			return err
		}
		if err := cstring(element, c.linux.Sysctl[key], 0); err != nil {
			return err
		}
	}
	return nil
}

// sysctl decides on the parameter at path.
//
// Source: namespaces(7) and the pages it names; user_namespaces(7).
func (c *checker) sysctl(element, key, path string) error {
	top, _, _ := strings.Cut(path, "/")
	kind, word := space(-1), ""
	switch {
	case top == "net":
		kind, word = network, "network"
	case top == "user":
		kind, word = userSpace, "user"
	case strings.HasPrefix(path, "fs/mqueue/"):
		kind, word = ipc, "ipc"
	case path == "kernel/domainname":
		kind, word = uts, "uts"
		if value := c.linux.Sysctl[key]; c.Domainname != "" && value != c.Domainname {
			return fault(element, "is "+quote(value)+", while the property domainname is "+quote(c.Domainname), "remove one")
		} else if err := cstring(element, value, 64); err != nil { // __NEW_UTS_LEN
			return err
		}
	case path == "kernel/hostname":
		return fault(element, "conflicts with the property hostname", "set hostname")
	}
	switch path {
	case "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem",
		"kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced":
		kind, word = ipc, "ipc"
	}
	if kind < 0 {
		return fault(element, "is not separate for each container: it would change the host's", "remove it")
	}
	if c.spaces[kind] == nil {
		return fault(element, "needs a "+word+" namespace, or it would change the host's", `add {"type": "`+word+`"} to linux.namespaces`)
	}
	return nil
}
