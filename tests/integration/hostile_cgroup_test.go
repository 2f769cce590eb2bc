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

// TestDeleteAndKillOfContainerThatFreezesItself: on cgroup v1 a frozen process does not see
// SIGKILL, and the processes of a container to which its freezer is writable freeze it again
// whenever it is thawed.
func TestDeleteAndKillOfContainerThatFreezesItself(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 thaws once")
	if onV2(t) {
		t.Skip("needs cgroup v1: a frozen process of v2 ends by SIGKILL")
	}
	const own = "/sys/fs/cgroup/freezer/freezer.state"
	b := newBundle(t, sh("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do (while :; do echo FROZEN; done >"+own+") & done; wait"),
		mount(specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"rw", "nosuid", "noexec", "nodev"}}))
	for _, words := range [][]string{{"delete", "--force"}, {"kill"}} {
		b.create().start()
		state := b.cgroupDir("freezer") + "/freezer.state"
		eventually(t, "it has frozen itself", func() bool { return strings.HasPrefix(readText(t, state), "FR") })
		args := append(words, b.id)
		if words[0] == "kill" {
			args = append(args, "KILL")
		}
		b.rt(args...).ok(t)
		b.wait()
		b.rt("delete", "--force", b.id).ok(t)
	}
}
