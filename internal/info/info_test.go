package info

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/hutch-project/hutch/internal/host/systemd"
	"github.com/hutch-project/hutch/tests/testplain"
)

func TestMain(m *testing.M) { testplain.Main(m) }

// TestAsk: each feature stands once, and each that is missing has what brings it.
func TestAsk(t *testing.T) {
	r, err := Ask("1", os.Getenv("PATH"), systemd.Bus{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range r.Features {
		if key := f.Group + "/" + f.Name; seen[key] || f.Group == "" || f.Name == "" {
			t.Errorf("%s stands twice, or has no name", key)
		} else {
			seen[key] = true
		}
		if f.State == No && f.Needs == "" && f.Remedy == "" {
			t.Errorf("%s is missing, and nothing helps", f.Name)
		}
		if f.State == Yes && f.Needs+f.Remedy != "" {
			t.Errorf("%s is there, and needs %q", f.Name, f.Needs+f.Remedy)
		}
	}
	for _, want := range []string{"namespaces/time", "kernel/openat2", "seccomp/SCMP_ACT_NOTIFY", "security/AppArmor", "without root/newuidmap"} {
		if !seen[want] {
			t.Errorf("nothing of %s", want)
		}
	}
	if m := r.Missing(); m != nil { // the tests need what all containers do
		t.Errorf("%s is missing", m.Name)
	}
}

func TestForms(t *testing.T) {
	r := &Report{Version: "9", Kernel: "5.4.0", Machine: "arm", Caller: "as root", Cgroups: "v2", Features: []Feature{
		{Group: "a", Name: "x", Detail: "d\x1b"}, {Group: "b", Name: "y", State: No, Needs: "n", Remedy: "m", Required: true},
	}}
	var text, document strings.Builder
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	want := `hutch 9 on Linux 5.4.0, arm; as root; cgroups: v2

a
  yes     x                                d\x1b

b
  no      y
          needs n
          try   m

No container can run here: y is missing.
`
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", text.String(), want)
	}
	var got struct {
		Kernel   string
		Features []struct{ Name, State string }
	}
	if err := r.WriteJSON(&document); err != nil || json.Unmarshal([]byte(document.String()), &got) != nil {
		t.Fatal(err, document.String())
	}
	if got.Kernel != "5.4.0" || len(got.Features) != 2 || got.Features[1].State != "no" {
		t.Errorf("got %+v", got)
	}
}
