// Package check has what the checks of config.json share: the configuration under check,
// and the rules that properties of several facilities have to keep. Each facility has its
// own checks in its own package; package validate has their order.
//
// A check touches no file: it finds what the specification or the kernel refuses in the
// configuration alone, names the property, and says what to do. A function that finds no
// fault returns nil and has built no text.
package check

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/cpulist"
	"github.com/hutch-project/hutch/internal/fault"
	"github.com/hutch-project/hutch/internal/nearest"
)

// Faults collects what is wrong. A check adds each fault that it can go on behind, so that a
// user is told of all, and returns the one that ends it.
type Faults struct{ list []error }

// Add adds err unless it is nil.
func (f *Faults) Add(err error) {
	if err != nil {
		f.list = append(f.list, err)
	}
}

// All returns the faults in the order in which they were found.
func (f *Faults) All() []error { return f.list }

// First returns the first fault, nil when there is none.
func (f *Faults) First() error {
	if len(f.list) == 0 {
		return nil
	}
	return f.list[0]
}

// Process is the process of a configuration under check.
type Process struct {
	*specs.Process
	*Faults
}

// Config is a configuration under check.
type Config struct {
	*specs.Spec
	Faults
	Linux    *specs.Linux // never nil
	Rootless bool         // the runtime has no privilege over the host
	Warnings []string     // what is tolerated: one line each, without the prefix config.json
}

// New returns s as a configuration to check.
func New(s *specs.Spec, rootless bool) *Config {
	c := &Config{Spec: s, Linux: s.Linux, Rootless: rootless}
	if c.Linux == nil {
		c.Linux = &specs.Linux{} // "linux" is optional
	}
	return c
}

// Warn adds a warning about element.
func (c *Config) Warn(element, text string) {
	c.Warnings = append(c.Warnings, element+": "+text)
}

// Namespace returns the container's namespace of the type, nil where the runtime's own is
// kept.
func (c *Config) Namespace(t specs.LinuxNamespaceType) *specs.LinuxNamespace {
	for i := range c.Linux.Namespaces {
		if n := &c.Linux.Namespaces[i]; n.Type == t {
			return n
		}
	}
	return nil
}

// Unknown returns the fault of a value that is not one of a few, the names.
func Unknown(element, value, want string, names ...string) error {
	if value == "" {
		return fault.New(element, "missing", "use "+want)
	}
	return fault.New(element, fault.Quote(value)+" is not known", nearest.Or(value, names, "use "+want))
}

// MaxPath is the length of the longest path, in bytes, that a system call takes: PATH_MAX
// less the NUL.
const MaxPath = 4095

// String refuses what cannot be handed to the kernel as a string: a NUL, or more than
// limit bytes. A limit of 0 is none.
func String(element, s string, limit int) error {
	if HasNUL(s) {
		return fault.New(element, fault.Quote(s)+" holds a NUL character", "remove it")
	}
	if limit > 0 && len(s) > limit {
		return fault.New(element, fault.Quote(s)+" has "+strconv.Itoa(len(s))+" bytes, more than the "+
			strconv.Itoa(limit)+" that the kernel takes", "")
	}
	return nil
}

// HasNUL reports whether String refuses s for a NUL. In lists it comes first, so that the
// name of an element is built for a fault only.
func HasNUL(s string) bool { return strings.IndexByte(s, 0) >= 0 }

// IsAbsolute reports whether Absolute takes s. In lists it comes first, as HasNUL does.
func IsAbsolute(s string) bool {
	return s != "" && s[0] == '/' && len(s) <= MaxPath && !HasNUL(s)
}

// Absolute refuses s unless it is an absolute path.
func Absolute(element, s string) error {
	if s == "" {
		return fault.New(element, "missing", "give an absolute path")
	}
	if s[0] != '/' {
		return fault.New(element, fault.Quote(s)+" is not an absolute path", "begin it with /")
	}
	return String(element, s, MaxPath)
}

// MaxID is the largest user or group id. The one above it, -1 as unsigned number, means
// "no change" to the kernel.
const MaxID = math.MaxUint32 - 1

const (
	notID   = "is not an id"
	givesID = "give a number from 0 to 4294967294" // MaxID
)

// ErrID says of what stands before it that it is no user or group id.
var ErrID = errors.New(notID + "; " + givesID)

// ID refuses an id that is none. In lists the caller compares with MaxID first.
func ID(element string, id uint32) error {
	if id <= MaxID {
		return nil
	}
	return fault.New(element, Number(id)+" "+notID, givesID)
}

// List refuses what is no list of numbers up to highest, as 0-3,7. The empty list is
// right.
func List(element, list string, highest int) error {
	err := cpulist.Check(list, highest)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cpulist.ErrTooHigh):
		return fault.New(element, fault.Quote(list)+" has a number above "+strconv.Itoa(highest), "")
	case errors.Is(err, cpulist.ErrBackwards):
		return fault.New(element, fault.Quote(list)+" has a range that runs backwards", "write the smaller number first")
	}
	return fault.New(element, fault.Quote(list)+" is not a list", "write numbers and ranges as in 0-3,7")
}

// Number returns the text of an integer.
func Number[N ~int | ~int32 | ~int64 | ~uint | ~uint32](n N) string {
	return strconv.FormatInt(int64(n), 10)
}
