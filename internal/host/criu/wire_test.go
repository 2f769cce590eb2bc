package criu

import "testing"

func FuzzDecode(f *testing.F) {
	f.Add([]byte{8, 6, 16, 1, 0x2a, 4, 10, 2, 'h', 'i'})
	f.Add([]byte{8, 10, 16, 1, 0x52, 6, 8, 3, 16, 17, 32, 1})
	f.Add([]byte{0x2a, 0x7f})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeResponse(b)
		if err == nil && r.version < 0 {
			t.Errorf("version %d", r.version)
		}
	})
}

func TestVarint(t *testing.T) {
	for _, v := range []uint64{0, 1, 127, 128, 300, 1 << 32, 1<<64 - 1} {
		var m message
		m.varint(v)
		got, rest, err := varint(m)
		if got != v || len(rest) != 0 || err != nil {
			t.Errorf("%d: got %d, %v", v, got, err)
		}
	}
	var m message
	m.int(3, -1)
	if len(m) != 11 {
		t.Errorf("-1 has %d bytes", len(m))
	}
	if err := fields([]byte{8, 1, 0x15, 1, 2, 3, 4, 0x19, 1, 2, 3, 4, 5, 6, 7, 8}, func(int, uint64, []byte) {}); err != nil {
		t.Errorf("numbers of a fixed size: %v", err)
	}
}
