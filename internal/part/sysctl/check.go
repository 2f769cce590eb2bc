package sysctl

import (
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/nearest"
	"github.com/hutch-project/hutch/internal/sysctlname"
)

// Check checks linux.sysctl: only parameters that a namespace of the
// container has for its own may be set. The rest would be the host's.
func Check(conf *check.Config) error {
	const name = "linux.sysctl"
	if len(conf.Linux.Sysctl) == 0 {
		return nil
	}
	paths := make(map[string]string, len(conf.Linux.Sysctl))
	for _, key := range slices.Sorted(maps.Keys(conf.Linux.Sysctl)) {
		p, err := sysctlname.Path(key)
		if err != nil {
			conf.Add(fault.New(name, fault.Quote(key)+" is no name of a kernel parameter", "write it as net.ipv4.ip_forward or net/ipv4/ip_forward"))
			continue
		}
		element := elementOf(key)
		if other, ok := paths[p]; ok {
			conf.Add(fault.New(element, "is the same parameter as "+fault.Quote(other), "remove one"))
			continue
		}
		paths[p] = key
		conf.Add(separate(conf, element, key, p))
		conf.Add(check.String(element, conf.Linux.Sysctl[key], 0))
	}
	return nil
}

// separate refuses the parameter at path unless a namespace of the container has it for
// its own.
//
// Source: namespaces(7) and the pages it names; user_namespaces(7).
func separate(conf *check.Config, element, key, path string) error {
	switch path {
	case "kernel/domainname":
		if value := conf.Linux.Sysctl[key]; conf.Domainname != "" && value != conf.Domainname {
			return fault.New(element, "is "+fault.Quote(value)+", while the property domainname is "+fault.Quote(conf.Domainname), "remove one")
		} else if err := check.String(element, value, 64); err != nil { // __NEW_UTS_LEN
			return err
		}
	case "kernel/hostname":
		return fault.New(element, "conflicts with the property hostname", "set hostname")
	}
	kind := namespaceOf(path)
	if kind == "" {
		return fault.New(element, "is not separate for each container: it would change the host's", nearest.Or(key, namespaced(), "remove it"))
	}
	if conf.Namespace(kind) == nil {
		return errShared(element, kind)
	}
	return nil
}

// errShared returns the fault of a parameter whose namespace the configuration has not.
func errShared(element string, kind specs.LinuxNamespaceType) error {
	return fault.New(element, "needs a "+string(kind)+" namespace, or it would change the host's", `add {"type": "`+string(kind)+`"} to linux.namespaces`)
}

// CheckUnnamed refuses those of values that a namespace of the type kind has, where the runtime
// has added one that the configuration has not: it means the host's.
func CheckUnnamed(values map[string]string, kind specs.LinuxNamespaceType) error {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if Namespace(key) == kind {
			return errShared(elementOf(key), kind)
		}
	}
	return nil
}

// elementOf returns the name of the property with the parameter key.
func elementOf(key string) string { return "linux.sysctl[" + fault.Quote(key) + "]" }

// Namespace returns the type of the namespaces that have the parameter key, each a value of
// its own; empty for none.
func Namespace(key string) specs.LinuxNamespaceType {
	path, err := sysctlname.Path(key)
	if err != nil {
		return ""
	}
	return namespaceOf(path)
}

func namespaceOf(path string) specs.LinuxNamespaceType {
	top, _, _ := strings.Cut(path, "/")
	switch {
	case top == "net":
		return specs.NetworkNamespace
	case top == "user":
		return specs.UserNamespace
	case strings.HasPrefix(path, "fs/mqueue/"):
		return specs.IPCNamespace
	}
	switch {
	case path == "kernel/domainname":
		return specs.UTSNamespace
	case slices.Contains(ipcParameters(), path):
		return specs.IPCNamespace
	}
	return ""
}

// ipcParameters returns the parameters that IPC namespaces have, of kernel/.
//
// Source: ipc_namespaces(7).
func ipcParameters() []string {
	return []string{
		"kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem",
		"kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced",
	}
}

// namespaced returns the names of the parameters of kernel/ that a container may set.
func namespaced() []string {
	names := []string{"kernel.domainname"}
	for _, path := range ipcParameters() {
		names = append(names, strings.ReplaceAll(path, "/", "."))
	}
	return names
}
