package inspect

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/life"
	"github.com/hutch-project/hutch/internal/part/lsm"
	"github.com/hutch-project/hutch/tests/testplain"
)

func TestMain(m *testing.M) { testplain.Main(m) }

// modern is a host that has everything.
func modern() facts {
	return facts{
		kernel: [2]int{6, 18}, fileSystems: []string{"proc", "tmpfs", "sysfs", "ext4", "overlay"}, lsm: lsm.Host{AppArmor: true, SELinux: true},
		mode: cgroup.V2, lastCap: len(enum.Capabilities) - 1, held: ^uint64(0), raises: true,
		cpus: "0-3", nodes: "0", huge: []string{"2MB", "1GB"}, takes: func(fs, option string) bool { return option != "nosiud" },
	}
}

// bundle is a bundle without a mistake, to make some in.
type bundle struct {
	t    *testing.T
	dir  string
	spec *specs.Spec
	host facts
}

func newBundle(t *testing.T) *bundle {
	b := &bundle{t: t, dir: t.TempDir(), host: modern()}
	for _, dir := range []string{"proc", "mnt", "etc"} {
		if err := os.MkdirAll(filepath.Join(b.dir, "rootfs", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b.file("rootfs/bin/sh", "#!/bin/sh\n", 0o755)
	b.spec = &specs.Spec{
		Version: "1.3.0", Root: &specs.Root{Path: "rootfs"},
		Process: &specs.Process{Args: []string{"sh"}, Cwd: "/", Env: []string{"PATH=/sbin:/bin"}},
		Mounts:  []specs.Mount{{Destination: "/proc", Type: "proc", Source: "proc"}},
		Linux:   &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: "pid"}, {Type: "mount"}, {Type: "network"}, {Type: "uts"}, {Type: "ipc"}}},
	}
	return b
}

func (b *bundle) file(name, text string, mode os.FileMode) {
	path := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		b.t.Fatal(err)
	}
}

// report inspects the bundle; change changes the text of the configuration.
func (b *bundle) report(change func(text string) string) *Report {
	b.t.Helper()
	text, err := json.MarshalIndent(b.spec, "", " ")
	if err != nil {
		b.t.Fatal(err)
	}
	if change != nil {
		text = []byte(change(string(text)))
	}
	b.file("config.json", string(text), 0o644)
	x, err := (&life.Runtime{Root: b.t.TempDir(), CgroupManager: life.Disabled}).Examine(&life.CreateOptions{Bundle: b.dir})
	if err != nil {
		b.t.Fatal(err)
	}
	return inspect(x, b.host)
}

func lines(r *Report) string {
	var b strings.Builder
	for i := range r.Findings {
		f := &r.Findings[i]
		fmt.Fprintf(&b, "%s: %s\n", f.Severity, f.Text())
	}
	return b.String()
}

func TestAGoodBundleHasNoFinding(t *testing.T) {
	if got := lines(newBundle(t).report(nil)); got != "" {
		t.Error(got)
	}
}

