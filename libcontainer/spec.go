package libcontainer

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"

	"github.com/hutch-project/hutch/internal/config"
	known "github.com/hutch-project/hutch/internal/features"
	"github.com/hutch-project/hutch/internal/host/selfexe"
	"github.com/hutch-project/hutch/internal/life"
)

// Protect makes the executable of this program unreachable for containers. A program calls
// it first in main, with os.Args and os.Environ(): where the executable could be written by
// a container, and the kernel offers nothing better, Protect executes the program from the
// start, with the same process id, from a copy, and does not return. Without it Create and
// Exec fail there.
//
// Source: CVE-2019-5736.
func Protect(args, env []string) error { return selfexe.Protect(args, env) }

// DefaultSpec returns a new specification of a shell in namespaces of its own, with its root
// file system in rootfs of the bundle: what the command spec writes. With rootless it is one
// for a caller without privileges.
func DefaultSpec(rootless bool) *specs.Spec {
	return life.DefaultSpec(rootless)
}

// ParseSpec returns what the text of a config.json says. Its errors name the member, the line
// and the column. What the members say is checked by Create.
func ParseSpec(text []byte) (*specs.Spec, error) {
	s, err := config.Decode(text)
	return s, wrap("spec", "", err)
}

// ParseProcess returns what the text of a process object says, as exec --process has it.
func ParseProcess(text []byte) (*specs.Process, error) {
	p, err := config.DecodeProcess(text)
	return p, wrap("exec", "", err)
}

// ParseResources returns what the text of a linux.resources object says, as update
// --resources has it.
func ParseResources(text []byte) (*specs.LinuxResources, error) {
	r, err := config.DecodeResources(text)
	return r, wrap("update", "", err)
}

// MergeResources sets in r what with has. Device rules, where there are any, take the place
// of those in r; a limit of 0 is not set, and stays, except where 0 is a value.
//
// Source: runtime-spec config-linux.md "Control groups"; what runc's and crun's update take.
func MergeResources(r, with *specs.LinuxResources) { life.Merge(r, with) }

// Features returns what this version can do, whatever the host can. Its annotations have the
// names hutch.version and hutch.commit, with the values given.
//
// Source: runtime-spec features.md.
func Features(version, commit string) *features.Features {
	return known.Document(version, commit)
}
