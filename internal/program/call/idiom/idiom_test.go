package idiom

import (
	"encoding/binary"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

func TestStatxOffsets(t *testing.T) {
	var s unix.Statx_t
	for _, c := range []struct {
		name      string
		got, want uintptr
	}{
		{"size", StatxSize, unsafe.Sizeof(s)}, {"attributes", StatxAttributes, unsafe.Offsetof(s.Attributes)},
		{"mode", StatxMode, unsafe.Offsetof(s.Mode)},
		{"rdev_major", StatxMajor, unsafe.Offsetof(s.Rdev_major)}, {"rdev_minor", StatxMinor, unsafe.Offsetof(s.Rdev_minor)},
	} {
		if c.got != c.want {
			t.Errorf("%s is at %d, want %d", c.name, c.got, c.want)
		}
	}
}

// TestStatfsFlags: the flags are those that the C library's call finds.
func TestStatfsFlags(t *testing.T) {
	for _, path := range []string{"/", "/proc", "/sys", "/dev"} {
		var want unix.Statfs_t
		if err := unix.Statfs(path, &want); err != nil {
			t.Fatal(err)
		}
		var buf [StatfsSize]byte
		name := append([]byte(path), 0)
		if _, _, e := syscall.Syscall(unix.SYS_STATFS, uintptr(unsafe.Pointer(&name[0])), uintptr(unsafe.Pointer(&buf)), 0); e != 0 {
			t.Fatal(e)
		}
		at := StatfsFlags(program.Mem{Len: StatfsSize})
		if got := binary.NativeEndian.Uint32(buf[at.Off:]); got != uint32(want.Flags) {
			t.Errorf("%s: flags %#x, want %#x", path, got, want.Flags)
		}
	}
}
