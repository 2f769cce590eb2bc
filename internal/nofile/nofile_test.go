package nofile

import (
	"testing"

	"golang.org/x/sys/unix"
)

// The package imports nothing and so has its own numbers: these are the kernel's, or it does not
// compile.
var (
	_ = [1]int{}[rlimitNofile-unix.RLIMIT_NOFILE]
	_ = [1]int{}[sysPrlimit64-unix.SYS_PRLIMIT64]
)

// TestInherited: the hard limit is the one that the kernel still has, which Go leaves alone.
func TestInherited(t *testing.T) {
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil {
		t.Fatal(err)
	}
	if soft, hard := Inherited(); hard != now.Max || soft == 0 || soft > hard {
		t.Errorf("got %d and %d, the limits now are %d and %d", soft, hard, now.Cur, now.Max)
	}
}
