package compile

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/lsm"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/part/process"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/program/list"
	"github.com/hutch-project/hutch/internal/seat"
	"github.com/hutch-project/hutch/internal/template"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// everything returns a configuration that reaches most emitters.
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

// joined returns a configuration that takes a second clone.
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

// seldom returns a configuration that reaches what everything does not.
func seldom() *specs.Spec {
	s := template.Spec()
	s.Process.Terminal = false
	s.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/bin/hook", Args: []string{"hook", "-v"}}}}
	s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0-1", Flags: []specs.MemoryPolicyFlagType{specs.MpolFStaticNodes}}
	s.Linux.MaskedPaths = nil
	for i := range 300 { // more than there are descriptors for
		s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/sys/secret/"+strconv.Itoa(i))
	}
	s.Linux.Seccomp = &specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.ArchX86_64}, ListenerPath: "/run/agent",
		Syscalls: []specs.LinuxSyscall{{Names: []string{"mount"}, Action: specs.ActNotify}},
	}
	return s
}

// unprivileged returns the configuration of a user without privileges.
func unprivileged() *specs.Spec {
	s := template.Spec()
	template.Rootless(s)
	s.Process.Terminal = false
	s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 1}}
	s.Linux.GIDMappings = s.Linux.UIDMappings
	s.Hooks = &specs.Hooks{CreateContainer: []specs.Hook{{Path: "/bin/true"}}}
	s.Linux.Sysctl = map[string]string{"kernel.domainname": "example.org"}
	return s
}

// callers returns the cgroups of the caller.
func callers() *rootfs.Cgroup {
	return &rootfs.Cgroup{Callers: true, Hierarchies: []rootfs.Hierarchy{
		{Name: "cpu,cpuacct", Options: "cpu,cpuacct", Dir: "/sys/fs/cgroup/cpu,cpuacct/user", Links: []string{"cpu"}},
		{Name: "systemd", Options: "name=systemd", Dir: "/sys/fs/cgroup/systemd/user"},
	}}
}

// inputs returns the programs of init with golden listings.
func inputs() map[string]*Input {
	input := func(s *specs.Spec, fifo bool, change func(*Input)) *Input {
		in := &Input{
			Spec: s, Rootfs: "/bundle/rootfs", Bundle: "/bundle", Keyring: "_ses.77", Fifo: fifo, Preserved: []int{3},
			Host: Host{Privileged: true, LastCap: 40, HeldCaps: 1<<41 - 1, Cgroup: &rootfs.Cgroup{V2: true, Dir: "/sys/fs/cgroup/web1"}},
		}
		if change != nil {
			change(in)
		}
		return in
	}
	// Standard descriptors as an engine gives them, and those of a daemon.
	piped := [3]process.StdFile{{Open: true, Null: true}, {Open: true, UID: 5}, {Open: true}}
	null := process.StdFile{Open: true, Null: true}
	return map[string]*Input{
		"default":    input(template.Spec(), true, nil),
		"everything": input(everything(), true, func(in *Input) { in.Tasks = 2 }),
		// A procfs that only a process inside of the pid namespace can mount.
		"joined-run": input(joined(), false, func(in *Input) { in.Host.Std = piped }),
		// The clone comes last.
		"joined": input(joined(), true, func(in *Input) {
			in.Host.ProcOfPidNS, in.Host.Std, in.Tasks = true, [3]process.StdFile{null, null, null}, 1
		}),
		"shared-mounts": input(func() *specs.Spec {
			s := template.Spec()
			s.Linux.Namespaces = s.Linux.Namespaces[:1]
			return s
		}(), true, nil),
		"seldom": input(seldom(), true, func(in *Input) { in.Host.Ignored = []unix.Signal{unix.SIGPIPE} }),
		"user": input(unprivileged(), true, func(in *Input) {
			in.Host.Privileged, in.Host.NoNodes, in.Host.User, in.Host.Cgroup = false, true, true, callers()
		}),
		// Root of a user namespace of which the mount namespace is not.
		"nested": input(func() *specs.Spec { s := template.Spec(); s.Process.Terminal = false; return s }(), false, func(in *Input) {
			in.Host.Privileged, in.Host.NoNodes, in.Host.Nested, in.Host.Cgroup, in.KeepGroups = false, true, true, callers(), true
		}),
		// The profile does not let the process hand over the listener itself.
		"listener": input(func() *specs.Spec {
			s := template.Spec()
			s.Process.Terminal = false
			s.Linux.Seccomp = &specs.LinuxSeccomp{
				DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.ArchX86_64}, ListenerPath: "/run/agent",
				Syscalls: []specs.LinuxSyscall{{Names: []string{"sendmsg"}, Action: specs.ActNotify}},
			}
			return s
		}(), true, nil),
		"extensions": input(extensions(), true, func(in *Input) {
			in.HookFiles = HookFiles{Stdout: true, Stderr: true}
			in.RawFilter = "BgAAAAAA/38=" // returns SECCOMP_RET_ALLOW
			in.Links = map[int]string{len(in.Spec.Mounts) - 3: "../usr/share/zoneinfo/UTC"}
		}),
		// Under a filter that denies what is newer.
		"denied": input(everything(), true, func(in *Input) {
			in.Host.Denied, in.Tasks = seat.Denied{Clone3: true, CloseRange: true, Fsopen: true}, 1
		}),
		"denied-joined": input(joined(), false, func(in *Input) {
			in.Host.Denied, in.Host.Std = seat.Denied{Clone3: true, CloseRange: true, Fsopen: true}, piped
		}),
		"on-root":       input(onRoot("/srv/root"), true, nil),
		"on-root-tmpfs": input(onRoot(""), false, nil),
		"no-process":    input(func() *specs.Spec { s := template.Spec(); s.Process = nil; return s }(), true, nil),
	}
}

