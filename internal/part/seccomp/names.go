package seccomp

import (
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/nearest"
)

// flagTSYNC is known to runc, and not in the types of the runtime-spec.
const flagTSYNC = "SECCOMP_FILTER_FLAG_TSYNC"

// Actions returns the names that `action` and `defaultAction` take.
//
// Source: runtime-spec config-linux.md "Seccomp"; so for the lists below.
func Actions() []string {
	return []string{string(specs.ActAllow), string(specs.ActErrno), string(specs.ActKill), string(specs.ActKillProcess),
		string(specs.ActKillThread), string(specs.ActLog), string(specs.ActNotify), string(specs.ActTrace), string(specs.ActTrap)}
}

// Operators returns the names that `op` takes.
func Operators() []string {
	return []string{string(specs.OpEqualTo), string(specs.OpGreaterEqual), string(specs.OpGreaterThan), string(specs.OpLessEqual),
		string(specs.OpLessThan), string(specs.OpMaskedEqual), string(specs.OpNotEqual)}
}

// Architectures returns the names that `architectures` takes.
func Architectures() []string {
	all := arches()
	names := make([]string, len(all))
	for i, a := range all {
		names[i] = string(a.name)
	}
	return names
}

// Flags returns the names that `flags` takes.
func Flags() []string {
	return []string{flagTSYNC, string(specs.LinuxSeccompFlagSpecAllow), string(specs.LinuxSeccompFlagLog), string(specs.LinuxSeccompFlagWaitKillableRecv)}
}

// FlagSince returns the version of Linux that has brought a flag, empty for one that each kernel
// with filters has that Hutch runs on.
//
// Source: seccomp(2).
func FlagSince(name specs.LinuxSeccompFlag) string {
	if name == specs.LinuxSeccompFlagWaitKillableRecv {
		return "5.19"
	}
	return ""
}

// notKnown returns what is wrong with a word that is none of names, for an error.
func notKnown(word string, names []string) string {
	return strconv.Quote(word) + " is not known; " + nearest.Or(word, names, "give one of "+strings.Join(names, ", "))
}

// Names returns the names of all system calls, of any architecture.
func Names() []string {
	names := make([]string, rows)
	for row := range names {
		names[row] = rowName(row)
	}
	return names
}
