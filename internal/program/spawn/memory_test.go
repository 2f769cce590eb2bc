//go:build (amd64 || arm64) && !plain && !race

package spawn

import (
	"os"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

// packageLevel is a variable of this package's.
var packageLevel = [8]byte{'s', 'e', 'c', 'r', 'e', 't'}

// TestChildHasNotTheCallersMemory lets a child write what lies at the caller's
// addresses.
func TestChildHasNotTheCallersMemory(t *testing.T) {
	heap := make([]byte, 1<<20)
	copy(heap[1<<19:], "secret")
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	b := program.New()
	for i, at := range []unsafe.Pointer{unsafe.Pointer(&heap[1<<19]), unsafe.Pointer(&packageLevel)} {
		r := b.Reg()
		b.Sys(unix.SYS_WRITE, program.Imm(p[1]), program.Imm(uintptr(at)), program.Imm(6)).To(r).Ignore()
		b.Tell(uint32(i+1), r)
	}
	c := spawn(t, b)
	for tag, what := range []string{1: "heap", 2: "package-level variable"} {
		if tag == 0 {
			continue
		}
		if v, err := c.Expect(uint32(tag)); err != nil || v != -int64(unix.EFAULT) {
			t.Errorf("the child wrote %d bytes of the caller's %s, %v; want EFAULT", v, what, err)
		}
	}
	if heap[1<<19] != 's' {
		t.Error("the caller lost its own")
	}
}

// A later fork that is not ours gets all memory.
func TestMemoryIsGivenBack(t *testing.T) {
	b := program.New()
	b.Tell(1, b.RegOf(1))
	c := spawn(t, b)
	if _, err := c.Expect(1); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	where := ""
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "VmFlags:"):
			if strings.Contains(line, " dc") && !strings.Contains(where, "[v") {
				t.Errorf("%s is not copied to children:%s", where, strings.TrimPrefix(line, "VmFlags:"))
			}
		case !strings.Contains(strings.Fields(line)[0], ":"):
			where = strings.TrimSpace(line)
		}
	}
}
