package config

import (
	"fmt"
	"strings"
	"testing"
)

const located = `{
	"ociVersion": "1.3.0",
	"process": {"args": ["sh", "ü"], "cwd": "/", "args": ["a",
		"b"]},
	"linux": {
		"sysctl": {"net.a": "1", "plain": "2"},
		"netDevices": {"eth0": {"name": "x"}},
		"namespaces": [{"type": "pid"}, {"type": "net"}]
	}
}`

func TestLocate(t *testing.T) {
	for element, want := range map[string]string{
		"":                            "1:1 true",
		"ociVersion":                  "2:16 true",
		"process.args":                "3:55 true", // the last of two
		"process.args[1]":             "4:3 true",
		"process.args[2]":             "3:55 false",
		"process.env":                 "3:13 false",
		"process.cwd":                 "3:42 true",
		`linux.sysctl["net.a"]`:       "6:23 true",
		`linux.sysctl["plain"]`:       "6:37 true",
		`linux.sysctl["x.y"]`:         "6:13 false",
		"linux.netDevices.eth0.name":  "7:35 true",
		"linux.namespaces[1].type":    "8:44 true",
		"linux.namespaces[1].path":    "8:35 false",
		"linux.namespaces[x]":         "8:17 false",
		"linux.sysctl[net.a]":         "6:23 true",
		"mounts[3].options[1]":        "1:1 false",
		"linux.uidMappings, and more": "5:11 false",
	} {
		p, whole := Locate([]byte(located), element)
		if got := fmt.Sprintf("%d:%d %v", p.Line, p.Column, whole); got != want {
			t.Errorf("%s: got %s, want %s", element, got, want)
		}
	}
}

// TestLocateIsWhereDecodeFails: both say the same of one value.
func TestLocateIsWhereDecodeFails(t *testing.T) {
	text := strings.Replace(located, `"type": "net"`, `"type": 5`, 1)
	_, err := Decode([]byte(text))
	fault, ok := err.(*Error)
	if !ok {
		t.Fatal(err)
	}
	if p, whole := Locate([]byte(text), fault.Element); !whole || p != (Place{fault.Line, fault.Column}) {
		t.Errorf("got %v, %v; Decode says %v", p, whole, err)
	}
}

// TestUnusedOfOneLine: a text of one line with very many properties is read once, and not
// once more for each.
func TestUnusedOfOneLine(t *testing.T) {
	const n = 50_000
	text := "{" + strings.Repeat(`"hostname":"ü","odd":1,`, n) + `"x":0}`
	all := Unused([]byte(text))
	if len(all) != 2*n {
		t.Fatalf("%d properties, want %d", len(all), 2*n)
	}
	for _, i := range []int{0, 1, 2, n, 2*n - 1} {
		if want := placeAt(text, strings.Index(text, `1,"hostname"`)); i == 0 && all[i].Place != want {
			t.Errorf("the first is at %v, want %v", all[i].Place, want)
		}
		if i > 0 && all[i].Column <= all[i-1].Column {
			t.Errorf("%d is at %v, behind %v", i, all[i-1].Place, all[i].Place)
		}
	}
	if last, want := all[2*n-1].Place, (placeAt(text, len(text)-2)); last != want {
		t.Errorf("the last is at %v, want %v", last, want)
	}
}

func TestStrays(t *testing.T) {
	text := `{"ociVersion": "1", "proces": {}, "windows": {}, "annotations": {"own": "x"},
"process": {"Args": [], "cwd": "/", "cwd": "/a", "user": {"uid": 1, "username": "x", "uidd": 2}},
"linux": {"seccomp": {"syscalls": [{"nmaes": []}]}, "sysctl": {"own": ""},
"resources": {"blockIO": {"weightDevice": [{"major": 1, "weight": 2, "wait": 3}]}}}}`
	var got []string
	for _, s := range Unused([]byte(text)) {
		got = append(got, fmt.Sprintf("%s %d:%d %v %v", s.Element, s.Line, s.Column, len(s.Names) > 0, s.Platform))
	}
	want := []string{
		"proces 1:31 true false", "windows 1:46 false true", "process.Args 2:21 true false", "process.cwd 2:44 false false",
		"process.user.username 2:81 false true", "process.user.uidd 2:94 true false",
		"linux.seccomp.syscalls[0].nmaes 3:46 true false", "linux.resources.blockIO.weightDevice[0].wait 4:78 true false",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if all := Unused([]byte(located)); len(all) != 1 || all[0].Element != "process.args" {
		t.Errorf("got %+v", all)
	}
}

func FuzzLocate(f *testing.F) {
	f.Add([]byte(located), "linux.namespaces[1].type")
	f.Add([]byte(`[{"a":[]}]`), `[0]["a"][0]`)
	f.Fuzz(func(t *testing.T, data []byte, element string) {
		if _, err := Decode(data); err != nil {
			return
		}
		if p, _ := Locate(data, element); p.Line < 1 || p.Column < 1 {
			t.Errorf("%q in %q: %v", element, data, p)
		}
		Unused(data)
	})
}
