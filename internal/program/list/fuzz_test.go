package list

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/hutch-project/hutch/internal/program"
)

// source returns numbers from a fuzzer's bytes, 0 after their end.
type source []byte

func (s *source) byte() byte {
	if len(*s) == 0 {
		return 0
	}
	c := (*s)[0]
	*s = (*s)[1:]
	return c
}

func (s *source) word() uint64 {
	switch s.byte() % 4 {
	case 0:
		return uint64(s.byte())
	case 1:
		return ^uint64(s.byte())
	case 2:
		return uint64(s.byte())<<8 | uint64(s.byte())
	}
	v := uint64(0)
	for range 8 {
		v = v<<8 | uint64(s.byte())
	}
	return v
}

func (s *source) arg() program.Arg {
	return [...]func(uint64) program.Arg{
		func(v uint64) program.Arg { return program.Imm(v) },
		func(v uint64) program.Arg { return program.Mem{Off: uint32(v)}.Arg() },
		func(v uint64) program.Arg { return program.Val(program.Reg(v)) },
	}[s.byte()%3](s.word())
}

func (s *source) args() []program.Arg {
	out := make([]program.Arg, s.byte()%7)
	for i := range out {
		out[i] = s.arg()
	}
	return out
}

// emit appends one instruction, or memory, to b.
func (s *source) emit(b *program.Builder, labels []program.Label) {
	l := labels[int(s.byte())%len(labels)]
	switch s.byte() % 15 {
	case 0, 1, 2:
		c := b.Sys(uintptr(s.byte())|uintptr(s.byte()&1)<<8, s.args()...)
		switch s.byte() % 4 {
		case 0:
			c.Ignore()
		case 1:
			c.On(5, l).To(program.Reg(s.word()))
		case 2:
			c.Fd()
		}
	case 3:
		b.Jump(l)
	case 4:
		b.IfWord(program.Mem{Off: uint32(s.word()), Len: uint32(s.byte())}, int64(s.word()), program.Cmp(s.byte()), int64(s.word()), l)
	case 5:
		b.Tell(uint32(s.word()), program.Reg(s.word()))
	case 6:
		b.Wait(uint32(s.word()), program.Mem{Off: uint32(s.word()), Len: uint32(s.word())})
	case 7:
		b.Bytes(bytes.Repeat([]byte{s.byte(), 0}, int(s.byte())))
	case 8:
		b.Strv([]string{string([]byte{s.byte() | 1}), "x"})
	case 9:
		b.CloseExcept([]int{int(s.byte()), int(s.byte())}, program.Reg(s.word()))
	case 10:
		b.InParent(func() { b.Sys(uintptr(s.byte()), s.args()...) })
	case 11:
		b.Element(program.N("mounts[%d]", int(s.byte()))).Jump(l)
	case 12:
		b.TellData(uint32(s.word()), program.Mem{Off: uint32(s.word()), Len: uint32(s.word())}, program.Reg(s.word()))
	case 13:
		b.TellFd(uint32(s.word()), program.Reg(s.word()), program.Reg(s.word()))
	case 14:
		b.Clone(s.word(), uint32(s.word()))
	}
}

func FuzzListingNeverPanics(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte("\x00\x00\x2e\x00\x03\x02\x00\x01\x01\x00\x20\x00\x03\x00"))
	f.Add(bytes.Repeat([]byte{0, 1, 181, 1, 6, 1, 0, 40, 1, 0, 60, 1, 2, 0, 80}, 20))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := source(data)
		b := program.New()
		labels := []program.Label{b.Label(), b.Label()}
		b.Bind(labels[0])
		for len(s) > 0 {
			s.emit(b, labels)
		}
		b.Bind(labels[1])
		p, err := b.Program()
		if err != nil {
			return
		}
		lines := Lines(p, &Options{TagName: tagNames})
		if len(lines) != len(p.Parent)+len(p.Child) {
			t.Errorf("%d lines for %d instructions", len(lines), len(p.Parent)+len(p.Child))
		}
		var text, js bytes.Buffer
		if err := WriteText(&text, lines); err != nil {
			t.Error(err)
		}
		if err := WriteJSON(&js, lines); err != nil || !json.Valid(js.Bytes()) {
			t.Errorf("%v: no JSON: %s", err, &js)
		}
	})
}
