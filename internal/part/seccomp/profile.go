package seccomp

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// maxErrno is the largest errno that the kernel gives back for a filter.
//
// Source: include/linux/err.h, MAX_ERRNO; kernel/seccomp.c.
const maxErrno = 4095

// verdict returns what the filter returns for an action. element names the object
// that has the action, for errors; field is the name of the action's property,
// errnoField that of the errno's.
func verdict(action specs.LinuxSeccompAction, errno *uint, element, field, errnoField string) (uint32, error) {
	v, limit := uint32(0), uint(0)
	switch action {
	case specs.ActKill, specs.ActKillThread:
		v = unix.SECCOMP_RET_KILL_THREAD
	case specs.ActKillProcess:
		v = unix.SECCOMP_RET_KILL_PROCESS
	case specs.ActTrap:
		v = unix.SECCOMP_RET_TRAP
	case specs.ActErrno:
		v, limit = unix.SECCOMP_RET_ERRNO, maxErrno
	case specs.ActTrace:
		v, limit = unix.SECCOMP_RET_TRACE, unix.SECCOMP_RET_DATA
	case specs.ActAllow:
		v = unix.SECCOMP_RET_ALLOW
	case specs.ActLog:
		v = unix.SECCOMP_RET_LOG
	case specs.ActNotify:
		v = unix.SECCOMP_RET_USER_NOTIF
	default:
		return 0, fmt.Errorf("%s.%s: %s", element, field, notKnown(string(action), Actions()))
	}
	switch {
	case limit == 0 && errno != nil:
		return 0, fmt.Errorf("%s.%s: %s carries no errno; leave %s out", element, errnoField, action, errnoField)
	case limit == 0:
		return v, nil
	case errno == nil:
		return v | uint32(unix.EPERM), nil
	case *errno > limit:
		return 0, fmt.Errorf("%s.%s: %d is not 0..%d", element, errnoField, *errno, limit)
	}
	return v | uint32(*errno), nil
}

// condition is one comparison of an argument.
type condition struct {
	arg         uint8
	op          op
	mask, value uint64 // mask is all ones unless op is masked
}

// op is a comparison. Those that the filter can make come first; the others are
// their opposites.
type op uint8

const (
	equal op = iota
	masked
	greater
	greaterEqual
	notEqual
	less
	lessEqual
)

func parseOp(name specs.LinuxSeccompOperator) (op, bool) {
	switch name {
	case specs.OpEqualTo:
		return equal, true
	case specs.OpNotEqual:
		return notEqual, true
	case specs.OpGreaterThan:
		return greater, true
	case specs.OpGreaterEqual:
		return greaterEqual, true
	case specs.OpLessThan:
		return less, true
	case specs.OpLessEqual:
		return lessEqual, true
	case specs.OpMaskedEqual:
		return masked, true
	}
	return 0, false
}

// parseArgs returns the conditions of one entry of linux.seccomp.syscalls. entry is
// its index.
func parseArgs(args []specs.LinuxSeccompArg, entry int) ([]condition, error) {
	list := make([]condition, len(args))
	for i, a := range args {
		o, ok := parseOp(a.Op)
		if !ok {
			return nil, fmt.Errorf("linux.seccomp.syscalls[%d].args[%d].op: %s", entry, i, notKnown(string(a.Op), Operators()))
		}
		if a.Index > 5 {
			return nil, fmt.Errorf("linux.seccomp.syscalls[%d].args[%d].index: %d is not 0..5", entry, i, a.Index)
		}
		list[i] = condition{uint8(a.Index), o, ^uint64(0), a.Value}
		if o == masked {
			// Bits of the value outside the mask do not count, as with libseccomp.
			list[i].mask, list[i].value = a.Value, a.ValueTwo&a.Value
		}
	}
	return list, nil
}

// parseFlags returns the flags for seccomp(2). notify says whether there is a
// listener; WAIT_KILLABLE_RECV is for it, and the kernel refuses it without.
//
// TSYNC is left out, as runc does: the filter is loaded by a process of one
// thread, and the kernel refuses TSYNC beside a listener. Absent flags mean
// SPEC_ALLOW, an empty list means none, as with runc.
//
// Source: seccomp(2); runtime-spec config-linux.md "Seccomp".
func parseFlags(list []specs.LinuxSeccompFlag, notify bool) (uint, error) {
	if list == nil {
		return unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, nil
	}
	flags := uint(0)
	for i, name := range list {
		switch name {
		case flagTSYNC:
		case specs.LinuxSeccompFlagLog:
			flags |= unix.SECCOMP_FILTER_FLAG_LOG
		case specs.LinuxSeccompFlagSpecAllow:
			flags |= unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
		case specs.LinuxSeccompFlagWaitKillableRecv:
			if notify {
				flags |= unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
			}
		default:
			return 0, fmt.Errorf("linux.seccomp.flags[%d]: %s", i, notKnown(string(name), Flags()))
		}
	}
	return flags, nil
}
