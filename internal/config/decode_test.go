package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// linuxOnly clears what Decode ignores: fields that are for other platforms.
func linuxOnly(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			linuxOnly(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			linuxOnly(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			platform, ok := v.Type().Field(i).Tag.Lookup("platform")
			if ok && !slices.Contains(strings.Split(platform, ","), "linux") {
				v.Field(i).SetZero()
			} else {
				linuxOnly(v.Field(i))
			}
		}
	}
}

// fill gives every field of v, at any depth, a value that is not zero and that
// differs from the others' where its type has room. It returns how many it set.
func fill(t testing.TB, v reflect.Value, n *int) {
	t.Helper()
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range v.Len() {
			fill(t, v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 2 {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(t, key, n)
			fill(t, value, n)
			v.SetMapIndex(key, value)
		}
	case reflect.String:
		v.SetString(strings.Repeat("é\t\"\\<\U0001F600", *n%3) + string(rune('a'+*n%26)) + strings.Repeat("x", *n%7))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Interface:
		v.Set(reflect.ValueOf("any"))
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(-int64(*n))
	case reflect.Uint8, reflect.Uint16, reflect.Uint, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n)%255 + 1)
	default:
		t.Fatalf("type %s is not handled", v.Type())
	}
}

// same fails unless Decode gives what encoding/json gives.
func same(t testing.TB, data []byte) *specs.Spec {
	t.Helper()
	var want specs.Spec
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatalf("encoding/json refuses the input: %v\n%.2000s", err, data)
	}
	linuxOnly(reflect.ValueOf(&want))
	got, err := Decode(data)
	if err != nil {
		t.Fatalf("Decode: %v\n%.2000s", err, data)
	}
	if !reflect.DeepEqual(got, &want) {
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		t.Fatalf("input %.2000s\ngot   %s\nwant  %s", data, a, b)
	}
	return got
}

func TestDecodeEqualsEncodingJSONOnWholeConfigurations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 2 {
		t.Fatalf("got %d files, error %v", len(files), err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		same(t, data)
		var out bytes.Buffer
		if err := json.Indent(&out, data, "", "    "); err != nil {
			t.Fatal(err)
		}
		same(t, out.Bytes())
	}
}

func TestDecodeReadsEveryFieldOfTheSpecification(t *testing.T) {
	var full specs.Spec
	n := 0
	fill(t, reflect.ValueOf(&full).Elem(), &n)
	data, err := json.Marshal(full)
	if err != nil {
		t.Fatal(err)
	}
	got := same(t, data)
	linuxOnly(reflect.ValueOf(&full))
	if !reflect.DeepEqual(*got, full) {
		t.Errorf("the configuration does not come back as it was")
	}
	if n < 400 {
		t.Errorf("%d values were set, the specification has more", n)
	}
	for what, v := range map[string]any{"process": full.Process, "resources": full.Linux.Resources} {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var back any
		if what == "process" {
			back, err = DecodeProcess(data)
		} else {
			back, err = DecodeResources(data)
		}
		if err != nil || !reflect.DeepEqual(back, v) {
			t.Errorf("%s: got %+v, error %v, want %+v", what, back, err, v)
		}
	}
}

// Inputs that encoding/json takes and whose result is not obvious.
var odd = []string{
	`{}`,
	" \t\r\n{ \"root\" : { \"path\" : \"x\" } } \n",
	`{"root":null,"process":{"user":null,"args":null,"cwd":null,"terminal":null,"capabilities":null,"oomScoreAdj":null}}`,
	`{"process":{"args":[],"env":[null,"a"],"user":{"uid":null,"umask":0,"additionalGids":[]}}}`,
	`{"annotations":{},"linux":{"sysctl":null,"netDevices":{"a":null,"b":{}},"timeOffsets":{}}}`,
	`{"annotations":{"a":"1","a":"2","b":null}}`,
	`{"annotations":{"a":"1"},"annotations":{"b":"2"}}`,
	`{"annotations":{"a":"1"},"annotations":null}`,
	`{"root":{"path":"a","readonly":true},"root":{"path":"b"}}`,
	`{"root":{"path":"a"},"root":null,"root":{"readonly":true}}`,
	`{"mounts":[{"type":"a","source":"b"},{"type":"c"}],"mounts":[{"type":"d"}],"mounts":[null,null]}`,
	`{"mounts":[{"type":"a"}],"mounts":[],"mounts":[null]}`,
	`{"process":{"args":["a","b","c"],"args":["d"],"args":[null,null,"e"]}}`,
	`{"process":{"args":[],"args":["d"]}}`,
	`{"process":{"oomScoreAdj":-5,"oomScoreAdj":null}}`,
	`{"hostname":"\u0000\ud83d\ude00\ud83d\uD83D\uDE00\ude00\u00e9\/\b\f\n\r\t\"\\x"}`,
	`{"hostname":"\ud800\u0041\udc00x\ud800"}`,
	`{"hostn\u0061me":"a","":"b","\u0000":{}}`,
	`{"unknown":{"a":[1,-0,0.5,1e9,1E+9,1.25e-3,true,false,null,"x",[[]],{}]},"hostname":"y"}`,
	`{"linux":{"resources":{"cpu":{"shares":18446744073709551615,"quota":-9223372036854775808,"idle":-0},"blockIO":{"weight":65535}}}}`,
	`{"linux":{"resources":{"blockIO":{"weightDevice":[{"major":8,"minor":1,"weight":3,"LinuxBlockIODevice":4}]}}}}`,
	`{"linux":{"devices":[{"fileMode":438,"uid":0,"major":-1}]}}`,
}

