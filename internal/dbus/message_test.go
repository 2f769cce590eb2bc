package dbus

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

// The golden messages are systemd's.
const systemdPath = "/org/freedesktop/systemd1"

func systemdMethod(member string) Method {
	return Method{"org.freedesktop.systemd1", systemdPath, "org.freedesktop.systemd1.Manager", member}
}

func callBytes(serial uint32, m Method, args ...Value) []byte {
	call := Message{
		Kind: Call, Serial: serial,
		Destination: m.Destination, Path: m.Path, Interface: m.Interface, Member: m.Member,
	}
	return call.Append(nil, args...)
}

// removedBytes is a signal without a body.
func removedBytes() []byte {
	m := Message{Kind: Signal, Serial: 99, Path: systemdPath, Interface: "org.freedesktop.systemd1.Manager", Member: "JobRemoved", Sender: ":1.0"}
	return m.Append(nil)
}

func TestCallIsMarshalledAsByOthers(t *testing.T) {
	device := func(path, access string) Value { return Struct(String(path), String(access)) }
	props := []Property{
		{"Slice", String("system.slice")},
		{"PIDs", Value{sig: "au", items: []Value{Uint32(1), Uint32(70000)}}},
		{"Delegate", Bool(true)},
		{"TasksMax", Uint64(math.MaxUint64)},
		{"AllowedCPUs", Bytes([]byte{1, 2, 3})},
		{"After", Strings("a.service", "b")},
		{"DeviceAllow", Value{sig: "a(ss)", items: []Value{device("/dev/char/1:3", "rwm"), device("char-*", "m")}}},
		{"DeviceAllow", Value{sig: "a(ss)"}},
		{"IOReadBandwidthMax", Value{sig: "a(st)", items: []Value{Struct(String("/dev/sda"), Uint64(1000))}}},
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
		m      Method
		args   []Value
	}{
		{"hello", 1, BusMethod("Hello"), nil},
		{"start", 258, systemdMethod("StartTransientUnit"),
			[]Value{String("hutch-x.scope"), String("replace"), Properties(props), {sig: "a(sa(sv))"}}},
	} {
		got, want := callBytes(c.serial, c.m, c.args...), golden(t, c.name)
		if !bytes.Equal(got, want) {
			t.Errorf("%s:\ngot  %x\nwant %x", c.name, got, want)
		}
	}
}

func text(t testing.TB, s string) Value {
	t.Helper()
	v, err := ParseText(s)
	if err != nil {
		t.Fatalf("ParseText(%q): %v", s, err)
	}
	return v
}

func TestParseReadsBothByteOrders(t *testing.T) {
	for _, order := range []string{"little", "big"} {
		t.Run(order, func(t *testing.T) {
			b := golden(t, "removed-"+order)
			if size, err := Size(b); err != nil || size != len(b) {
				t.Fatalf("Size = %d, %v, want %d", size, err, len(b))
			}
			m, err := Parse(b)
			if err != nil {
				t.Fatal(err)
			}
			if m.Kind != Signal || m.Member != "JobRemoved" || m.Sender != ":1.0" || m.Signature != "uoss" {
				t.Errorf("got %+v", m)
			}
			m.Body.Uint32()
			got := [3]string{m.Body.String(), m.Body.String(), m.Body.String()}
			want := [3]string{"/org/freedesktop/systemd1/job/42", "hutch-x.scope", "done"}
			if got != want || m.Body.Bad() {
				t.Errorf("body = %q, want %q", got, want)
			}
			m, err = Parse(golden(t, "error-"+order))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := m.err().Error(), "Unit exists. (org.freedesktop.systemd1.UnitExists)"; got != want || m.ReplySerial != 2 {
				t.Errorf("err = %q of %d, want %q of 2", got, m.ReplySerial, want)
			}
		})
	}
}

func TestHostileSizes(t *testing.T) {
	good := removedBytes()
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
		if size, err := Size(b); err == nil {
			t.Errorf("%s: Size = %d, want an error", name, size)
		}
	}
	for name, b := range map[string][]byte{
		"serial 0":            change(8, 0, 0, 0, 0),
		"field 0":             change(16, 0),
		"path of type s":      change(18, 's'),
		"field of type v":     change(18, 'v'),
		"string without end":  change(20, 255, 255, 255, 127),
		"string without NUL":  change(24+len(systemdPath), 'x'),
		"kind 0":              change(1, 0),
		"reply without which": change(1, Return),
		"error without name":  change(1, Failure),
	} {
		size, err := Size(b)
		if err != nil {
			t.Errorf("%s: Size: %v", name, err)
			continue
		}
		if m, err := Parse(b[:size]); err == nil {
			t.Errorf("%s: parse gave %+v, want an error", name, m)
		}
	}
}

func TestUnknownFieldsAreSkipped(t *testing.T) {
	b := removedBytes()
	start := (FixedHeader + int(b[12]) + 7) &^ 7
	with := append([]byte{}, b[:start]...)
	with = append(with, 200, 1, 't', 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8)
	with[12] = byte(len(with) - FixedHeader)
	m, err := Parse(append(with, b[start:]...))
	if err != nil || m.Member != "JobRemoved" {
		t.Fatalf("parse = %+v, %v", m, err)
	}
}

// FuzzParse wants no panic, and nothing read beyond the message, of any bytes.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"hello", "start", "removed-little", "removed-big", "error-little", "error-big"} {
		f.Add(golden(f, name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < FixedHeader {
			return
		}
		size, err := Size(b)
		if err != nil {
			return
		}
		if size < FixedHeader || size > maxMessage {
			t.Fatalf("Size = %d", size)
		}
		if size > len(b) {
			return
		}
		m, err := Parse(b[:size:size])
		if err != nil {
			return
		}
		_ = m.err()
		m.Body.Uint32()
		for !m.Body.Bad() {
			_ = m.Body.String()
		}
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
		{Struct(Uint32(1)), "(uint32 1,)"},
		{Properties([]Property{{"A", Uint64(2)}}), `[("A", <uint64 2>)]`},
	} {
		if got := c.v.String(); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// FuzzText wants each value that is taken to be marshalled with its own type.
func FuzzText(f *testing.F) {
	for _, s := range []string{"uint64 5", "['a']", "@a(st) [('a', 5)]", "(1,)", "1e5", `'\u0041'`, "@ay []", "signature 'as'"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := ParseText(s)
		if err != nil {
			return
		}
		if typeLength(v.sig, 0) != len(v.sig) {
			t.Fatalf("%q has the type %q", s, v.sig)
		}
		b := callBytes(1, BusMethod("X"), Properties([]Property{{"Abc", v}}))
		if size, err := Size(b); len(b) <= maxMessage && (err != nil || size != len(b)) {
			t.Fatalf("%q: size %d of %d, %v", s, size, len(b), err)
		}
	})
}
