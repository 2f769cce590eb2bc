package life

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/tests/criutest"
)

// TestTableOfRefusals: what docs/checkpoint.md says of an option that is refused is what its
// error says, and it says no more than what is tried here.
func TestTableOfRefusals(t *testing.T) {
	w := newCRIUWorld(t, &criutest.Behaviour{}, func(*specs.Spec) {})
	w.start()
	old := &criutest.Behaviour{Version: [3]int{3, 15, 0}, NoFeatures: true}
	shared := map[string]func(*CheckpointOptions){
		"--lazy-pages":          func(o *CheckpointOptions) { o.LazyPages = true },
		"--manage-cgroups-mode": func(o *CheckpointOptions) { o.ManageCgroups = "x" },
		"--network-lock":        func(o *CheckpointOptions) { o.NetworkLock = "skip" },
		"--empty-ns":            func(o *CheckpointOptions) { o.EmptyNS = []string{"pid"} },
	}
	dumps := map[string]func(*DumpOptions){
		"--parent-path": func(o *DumpOptions) { o.ParentPath = "/x" },
		"--pre-dump":    func(o *DumpOptions) { o.PreDump = true },
		"--page-server": func(o *DumpOptions) { o.PageServer = "x" },
		"--status-fd":   func(o *DumpOptions) { o.StatusFd = 987 },
	}
	restores := map[string]func(*RestoreOptions){
		"--lsm-profile":       func(o *RestoreOptions) { o.LSMProfile = "apparmor:x" },
		"--lsm-mount-context": func(o *RestoreOptions) { o.LSMMountContext = "x" },
		"--no-pivot":          func(o *RestoreOptions) { o.NoPivot = true },
	}
	for name, change := range shared {
		dumps[name] = func(o *DumpOptions) { change(&o.CheckpointOptions) }
		restores[name] = func(o *RestoreOptions) { change(&o.CheckpointOptions) }
	}
	said := tableOfOptions(t)
	for name, change := range dumps {
		if criutest.Change(t, w.path, old); name == "--parent-path" { // which needs a feature first
			criutest.Change(t, w.path, &criutest.Behaviour{})
		}
		if err := w.checkpoint(change); err == nil || said[name][0] == "" || !strings.Contains(err.Error(), said[name][0]) {
			t.Errorf("checkpoint %s: got %v, the table has %q", name, err, said[name][0])
		}
	}
	must(t, w.r.Delete(w.id, true))
	reapAll(t)
	criutest.Change(t, w.path, old)
	for name, change := range restores {
		if err := w.restore(change); err == nil || said[name][1] == "" || !strings.Contains(err.Error(), said[name][1]) {
			t.Errorf("restore %s: got %v, the table has %q", name, err, said[name][1])
		}
	}
	for name, texts := range said {
		if texts[0] != "" && dumps[name] == nil || texts[1] != "" && restores[name] == nil {
			t.Errorf("the table has %q for %s, which is not tried", texts, name)
		}
	}
}

// tableOfOptions returns for each option the text that the table has in the columns of
// checkpoint and restore.
func tableOfOptions(t *testing.T) map[string][2]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/checkpoint.md")
	must(t, err)
	said := map[string][2]string{}
	quoted := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !strings.HasPrefix(cells[1], " `--") || !strings.Contains(cells[1], "` ") {
			continue
		}
		name := strings.Trim(cells[1], " `")
		var texts [2]string
		for i, cell := range cells[3:5] {
			all := quoted.FindAllStringSubmatch(cell, -1)
			all = slices.DeleteFunc(all, func(m []string) bool { return m[1] == "--image-path" })
			if len(all) > 0 {
				texts[i] = all[0][1]
			}
		}
		if strings.TrimSpace(cells[4]) == "the same" {
			texts[1] = texts[0]
		}
		said[name] = texts
	}
	return said
}
