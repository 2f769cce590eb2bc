package verify_test

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/mountinfo"
	"github.com/hutch-project/hutch/internal/part/lsm"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/part/process"
	"github.com/hutch-project/hutch/internal/part/rootfs"
	"github.com/hutch-project/hutch/internal/seat"
)

// generator makes random configurations and facts of hosts.
type generator struct{ r *rand.Rand }

func newGenerator(seed uint64) *generator { return &generator{rand.New(rand.NewPCG(seed, 11))} }

// chance is true in one of n cases.
func (g *generator) chance(n int) bool { return g.r.IntN(n) == 0 }

func one[T any](g *generator, list ...T) T { return list[g.r.IntN(len(list))] }

// some returns a random part of a list, in its order.
func some[T any](g *generator, list []T) []T {
	var out []T
	for _, v := range list {
		if g.chance(2) {
			out = append(out, v)
		}
	}
	return out
}

func (g *generator) input() *compile.Input {
	s := &specs.Spec{Version: specs.Version, Root: &specs.Root{Path: "rootfs", Readonly: g.chance(2)}, Linux: &specs.Linux{}}
	in := &compile.Input{Spec: s, Rootfs: "/bundle/rootfs", Bundle: one(g, "/bundle", "/bundle", ""), Fifo: g.chance(2), Keyring: one(g, "_ses.77", "_ses.77", ""), Unattended: g.chance(2)}
	g.namespaces(s.Linux)
	if !g.chance(12) {
		s.Process = g.process(s.Linux)
	}
	g.mounts(s)
	g.linux(s.Linux)
	if g.has(s.Linux, specs.UTSNamespace) {
		s.Hostname, s.Domainname = one(g, "", "web"), one(g, "", "example.org")
	}
	if g.chance(3) {
		s.Hooks = g.hooks()
	}
	if in.NoPivot = g.chance(5); in.NoPivot && g.chance(2) {
		in.HostMounts = []mountinfo.Mount{{ID: 1, Parent: 0, Root: "/", Point: "/", Type: "ext4"}, {ID: 2, Parent: 1, Root: "/", Point: "/proc", Type: "proc"},
			{ID: 3, Parent: 1, Root: "/", Point: "/sys", Type: "sysfs"}, {ID: 4, Parent: 1, Root: "/", Point: "/srv", Type: "tmpfs"}, {ID: 5, Parent: 4, Root: "/", Point: "/srv/proc", Type: "proc"}}
	}
	if g.chance(5) {
		in.NotifyDir = "/run/hutch/web1/notify"
	}
	for fd := 3; g.chance(4); fd++ {
		in.Preserved = append(in.Preserved, fd)
		in.ListenFds = g.r.IntN(2)
	}
	in.Tasks = one(g, 0, 0, 1, 9)
	in.Host = g.host(s.Process)
	in.Host.Privileged = !g.chance(4)
	switch g.r.IntN(6) { // the seat of the caller; see package seat
	case 0:
		in.Host.NoNodes, in.Host.User = true, true
	case 1:
		in.Host.NoNodes, in.Host.Nested = true, true
	case 2:
		in.Host.NoNodes = true
	}
	in.KeepGroups = g.chance(5)
	switch g.r.IntN(4) {
	case 0:
		in.Host.Cgroup = &rootfs.Cgroup{V2: true, Dir: "/sys/fs/cgroup/web1"}
	case 1:
		in.Host.Cgroup = &rootfs.Cgroup{Dir: one(g, "", "/sys/fs/cgroup/unified/web1"), Hierarchies: []rootfs.Hierarchy{
			{Name: "cpu,cpuacct", Options: "cpu,cpuacct", Dir: "/sys/fs/cgroup/cpu,cpuacct/web1", Links: []string{"cpu", "cpuacct"}},
			{Name: "systemd", Options: "name=systemd", Dir: "/sys/fs/cgroup/systemd/web1"}, {Name: "unified", Dir: "/sys/fs/cgroup/unified/web1"}}}
	}
	if c := in.Host.Cgroup; c != nil {
		c.Callers = g.chance(3)
	}
	in.Host.ProcOfPidNS = g.chance(2)
	g.extensions(in)
	return in
}

