package idmap

import (
	"reflect"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestRanges(t *testing.T) {
	for text, want := range map[string][]specs.LinuxIDMapping{
		"":                       nil,
		"ann:100000:65536\n":     ids(1, 100000, 65536),
		"1000:5:7\nann:100:10\n": ids(1, 5, 7, 8, 100, 10),
		"bob:100000:65536\n":     nil,
		"ann:100000\nann:x:1\nann:1:x\nann:1:0\nann:4294967295:5\n": nil,
		"# ann\n ann:9:1 \n": ids(1, 9, 1),
	} {
		if got := ranges(text, 1000, "ann"); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
	if got := ranges(":100:5\n", 1000, ""); got != nil {
		t.Errorf("a user without a name has the ids of none: %v", got)
	}
	if got := ranges(strings.Repeat("ann:100:1\n", 1000), 1000, "ann"); len(got) >= maxLines {
		t.Errorf("%d lines, the kernel takes %d with the user's own", len(got), maxLines)
	}
}

func TestOwn(t *testing.T) {
	got := Own(ids(0, 1000, 1, 1, 100000, 65536))
	if want := ids(0, 0, 1, 1, 1, 65536); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestParseOption(t *testing.T) {
	own := ids(0, 0, 1, 1, 2, 1000)
	for text, want := range map[string][2][]specs.LinuxIDMapping{
		"uids=0-105000-1;gids=0-106000-2":    {ids(0, 105000, 1), ids(0, 106000, 2)},
		"uids=0-1-10#10-11-10;gids=0-100-10": {ids(0, 1, 10, 10, 11, 10), ids(0, 100, 10)},
		"uids=@1-3-10":                       {ids(1, 4, 10), own},
		"gids=0-1-2":                         {own, ids(0, 1, 2)},
	} {
		u, g, err := ParseOption(text, own, own)
		if err != nil || !reflect.DeepEqual([2][]specs.LinuxIDMapping{u, g}, want) {
			t.Errorf("%q: got %v %v %v, want %v", text, u, g, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                    `"" is neither uids`,
		"uids":                `"" is no range`,
		"uids=1-2":            `"1-2" is no range`,
		"uids=1-2-3-4":        "is no range",
		"uids=1-x-3":          `"x" is no number`,
		"uids=1-4294967296-3": "is no number",
		"uids=@1-5000-3":      "5000 is no id of the container",
		"guids=1-2-3":         "is neither",
		"uids=0-0-1;x":        `"x" is neither`,
	} {
		if _, _, err := ParseOption(text, own, own); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}
