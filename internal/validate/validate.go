// Package validate has the order in which the parts of a configuration are checked, before
// anything is done, and the checks that are no part's: the version, annotations, the id of
// a container. The others are in the package of what they check.
//
// What depends on the host (does a path exist, is a namespace of its type) shows when the
// container is made. linux.resources, linux.seccomp and linux.intelRdt are checked where
// they are used, names of capabilities too.
//
// Source: runtime-spec config.md and config-linux.md.
package validate

import (
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/host/hook"
	"github.com/hutch-project/hutch/internal/host/netdev"
	"github.com/hutch-project/hutch/internal/part/limit"
	"github.com/hutch-project/hutch/internal/part/lsm"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/part/process"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/part/sched"
	"github.com/hutch-project/hutch/internal/part/sysctl"
	"github.com/hutch-project/hutch/internal/part/terminal"
	"github.com/hutch-project/hutch/internal/part/user"
)

// Options is what the rules depend on beside the configuration.
type Options struct {
	// Rootless is set when the runtime has no privilege over the host.
	Rootless bool
}

// Spec checks s and returns the first fault, of type *fault.Error, or else what is
// tolerated: one line each, without the prefix config.json.
func Spec(s *specs.Spec, o Options) (warnings []string, err error) {
	faults, warnings := All(s, o)
	if len(faults) > 0 {
		return nil, faults[0]
	}
	return warnings, nil
}

// All checks s and returns every fault, and what is tolerated, as Spec does.
//
// A configuration without process is right: it can be created, not started. The order is
// that of the texts that a user sees: what others need comes first.
func All(s *specs.Spec, o Options) (faults []error, warnings []string) {
	conf := check.New(s, o.Rootless)
	for _, rule := range [...]func(*check.Config) error{
		version, // else nothing of the rest need be what it looks like
		rootfs.CheckRoot,
		namespace.Check, // before all that needs one of them
		namespace.CheckMappings,
		namespace.CheckNames,
		processOf,
		user.CheckMapped, // after the mappings
		rootfs.CheckMounts,
		rootfs.CheckPaths,
		rootfs.CheckDevices,
		sysctl.Check,
		namespace.CheckTimeOffsets,
		netdev.Check,
		sched.CheckMemoryPolicy,
		process.CheckPersonality,
		hook.CheckAll,
		annotations,
		rootfs.CheckLabel,
		cgroupsPath,
		rootfs.CheckPropagation,
	} {
		conf.Add(rule(conf))
	}
	return conf.Faults.All(), conf.Warnings
}

// processOf checks the process, if there is one.
func processOf(c *check.Config) error {
	if c.Process == nil {
		return nil
	}
	checkProcess(&check.Process{Process: c.Process, Faults: &c.Faults})
	return nil
}

// Process checks p as the process object of a configuration, for a process that is added
// to a container. Faults are named below "process".
func Process(p *specs.Process) error {
	var faults check.Faults
	checkProcess(&check.Process{Process: p, Faults: &faults})
	return faults.First()
}

func checkProcess(p *check.Process) {
	for _, rule := range [...]func(*check.Process) error{
		process.CheckArgs, process.CheckEnv, process.CheckCwd, user.Check, terminal.Check, limit.Check, lsm.Check,
		sched.Check, limit.CheckOOM, sched.CheckIO, sched.CheckAffinity,
	} {
		p.Add(rule(p))
	}
}

// version refuses configurations of another major version: the specification
// "retains forward and backward compatibility within major versions".
//
// Source: runtime-spec config.md "Specification version".
func version(c *check.Config) error {
	const element, remedy = "ociVersion", "give a version of the runtime specification, as 1.3.0"
	if c.Version == "" {
		return fault.New(element, "missing", remedy)
	}
	major, ok := majorVersion(c.Version)
	switch {
	case !ok:
		return fault.New(element, fault.Quote(c.Version)+" is not in the format of SemVer 2.0.0", remedy)
	case major != "1":
		return fault.New(element, "version "+c.Version+" of the specification is not supported", "give a version 1.x.y")
	}
	return nil
}

// majorVersion returns the first number of a version and whether the whole is
// right.
//
// Source: semver.org 2.0.0, items 2, 9 and 10.
func majorVersion(version string) (string, bool) {
	version, build, hasBuild := strings.Cut(version, "+")
	version, pre, hasPre := strings.Cut(version, "-")
	numbers := strings.Split(version, ".")
	ok := len(numbers) == 3
	for _, n := range numbers {
		ok = ok && isNumber(n) && (n == "0" || n[0] != '0')
	}
	if hasPre {
		ok = ok && isLabel(pre)
	}
	if hasBuild {
		ok = ok && isLabel(build)
	}
	return numbers[0], ok
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// isLabel reports whether s is a list of identifiers, separated by dots.
func isLabel(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if part == "" {
			return false
		}
		for _, r := range part {
			if !alphanumeric(r) && r != '-' {
				return false
			}
		}
	}
	return true
}

func alphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

// annotations refuses an empty key, which "MUST NOT be an empty string".
//
// Source: runtime-spec config.md "Annotations".
func annotations(c *check.Config) error {
	if _, ok := c.Annotations[""]; ok {
		return fault.New("annotations", "has an empty key", "name the annotation")
	}
	return nil
}

// cgroupsPath checks what both ways to cgroups ask of linux.cgroupsPath.
func cgroupsPath(c *check.Config) error {
	return check.String("linux.cgroupsPath", c.Linux.CgroupsPath, check.MaxPath)
}