func TestFindings(t *testing.T) {
	caps := func(names ...string) *specs.LinuxCapabilities {
		return &specs.LinuxCapabilities{Bounding: names, Effective: names, Permitted: names}
	}
	for name, c := range map[string]struct {
		change func(b *bundle)
		want   []string
	}{
		"mounts beneath one on the root": {func(b *bundle) {
			bind(b, "/nosuch", "/mnt")
			b.file("other/bin/sh", "#!/bin/sh\n", 0o755)
			b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/", Source: "other", Type: "bind", Options: []string{"rbind"}})
			b.spec.Process.Args[0] = "ash"
		}, []string{"warning: mounts[0]: the mount on /proc is hidden by mounts[2], which comes later and covers /",
			"warning: mounts[1]: the mount on /mnt is hidden by mounts[2]", `error: process.args[0]: exec: "ash": `, "/other, or"}},
		"a root that is not there": {func(b *bundle) { bind(b, "/nosuch", "/") },
			[]string{"warning: mounts[0]: ", "error: mounts[1].source: open the root file system /nosuch: no such file or directory"}},
		"two faults": {func(b *bundle) { b.spec.Process.Cwd, b.spec.Linux.RootfsPropagation = "tmp", "shred" },
			[]string{`error: process.cwd: "tmp" is not an absolute path; begin it with /`, `error: linux.rootfsPropagation: "shred" is not known; `}},
		"the root is not there": {func(b *bundle) { b.spec.Root.Path = "rootfx" }, []string{"error: root.path: open the root file system "}},
		"the root is a link": {func(b *bundle) {
			if err := os.Symlink("rootfs", filepath.Join(b.dir, "link")); err != nil {
				t.Fatal(err)
			}
			b.spec.Root.Path = "link"
		}, []string{"/link is a symbolic link, which the root file system must not be; write "}},
		"the root is a file":     {func(b *bundle) { b.spec.Root.Path = "config.json" }, []string{"config.json is no directory"}},
		"the root is somebody's": {func(b *bundle) { userNamespace(b, 100000) }, []string{"warning: root.path: ", "which the container's user namespace does not map"}},
		"the program is nowhere": {func(b *bundle) { b.spec.Process.Args[0] = "bash" }, []string{`error: process.args[0]: exec: "bash": executable file not found in $PATH; name a program`}},
		"the program at a path":  {func(b *bundle) { b.spec.Process.Args[0] = "/bin/bash" }, []string{`error: process.args[0]: exec: "/bin/bash": /bin/bash: no such file or directory`}},
		"the program is no file": {func(b *bundle) { b.spec.Process.Args[0] = "/bin" }, []string{`exec: "/bin": /bin: is a directory`}},
		"the program has no x": {func(b *bundle) { b.file("rootfs/bin/data", "x", 0o644); b.spec.Process.Args[0] = "/bin/data" },
			[]string{"permission denied: the file has no x bit"}},
		"the interpreter is missing": {func(b *bundle) {
			b.file("rootfs/bin/script", "#!/bin/perl\n", 0o755)
			b.spec.Process.Args[0] = "script"
		},
			[]string{`error: process.args[0]: exec: "/bin/script": its first line names the interpreter "/bin/perl", which is missing`}},
		"the program is for a Cray": {func(b *bundle) { b.file("rootfs/bin/cray", foreignELF(), 0o755); b.spec.Process.Args[0] = "cray" },
			[]string{`error: process.args[0]: exec: "/bin/cray": the file is for the machine 999 of elf.h, this machine is `, "; take an image for this machine"}},
		"the program has a handler": {func(b *bundle) {
			b.file("rootfs/bin/cray", foreignELF(), 0o755)
			b.spec.Process.Args[0], b.host.binfmt = "cray", true
		}, []string{"warning: process.args[0]: ", "needs a handler of binfmt_misc"}},
		"a program that a mount brings": {func(b *bundle) {
			b.spec.Process.Args[0] = "/mnt/x"
			b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/mnt", Type: "tmpfs"})
		}, nil},
		"the working directory is a file": {func(b *bundle) { b.spec.Process.Cwd = "/bin/sh" }, []string{"error: process.cwd: /bin/sh is no directory"}},
		"a source is missing":             {func(b *bundle) { bind(b, "/nosuch", "/mnt") }, []string{"error: mounts[1].source: bind /nosuch on /mnt: open source /nosuch: no such file or directory"}},
		"a directory on a file":           {func(b *bundle) { bind(b, "/", "/bin/sh") }, []string{"error: mounts[1].destination: a directory is mounted on /bin/sh, which is a file"}},
		"a file on a directory":           {func(b *bundle) { bind(b, "config.json", "/mnt") }, []string{"a file is mounted on /mnt, which is a directory"}},
		"below a file":                    {func(b *bundle) { bind(b, "/", "/bin/sh/x") }, []string{"/bin/sh/x is below a file of the root file system"}},
		"of another user": {func(b *bundle) { bind(b, "/", "/new/x"); b.host.user, b.host.uid = true, 12345 },
			[]string{"error: mounts[1].destination: the mount point /new/x is missing, and / is user "}},
		"a file system": {func(b *bundle) { b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/mnt", Type: "ext9"}) },
			[]string{"error: mounts[1].type: mount ext9 on /mnt: the kernel has no file system ext9; ", "did you mean ext4?"}},
		"a file system in a user namespace": {func(b *bundle) {
			userNamespace(b, 0)
			b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/mnt", Type: "ext4"})
		}, []string{"error: mounts[1].type: mount ext4 on /mnt: the file system cannot be mounted in a user namespace"}},
		"a hidden mount": {func(b *bundle) { bind(b, "/etc", "/mnt/x"); bind(b, "/", "/mnt") }, []string{"warning: mounts[1]: the mount on /mnt/x is hidden by mounts[2]"}},
		"an option": {func(b *bundle) { bind(b, "/", "/mnt", "nosymfollow"); b.host.kernel = [2]int{5, 12} },
			[]string{"error: mounts[1].options[1]: nosymfollow needs Linux 5.14, this is 5.12"}},
		"a namespace": {func(b *bundle) { b.spec.Linux.Namespaces[2].Path = "/nosuch" }, []string{"error: linux.namespaces[2].path: join /nosuch: open: no such file or directory"}},
		"a namespace of another type": {func(b *bundle) { b.spec.Linux.Namespaces[2].Path = "/proc/self/ns/ipc" },
			[]string{"error: linux.namespaces[2].path: /proc/self/ns/ipc is a namespace of another type, ipc"}},
		"a file for a namespace": {func(b *bundle) { b.spec.Linux.Namespaces[2].Path = "/proc/self/stat" }, []string{"/proc/self/stat is no namespace"}},
		"a hook":                 {func(b *bundle) { b.spec.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/nosuch"}}} }, []string{"error: hooks.createRuntime[0].path: run /nosuch: no such file"}},
		"a hook of the image":    {func(b *bundle) { b.spec.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/etc"}}} }, []string{"hooks.startContainer[0].path: run /etc: is a directory; name a program of the root"}},
		"a poststop hook":        {func(b *bundle) { b.spec.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/nosuch"}}} }, []string{"warning: hooks.poststop[0].path: "}},
		"AppArmor is off":        {func(b *bundle) { b.spec.Process.ApparmorProfile, b.host.lsm = "p", lsm.Host{} }, []string{`error: process.apparmorProfile: "p": AppArmor: the security module is not enabled`}},
		"a profile": {func(b *bundle) { b.spec.Process.ApparmorProfile, b.host.profiles = "p", "pp (enforce)\n" },
			[]string{`error: process.apparmorProfile: "p" is not loaded; load it with apparmor_parser`}},
		"SELinux is off":       {func(b *bundle) { b.spec.Process.SelinuxLabel, b.host.lsm = "u:r:t", lsm.Host{} }, []string{"error: process.selinuxLabel: "}},
		"a capability":         {func(b *bundle) { b.spec.Process.Capabilities = caps("SYS_ADMIN") }, []string{`warning: process.capabilities.bounding[0]: "SYS_ADMIN" is no capability of Linux, and is left out; remove it; did you mean CAP_SYS_ADMIN?`}},
		"a capability to come": {func(b *bundle) { b.spec.Process.Capabilities, b.host.lastCap = caps("CAP_BPF"), 37 }, []string{"CAP_BPF is not known to this kernel"}},
		"a capability that the caller lacks": {func(b *bundle) { b.spec.Process.Capabilities, b.host.held = caps("CAP_CHOWN", "CAP_KILL"), 1 },
			[]string{"warning: process.capabilities: the process does not get CAP_KILL, which the caller lacks"}},
		"an ambient capability": {func(b *bundle) {
			b.spec.Process.Capabilities = caps("CAP_KILL")
			b.spec.Process.Capabilities.Ambient = []string{"CAP_KILL"}
		}, []string{"note: process.capabilities.ambient: the process does not get CAP_KILL there"}},
		"a system call": {func(b *bundle) {
			b.spec.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"mknodd", "zzz_no_call"}, Action: specs.ActErrno}}}
		}, []string{`warning: linux.seccomp.syscalls[0].names[0]: "mknodd" is no system call that is known, and has no effect; did you mean mknod?`, `note: linux.seccomp.syscalls[0].names[1]: `}},
		"an action beside another fault": {func(b *bundle) {
			b.spec.Process.Cwd = "x"
			b.spec.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: "SCMP_ALLOW"}
		}, []string{`error: linux.seccomp.defaultAction: "SCMP_ALLOW" is not known; give one of `, "did you mean SCMP_ACT_ALLOW?"}},
		"all of seccomp": {func(b *bundle) {
			no := uint(99999)
			b.spec.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: "SCMP_ALLOW", Architectures: []specs.Arch{"SCMP_ARCH_Z80"}, Flags: []specs.LinuxSeccompFlag{"X"},
				Syscalls: []specs.LinuxSyscall{{Names: []string{"mknodd"}, Action: specs.ActErrno, ErrnoRet: &no}, {Names: []string{""}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 9, Op: specs.OpEqualTo}}}}}
		}, []string{"error: linux.seccomp.defaultAction: ", "error: linux.seccomp.architectures[0]: ", "error: linux.seccomp.flags[0]: ", "error: linux.seccomp.syscalls[0].errnoRet: ",
			"warning: linux.seccomp.syscalls[0].names[0]: ", "error: linux.seccomp.syscalls[1].args[0].index: ", "error: linux.seccomp.syscalls[1].names[0]: "}},
		"all of the scheduler": {func(b *bundle) {
			b.spec.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedFIFO, Nice: 50, Flags: []specs.LinuxSchedulerFlag{"X"}, Runtime: 5}
			b.spec.Process.IOPriority = &specs.LinuxIOPriority{Class: "X", Priority: 9}
			b.spec.Process.ExecCPUAffinity = &specs.CPUAffinity{Initial: "x", Final: "y"}
		}, []string{"error: process.scheduler.flags[0]: ", "error: process.scheduler.nice: ", "error: process.scheduler.priority: ", "error: process.scheduler: runtime, ",
			"error: process.ioPriority.class: ", "error: process.ioPriority.priority: ", "error: process.execCPUAffinity.initial: ", "error: process.execCPUAffinity.final: "}},
		"processors and nodes": {func(b *bundle) {
			b.spec.Linux.Resources = &specs.LinuxResources{CPU: &specs.LinuxCPU{Cpus: "0-1,7", Mems: "2"}, HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB"}, {Pagesize: "3MB"}}}
			b.spec.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "1"}
		}, []string{`error: linux.resources.cpu.cpus: "0-1,7" has processors that this machine has not: it has 0-3; name some of these`, "error: linux.resources.cpu.mems: ", "error: linux.resources.hugepageLimits[1].pageSize: the kernel has no huge pages of 3MB: it has 2MB, 1GB", "error: linux.memoryPolicy.nodes: "}},
		"an option of tmpfs": {func(b *bundle) {
			b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Destination: "/mnt", Type: "tmpfs", Options: []string{"ro", "nosiud", "size=1m"}})
		}, []string{"error: mounts[1].options[1]: mount tmpfs on /mnt: option nosiud: the kernel refuses it; did you mean nosuid?\n"}},
		"a listener": {func(b *bundle) {
			b.spec.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, ListenerPath: "/nosuch"}
		}, []string{"error: linux.seccomp.listenerPath: open /nosuch: no such file or directory; start the agent first"}},
		"a parameter":      {func(b *bundle) { b.spec.Linux.Sysctl = map[string]string{"net.ipv4.ip_forwrd": "1"} }, []string{`warning: linux.sysctl["net.ipv4.ip_forwrd"]: this kernel has no parameter`, "did you mean ip_forward?"}},
		"a network device": {func(b *bundle) { b.spec.Linux.NetDevices = map[string]specs.LinuxNetDevice{"nosuch0": {}} }, []string{`error: linux.netDevices.nosuch0: the host has no network device "nosuch0"`}},
		"a terminal":       {func(b *bundle) { b.spec.Process.Terminal = true }, []string{"note: process.terminal: create and run --detach need --console-socket"}},
		"a limit":          {func(b *bundle) { b.host.raises = false; limitAboveOwn(b) }, []string{"error: process.rlimits[0].hard: ", " and only CAP_SYS_RESOURCE raises it; lower it to "}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBundle(t)
			c.change(b)
			got := lines(b.report(nil))
			for _, want := range c.want {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in\n%s", want, got)
				}
			}
			if len(c.want) == 0 && got != "" {
				t.Error(got)
			}
		})
	}
}

