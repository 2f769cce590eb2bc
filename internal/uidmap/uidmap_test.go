package uidmap

import (
	"testing"

	"github.com/hutch-project/hutch/tests/testplain"
)

func TestMain(m *testing.M) { testplain.Main(m) }

func TestParse(t *testing.T) {
	for _, text := range []string{"nonsense\n", "0 x 1\n", "0 0\n", "0 0 4294967296\n", "0 1000 1\n\n", "0 0 1 1\n"} {
		if list, err := Parse(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, list)
		}
	}
	if list, err := Parse(""); len(list) != 0 || err != nil {
		t.Errorf("no text: got %v, %v", list, err)
	}
	own, err := Read("/proc/self/uid_map")
	if len(own) == 0 || err != nil {
		t.Errorf("the test's own map: got %v, %v", own, err)
	}
}

func TestOutside(t *testing.T) {
	list, err := Parse("         0       1000          1\n         1     100000      65536\n")
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[uint32]uint32{0: 1000, 1: 100000, 5: 100004, 65536: 165535} {
		if got, ok := Outside(list, id); got != want || !ok {
			t.Errorf("%d: got %d, %v, want %d", id, got, ok, want)
		}
	}
	if got, ok := Outside(list, 65537); ok {
		t.Errorf("an id without a mapping: got %d", got)
	}
	if got := OutsideOr(list, 65537, 7); got != 7 {
		t.Errorf("an id without a mapping: got %d, want the other one", got)
	}
}

func TestInitial(t *testing.T) {
	for text, want := range map[string]bool{
		"         0          0 4294967295\n": true,
		"         0       1000          1\n": false,
		"0 0 65536\n":                        false,
		"0 1000 1\n1 100000 65536\n":         false,
		"":                                   false,
		"         0          0 4294967295\n5 5 5\n": false,
		"         1          0 4294967295\n":        false,
	} {
		list, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := Initial(list); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}