// extensions adds what the specification has not. It comes last, so that the rest of a seed's
// configuration is what it was.
func (g *generator) extensions(in *compile.Input) {
	in.HookFiles = compile.HookFiles{Stdout: g.chance(5), Stderr: g.chance(5)}
	in.Host.Chrooted = g.chance(6)
	for i := range in.Spec.Mounts {
		m := &in.Spec.Mounts[i]
		if !slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "remount") || !g.chance(5) {
			continue
		}
		m.Options = append(m.Options, one(g, "src-nofollow", "dest-nofollow", "copy-symlink"))
		if slices.Contains(m.Options, "copy-symlink") && g.chance(2) {
			if in.Links == nil {
				in.Links = map[int]string{}
			}
			in.Links[i] = "../usr/data"
		}
	}
	if g.chance(8) {
		g.onRoot(in)
	}
}

// onRoot has a mount on "/" among the others.
func (g *generator) onRoot(in *compile.Input) {
	m := specs.Mount{Destination: one(g, "/", "/a/.."), Type: "tmpfs", Source: "tmpfs"}
	if g.chance(2) {
		m.Type, m.Source, m.Options = "bind", "/srv/root", []string{one(g, "bind", "rbind")}
	} else if g.chance(4) {
		m.Type, m.Options = "overlay", []string{"lowerdir=/a:/b"}
	}
	m.Options = append(m.Options, some(g, []string{"ro", "rro", "nosuid", "nodev", "noatime", "rprivate", "rshared"})...)
	if m.Type != "bind" { // where the options with an r are those of binds
		m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return o == "rro" })
	}
	at := g.r.IntN(len(in.Spec.Mounts) + 1)
	in.Spec.Mounts = slices.Insert(in.Spec.Mounts, at, m)
	links := map[int]string{}
	for i, to := range in.Links {
		if i >= at {
			i++
		}
		links[i] = to
	}
	in.Links = links
}

func (g *generator) host(p *specs.Process) compile.Host {
	h := compile.Host{LastCap: one(g, 37, 40, 40), HeldCaps: one(g, ^uint64(0), 1<<41-1, g.r.Uint64()), LSM: lsm.Host{AppArmor: true, SELinux: true}}
	if g.chance(3) {
		h.Ignored = []unix.Signal{unix.SIGHUP}
	}
	h.Denied = seat.Denied{Clone3: g.chance(5), CloseRange: g.chance(5), Fsopen: g.chance(5)}
	for i := range h.Std {
		h.Std[i] = process.StdFile{Open: !g.chance(5)}
		h.Std[i].Null = h.Std[i].Open && g.chance(3)
	}
	return h
}

func (g *generator) namespaces(l *specs.Linux) {
	for _, n := range []struct {
		t    specs.LinuxNamespaceType
		name string
	}{{specs.PIDNamespace, "pid"}, {specs.NetworkNamespace, "net"}, {specs.IPCNamespace, "ipc"}, {specs.UTSNamespace, "uts"},
		{specs.MountNamespace, "mnt"}, {specs.CgroupNamespace, "cgroup"}, {specs.UserNamespace, "user"}, {specs.TimeNamespace, "time"}} {
		ns := specs.LinuxNamespace{Type: n.t}
		switch {
		case g.chance(3) && n.t != specs.MountNamespace, g.chance(8):
			continue
		case g.chance(5):
			ns.Path = "/proc/7/ns/" + n.name
		}
		l.Namespaces = append(l.Namespaces, ns)
	}
	g.r.Shuffle(len(l.Namespaces), func(i, j int) { l.Namespaces[i], l.Namespaces[j] = l.Namespaces[j], l.Namespaces[i] })
	if i := slices.IndexFunc(l.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.UserNamespace }); i >= 0 && l.Namespaces[i].Path == "" {
		ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
		l.UIDMappings, l.GIDMappings = ids, ids
	}
}

func (g *generator) has(l *specs.Linux, t specs.LinuxNamespaceType) bool {
	return slices.ContainsFunc(l.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == t })
}