func userNamespace(b *bundle, host uint32) {
	ids := []specs.LinuxIDMapping{{HostID: host, Size: 1000}}
	b.spec.Linux.Namespaces = append(b.spec.Linux.Namespaces, specs.LinuxNamespace{Type: "user"})
	b.spec.Linux.UIDMappings, b.spec.Linux.GIDMappings = ids, ids
}

func bind(b *bundle, source, dest string, options ...string) {
	b.spec.Mounts = append(b.spec.Mounts, specs.Mount{Source: source, Destination: dest, Options: append([]string{"bind"}, options...)})
}

func limitAboveOwn(b *bundle) {
	own := unix.Rlimit{Cur: 100, Max: 100}
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &own); err != nil {
		b.t.Fatal(err)
	}
	if own.Max == unix.RLIM_INFINITY {
		var lower unix.Rlimit
		if err := unix.Setrlimit(unix.RLIMIT_CORE, &lower); err != nil {
			b.t.Fatal(err)
		}
	}
	b.spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CORE", Hard: unix.RLIM_INFINITY}}
}

// foreignELF returns the beginning of a program for a machine that nobody has.
func foreignELF() string {
	return "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 11) + "\xe7\x03" + strings.Repeat("\x00", 44)
}

// TestStraysAndPlaces: properties that have no effect are found, and each finding has the
// place of its element in the text.
func TestStraysAndPlaces(t *testing.T) {
	b := newBundle(t)
	b.spec.Process.Cwd = "tmp"
	r := b.report(func(text string) string {
		return strings.Replace(text, `"root": {`, `"windows": {}, "hostnme": "x", "root": {`, 1)
	})
	for _, want := range []string{
		`warning: hostnme: is no property of the specification, and has no effect; remove it; did you mean hostname?`,
		"note: windows: is a property of another platform", "error: process.cwd",
	} {
		if !strings.Contains(lines(r), want) {
			t.Errorf("no %q in\n%s", want, lines(r))
		}
	}
	text := strings.Split(string(r.text), "\n")
	for _, f := range r.Findings {
		value := map[string]string{"hostnme": `"x"`, "windows": "{}", "process.cwd": `"tmp"`}[f.Element]
		if f.Line < 1 || !strings.HasPrefix(text[f.Line-1][f.Column-1:], value) {
			t.Errorf("%s is not at %d:%d", f.Element, f.Line, f.Column)
		}
	}
}

