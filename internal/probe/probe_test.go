package probe

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestWhatAnyKernelHas: calls, actions and flags that every kernel has, and such that none has.
func TestWhatAnyKernelHas(t *testing.T) {
	const noCall, noAction, noFlag = 0xf000, 0x7ffe0000, 1 << 30
	for name, got := range map[string]bool{
		"openat2": Call(unix.SYS_OPENAT2), "mount_setattr": Call(unix.SYS_MOUNT_SETATTR), "pidfd_open": Call(unix.SYS_PIDFD_OPEN), "close_range": CloseRange(),
		"SECCOMP_RET_ERRNO": SeccompAction(unix.SECCOMP_RET_ERRNO), "SECCOMP_FILTER_FLAG_LOG": SeccompFlag(unix.SECCOMP_FILTER_FLAG_LOG),
		"no call": !Call(noCall), "no action": !SeccompAction(noAction), "no flag": !SeccompFlag(noFlag),
	} {
		if !got {
			t.Errorf("%s: got false", name)
		}
	}
}
