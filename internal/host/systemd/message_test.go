package systemd

import (
	"bytes"
	"encoding/hex"
	"math"
	"os"
	"strings"
	"testing"
)

// golden reads a message that another implementation of D-Bus (godbus 5.2.4) has
// marshalled.
func golden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".hex")
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCallIsMarshalledAsByOthers(t *testing.T) {
	device := func(path, access string) Value { return structOf(String(path), String(access)) }
	props := []Property{
		{"Slice", String("system.slice")},
		{"PIDs", Value{sig: "au", items: []Value{Uint32(1), Uint32(70000)}}},
		{"Delegate", Bool(true)},
		{"TasksMax", Uint64(Infinity)},
		{"AllowedCPUs", Bytes([]byte{1, 2, 3})},
		{"After", Strings("a.service", "b")},
		{"DeviceAllow", Value{sig: "a(ss)", items: []Value{device("/dev/char/1:3", "rwm"), device("char-*", "m")}}},
		{"DeviceAllow", Value{sig: "a(ss)"}},
		{"IOReadBandwidthMax", Value{sig: "a(st)", items: []Value{structOf(String("/dev/sda"), Uint64(1000))}}},
		{"Nice", text(t, "-5")},
		{"X", text(t, "int16 -2")},
		{"Y", text(t, "uint16 2")},
		{"Z", text(t, "int64 -3")},
		{"D", text(t, "1.5")},
		{"B", text(t, "byte 7")},
		{"O", text(t, "objectpath '/a'")},
		{"G", text(t, "signature 'a(sv)'")},
	}
	for _, c := range []struct {
		name   string
		serial uint32
		m      method
		args   []Value
	}{
		{"hello", 1, busMethod("Hello"), nil},
		{"start", 258, managerMethod("StartTransientUnit"),
			[]Value{String("hutch-x.scope"), String("replace"), properties(props), {sig: "a(sa(sv))"}}},
	} {
		got, want := appendCall(nil, c.serial, c.m, c.args), golden(t, c.name)
		if !bytes.Equal(got, want) {
			t.Errorf("%s:\ngot  %x\nwant %x", c.name, got, want)
		}
	}
}

func text(t testing.TB, s string) Value {
	t.Helper()
	v, err := parseText(s)
	if err != nil {
		t.Fatalf("parseText(%q): %v", s, err)
	}
	return v
}

func TestParseReadsBothByteOrders(t *testing.T) {
	for _, order := range []string{"little", "big"} {
		t.Run(order, func(t *testing.T) {
			b := golden(t, "removed-"+order)
			if size, err := sizeOf(b); err != nil || size != len(b) {
				t.Fatalf("sizeOf = %d, %v, want %d", size, err, len(b))
			}
			m, err := parse(b)
			if err != nil {
				t.Fatal(err)
			}
			if m.kind != kindSignal || m.member != "JobRemoved" || m.sender != ":1.0" || m.typeOf != "uoss" {
				t.Errorf("got %+v", m)
			}
			c := Conn{watched: []string{"hutch-x.scope"}}
			c.signal(m)
			want := job{":1.0", "/org/freedesktop/systemd1/job/42", "hutch-x.scope", "done"}
			if len(c.jobs) != 1 || c.jobs[0] != want {
				t.Errorf("jobs = %+v, want %+v", c.jobs, want)
			}
			m, err = parse(golden(t, "error-"+order))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := m.err().Error(), "Unit exists. (org.freedesktop.systemd1.UnitExists)"; got != want || m.replySerial != 2 {
				t.Errorf("err = %q of %d, want %q of 2", got, m.replySerial, want)
			}
		})
	}
}

func TestHostileSizes(t *testing.T) {
	good := signalBytes(":1.0", "JobRemoved", "uoss", nil)
	change := func(at int, with ...byte) []byte {
		b := bytes.Clone(good)
		copy(b[at:], with)
		return b
	}
	for name, b := range map[string][]byte{
		"byte order":       change(0, 'x'),
		"protocol version": change(3, 2),
		"body of 4 GiB":    change(4, 255, 255, 255, 255),
		"fields of 4 GiB":  change(12, 255, 255, 255, 255),
		"both overflow":    change(4, 255, 255, 255, 255, 1, 0, 0, 0, 255, 255, 255, 255),
		"above the limit":  change(4, 0, 0, 0x10, 0),
	} {
		if size, err := sizeOf(b); err == nil {
			t.Errorf("%s: sizeOf = %d, want an error", name, size)
		}
	}
	for name, b := range map[string][]byte{
		"serial 0":            change(8, 0, 0, 0, 0),
		"field 0":             change(16, 0),
		"path of type s":      change(18, 's'),
		"field of type v":     change(18, 'v'),
		"string without end":  change(20, 255, 255, 255, 127),
		"string without NUL":  change(24+len(objectPath), 'x'),
		"kind 0":              change(1, 0),
		"reply without which": change(1, kindReturn),
		"error without name":  change(1, kindError),
	} {
		size, err := sizeOf(b)
		if err != nil {
			t.Errorf("%s: sizeOf: %v", name, err)
			continue
		}
		if m, err := parse(b[:size]); err == nil {
			t.Errorf("%s: parse gave %+v, want an error", name, m)
		}
	}
}

func TestUnknownFieldsAreSkipped(t *testing.T) {
	b := signalBytes(":1.0", "JobRemoved", "uoss", nil)
	start := (fixedHeader + int(b[12]) + 7) &^ 7
	with := append([]byte{}, b[:start]...)
	with = append(with, 200, 1, 't', 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8)
	with[12] = byte(len(with) - fixedHeader)
	m, err := parse(append(with, b[start:]...))
	if err != nil || m.member != "JobRemoved" {
		t.Fatalf("parse = %+v, %v", m, err)
	}
}

// FuzzParse wants no panic, and nothing read beyond the message, of any bytes.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"hello", "start", "removed-little", "removed-big", "error-little", "error-big"} {
		f.Add(golden(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < fixedHeader {
			return
		}
		size, err := sizeOf(b)
		if err != nil {
			return
		}
		if size < fixedHeader || size > maxMessage {
			t.Fatalf("sizeOf = %d", size)
		}
		if size > len(b) {
			return
		}
		m, err := parse(b[:size:size])
		if err != nil {
			return
		}
		_ = m.err()
		c := Conn{watched: []string{"hutch-x.scope"}}
		c.signal(m)
	})
}

func TestValueString(t *testing.T) {
	for _, c := range []struct {
		v    Value
		want string
	}{
		{Value{}, "none"},
		{String("a'b"), `"a'b"`},
		{Bool(false), "false"},
		{Bytes([]byte{1, 255}), "@ay [0x01, 0xff]"},
		{Strings(), "@as []"},
		{Value{sig: "d", num: math.Float64bits(0.5)}, "double 0.5"},
		{structOf(Uint32(1)), "(uint32 1,)"},
		{properties([]Property{{"A", Uint64(2)}}), `[("A", <uint64 2>)]`},
	} {
		if got := c.v.String(); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}
