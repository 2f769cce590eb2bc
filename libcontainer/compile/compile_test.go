package compile

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"hutch/libcontainer/lsm"
	"hutch/libcontainer/namespace"
	"hutch/libcontainer/program"
	"hutch/libcontainer/rootfs"
	"hutch/libcontainer/template"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// everything is a configuration that reaches most emitters.
func everything() *specs.Spec {
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
	adj, umask := 100, uint32(0o27)
	s := template.Spec()
	s.Domainname = "example.org"
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace}, specs.LinuxNamespace{Type: specs.TimeNamespace})
	s.Linux.UIDMappings, s.Linux.GIDMappings = ids, ids
	s.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 5}}
	s.Linux.Sysctl = map[string]string{"net/ipv4/conf/eth0.100/forwarding": "1", "kernel.msgmax": "4096"}
	s.Linux.RootfsPropagation = "rshared"
	s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/net/tun", Type: "c", Major: 10, Minor: 200}, {Path: "/dev/pipe", Type: "p"}}
	s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32}
	s.Process.Terminal = true
	s.Process.ConsoleSize = &specs.Box{Height: 24, Width: 80}
	s.Process.User = specs.User{UID: 1000, GID: 1000, AdditionalGids: []uint32{5, 7}, Umask: &umask}
	s.Process.OOMScoreAdj = &adj
	s.Process.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 4}
	s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedBatch, Nice: 5}
	s.Process.Capabilities.Ambient = []string{"CAP_KILL"}
	s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/bin/true"}}}
	s.Mounts = append(s.Mounts,
		specs.Mount{Destination: "/data", Type: "bind", Source: "/srv/data", Options: []string{"rbind", "rro", "rprivate", "nosuid"}},
		specs.Mount{Destination: "/run", Type: "tmpfs", Source: "tmpfs", Options: []string{"tmpcopyup", "ro"}})
	return s
}

// joined is a configuration that takes a second clone.
func joined() *specs.Spec {
	s := template.Spec()
	s.Process.Terminal = false
	for i := range s.Linux.Namespaces {
		if s.Linux.Namespaces[i].Type == specs.PIDNamespace {
			s.Linux.Namespaces[i].Path = "/proc/7/ns/pid"
		}
	}
	return s
}

// TestListings compares the whole programs of a few configurations with golden
// files: what changes there is what a container will see.
func TestListings(t *testing.T) {
	for name, c := range map[string]struct {
		spec *specs.Spec
		fifo bool
	}{
		"default":    {template.Spec(), true},
		"everything": {everything(), true},
		"joined-run": {joined(), false},
		"shared-mounts": {func() *specs.Spec {
			s := template.Spec()
			s.Linux.Namespaces = s.Linux.Namespaces[:1]
			return s
		}(), true},
		"no-process": {func() *specs.Spec { s := template.Spec(); s.Process = nil; return s }(), true},
	} {
		t.Run(name, func(t *testing.T) {
			var got, again bytes.Buffer
			list(t, c.spec, c.fifo, &got)
			list(t, c.spec, c.fifo, &again)
			if got.String() != again.String() {
				t.Error("the same input has given two programs")
			}
			golden(t, name, got.String())
		})
	}
}

// TestExecListing is the program of a further process with all that it can have.
func TestExecListing(t *testing.T) {
	s := everything()
	adj := 7
	s.Process.OOMScoreAdj = &adj
	s.Process.Terminal = true
	p, err := Exec(&ExecInput{
		Process: s.Process, Linux: s.Linux, OwnKeyring: true, Keyring: "_ses.77", Serial: 77, PreserveFds: 1,
		Init: namespace.Init{Pid: 77, Pidfd: 5, Flags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUSER},
		Host: Host{LastCap: 40, HeldCaps: 1<<41 - 1, LSM: lsm.Host{AppArmor: true, SELinux: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := program.WriteText(&got, p.List(&program.ListOptions{TagName: TagName})); err != nil {
		t.Fatal(err)
	}
	golden(t, "exec", got.String())
}

// golden compares a listing with the golden file name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the program has changed; look at it, then run go test ./libcontainer/compile -update\n%s", firstDifference(got, string(want)))
	}
}

func list(t *testing.T, s *specs.Spec, fifo bool, to *bytes.Buffer) {
	t.Helper()
	out, err := Compile(&Input{
		Spec: s, Rootfs: "/bundle/rootfs", Bundle: "/bundle", Keyring: "_ses.77", Fifo: fifo, PreserveFds: 1,
		Host: Host{Privileged: true, LastCap: 40, HeldCaps: 1<<41 - 1, Cgroup: &rootfs.Cgroup{V2: true, Dir: "/sys/fs/cgroup/web1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := program.WriteText(to, out.Program.List(&program.ListOptions{TagName: TagName})); err != nil {
		t.Fatal(err)
	}
}

func firstDifference(got, want string) string {
	g, w := bytes.Split([]byte(got), []byte("\n")), bytes.Split([]byte(want), []byte("\n"))
	for i := range g {
		if i >= len(w) || !bytes.Equal(g[i], w[i]) {
			line := "the end"
			if i < len(w) {
				line = string(w[i])
			}
			return "got  " + string(g[i]) + "\nwant " + line
		}
	}
	return "the golden file is longer"
}

// BenchmarkCompile is the compiling of the default configuration.
func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	s := template.Spec()
	for b.Loop() {
		if _, err := Compile(&Input{Spec: s, Rootfs: "/bundle/rootfs", Bundle: "/bundle", Keyring: "_ses.77", Fifo: true, Host: Host{Privileged: true, LastCap: 40}}); err != nil {
			b.Fatal(err)
		}
	}
}
