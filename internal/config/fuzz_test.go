package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// fieldNames adds the JSON names of t's fields, at any depth, to names, in lower
// case with the exact form as value. Forms that differ in case only are joined
// by a comma.
func fieldNames(t reflect.Type, names map[string]string, seen map[reflect.Type]bool) {
	if seen[t] {
		return
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		fieldNames(t.Elem(), names, seen)
	case reflect.Struct:
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			names[strings.ToLower(name)] += "," + name
			fieldNames(t.Field(i).Type, names, seen)
		}
	}
}

// foreign reports whether data has something in which Decode differs from
// encoding/json by intent: bytes that are not UTF-8, deep nesting, no object, a
// name in another case.
func foreign(data []byte, names map[string]string) bool {
	if !utf8.Valid(data) || !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		return true
	}
	depth := 0
	for d := json.NewDecoder(bytes.NewReader(data)); ; {
		token, err := d.Token()
		if err != nil {
			return false
		}
		switch v := token.(type) {
		case json.Delim:
			if v == '{' || v == '[' {
				depth++
			} else {
				depth--
			}
			if depth > maxDepth {
				return true
			}
		case string:
			// encoding/json folds as strings.EqualFold does; no name has the
			// letters k or s as something else than ASCII on our side.
			lower := strings.ToLower(strings.NewReplacer("\u017f", "s", "\u212a", "k").Replace(v))
			if exact, ok := names[lower]; ok && exact != "" && !strings.Contains(exact+",", ","+v+",") {
				return true
			}
		}
	}
}

// otherPlatform reports whether err of encoding/json is about a part that Decode
// ignores.
func otherPlatform(err error) bool {
	var e *json.UnmarshalTypeError
	if !errors.As(err, &e) {
		return false
	}
	for _, part := range []string{"windows", "solaris", "vm", "zos", "freebsd", "process.commandLine", "process.user.username"} {
		if e.Field == part || strings.HasPrefix(e.Field, part+".") {
			return true
		}
	}
	return false
}

func FuzzDecode(f *testing.F) {
	names := map[string]string{}
	fieldNames(reflect.TypeFor[specs.Spec](), names, map[reflect.Type]bool{})
	for _, in := range odd {
		f.Add([]byte(in))
	}
	for _, name := range []string{"testdata/default.json", "testdata/docker.json"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	var full specs.Spec
	n := 0
	fill(f, reflect.ValueOf(&full).Elem(), &n)
	data, err := json.Marshal(full)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Decode(data)
		var e *Error
		if err != nil && (!errors.As(err, &e) || e.Offset > len(data) || !utf8.ValidString(err.Error()) && utf8.Valid(data)) {
			t.Fatalf("error %#v for %q", err, data)
		}
		if foreign(data, names) {
			return
		}
		var want specs.Spec
		wantErr := json.Unmarshal(data, &want)
		if err == nil && wantErr != nil && !otherPlatform(wantErr) {
			t.Fatalf("taken, but encoding/json says: %v\n%q", wantErr, data)
		}
		if wantErr != nil {
			return
		}
		if err != nil {
			t.Fatalf("encoding/json takes it, but: %v\n%q", err, data)
		}
		linuxOnly(reflect.ValueOf(&want))
		if !reflect.DeepEqual(got, &want) {
			a, _ := json.Marshal(got)
			b, _ := json.Marshal(want)
			t.Fatalf("input %q\ngot   %s\nwant  %s", data, a, b)
		}
	})
}
