package systemd

import (
	"strings"
	"testing"
)

func TestFromAnnotations(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"TimeoutStopUSec", "uint64 123456789", "TimeoutStopUSec=uint64 123456789"},
		{"CollectMode", "'inactive-or-failed'", `CollectMode="inactive-or-failed"`},
		{"TimeoutStopSec", "5", "TimeoutStopUSec=uint64 5000000"},
		{"TimeoutStopSec", "1.5", "TimeoutStopUSec=uint64 1500000"},
		{"TimeoutStopSec", "byte 2", "TimeoutStopUSec=uint64 2000000"},
		{"RuntimeMaxSec", "uint64 18446744073709551615", "RuntimeMaxUSec=uint64 18446744073709551615"},
		{"FooSEC", "1", "FooSEC=1"},
		{"Sec", "1", "Sec=1"},
		{"After", "['a.service', \"b\"]", `After=["a.service", "b"]`},
		{"After", "@as []", "After=@as []"},
		{"Yes", " true ", "Yes=true"},
		{"Num", "[uint32 1, 0x10]", "Num=[uint32 1, uint32 16]"},
		{"Mask", "[byte 1, 255]", "Mask=@ay [0x01, 0xff]"},
		{"Mask", "@ay [1]", "Mask=@ay [0x01]"},
		{"DeviceAllow", "[('/dev/x', 'rw')]", `DeviceAllow=[("/dev/x", "rw")]`},
		{"DeviceAllow", "@a(st) [('a', 5)]", `DeviceAllow=[("a", uint64 5)]`},
		{"One", "(1,)", "One=(1,)"},
		{"Esc", `'a\'\n\u00e9'`, `Esc="a'\né"`},
		{"Neg", "int64 -9223372036854775808", "Neg=int64 -9223372036854775808"},
		{"Dbl", "double 2", "Dbl=double 2"},
	} {
		got, err := FromAnnotations(map[string]string{AnnotationPrefix + c.name: c.text, "other": "x"})
		if err != nil || len(got) != 1 || got[0].String() != c.want {
			t.Errorf("%s = %s: got %s, %v, want %s", c.name, c.text, list(got), err, c.want)
		}
	}
	got, err := FromAnnotations(map[string]string{AnnotationPrefix + "Bbb": "1", AnnotationPrefix + "Aaa": "2"})
	if err != nil || list(got) != "Aaa=2\nBbb=1" {
		t.Errorf("got %s, %v", list(got), err)
	}
}

func TestFromAnnotationsErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"Ab", "1", "fewer than 3 letters"},
		{"A.b", "1", "other characters"},
		{"Abc", "", "ends where"},
		{"Abc", "text", "texts need quotes"},
		{"Abc", "'text", "no closing '"},
		{"Abc", `'a\`, "no closing '"},
		{"Abc", `'\u12'`, "no closing"},
		{"Abc", `'\ud800'`, "no character"},
		{"Abc", "'a\x00'", "NUL"},
		{"Abc", "'\xff'", "UTF-8"},
		{"Abc", "1 2", "after the value"},
		{"Abc", "byte 256", "not a value of type y"},
		{"Abc", "uint64 -1", "not a value of type t"},
		{"Abc", "3000000000", "not a value of type i"},
		{"Abc", "uint64 'x'", "type s stands where one of type t"},
		{"Abc", "[1, 'x']", "type s stands where one of type i"},
		{"Abc", "[]", "@as []"},
		{"Abc", "[1", "no closing ]"},
		{"Abc", "(1", "no closing )"},
		{"Abc", "()", "too few"},
		{"Abc", "@(ii) (1,)", "too few"},
		{"Abc", "@(i) (1, 2)", "more members"},
		{"Abc", "@a{sv} {}", "is not a type"},
		{"Abc", "@as", "ends where"},
		{"Abc", "{'a': 1}", "dictionary"},
		{"Abc", "<1>", "variant"},
		{"Abc", "objectpath 'a'", "not an object path"},
		{"Abc", "objectpath '/a//b'", "not an object path"},
		{"Abc", "signature '('", "not a signature"},
		{"Abc", strings.Repeat("[", 100), "nested too deeply"},
		{"Abc", "(" + strings.Repeat("1, ", 300) + "1)", "too long for D-Bus"},
		{"FooSec", "'1'", "no number of seconds"},
		{"FooSec", "-1", "no number of seconds"},
		{"FooSec", "1e300", "no number of seconds"},
		{"FooSec", "uint64 18446744073709551614", "no number of seconds"},
	} {
		got, err := FromAnnotations(map[string]string{AnnotationPrefix + c.name: c.text})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "annotations[org.systemd.property."+c.name+"]: ") {
			t.Errorf("%s = %s: got %s, %v, want an error with %q", c.name, c.text, list(got), err, c.want)
		}
	}
}

func TestSubgroup(t *testing.T) {
	for name, good := range map[string]bool{"": true, "container": true, "a.b": true, "..": false, ".": false, "a/b": false, "/a": false, "a\n": false, strings.Repeat("x", 256): false} {
		got, err := Subgroup(map[string]string{SubgroupAnnotation: name})
		if good != (err == nil) || good && got != name {
			t.Errorf("%q: got %q, %v", name, got, err)
		}
	}
}
