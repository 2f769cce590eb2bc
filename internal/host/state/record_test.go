package state

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func sample() *Record {
	timeout := 5
	return &Record{
		ID: "web1", Bundle: "/bundles/web \"1\"\n\x01\\é", Rootfs: "/bundles/\xff\xfe/rootfs", OnRoot: "/srv/\xff", OCIVersion: "1.3.0",
		Status: "created", Pid: 4711, PidStart: 1<<64 - 1,
		Created:     time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC),
		Annotations: map[string]string{"a.b/c": "d", "": "empty", "e": ""},
		Cgroup:      Cgroup{Driver: "systemd", Unit: "hutch-web1.scope", User: true, Paths: map[string]string{"": "/sys/fs/cgroup/web1", "name=systemd": "/x"}, Own: true},
		Rdt:         Rdt{Dir: "/sys/fs/resctrl/web1", Monitor: "/m", Own: true},
		Namespaces:  []Namespace{{"pid", ""}, {"network", "/proc/1/ns/net"}},
		HasProcess:  true, Process: `{"process":{"args":["a\n"]}}`, Resources: `{"linux":{}}`, OwnKeyring: true, Keyring: "_ses.0f", KeyringSerial: 77, RootMount: 7, RootFile: "4:9", UserNS: "4:1", MountNS: "4:2", PrivatePid: true,
		Streams:    []string{"pipe:[7]", "", "8:1"},
		AfterStart: []Failure{{PC: 7, Text: "process.args[0]: execute /bin/x"}, {}},
		Hooks: Hooks{
			StartContainer: []specs.Hook{{Path: "/a", Args: []string{"a", "", "b"}, Env: []string{"X=1"}, Timeout: &timeout}},
			Poststop:       []specs.Hook{{Path: "/b"}, {Path: "/c"}},
		},
	}
}

func TestRecordComesBack(t *testing.T) {
	for name, want := range map[string]*Record{"full": sample(), "empty": {}} {
		text := appendRecord(nil, want)
		if !json.Valid(text) {
			t.Errorf("%s: not JSON: %s", name, text)
		}
		got := &Record{}
		if err := decodeRecord(text, got); err != nil {
			t.Fatalf("%s: %v in %s", name, err, text)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, got, want)
		}
		// White space may stand between.
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, text, "\t", " "); err != nil {
			t.Fatal(err)
		}
		if err := decodeRecord(pretty.Bytes(), &Record{}); err != nil {
			t.Errorf("%s, indented: %v", name, err)
		}
	}
}

// TestRecordOfOlderProgram: members that are no more are passed over.
func TestRecordOfOlderProgram(t *testing.T) {
	text := strings.Replace(string(appendRecord(nil, sample())), `"afterStart":`, `"configDigest":"abc","afterStart":`, 1)
	got := &Record{}
	if err := decodeRecord([]byte(text), got); err != nil || !strings.Contains(text, "configDigest") {
		t.Fatalf("%v in %s", err, text)
	}
	if want := sample(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestRecordRefused(t *testing.T) {
	whole := string(appendRecord(nil, sample()))
	for i := range len(whole) - 2 {
		if err := decodeRecord([]byte(whole[:i]), &Record{}); err == nil {
			t.Fatalf("the first %d bytes are taken for a record", i)
		}
	}
	for text, want := range map[string]string{
		`{}`:                                           "version is absent",
		`{"version":2}`:                                "is a record of version 2, this program knows up to 1: use the newer one",
		`{"version":1} x`:                              "want the end",
		`{"version":1,}`:                               `offset 13: want '"'`,
		`{"version":1,"pid":"1"}`:                      "want an integer",
		`{"version":1,"pidStart":-1}`:                  "want an integer of 0 or more",
		`{"version":1,"hasProcess":maybe}`:             "want true or false",
		`{"version":1,"id":"\x"}`:                      "found 'x'",
		`{"version":1,"id":"\u004"}`:                   "four hexadecimal digits",
		`{"version":1,"created":"today"}`:              "want a time of RFC 3339",
		`{"version":1,"x":` + strings.Repeat("[", 200): "nests too deep",
		`[]`: "want '{'",
	} {
		if err := decodeRecord([]byte(text), &Record{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want …%s…", text, err, want)
		}
	}
	if err := decodeRecord([]byte(`{"version":1,"new":{"a":[1,"b",true,{}]},"id":"x"}`), &Record{}); err != nil {
		t.Errorf("unknown members: %v", err)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(appendRecord(nil, sample()))
	f.Add([]byte(`{"version":1,"id":"\u001f\\","hooks":{"poststart":[{}]}}`))
	f.Fuzz(func(t *testing.T, p []byte) {
		r := &Record{}
		if decodeRecord(p, r) != nil || r.Created.Year() > 9999 || r.Created.Year() < 0 {
			return
		}
		first := appendRecord(nil, r)
		again := &Record{}
		if err := decodeRecord(first, again); err != nil {
			t.Fatalf("%s: %v", first, err)
		}
		if second := appendRecord(nil, again); string(second) != string(first) {
			t.Errorf("got %s, want %s", second, first)
		}
	})
}

func TestSaveIsWholeAndPrivate(t *testing.T) {
	root, d := newContainer(t, "web1")
	if err := d.Save(sample()); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(filepath.Join(root.path, "web1", "state.json"))
	if err != nil || st.Mode() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", st.Mode(), err)
	}
	// What a killed save has left disturbs neither a reader nor the next save.
	if err := os.WriteFile(filepath.Join(root.path, "web1", "state.json.new"), []byte(strings.Repeat("x", 9999)), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := d.Record()
	want := sample()
	want.Owner = os.Getuid()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if err := d.Save(sample()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Record(); err != nil {
		t.Error(err)
	}
}

func BenchmarkSave(b *testing.B) {
	_, d := newContainer(b, "web1")
	r := sample()
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Save(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	root, d := newContainer(b, "web1")
	if err := d.Save(sample()); err != nil {
		b.Fatal(err)
	}
	d.Unlock()
	b.ReportAllocs()
	for b.Loop() {
		d, err := root.Load("web1")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := d.Record(); err != nil {
			b.Fatal(err)
		}
		d.Close()
	}
}
