package seat

import "golang.org/x/sys/unix"

// Refusal is a system call that a seccomp filter around the runtime denies, with what is done
// instead; empty where there is no other way.
type Refusal struct{ Call, Instead string }

// Filtered reports whether there is a seccomp filter around this process.
func Filtered() bool {
	mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0)
	return err == nil && mode != 0
}

// Refusals returns all calls that are denied, for people: what a program is made of is in
// Denied. Whether one is denied that takes a right to mount cannot be told without it.
func Refusals() (list []Refusal) {
	if !Filtered() {
		return nil
	}
	for _, c := range [...]struct {
		newer
		instead string
	}{
		{newer{name: "clone3", nr: unix.SYS_CLONE3}, "clone; the child enters its cgroup v2 by itself"},
		{newer{name: "fsopen", nr: unix.SYS_FSOPEN, args: [3]uintptr{0, none}, mount: true}, newFS},
		{newer{name: "fsconfig", nr: unix.SYS_FSCONFIG, args: [3]uintptr{none, none}, mount: true}, newFS},
		{newer{name: "fsmount", nr: unix.SYS_FSMOUNT, args: [3]uintptr{none, none}, mount: true}, newFS},
		{newer{name: "keyctl", nr: unix.SYS_KEYCTL, args: [3]uintptr{none}}, "no session keyring"},
		{newer{name: "faccessat2", nr: unix.SYS_FACCESSAT2, args: [3]uintptr{none, 0, none}}, "faccessat, when the process has its ids"},
		{newer{name: "open_tree_attr", nr: unix.SYS_OPEN_TREE_ATTR, args: [3]uintptr{none, 0, none}}, "open_tree and mount_setattr"},
		{newer{name: "memfd_create", nr: unix.SYS_MEMFD_CREATE, args: [3]uintptr{0, none}},
			"an overlay of the executable's directory, for root of the host; startContainer hooks have no other way"},
	} {
		if c.refused() {
			list = append(list, Refusal{c.name, c.instead})
		}
	}
	for i := range without {
		if c := &without[i]; c.name != "memfd_create" && c.refused() {
			list = append(list, Refusal{Call: c.name})
		}
	}
	return list
}

// newFS is what is done without the calls that make a file system.
const newFS = "mount, on / of the child's own mount namespace"