func (g *generator) process(l *specs.Linux) *specs.Process {
	p := &specs.Process{
		Terminal: g.chance(3), Args: []string{one(g, "sh", "/bin/sh", "./run"), "-c", "true"}, Cwd: one(g, "/", "/srv", "/srv/data/x"),
		Env:             []string{"PATH=" + one(g, "/bin", "/usr/bin:/bin", "/a:/b:/c:/d:/e::")},
		NoNewPrivileges: g.chance(2),
		User:            specs.User{UID: one[uint32](g, 0, 0, 1000), GID: one[uint32](g, 0, 5, 1000)},
	}
	if g.chance(2) {
		p.Env = append(p.Env, "HOME=/root")
	}
	if g.chance(2) {
		p.User.AdditionalGids = []uint32{5, 7}
	}
	if g.chance(3) {
		p.User.Umask = one(g, new(uint32), new(uint32(0o27)))
	}
	if !g.chance(5) {
		all := []string{"CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_NET_RAW", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_NICE", "CAP_BPF"}
		p.Capabilities = &specs.LinuxCapabilities{Bounding: some(g, all), Effective: some(g, all), Permitted: some(g, all), Inheritable: some(g, all), Ambient: some(g, all)}
	}
	for _, r := range some(g, []string{"RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_CORE", "RLIMIT_AS"}) {
		p.Rlimits = append(p.Rlimits, specs.POSIXRlimit{Type: r, Soft: 100, Hard: one[uint64](g, 100, 1<<20, 1<<62)})
	}
	if g.chance(3) {
		p.ApparmorProfile = "hutch-default"
	}
	if g.chance(3) {
		p.SelinuxLabel = "system_u:system_r:container_t:s0:c1,c2"
	}
	if g.chance(3) {
		p.OOMScoreAdj = new(100)
	}
	if g.chance(4) {
		p.Scheduler = &specs.Scheduler{Policy: one(g, specs.SchedBatch, specs.SchedDeadline, specs.SchedOther), Runtime: 1e6, Deadline: 2e6, Period: 3e6}
		if g.chance(2) {
			p.Scheduler.Flags = []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork}
		}
	}
	if g.chance(4) {
		p.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 4}
	}
	return p
}

func (g *generator) mounts(s *specs.Spec) {
	attrs := []string{"ro", "rw", "nosuid", "nodev", "noexec", "suid", "noatime", "rro", "rnosuid"}
	add := func(m specs.Mount) {
		if g.chance(3) {
			m.Options = append(m.Options, some(g, attrs)...)
		}
		s.Mounts = append(s.Mounts, m)
	}
	if !g.chance(8) {
		add(specs.Mount{Destination: "/proc", Type: "proc", Source: "proc"})
	}
	if !g.chance(5) {
		if g.chance(6) {
			add(specs.Mount{Destination: "/dev", Type: "bind", Source: "/dev", Options: []string{"rbind"}})
		} else {
			add(specs.Mount{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755"}})
		}
		add(specs.Mount{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "newinstance"}})
	}
	if g.chance(2) {
		add(specs.Mount{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{one(g, "mode=1777", "size=1m")}})
		add(specs.Mount{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue"})
	}
	if g.chance(2) {
		add(specs.Mount{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"ro"}})
	} else if g.chance(2) {
		add(specs.Mount{Destination: "/sys", Type: "none", Source: "/sys", Options: []string{"rbind", "ro"}})
	}
	if g.chance(2) {
		add(specs.Mount{Destination: "/sys/fs/cgroup", Type: one(g, "cgroup", "cgroup2"), Source: "cgroup", Options: []string{"nosuid", "ro"}})
	}
	for i := range g.r.IntN(4) {
		m := specs.Mount{Destination: fmt.Sprintf("/srv/data%d", i), Type: one(g, "bind", "none"), Source: "/srv/data", Options: []string{one(g, "bind", "rbind")}}
		switch g.r.IntN(6) {
		case 0:
			m = specs.Mount{Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: some(g, []string{"tmpcopyup", "ro", "mode=1777", "rslave"})}
		case 1:
			m.Options = append(m.Options, one(g, "rprivate", "shared", "rshared", "rslave"))
		case 2:
			m.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 10}}
			m.GIDMappings = m.UIDMappings
		case 3:
			m = specs.Mount{Destination: "/srv", Type: "overlay", Source: "overlay", Options: []string{"lowerdir=/a:/b"}}
		case 4:
			m = specs.Mount{Destination: one(g, "/proc/uptime", "/etc/hosts"), Type: "bind", Source: "/srv/file", Options: []string{"bind"}}
		}
		if g.chance(8) { // over a procfs or a sysfs, if there is one
			at := one(g, "/proc", "/sys")
			m = specs.Mount{Destination: at, Type: "bind", Source: at, Options: []string{"rbind"}}
		}
		add(m)
		if g.chance(6) {
			add(specs.Mount{Destination: m.Destination, Type: m.Type, Source: m.Source, Options: []string{"remount", "bind", "ro"}})
		}
	}
}

