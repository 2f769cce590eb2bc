package compile

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/config"
	"github.com/hutch-project/hutch/internal/part/lsm"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/list"
	"github.com/hutch-project/hutch/internal/template"
	"github.com/hutch-project/hutch/internal/validate"
)

// labelled returns a host with both security modules, which no machine has.
func labelled() Host {
	return Host{Privileged: true, LastCap: 40, HeldCaps: 1<<41 - 1, Cgroup: &rootfs.Cgroup{V2: true, Dir: "/sys/fs/cgroup/web1"},
		LSM: lsm.Host{AppArmor: true, SELinux: true}}
}

// TestLabelListing is the default configuration with labels.
func TestLabelListing(t *testing.T) {
	s := template.Spec()
	s.Process.ApparmorProfile, s.Process.SelinuxLabel = "jail", "u:r:t:s0"
	s.Linux.MountLabel = "u:object_r:t:s0"
	out, err := Compile(&Input{Spec: s, Rootfs: "/bundle/rootfs", Bundle: "/bundle", Fifo: true, Host: labelled()})
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := list.WriteText(&got, list.Lines(out.Program, &list.Options{TagName: TagName})); err != nil {
		t.Fatal(err)
	}
	golden(t, "labels", got.String())
}

// FuzzPrograms goes from the text of config.json to the listings of init's program
// and of a further process's.
func FuzzPrograms(f *testing.F) {
	for _, s := range []any{everything(), joined(), template.Spec()} {
		text, err := json.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, true)
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text []byte, create bool) {
		s, err := config.Decode(text)
		if err != nil {
			return
		}
		if _, err := validate.Spec(s, validate.Options{}); err != nil {
			return
		}
		host := labelled()
		if out, err := Compile(&Input{Spec: s, Rootfs: "/bundle/rootfs", Bundle: "/bundle", Fifo: create, Preserved: []int{3}, Host: host}); err == nil {
			holds(t, out.Program, s.Process != nil)
		}
		if s.Process == nil || s.Linux == nil {
			return
		}
		p, _, err := Exec(&ExecInput{Process: s.Process, Linux: s.Linux, OwnKeyring: create, Preserved: []int{3}, Host: host,
			Init: namespace.Init{Pid: 77, Pidfd: 5, Flags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUSER}})
		if err == nil {
			holds(t, p, true)
		}
	})
}

// holds checks what each program keeps to, whatever its configuration is.
func holds(t *testing.T, p *program.Program, executes bool) {
	t.Helper()
	lines := list.Lines(p, &list.Options{TagName: TagName})
	dumpable, execve := -1, -1
	for i, l := range lines {
		args := strings.Join(l.Args, ", ")
		switch {
		case l.Call == "openat2" && !strings.Contains(args, "RESOLVE_") && l.Section == "child":
			t.Errorf("openat2 that may leave its directory: %s", args)
		case l.Call == "prctl" && strings.HasPrefix(args, "PR_SET_DUMPABLE, 0") && dumpable < 0:
			dumpable = i
		case strings.HasPrefix(l.Call, "execve"):
			execve = i
		}
	}
	if executes && (dumpable < 0 || execve < dumpable) {
		t.Errorf("PR_SET_DUMPABLE at %d, execve at %d", dumpable, execve)
	}
	var text bytes.Buffer
	if err := list.WriteText(&text, lines); err != nil {
		t.Error(err)
	}
}
