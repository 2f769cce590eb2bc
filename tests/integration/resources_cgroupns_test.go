package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestCgroupNamespaceRoot: the container's own cgroup is the root of its cgroup
// namespace, for init and for exec'd processes; without one it sees where it is.
func TestCgroupNamespaceRoot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edits  []edit
		rooted bool
	}{
		"with":    {nil, true},
		"without": {[]edit{withoutNamespace(specs.CgroupNamespace)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, append(c.edits, sh("cat /proc/self/cgroup; echo up; sleep 1000"))...).create().start()
			for who, text := range map[string]string{
				"init": b.waitOutput("up\n"),
				"exec": b.exec(nil, "cat", "/proc/self/cgroup").ok(t).stdout,
			} {
				seen := 0
				for line := range strings.Lines(strings.TrimSuffix(text, "up\n")) {
					path := strings.SplitN(strings.TrimSpace(line), ":", 3)[2]
					switch {
					case !c.rooted && strings.Contains(path, b.id), c.rooted && path == "/":
						seen++
					case c.rooted && strings.Contains(path, b.id), c.rooted && strings.HasPrefix(path, "/.."):
						t.Errorf("%s: %s", who, line)
					}
				}
				if seen == 0 {
					t.Errorf("%s: %q", who, text)
				}
			}
		})
	}
}

// TestCgroupMountWritable: a cgroup mount without ro is the container's own
// cgroup, in which it can make others; they go with the container.
func TestCgroupMountWritable(t *testing.T) {
	t.Parallel()
	for name, edits := range map[string][]edit{
		"cgroup namespace":        nil,
		"host's cgroup namespace": {withoutNamespace(specs.CgroupNamespace)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			where := "/sys/fs/cgroup"
			if !onV2(t) {
				where += "/memory"
			}
			b := newBundle(t, append(edits, cgroupMount("rw"), sh("cd "+where+" && mkdir -p inner/deep && echo made; sleep 1000"))...).create().start()
			b.waitOutput("made\n")
			dir := b.cgroupDir("memory")
			if _, err := os.Stat(dir + "/inner/deep"); err != nil {
				t.Errorf("not below the container's cgroup %s: %v", dir, err)
			}
			b.delete("--force")
			b.nothingLeft()
		})
	}
}

// TestCgroupOwnership: on v2 with a cgroup namespace and a writable mount the
// cgroup belongs to the user of the container's process; its limits do not. In
// all other cases nothing changes hands.
func TestCgroupOwnership(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edits []edit
		want  uint32
	}{
		"root of a user namespace": {[]edit{userNamespace, cgroupMount("rw")}, mappedRoot},
		"user 1000 in one":         {[]edit{userNamespace, cgroupMount("rw"), asUser(1000)}, mappedRoot + 1000},
		"user 1000":                {[]edit{cgroupMount("rw"), asUser(1000)}, 1000},
		"read-only mount":          {[]edit{userNamespace, cgroupMount("ro")}, 0},
		"host's cgroup namespace":  {[]edit{cgroupMount("rw"), withoutNamespace(specs.CgroupNamespace), asUser(1000)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := c.want
			if !onV2(t) {
				want = 0
			}
			b := newBundle(t, append(c.edits, args("sleep", "1000"))...).create()
			dir := b.cgroupDir("memory")
			files := map[string]uint32{"": want, "cgroup.procs": want}
			if onV2(t) {
				files["cgroup.subtree_control"], files["cgroup.threads"], files["memory.max"], files["pids.max"] = want, want, 0, 0
			}
			for file, uid := range files {
				var st unix.Stat_t
				if err := unix.Stat(filepath.Join(dir, file), &st); err != nil {
					t.Fatal(fmt.Errorf("%s/%s: %w", dir, file, err))
				}
				if st.Uid != uid {
					t.Errorf("%s/%s belongs to %d, want %d", dir, file, st.Uid, uid)
				}
			}
		})
	}
}
