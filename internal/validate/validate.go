// Package validate checks what a configuration asks for, before anything is
// done: values that the specification or the kernel refuses are found here, by
// the name of the property and with what to do about it.
//
// It is pure: it looks at the configuration alone and touches no file. What
// depends on the host (does a path exist, is a namespace of its type) shows
// when the container is made. linux.resources, linux.seccomp and linux.intelRdt
// are checked where they are used, names of capabilities too.
//
// Source: runtime-spec config.md and config-linux.md.
package validate

import (
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Options is what the rules depend on beside the configuration.
type Options struct {
	// Rootless is set when the runtime has no privilege over the host.
	Rootless bool
}

// Error is one fault of a configuration.
type Error struct {
	Element string // the property, as linux.namespaces[2].path
	Fault   string // what is wrong with it
	Remedy  string // what to do about it; may be empty
}

// Error gives "config.json: ELEMENT: FAULT; REMEDY".
func (e *Error) Error() string {
	text := "config.json: " + e.Element + ": " + e.Fault
	if e.Remedy != "" {
		text += "; " + e.Remedy
	}
	return text
}

// fault makes an Error. A function that finds no fault returns a nil error and
// has built no text.
func fault(element, fault, remedy string) error {
	return &Error{element, fault, remedy}
}

// checker is one validation: the configuration and what was found out about it.
type checker struct {
	*specs.Spec
	linux    *specs.Linux // never nil
	options  Options
	spaces   [spaceCount]*specs.LinuxNamespace // by space, nil where the runtime's own is kept
	warnings []string
}

// Spec checks s and returns the first fault, of type *Error, or else what is
// tolerated: one line each, without the prefix config.json.
//
// A configuration without process is right: it can be created, not started.
func Spec(s *specs.Spec, o Options) (warnings []string, err error) {
	c := &checker{Spec: s, linux: s.Linux, options: o}
	if c.linux == nil {
		c.linux = &specs.Linux{} // "linux" is optional
	}
	for _, check := range [...]func(*checker) error{
		(*checker).version, (*checker).root, (*checker).namespaces, (*checker).mappings, (*checker).names,
		(*checker).process, (*checker).mounts, (*checker).paths, (*checker).devices, (*checker).sysctls,
		(*checker).timeOffsets, (*checker).netDevices, (*checker).memoryPolicy, (*checker).personality,
		(*checker).hooks, (*checker).labels,
	} {
		if err := check(c); err != nil {
			return nil, err
		}
	}
	return c.warnings, nil
}

func (c *checker) warn(element, text string) {
	c.warnings = append(c.warnings, element+": "+text)
}

// version refuses configurations of another major version: the specification
// "retains forward and backward compatibility within major versions".
//
// Source: runtime-spec config.md "Specification version".
func (c *checker) version() error {
	const element, remedy = "ociVersion", "give a version of the runtime specification, as 1.3.0"
	if c.Version == "" {
		return fault(element, "missing", remedy)
	}
	major, ok := majorVersion(c.Version)
	switch {
	case !ok:
		return fault(element, quote(c.Version)+" is not in the format of SemVer 2.0.0", remedy)
	case major != "1":
		return fault(element, "version "+c.Version+" of the specification is not supported", "give a version 1.x.y")
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

// isLabel tells whether s is a list of identifiers, separated by dots.
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

func (c *checker) root() error {
	if c.Root == nil {
		return fault("root", "missing", `give an object with the path of the root file system, as "root": {"path": "rootfs"}`)
	}
	if c.Root.Path == "" {
		return fault("root.path", "missing", "give the path of the root file system, absolute or relative to the bundle")
	}
	return cstring("root.path", c.Root.Path, maxPath)
}

// paths checks linux.maskedPaths and linux.readonlyPaths: "The values MUST be
// absolute paths in the container namespace."
func (c *checker) paths() error {
	for i, lists := 0, [...][]string{c.linux.MaskedPaths, c.linux.ReadonlyPaths}; i < len(lists); i++ {
		name := [...]string{"linux.maskedPaths", "linux.readonlyPaths"}[i]
		if len(lists[i]) > 0 && c.spaces[mount] == nil {
			return fault(name, "needs a mount namespace", `add {"type": "mount"} to linux.namespaces`)
		}
		for j, p := range lists[i] {
			if !isAbsolute(p) {
				return absolute(at(name, j), p)
			}
		}
	}
	return nil
}

// labels checks what has no form of its own: the remaining strings that reach
// the kernel, and annotations, whose keys "MUST NOT be an empty string".
func (c *checker) labels() error {
	if _, ok := c.Annotations[""]; ok {
		return fault("annotations", "has an empty key", "name the annotation")
	}
	if err := cstring("linux.mountLabel", c.linux.MountLabel, 0); err != nil {
		return err
	}
	if err := cstring("linux.cgroupsPath", c.linux.CgroupsPath, maxPath); err != nil {
		return err
	}
	switch c.linux.RootfsPropagation {
	case "", "private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable":
		return nil
	}
	return fault("linux.rootfsPropagation", quote(c.linux.RootfsPropagation)+" is not known",
		"use private, slave, shared or unbindable, or one of these with an r before it")
}

// maxPath is the length of the longest path, in bytes, that a system call
// takes: PATH_MAX less the NUL.
const maxPath = 4095

// cstring refuses what cannot be handed to the kernel as a string: a NUL, or
// more than limit bytes. A limit of 0 is none.
func cstring(element, s string, limit int) error {
	if strings.IndexByte(s, 0) >= 0 {
		return fault(element, quote(s)+" holds a NUL character", "remove it")
	}
	if limit > 0 && len(s) > limit {
		return fault(element, quote(s)+" has "+strconv.Itoa(len(s))+" bytes, more than the "+strconv.Itoa(limit)+" that the kernel takes", "")
	}
	return nil
}

// isAbsolute tells whether absolute takes s. In lists it comes first, so that
// the name of an element is built for a fault only.
func isAbsolute(s string) bool {
	return s != "" && s[0] == '/' && len(s) <= maxPath && strings.IndexByte(s, 0) < 0
}

// absolute refuses s unless it is an absolute path.
func absolute(element, s string) error {
	if s == "" {
		return fault(element, "missing", "give an absolute path")
	}
	if s[0] != '/' {
		return fault(element, quote(s)+" is not an absolute path", "begin it with /")
	}
	return cstring(element, s, maxPath)
}

// at names the element i of the list name.
func at(name string, i int) string { return name + "[" + strconv.Itoa(i) + "]" }

// quote quotes a value and cuts off what would make a message unreadable.
func quote(s string) string {
	if len(s) > 100 {
		return strconv.Quote(s[:100]) + "..."
	}
	return strconv.Quote(s)
}

// number is the text of an integer.
func number[N ~int | ~int32 | ~int64 | ~uint | ~uint32](n N) string {
	return strconv.FormatInt(int64(n), 10)
}
