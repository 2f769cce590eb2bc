package probe

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// System is what the kernel says of itself, and the names of the caller's UTS namespace.
type System struct{ Release, Nodename, Domainname string }

// Uname returns what the kernel says of itself.
//
// Source: uname(2).
func Uname() (System, error) {
	var is unix.Utsname
	if err := unix.Uname(&is); err != nil {
		return System{}, fmt.Errorf("uname: %w", err)
	}
	return System{
		Release:  unix.ByteSliceToString(is.Release[:]),
		Nodename: unix.ByteSliceToString(is.Nodename[:]), Domainname: unix.ByteSliceToString(is.Domainname[:]),
	}, nil
}

// FileSystems returns the names of the file systems that the kernel has, in itself or by
// modules that are loaded; nil where the host does not say.
//
// Source: filesystems(5).
func FileSystems() (names []string) {
	text, _ := os.ReadFile("/proc/filesystems")
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 0 { // nodev, if it needs none, and the name
			names = append(names, fields[len(fields)-1])
		}
	}
	return names
}

// Modules returns the aliases of the modules of a kernel, a line each; empty where the host has
// none.
//
// Source: depmod(8).
func Modules(release string) string {
	text, _ := os.ReadFile("/lib/modules/" + release + "/modules.alias")
	return string(text)
}

// ModuleOf reports whether one of the modules, by what Modules returns, is the file system.
func ModuleOf(fileSystem, modules string) bool {
	return strings.Contains(modules, "alias fs-"+fileSystem+" ")
}
