package cgroup

import (
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestChown(t *testing.T) {
	forEach(t, func(t *testing.T, l *Layout) {
		p, _ := planned(t, l, "/"+unique())
		if err := p.Chown(12345, 54321); err != nil {
			t.Fatal(err)
		}
		list, err := os.ReadFile("/sys/kernel/cgroup/delegate")
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range p.Paths() {
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			names := []string{"."}
			for _, e := range entries {
				names = append(names, e.Name())
			}
			for _, name := range names {
				var st unix.Stat_t
				if err := unix.Lstat(dir+"/"+name, &st); err != nil {
					t.Fatal(err)
				}
				want := [2]uint32{}
				if l.Mode == V2 && (name == "." || slices.Contains(strings.Fields(string(list)), name)) {
					want = [2]uint32{12345, 54321}
				}
				if got := [2]uint32{st.Uid, st.Gid}; got != want {
					t.Errorf("%s/%s belongs to %v, want %v", dir, name, got, want)
				}
			}
		}
		if l.Mode == V2 && !strings.Contains(string(list), "cgroup.procs") {
			t.Errorf("the kernel's list is %q", list)
		}
	})
}
