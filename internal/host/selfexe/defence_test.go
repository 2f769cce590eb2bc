package selfexe

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"testing"
)

// TestNoLinkForADynamicProgram: what a dynamic linker maps beside the program is not
// known, and would keep the kernel from changing the link, or the child from going on.
func TestNoLinkForADynamicProgram(t *testing.T) {
	f, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	head := make([]byte, 1024)
	if _, err := io.ReadFull(f, head); err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	entry := le.Uint64(head[24:])
	if _, err := parseSegments(head, entry, 4096); err != nil {
		t.Skip("the test is linked dynamically, as with -race")
	}
	off, size, n := le.Uint64(head[32:]), uint64(le.Uint16(head[54:])), uint64(le.Uint16(head[56:]))
	for i := range n {
		h := head[off+i*size:]
		if kind := le.Uint32(h); kind != ptLoad {
			le.PutUint32(h, ptInterp)
			if s, err := parseSegments(head, entry, 4096); !errors.Is(err, ErrNoLink) {
				t.Errorf("header %d names a dynamic linker: %+v, %v", i, s, err)
			}
			le.PutUint32(h, kind)
		}
	}
}