func TestDecodeEqualsEncodingJSONOnOddInput(t *testing.T) {
	for _, in := range odd {
		same(t, []byte(in))
	}
	names := `"` + strings.Repeat(`n","`, 700) + `"`
	same(t, []byte(`{"process":{"args":[`+names+`],"env":["a"]},"linux":{"maskedPaths":[`+names+`]}}`))
}

func TestDecodeErrorsNameThePlaceAndTheFault(t *testing.T) {
	deep := strings.Repeat("[", 1001)
	for _, c := range []struct{ name, in, want string }{
		{"empty", "", "the text is empty, want an object (line 1, column 1)"},
		{"white space", " \n ", "the text is empty, want an object (line 2, column 2)"},
		{"null", "null", "want an object, found null (line 1, column 1)"},
		{"array", "[]", "want an object, found an array (line 1, column 1)"},
		{"byte order mark", "\ufeff{}", "found a byte order mark; remove it (line 1, column 1)"},
		{"UTF-16", "\xff\xfe{\x00", "byte 0xff at offset 0 is not UTF-8; save the text as UTF-8 (line 1, column 1)"},
		{"not UTF-8", "{\n \"root\": {\"path\": \"é\xc3\"}}", "root.path: byte 0xc3 at offset 23 is not UTF-8; save the text as UTF-8 (line 2, column 21)"},
		{"type", "{\"linux\": {\"namespaces\": [\n{\"type\":\"pid\"},{},{\"type\": 5}]}}", "linux.namespaces[2].type: want a string, found a number (line 2, column 28)"},
		{"object for list", `{"mounts":{}}`, "mounts: want an array, found an object (line 1, column 11)"},
		{"string for object", `{"process":"x"}`, "process: want an object, found a string (line 1, column 12)"},
		{"boolean", `{"process":{"terminal":"true"}}`, "process.terminal: want true or false, found a string (line 1, column 24)"},
		{"true for list", `{"process":{"args":true}}`, "process.args: want an array, found true (line 1, column 20)"},
		{"element", `{"process":{"args":["a",{}]}}`, "process.args[1]: want a string, found an object (line 1, column 25)"},
		{"map value", `{"annotations":{"org.x/y":1}}`, `annotations["org.x/y"]: want a string, found a number (line 1, column 27)`},
		{"negative id", `{"process":{"user":{"uid":-1}}}`, "process.user.uid: want an integer from 0 to 4294967295, found -1 (line 1, column 27)"},
		{"large id", `{"process":{"user":{"uid":4294967296}}}`, "process.user.uid: want an integer from 0 to 4294967295, found 4294967296 (line 1, column 27)"},
		{"huge number", `{"process":{"rlimits":[{"hard":` + strings.Repeat("9", 99) + `}]}}`, "process.rlimits[0].hard: want an integer from 0 to 18446744073709551615, found " + strings.Repeat("9", 30) + "... (line 1, column 32)"},
		{"fraction", `{"process":{"user":{"gid":1.0}}}`, "process.user.gid: want an integer from 0 to 4294967295, found 1.0 (line 1, column 27)"},
		{"exponent", `{"linux":{"pids":0,"timeOffsets":{"a":{"secs":1e2}}}}`, "linux.timeOffsets.a.secs: want an integer from -9223372036854775808 to 9223372036854775807, found 1e2 (line 1, column 47)"},
		{"32 bits", `{"process":{"scheduler":{"nice":2147483648}}}`, "process.scheduler.nice: want an integer from -2147483648 to 2147483647, found 2147483648 (line 1, column 33)"},
		{"16 bits", `{"linux":{"resources":{"blockIO":{"weight":65536}}}}`, "linux.resources.blockIO.weight: want an integer from 0 to 65535, found 65536 (line 1, column 44)"},
		{"string for number", `{"process":{"user":{"uid":"0"}}}`, "process.user.uid: want an integer from 0 to 4294967295, found a string (line 1, column 27)"},
		{"leading zero", `{"process":{"user":{"uid":01}}}`, "process.user: want ',' or '}', found a number (line 1, column 28)"},
		{"minus alone", `{"x":-}`, "x: want a digit, found '}' (line 1, column 7)"},
		{"trailing comma", `{"root":{"path":"a",}}`, "root: found '}' after a comma; remove the comma (line 1, column 21)"},
		{"trailing comma in list", `{"mounts":[{},]}`, "mounts: found ']' after a comma; remove the comma (line 1, column 15)"},
		{"missing comma", "{\"hostname\":\"a\"\n\"root\":{}}", "want ',' or '}', found a string (line 2, column 1)"},
		{"missing colon", `{"root" {}}`, "want ':', found an object (line 1, column 9)"},
		{"name without quotes", `{root:1}`, "want the name of a property in double quotes, found 'r' (line 1, column 2)"},
		{"comment", "{ // x\n}", "want the name of a property in double quotes, found '/'; JSON has no comments (line 1, column 3)"},
		{"data behind", "{}{}", "want the end of the text after the object, found an object (line 1, column 3)"},
		{"NUL behind", "{}\x00", `want the end of the text after the object, found '\x00' (line 1, column 3)`},
		{"NUL in string", "{\"hostname\":\"a\x00\"}", `hostname: found the control character '\x00' in a string; write it as an escape (line 1, column 15)`},
		{"newline in string", "{\"hostname\":\"\\\"\n\"}", `hostname: found the control character '\n' in a string; write it as an escape (line 1, column 16)`},
		{"escape", `{"hostname":"\x41"}`, `hostname: want one of "\/bfnrtu after a backslash, found 'x' (line 1, column 14)`},
		{"hexadecimal escape", `{"hostname":"\u00g0"}`, `hostname: want four hexadecimal digits after \u (line 1, column 14)`},
		{"escape cut off", `{"hostname":"\`, "hostname: want the end of a string, found the end: the text is truncated (line 1, column 15)"},
		{"string cut off", `{"hostname":"abc`, "hostname: want the end of a string, found the end: the text is truncated (line 1, column 17)"},
		{"object cut off", `{"linux":{"namespaces":[{"type":"pid"`, "linux.namespaces[0]: want ',' or '}', found the end: the text is truncated (line 1, column 38)"},
		{"value cut off", `{"linux":{"namespaces":[{"type":`, "linux.namespaces[0].type: want a string, found the end: the text is truncated (line 1, column 33)"},
		{"literal cut off", `{"process":{"terminal":tru`, "process.terminal: want true or false, found 't' (line 1, column 24)"},
		{"no value", `{"x":}`, "x: want a value, found '}' (line 1, column 6)"},
		{"fault in ignored part", `{"windows":{"a":[1,nul]}}`, "windows.a[1]: want a value, found 'n' (line 1, column 20)"},
		{"too deep", `{"x":` + deep, "x" + strings.Repeat("[0]", 66) + "[...: nested more than 1000 deep (line 1, column 1005)"},
		{"long name", `{"` + strings.Repeat("n", 100) + `":}`, strings.Repeat("n", 60) + "...: want a value, found '}' (line 1, column 105)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Decode([]byte(c.in))
			var e *Error
			if got != nil || !errors.As(err, &e) {
				t.Fatalf("input %.200q: got %v, error %v, want an *Error", c.in, got, err)
			}
			if err.Error() != c.want {
				t.Errorf("input %.200q\ngot  %s\nwant %s", c.in, err, c.want)
			}
			if e.Offset < 0 || e.Offset > len(c.in) {
				t.Errorf("offset %d is not in the text", e.Offset)
			}
		})
	}
}

func TestDecodeTakesWhatNestsAsDeepAsAllowed(t *testing.T) {
	for depth, ok := range map[int]bool{999: true, 1000: false} {
		_, err := Decode([]byte(`{"x":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}`))
		if (err == nil) != ok {
			t.Errorf("%d arrays in the object: got error %v", depth, err)
		}
	}
}

func TestDecodeMatchesNamesExactly(t *testing.T) {
	s, err := Decode([]byte(`{"HOSTNAME":"a","Root":5,"hostname":"b"}`))
	if err != nil || s.Hostname != "b" || s.Root != nil {
		t.Errorf("got %+v, error %v", s, err)
	}
}

func TestResultDoesNotReferToTheInput(t *testing.T) {
	data := []byte(`{"hostname":"abc"}`)
	s, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	clear(data)
	if s.Hostname != "abc" {
		t.Errorf("got %q after the input was cleared", s.Hostname)
	}
}

func TestEveryPrefixIsAnErrorAndNeverAPanic(t *testing.T) {
	data, err := os.ReadFile("testdata/docker.json")
	if err != nil {
		t.Fatal(err)
	}
	data = bytes.TrimSpace(data)
	for n := range len(data) {
		if _, err := Decode(data[:n]); err == nil {
			t.Fatalf("the first %d bytes were taken", n)
		}
	}
}

func TestGeneratedFilesAreUpToDate(t *testing.T) {
	for file, flags := range map[string][]string{"decode_gen.go": nil, "names_gen.go": {"-names"}} {
		want, err := exec.Command("go", append([]string{"run", "github.com/hutch-project/hutch/internal/gen/specjson"}, flags...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what the generator writes; run go generate in this folder", file)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	data, err := os.ReadFile("testdata/docker.json")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodingJSON(b *testing.B) {
	data, err := os.ReadFile("testdata/docker.json")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := json.Unmarshal(data, new(specs.Spec)); err != nil {
			b.Fatal(err)
		}
	}
}
