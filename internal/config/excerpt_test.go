package config

import (
	"reflect"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// members are those of linux that the tests keep.
var members = []string{"personality", "memoryPolicy", "seccomp"}

func TestExcerpt(t *testing.T) {
	for _, c := range []struct{ rule, in, want string }{
		{"process alone", `{"ociVersion":"1.3.0", "process": {"args": ["a"], "cwd":"/"} ,"root":{"path":"r"}}`, `{"process":{"args": ["a"], "cwd":"/"}}`},
		{"parts of linux", `{"linux":{"sysctl":{"x":[1]},"personality":{"domain":"LINUX"},"memoryPolicy":{"mode":"m"}},"process":{}}`,
			`{"linux":{"personality":{"domain":"LINUX"},"memoryPolicy":{"mode":"m"}},"process":{}}`},
		{"linux without them", `{"linux":{"sysctl":{}},"process":{}}`, `{"linux":{},"process":{}}`},
		{"linux is null", `{"linux":null,"process":{}}`, `{"linux":{},"process":{}}`},
		{"process is null", `{"process":null}`, `{"process":null}`},
		{"process stands twice", `{"process":{"cwd":"/a"},"process":{"args":["b"]}}`, `{"process":{"cwd":"/a"},"process":{"args":["b"]}}`},
		{"no process", `{"linux":{}}`, ""},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if got := string(Excerpt([]byte(c.in), members)); got != c.want {
				t.Errorf("Excerpt(%s)\ngot  %s\nwant %s", c.in, got, c.want)
			}
		})
	}
}

func TestResourcesExcerpt(t *testing.T) {
	for in, want := range map[string]string{
		`{"process":{},"linux":{"resources":{"pids":{"limit":1}},"sysctl":{}}}`: `{"linux":{"resources":{"pids":{"limit":1}}}}`,
		`{"linux":{"sysctl":{}}}`: "",
		`{}`:                      "",
	} {
		if got := string(ResourcesExcerpt([]byte(in))); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

// FuzzExcerpt checks that the excerpt of what Decode takes decodes to the same
// process.
func FuzzExcerpt(f *testing.F) {
	f.Add([]byte(`{"process":{"args":["a"],"user":{"uid":1}},"linux":{"personality":{"domain":"LINUX32"}}}`))
	f.Add([]byte(`{"pr\u006fcess":{"cwd":"/"},"linux":{},"linux":{"memoryPolicy":{"flags":["x"]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode(data)
		if err != nil {
			return
		}
		text := Excerpt(data, members)
		if text == nil {
			if s.Process != nil {
				t.Fatalf("no excerpt of %q", data)
			}
			return
		}
		got, err := Decode(text)
		if err != nil {
			t.Fatalf("excerpt %q of %q: %v", text, data, err)
		}
		want := &specs.Spec{Process: s.Process}
		if s.Linux != nil {
			want.Linux = &specs.Linux{Personality: s.Linux.Personality, MemoryPolicy: s.Linux.MemoryPolicy, Seccomp: s.Linux.Seccomp}
		}
		if got.Linux == nil {
			got.Linux = &specs.Linux{}
		}
		if want.Linux == nil {
			want.Linux = &specs.Linux{}
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("excerpt %q of %q", text, data)
		}
	})
}
