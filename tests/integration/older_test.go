package integration

import (
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// TestOlderKernel: what the floor lacks of the kernel that this machine has is done in
// another way, with the same result. Kernels themselves are `make vm-kernels`.
func TestOlderKernel(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "its fallbacks are others")
	all := "open_tree_attr,memfd-exec,procfs-pidns,faccessat2,keys"
	denied := "clone3:EPERM,fsopen:ENOSYS,close_range:EPERM"
	for _, lacks := range append(strings.Split(all, ","), "faccessat2-no", all, "clone3:ENOSYS", "fsconfig:EPERM",
		"close_range:EPERM", "close_range:ENOSYS", denied, all+","+denied) {
		t.Run(lacks, func(t *testing.T) {
			t.Parallel()
			wrap := []string{filepath.Join(workDir, "assets", "probe"), "older", lacks}
			t.Run("run", func(t *testing.T) { runsOnOlder(t, wrap) })
			t.Run("life", func(t *testing.T) { livesOnOlder(t, wrap) })
		})
	}
}

// everythingOlder is a container with all that has a fallback.
func everythingOlder(s *specs.Spec) {
	readonlyPaths("/data/dir")(s)
	s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/data/secret")
	s.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", "cat >/tmp/hook"}}}}
}

const askOlder = "touch /data/dir/new 2>/dev/null || echo read-only; cat /data/secret; grep -c ociVersion /tmp/hook; echo up; exec "

func olderBundle(t *testing.T, last string, edits ...edit) *bundle {
	t.Helper()
	b := newBundle(t, append([]edit{everythingOlder, sh(askOlder + last)}, edits...)...)
	writeText(t, b.rootfs("data/dir/in"), "in\n")
	writeText(t, b.rootfs("data/secret"), "secret\n")
	return b
}

const wantOlder = "read-only\n1\nup\n"

func runsOnOlder(t *testing.T, wrap []string) {
	b := olderBundle(t, "true")
	res := call{root: b.root, args: b.line("run"), wrap: wrap}.do(t).ok(t)
	if res.stdout != wantOlder {
		t.Errorf("%q, want %q", res.stdout, wantOlder)
	}
}

// livesOnOlder takes a container that joins the pid namespace of another from create to
// delete.
func livesOnOlder(t *testing.T, wrap []string) {
	first := newBundle(t, args("sleep", "1000")).create().start()
	b := olderBundle(t, "sleep 1000", namespace(specs.PIDNamespace, nsPath(first.pid, specs.PIDNamespace)))
	do := func(c call) result {
		t.Helper()
		c.wrap = wrap
		return c.do(t).ok(t)
	}
	rt := func(words ...string) result {
		t.Helper()
		return do(call{root: b.root, args: words})
	}
	do(b.createCall())
	b.readPid()
	rt("start", b.id)
	b.waitOutput("up\n")
	if got := b.output(); got != wantOlder {
		t.Errorf("%q, want %q", got, wantOlder)
	}
	if got := rt("exec", b.id, "sh", "-c", "sleep 0 && echo inside").stdout; got != "inside\n" {
		t.Errorf("exec: %q", got)
	}
	// The procfs is of the namespace that was joined.
	if got := rt("exec", b.id, "sh", "-c", "tr '\\0' ' ' </proc/1/cmdline").stdout; got != "sleep 1000 " {
		t.Errorf("process 1: %q", got)
	}
	rt("kill", b.id, "KILL")
	b.wait()
	rt("delete", b.id)
}