func (g *generator) linux(l *specs.Linux) {
	l.MaskedPaths = some(g, []string{"/proc/acpi", "/proc/kcore", "/proc/keys", "/sys/firmware", "/proc/scsi", "/etc/shadow"})
	if n := len(l.MaskedPaths); n > 1 { // no draw, which would change the programs of all seeds
		l.MaskedPaths[n-1] = [...]string{"/proc", "/sys/"}[n%2]
	}
	l.ReadonlyPaths = some(g, []string{"/proc/bus", "/proc/sys", "/proc/irq", "/sys/kernel", "/etc"})
	if g.chance(12) {
		l.ReadonlyPaths = append(l.ReadonlyPaths, "/")
	}
	if g.chance(20) {
		for i := range 120 {
			l.MaskedPaths = append(l.MaskedPaths, fmt.Sprintf("/proc/m%d", i))
		}
	}
	l.RootfsPropagation = one(g, "", "", "shared", "rshared", "slave", "private", "rprivate", "unbindable")
	if g.chance(3) {
		l.Sysctl = map[string]string{"kernel.msgmax": "4096", "net/ipv4/ip_forward": "1"}
	}
	if g.chance(3) {
		l.Devices = some(g, []specs.LinuxDevice{{Path: "/dev/net/tun", Type: "c", Major: 10, Minor: 200}, {Path: "/dev/pipe", Type: "p"},
			{Path: "/dev/null", Type: "c", Major: 1, Minor: 3, UID: new(uint32(5))}, {Path: "/srv/disk", Type: "b", Major: 8, FileMode: nil}})
	}
	if g.chance(3) && g.has(l, specs.TimeNamespace) {
		l.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 5}}
	}
	if g.chance(3) {
		l.Seccomp = g.seccomp()
	}
	if g.chance(6) {
		l.Personality = &specs.LinuxPersonality{Domain: specs.PerLinux32}
	}
	if g.chance(4) {
		l.MountLabel = "system_u:object_r:container_file_t:s0"
	}
}

func (g *generator) seccomp() *specs.LinuxSeccomp {
	s := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Architectures: []specs.Arch{specs.ArchX86_64},
		Syscalls: []specs.LinuxSyscall{{Names: []string{"read", "write", "execve"}, Action: specs.ActAllow}}}
	if g.chance(4) {
		s.ListenerPath = "/run/agent.sock"
		s.Syscalls = append(s.Syscalls, specs.LinuxSyscall{Names: []string{"mount"}, Action: specs.ActNotify})
	}
	return s
}

func (g *generator) hooks() *specs.Hooks {
	list := []specs.Hook{{Path: "/bin/hook", Args: []string{"hook", "x"}}, {Path: "/bin/other", Env: []string{"A=b"}}}
	return &specs.Hooks{CreateRuntime: some(g, list), CreateContainer: some(g, list), StartContainer: some(g, list), Poststop: some(g, list)}
}

func (g *generator) exec() *compile.ExecInput {
	s := &specs.Linux{}
	g.namespaces(s)
	g.linux(s)
	in := &compile.ExecInput{Keyring: "_ses.77", Serial: one[int64](g, 0, 77), Linux: s, OwnKeyring: g.chance(2), Tasks: one(g, 0, 1, 9), Wait: g.chance(2)}
	in.Process = g.process(s)
	in.KeepGroups = g.chance(5)
	in.Host = g.host(in.Process)
	in.Init = namespace.Init{Pid: 77, Pidfd: 9, OwnRoot: g.chance(4), KeepGroups: in.KeepGroups}
	for _, flag := range [...]uint64{unix.CLONE_NEWNS, unix.CLONE_NEWPID, unix.CLONE_NEWUSER, unix.CLONE_NEWNET, unix.CLONE_NEWUTS} {
		if !g.chance(4) {
			in.Init.Flags |= flag
		}
	}
	if in.Init.Flags&unix.CLONE_NEWNS == 0 {
		in.Init.OwnRoot = true
	}
	for fd := 3; g.chance(4); fd++ {
		in.Preserved = append(in.Preserved, fd)
	}
	return in
}