func TestFindUser(t *testing.T) {
	const passwd = "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/:/bin/sh\n"
	const group = "root:x:0:\nadm:x:4:syslog,web\nwww:x:34:\n"
	for text, want := range map[string]string{
		"web": "{33 34 [4]}", "33": "{33 34 [4]}", "1000": "{1000 1000 []}", "web:adm": "{33 4 [4]}", "1000:7": "{1000 7 []}",
	} {
		if id, err := findUser(text, []byte(passwd), []byte(group)); err != nil || fmt.Sprint(id) != want {
			t.Errorf("%s: got %v, %v, want %s", text, id, err, want)
		}
	}
	const noUser, noGroup = "not in /etc/passwd, and is no id", "not in /etc/group, and is no id"
	for text, want := range map[string]string{
		"wbe": `"wbe" is ` + noUser + "; did you mean web?", "web:x": noGroup, "-1": noUser, "+5": noUser, "4294967295": noUser, "": noUser,
	} {
		if id, err := findUser(text, []byte(passwd), []byte(group)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v, want %s", text, id, err, want)
		}
	}
}

// TestCheckOpensNoDevice: a path that config.json has for a namespace is looked at, and not
// opened, which for a device or a fifo has effects.
func TestCheckOpensNoDevice(t *testing.T) {
	b := newBundle(t)
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(watch)
	if _, err := unix.InotifyAddWatch(watch, fifo, unix.IN_OPEN); err != nil {
		t.Fatal(err)
	}
	b.spec.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.UTSNamespace, Path: fifo}}
	if r := b.report(nil); !strings.Contains(lines(r), "is no namespace") {
		t.Errorf("got\n%s", lines(r))
	}
	if n, err := unix.Read(watch, make([]byte, 256)); err != unix.EAGAIN {
		t.Errorf("the fifo was opened: %d, %v", n, err)
	}
}
