package validate

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// SysctlPath returns the path below /proc/sys that key names, without a slash
// before it. Key is in one of the two forms of sysctl.d(5), which the first
// separator tells apart: net/ipv4/conf/eth0.100/forwarding is taken as it is,
// in net.ipv4.conf.eth0/100.forwarding dots and slashes are exchanged.
//
// No component of the result is empty, "." or "..", so that it stays below
// /proc/sys as far as there are no symbolic links.
func SysctlPath(key string) (string, error) {
	name := key
	if i := strings.IndexAny(key, "./"); i >= 0 && key[i] == '.' {
		b := []byte(key)
		for i, c := range b {
			switch c {
			case '.':
				b[i] = '/'
			case '/':
				b[i] = '.'
			}
		}
		name = string(b)
	}
	if strings.IndexByte(name, 0) >= 0 || len(name) > maxPath-len("/proc/sys/") {
		return "", errors.New(quote(key) + " is too long or holds a NUL character")
	}
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "":
			return "", errors.New(quote(key) + " has an empty component")
		case ".", "..":
			return "", errors.New(quote(key) + " has the component " + part)
		}
	}
	return name, nil
}

// sysctls checks linux.sysctl: only parameters that a namespace of the
// container has for its own may be set. The rest would be the host's.
func (c *checker) sysctls() error {
	const name = "linux.sysctl"
	if len(c.linux.Sysctl) == 0 {
		return nil
	}
	paths := make(map[string]string, len(c.linux.Sysctl))
	for _, key := range slices.Sorted(maps.Keys(c.linux.Sysctl)) {
		p, err := SysctlPath(key)
		if err != nil {
			return fault(name, err.Error(), "write it as net.ipv4.ip_forward or net/ipv4/ip_forward")
		}
		element := name + "[" + quote(key) + "]"
		if other, ok := paths[p]; ok {
			return fault(element, "is the same parameter as "+quote(other), "remove one")
		}
		paths[p] = key
		if err := c.sysctl(element, p); err != nil {
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
func (c *checker) sysctl(element, path string) error {
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
