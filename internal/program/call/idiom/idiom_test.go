package idiom

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestStatxOffsets(t *testing.T) {
	var s unix.Statx_t
	for _, c := range []struct {
		name      string
		got, want uintptr
	}{
		{"size", StatxSize, unsafe.Sizeof(s)}, {"mode", StatxMode, unsafe.Offsetof(s.Mode)},
		{"rdev_major", StatxMajor, unsafe.Offsetof(s.Rdev_major)}, {"rdev_minor", StatxMinor, unsafe.Offsetof(s.Rdev_minor)},
	} {
		if c.got != c.want {
			t.Errorf("%s is at %d, want %d", c.name, c.got, c.want)
		}
	}
}