// execInputs returns the programs of further processes with golden listings.
func execInputs() map[string]*ExecInput {
	everything := everything()
	adj := 7
	everything.Process.OOMScoreAdj = &adj
	everything.Process.Terminal = true
	plain := template.Spec()
	plain.Process.Terminal = false
	plain.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedDeadline, Runtime: 1e6, Deadline: 1e7, Period: 1e7}
	plain.Linux.Seccomp = &specs.LinuxSeccomp{
		DefaultAction: specs.ActErrno, Architectures: []specs.Arch{specs.ArchX86_64},
		Syscalls: []specs.LinuxSyscall{{Names: []string{"read", "write"}, Action: specs.ActAllow}},
	}
	plain.Process.NoNewPrivileges = false
	engines := template.Spec()
	engines.Process.Terminal, engines.Process.NoNewPrivileges = false, false
	engines.Linux.Seccomp = &specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.ArchX86_64},
		Syscalls: []specs.LinuxSyscall{{Names: []string{"clone3"}, Action: specs.ActErrno}},
	}
	host := Host{LastCap: 40, HeldCaps: 1<<41 - 1, LSM: lsm.Host{AppArmor: true, SELinux: true}}
	denied := host
	denied.Denied = seat.Denied{Clone3: true, CloseRange: true, Fsopen: true}
	withNull := host
	withNull.Std = [3]process.StdFile{{Open: true, Null: true}, {Open: true, Null: true}, {Open: true, UID: 9}}
	return map[string]*ExecInput{
		"exec": {
			Keyring: "_ses.77", Serial: 77, Process: everything.Process, Linux: everything.Linux, OwnKeyring: true, Preserved: []int{3}, Wait: true,
			Init: namespace.Init{Pid: 77, Pidfd: 5, Flags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUSER}, Host: host,
		},
		// Under a filter that denies what is newer.
		"exec-denied": {
			Process: everything.Process, Linux: everything.Linux, Tasks: 1,
			Init: namespace.Init{Pid: 77, Pidfd: 5, Flags: unix.CLONE_NEWNS | unix.CLONE_NEWPID}, Host: denied,
		},
		// For the names of a user.
		"exec-names": {
			Names: true, Process: &specs.Process{User: specs.User{UID: 1000, GID: 1000, AdditionalGids: []uint32{5}}}, Linux: &specs.Linux{}, Tasks: 1,
			Init: namespace.Init{Pid: 77, Pidfd: 5, Flags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUSER}, Host: Host{LastCap: 40},
		},
		// In the runtime's pid namespace.
		"exec-shared-pids": {
			Process: engines.Process, Linux: engines.Linux,
			Init: namespace.Init{Pid: 77, Pidfd: 5, Flags: unix.CLONE_NEWNS | unix.CLONE_NEWNET}, Host: host,
		},
		// As engines have it: the filter comes before the clone.
		"exec-filtered": {
			Process: engines.Process, Linux: engines.Linux,
			Init: namespace.Init{Pid: 77, Pidfd: 5, Flags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET}, Host: host,
		},
		// On cgroup v1, with a filter and a scheduler that are set after the clone.
		"exec-held": {
			Process: plain.Process, Linux: plain.Linux, Tasks: 2, Preserved: []int{4, 5, 7},
			Init: namespace.Init{Pid: 77, Pidfd: 5, Flags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET}, Host: withNull,
		},
	}
}

// TestListings compares the whole programs of a few configurations with golden
// files: what changes there is what a container will see.
func TestListings(t *testing.T) {
	for name, in := range inputs() {
		t.Run(name, func(t *testing.T) {
			var got, again bytes.Buffer
			writeListing(t, in, &got)
			writeListing(t, in, &again)
			if got.String() != again.String() {
				t.Error("the same input has given two programs")
			}
			golden(t, name, got.String())
		})
	}
}

// TestExecListings compares the programs of further processes.
func TestExecListings(t *testing.T) {
	for name, in := range execInputs() {
		t.Run(name, func(t *testing.T) {
			p, tasks, err := Exec(in)
			if err != nil || len(tasks) != in.Tasks {
				t.Fatalf("%d registers for %d cgroups, %v", len(tasks), in.Tasks, err)
			}
			var got bytes.Buffer
			if err := list.WriteText(&got, list.Lines(p, &list.Options{TagName: TagName})); err != nil {
				t.Fatal(err)
			}
			golden(t, name, got.String())
		})
	}
}

// relative returns a listing with distances in place of numbers, so that an instruction more
// or less is a line of difference, and one for each jump over it.
func relative(listing string) string {
	line := regexp.MustCompile(`(?m)^ *(\d+)(  .*)$`)
	to := regexp.MustCompile(`go to (\d+)`)
	return line.ReplaceAllStringFunc(listing, func(l string) string {
		m := line.FindStringSubmatch(l)
		here, _ := strconv.Atoi(m[1])
		return to.ReplaceAllStringFunc(m[2], func(jump string) string {
			there, _ := strconv.Atoi(to.FindStringSubmatch(jump)[1])
			return fmt.Sprintf("go to %+d", there-here)
		})
	})
}

// golden compares a listing with the golden file name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	got = relative(got)
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
		t.Errorf("the program has changed; look at it, then run go test ./internal/compile -update\n%s", firstDifference(got, string(want)))
	}
}

func writeListing(t *testing.T, in *Input, to *bytes.Buffer) {
	t.Helper()
	out, err := Compile(in)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Tasks) != in.Tasks {
		t.Errorf("%d registers for %d cgroups", len(out.Tasks), in.Tasks)
	}
	if err := list.WriteText(to, list.Lines(out.Program, &list.Options{TagName: TagName})); err != nil {
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
