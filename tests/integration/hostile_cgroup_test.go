package integration

import (
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestDeleteLeavesTheSuccessorAlone: a container that has ended, and a later one in its
// cgroups: of the same cgroupsPath, or of the same id in another state directory.
func TestDeleteLeavesTheSuccessorAlone(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 kills the second by its delete of the first")
	for name, edit := range map[string]edit{
		"same cgroupsPath": func(s *specs.Spec) {},
		"same id":          func(s *specs.Spec) { s.Linux.CgroupsPath = "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := newBundle(t, args("true"), edit)
			first.create().start().wait()
			second := newBundle(t, args("sleep", "1000"), edit)
			if second.spec.Linux.CgroupsPath == "" {
				second.id = first.id
			} else {
				second.spec.Linux.CgroupsPath = first.spec.Linux.CgroupsPath
				second.writeSpec()
			}
			second.create().start()
			first.rt("kill", first.id, "KILL").failed(t, "not running")
			first.rt("ps", first.id).failed(t, "no cgroup any more")
			first.rt("pause", first.id).failed(t)
			first.rt("delete", first.id).ok(t)
			second.status("running")
			if res := second.rt("ps", "--format", "json", second.id).ok(t); !strings.Contains(res.stdout, "[") {
				t.Errorf("%s", res)
			}
			second.kill("KILL").wait()
			second.delete()
		})
	}
}
