package validate

import (
	"errors"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/check"
	"github.com/hutch-project/hutch/internal/fault"
)

// good returns a configuration without a fault that has a bit of everything.
func good() *specs.Spec {
	one, mode := 1, os.FileMode(0o666)
	id, umask := uint32(5), uint32(0o777)
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}, {ContainerID: 65536, HostID: 0, Size: 10}}
	hook := []specs.Hook{{Path: "/bin/h", Args: []string{"h"}, Env: []string{"A=b"}, Timeout: &one}}
	return &specs.Spec{
		Version: "1.3.0", Root: &specs.Root{Path: "rootfs"}, Hostname: "a", Domainname: "b",
		Annotations: map[string]string{"a": ""},
		Process: &specs.Process{
			Terminal: true, ConsoleSize: &specs.Box{Height: 25, Width: 80}, Cwd: "/", Args: []string{"sh", ""}, Env: []string{"A=", "B=c=d"},
			User:            specs.User{UID: 1, GID: 65545, AdditionalGids: []uint32{0}, Umask: &umask},
			Rlimits:         []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Hard: math.MaxUint64, Soft: 5}, {Type: "RLIMIT_RTTIME"}},
			OOMScoreAdj:     &one,
			Scheduler:       &specs.Scheduler{Policy: specs.SchedDeadline, Runtime: 1024, Deadline: 2000, Period: 2000, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagReclaim}},
			IOPriority:      &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_IDLE, Priority: 7},
			ExecCPUAffinity: &specs.CPUAffinity{Initial: "0-3,7", Final: "1"},
		},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "hidepid=2"}},
			{Destination: "/data", Source: "data", Options: []string{"rbind", "rro", "rprivate", "", "idmap"}, UIDMappings: ids, GIDMappings: ids},
			{Destination: "/data", Options: []string{"remount", "bind", "ro"}},
		},
		Hooks: &specs.Hooks{Prestart: hook, CreateRuntime: hook, CreateContainer: hook, StartContainer: hook, Poststart: hook, Poststop: hook},
		Linux: &specs.Linux{
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.PIDNamespace}, {Type: specs.NetworkNamespace, Path: "/run/netns/a"}, {Type: specs.MountNamespace},
				{Type: specs.IPCNamespace}, {Type: specs.UTSNamespace}, {Type: specs.UserNamespace}, {Type: specs.CgroupNamespace},
				{Type: specs.TimeNamespace},
			},
			UIDMappings: ids, GIDMappings: ids,
			Sysctl: map[string]string{
				"net.ipv4.ip_forward": "1", "net/ipv4/conf/eth0.100/forwarding": "1", "net.ipv4.conf.eth0/101.forwarding": "1",
				"kernel.msgmax": "1", "kernel.domainname": "b", "fs.mqueue.msg_max": "1", "user.max_user_namespaces": "1",
			},
			Devices: []specs.LinuxDevice{
				{Path: "/dev/a", Type: "c", Major: 4095, Minor: 1048575, FileMode: &mode, UID: &id, GID: &id},
				{Path: "/dev/a", Type: "u", Major: 4095, Minor: 1048575}, {Path: "/dev/p", Type: "p", Major: -1},
			},
			NetDevices:        map[string]specs.LinuxNetDevice{"eth0": {}, "eth1": {Name: "c%d"}, "eth2": {Name: "c%d"}, "eth3": {Name: "eth1"}},
			RootfsPropagation: "rslave", MaskedPaths: []string{"/proc/kcore"}, ReadonlyPaths: []string{"/proc/sys"}, MountLabel: "x",
			MemoryPolicy: &specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0-1,3", Flags: []specs.MemoryPolicyFlagType{specs.MpolFStaticNodes}},
			Personality:  &specs.LinuxPersonality{Domain: specs.PerLinux32},
			TimeOffsets:  map[string]specs.LinuxTimeOffset{"monotonic": {Secs: -1, Nanosecs: 999_999_999}, "boottime": {}},
		},
	}
}

// drop removes the namespace of type t.
func drop(s *specs.Spec, t specs.LinuxNamespaceType) {
	s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == t })
}

// join gives the namespace of type t a path.
func join(s *specs.Spec, t specs.LinuxNamespaceType, path string) {
	for i := range s.Linux.Namespaces {
		if s.Linux.Namespaces[i].Type == t {
			s.Linux.Namespaces[i].Path = path
		}
	}
}

func TestAConfigurationWithoutFaultGivesNothing(t *testing.T) {
	if warnings, err := Spec(good(), Options{}); err != nil || len(warnings) > 0 {
		t.Errorf("got warnings %q, error %v", warnings, err)
	}
}

func TestSpecTakes(t *testing.T) {
	for name, change := range map[string]func(s *specs.Spec){
		"no process":                        func(s *specs.Spec) { s.Process = nil },
		"no linux":                          func(s *specs.Spec) { s.Linux, s.Hostname, s.Domainname = nil, "", ""; s.Mounts[1].Options[4] = "ro" },
		"version 1.0.2-dev":                 func(s *specs.Spec) { s.Version = "1.0.2-dev" },
		"version 1.0.0-rc5":                 func(s *specs.Spec) { s.Version = "1.0.0-rc5" },
		"version 1.99.0-rc.1+build.5":       func(s *specs.Spec) { s.Version = "1.99.0-rc.1+build.5" },
		"a console of any size unless used": func(s *specs.Spec) { s.Process.Terminal, s.Process.ConsoleSize.Width = false, 70000 },
		"the last id": func(s *specs.Spec) {
			m := []specs.LinuxIDMapping{{ContainerID: check.MaxID, HostID: 7, Size: 1}}
			s.Linux.UIDMappings, s.Process.User.UID = m, check.MaxID
		},
		"a path of 4095 bytes":                   func(s *specs.Spec) { s.Process.Cwd = "/" + strings.Repeat("x", 4094) },
		"idmap with the container's own mapping": func(s *specs.Spec) { s.Mounts[1].UIDMappings, s.Mounts[1].GIDMappings = nil, nil },
		"a fixed priority":                       func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedRR, Priority: 99} },
		"a deadline without period":              func(s *specs.Spec) { s.Process.Scheduler.Period = 0 },
		"owners of a file system":                func(s *specs.Spec) { s.Mounts[0].Options = append(s.Mounts[0].Options, "gid=5", "uid=65545", "gid=x") },
		"an owner in a joined namespace": func(s *specs.Spec) {
			s.Linux.Namespaces[5].Path, s.Linux.UIDMappings, s.Linux.GIDMappings = "/run/userns/a", nil, nil
			s.Mounts[0].Options = append(s.Mounts[0].Options, "gid=99999")
		},
		"no nodes for MPOL_PREFERRED": func(s *specs.Spec) { s.Linux.MemoryPolicy = &specs.LinuxMemoryPolicy{Mode: specs.MpolPreferred} },
	} {
		t.Run(name, func(t *testing.T) {
			s := good()
			change(s)
			if warnings, err := Spec(s, Options{}); err != nil || len(warnings) > 0 {
				t.Errorf("got warnings %q, error %v", warnings, err)
			}
		})
	}
}

// cases has the text of the fault that each change of a good configuration
// brings, without "config.json: ". It is not a whole sentence where the rest
// is the remedy.
var cases = []struct {
	name   string
	change func(s *specs.Spec)
	want   string
}{
	{"ociVersion is required", func(s *specs.Spec) { s.Version = "" }, "ociVersion: missing; give a version of the runtime specification, as 1.3.0"},
	{"version needs three numbers", func(s *specs.Spec) { s.Version = "1.0" }, `ociVersion: "1.0" is not in the format of SemVer 2.0.0; `},
	{"version has no v", func(s *specs.Spec) { s.Version = "v1.0.0" }, `ociVersion: "v1.0.0" is not in the format`},
	{"version has no leading zero", func(s *specs.Spec) { s.Version = "1.01.0" }, `ociVersion: "1.01.0" is not in the format`},
	{"pre-release is not empty", func(s *specs.Spec) { s.Version = "1.0.0-" }, `ociVersion: "1.0.0-" is not in the format`},
	{"build has letters only", func(s *specs.Spec) { s.Version = "1.0.0+a_b" }, `ociVersion: "1.0.0+a_b" is not in the format`},
	{"major 0", func(s *specs.Spec) { s.Version = "0.6.0" }, "ociVersion: version 0.6.0 of the specification is not supported; give a version 1.x.y"},
	{"major 2", func(s *specs.Spec) { s.Version = "2.0.0" }, "ociVersion: version 2.0.0 of the specification is not supported"},
	{"an owner of a file system is mapped", func(s *specs.Spec) { s.Mounts[0].Options = append(s.Mounts[0].Options, "gid=99999") },
		`mounts[0].options[2]: "gid=99999" of /proc is not mapped in the user namespace; add it to linux.gidMappings, or leave the option out`},
	{"root is required", func(s *specs.Spec) { s.Root = nil }, "root: missing; "},
	{"root.path is required", func(s *specs.Spec) { s.Root.Path = "" }, "root.path: missing; "},
	{"root.path without NUL", func(s *specs.Spec) { s.Root.Path = "a\x00b" }, `root.path: "a\x00b" holds a NUL character; remove it`},
	{"root.path of 4096 bytes", func(s *specs.Spec) { s.Root.Path = strings.Repeat("x", 4096) }, `root.path: "` + strings.Repeat("x", 100) + `"... has 4096 bytes, more than the 4095 that the kernel takes`},

	{"args are required", func(s *specs.Spec) { s.Process.Args = nil }, "process.args: missing; "},
	{"program is not empty", func(s *specs.Spec) { s.Process.Args[0] = "" }, "process.args[0]: is empty; "},
	{"args without NUL", func(s *specs.Spec) { s.Process.Args[1] = "\x00" }, `process.args[1]: "\x00" holds a NUL`},
	{"env has =", func(s *specs.Spec) { s.Process.Env[1] = "A" }, `process.env[1]: has no '='; write it as NAME=VALUE`},
	{"env has a name", func(s *specs.Spec) { s.Process.Env[1] = "=A" }, `process.env[1]: has no name before the '='`},
	{"env without NUL", func(s *specs.Spec) { s.Process.Env[0] = "A=\x00" }, `process.env[0]: holds a NUL`},
	{"cwd is required", func(s *specs.Spec) { s.Process.Cwd = "" }, "process.cwd: missing; "},
	{"cwd is absolute", func(s *specs.Spec) { s.Process.Cwd = "tmp" }, `process.cwd: "tmp" is not an absolute path; begin it with /`},
	{"cwd of 4096 bytes", func(s *specs.Spec) { s.Process.Cwd = "/" + strings.Repeat("x", 4095) }, `process.cwd: "/x`},
	{"uid -1", func(s *specs.Spec) { s.Process.User.UID = math.MaxUint32 }, "process.user.uid: 4294967295 is not an id; give a number from 0 to 4294967294"},
	{"gid -1", func(s *specs.Spec) { s.Process.User.GID = math.MaxUint32 }, "process.user.gid: 4294967295 is not an id"},
	{"additional gid -1", func(s *specs.Spec) { s.Process.User.AdditionalGids[0] = math.MaxUint32 }, "process.user.additionalGids[0]: 4294967295 is not an id"},
	{"uid is mapped", func(s *specs.Spec) { s.Process.User.UID = 65546 }, "process.user.uid: 65546 is not mapped in the user namespace; add it to linux.uidMappings"},
	{"gid is mapped", func(s *specs.Spec) { s.Process.User.GID = 65546 }, "process.user.gid: 65546 is not mapped"},
	{"additional gid is mapped", func(s *specs.Spec) { s.Process.User.AdditionalGids[0] = 65546 }, "process.user.additionalGids[0]: 65546 is not mapped"},
	{"umask", func(s *specs.Spec) { *s.Process.User.Umask = 0o1000 }, "process.user.umask: 512 has other bits than those for permissions"},
	{"console size", func(s *specs.Spec) { s.Process.ConsoleSize.Height = 65536 }, "process.consoleSize: larger than a terminal can be"},
	{"rlimit is known", func(s *specs.Spec) { s.Process.Rlimits[0].Type = "RLIMIT_X" }, `process.rlimits[0].type: "RLIMIT_X" is no resource limit of Linux`},
	{"rlimit has its prefix", func(s *specs.Spec) { s.Process.Rlimits[0].Type = "NOFILE" }, `process.rlimits[0].type: "NOFILE" is no resource limit`},
	{"rlimit stands once", func(s *specs.Spec) { s.Process.Rlimits[1] = s.Process.Rlimits[0] }, "process.rlimits[1].type: RLIMIT_NOFILE stands twice; remove one"},
	{"soft is at most hard", func(s *specs.Spec) { s.Process.Rlimits[0].Hard = 4 }, "process.rlimits[0].soft: 5 is above the hard limit 4; "},
	{"oomScoreAdj high", func(s *specs.Spec) { *s.Process.OOMScoreAdj = 1001 }, "process.oomScoreAdj: 1001 is out of range; give a number from -1000 to 1000"},
	{"apparmorProfile without NUL", func(s *specs.Spec) { s.Process.ApparmorProfile = "\x00" }, "process.apparmorProfile: "},
	{"selinuxLabel without NUL", func(s *specs.Spec) { s.Process.SelinuxLabel = "\x00" }, "process.selinuxLabel: "},
	{"io class is known", func(s *specs.Spec) { s.Process.IOPriority.Class = "BE" }, `process.ioPriority.class: "BE" is not known; use IOPRIO_CLASS_RT, `},
	{"io class is required", func(s *specs.Spec) { s.Process.IOPriority.Class = "" }, `process.ioPriority.class: missing; use IOPRIO_CLASS_RT, `},
	{"io priority high", func(s *specs.Spec) { s.Process.IOPriority.Priority = 8 }, "process.ioPriority.priority: 8 is out of range"},
	{"io priority low", func(s *specs.Spec) { s.Process.IOPriority.Priority = -1 }, "process.ioPriority.priority: -1 is out of range"},
	{"cpu list is a list", func(s *specs.Spec) { s.Process.ExecCPUAffinity.Initial = "0,,1" }, `process.execCPUAffinity.initial: "0,,1" is not a list; `},
	{"cpu list is in order", func(s *specs.Spec) { s.Process.ExecCPUAffinity.Final = "3-1" }, `process.execCPUAffinity.final: "3-1" has a range that runs backwards`},
	{"cpu list is bounded", func(s *specs.Spec) { s.Process.ExecCPUAffinity.Final = "0-99999999999999999999" }, `process.execCPUAffinity.final: "0-99999999999999999999" has a number above 8191`},

	{"policy is known", func(s *specs.Spec) { s.Process.Scheduler.Policy = "FIFO" }, `process.scheduler.policy: "FIFO" is not known`},
	{"policy is required", func(s *specs.Spec) { s.Process.Scheduler.Policy = "" }, "process.scheduler.policy: missing"},
	{"scheduler flag is known", func(s *specs.Spec) { s.Process.Scheduler.Flags[0] = "x" }, `process.scheduler.flags[0]: "x" is not known`},
	{"nice", func(s *specs.Spec) { s.Process.Scheduler.Nice = 20 }, "process.scheduler.nice: 20 is out of range; give a number from -20 to 19"},
	{"priority for other policies", func(s *specs.Spec) { s.Process.Scheduler.Priority = 1 }, "process.scheduler.priority: is only for SCHED_FIFO and SCHED_RR, not for SCHED_DEADLINE"},
	{"no priority for FIFO", func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedFIFO} }, "process.scheduler.priority: 0 is out of range for SCHED_FIFO"},
	{"deadline for other policies", func(s *specs.Spec) { s.Process.Scheduler.Policy = specs.SchedOther }, "process.scheduler: runtime, deadline and period are only for SCHED_DEADLINE, not for SCHED_OTHER"},
	{"runtime is short", func(s *specs.Spec) { s.Process.Scheduler.Runtime = 1023 }, "process.scheduler.runtime: below 1024 nanoseconds"},
	{"deadline is short", func(s *specs.Spec) { s.Process.Scheduler.Deadline = 1023 }, "process.scheduler.deadline: shorter than runtime"},
	{"period is short", func(s *specs.Spec) { s.Process.Scheduler.Period = 1999 }, "process.scheduler.period: shorter than deadline"},

	{"namespace is known", func(s *specs.Spec) { s.Linux.Namespaces[0].Type = "net" }, `linux.namespaces[0].type: "net" is not known; use pid, network, `},
	{"namespace stands once", func(s *specs.Spec) { s.Linux.Namespaces[1].Type = "pid" }, `linux.namespaces[1].type: "pid" stands twice; remove one`},
	{"namespace path is absolute", func(s *specs.Spec) { join(s, "network", "a") }, `linux.namespaces[1].path: "a" is not an absolute path`},
	{"hostname needs uts", func(s *specs.Spec) { drop(s, "uts") }, "hostname: needs a uts namespace, or it would change the host's; "},
	{"domainname needs uts", func(s *specs.Spec) { drop(s, "uts"); s.Hostname = "" }, "domainname: needs a uts namespace"},
	{"hostname of 65 bytes", func(s *specs.Spec) { s.Hostname = strings.Repeat("x", 65) }, "hostname: "},
	{"uid mappings", func(s *specs.Spec) { s.Linux.UIDMappings = nil }, "linux.uidMappings: missing, but the user namespace is new; give at least one mapping"},
	{"gid mappings", func(s *specs.Spec) { s.Linux.GIDMappings = nil }, "linux.gidMappings: missing, but the user namespace is new"},
	{"mapping is not empty", func(s *specs.Spec) { s.Linux.UIDMappings[1].Size = 0 }, "linux.uidMappings[1].size: is 0; "},
	{"mapping ends", func(s *specs.Spec) { s.Linux.UIDMappings[1].Size = math.MaxUint32 }, "linux.uidMappings[1]: goes beyond the last id; lower size"},
	{"mappings overlap inside", func(s *specs.Spec) { s.Linux.UIDMappings[1].ContainerID = 65535 }, "linux.uidMappings[1]: overlaps linux.uidMappings[0]; "},
	{"mappings overlap outside", func(s *specs.Spec) { s.Linux.UIDMappings[1].HostID = 165535 }, "linux.uidMappings[1]: overlaps linux.uidMappings[0]; "},
	{"341 mappings", func(s *specs.Spec) {
		s.Linux.GIDMappings = nil
		for i := range uint32(341) {
			s.Linux.GIDMappings = append(s.Linux.GIDMappings, specs.LinuxIDMapping{ContainerID: i, HostID: i, Size: 1})
		}
	}, "linux.gidMappings: 341 mappings are more than the 340 that the kernel takes"},
	{"offsets need time", func(s *specs.Spec) { drop(s, "time") }, "linux.timeOffsets: needs a time namespace; "},
	{"offsets need a new time namespace", func(s *specs.Spec) { join(s, "time", "/t") }, "linux.timeOffsets: the time namespace /t that is joined has its own; "},
	{"clock is known", func(s *specs.Spec) { s.Linux.TimeOffsets["realtime"] = specs.LinuxTimeOffset{} }, `linux.timeOffsets: "realtime" is no clock that can have an offset; `},
	{"nanoseconds", func(s *specs.Spec) { s.Linux.TimeOffsets["boottime"] = specs.LinuxTimeOffset{Nanosecs: 1e9} }, "linux.timeOffsets.boottime.nanosecs: 1000000000 is a second or more"},

	{"devices need a network", func(s *specs.Spec) { drop(s, "network") }, `linux.sysctl["net.ipv4.conf.eth0/101.forwarding"]: needs a network namespace`},
	{"devices need a network, without sysctl", func(s *specs.Spec) { drop(s, "network"); s.Linux.Sysctl = nil }, "linux.netDevices: needs a network namespace; "},
	{"device name", func(s *specs.Spec) { s.Linux.NetDevices["a/b"] = specs.LinuxNetDevice{} }, `linux.netDevices: "a/b" is no name of a network device`},
	{"device name is short", func(s *specs.Spec) { s.Linux.NetDevices[strings.Repeat("x", 16)] = specs.LinuxNetDevice{} }, `linux.netDevices: "xxxxxxxxxxxxxxxx" is no name`},
	{"device name ..", func(s *specs.Spec) { s.Linux.NetDevices["eth0"] = specs.LinuxNetDevice{Name: ".."} }, `linux.netDevices.eth0.name: ".." is no name of a network device; `},
	{"two templates", func(s *specs.Spec) { s.Linux.NetDevices["eth0"] = specs.LinuxNetDevice{Name: "a%d%d"} }, `linux.netDevices.eth0.name: "a%d%d" is no name`},
	{"same target", func(s *specs.Spec) { s.Linux.NetDevices["eth3"] = specs.LinuxNetDevice{Name: "eth0"} }, `linux.netDevices.eth3.name: "eth0" is the name of eth0 too; `},

	{"destination is required", func(s *specs.Spec) { s.Mounts[0].Destination = "" }, "mounts[0].destination: missing; "},
	{"no procfs on /", func(s *specs.Spec) { s.Mounts[0].Destination = "/a/.." }, `mounts[0].type: "proc" is no root file system; bind a directory on /, or mount a tmpfs or another file system for files`},
	{"destination without NUL", func(s *specs.Spec) { s.Mounts[1].Destination = "/\x00" }, "mounts[1].destination: "},
	{"source without NUL", func(s *specs.Spec) { s.Mounts[1].Source = "\x00" }, "mounts[1].source: "},
	{"type without NUL", func(s *specs.Spec) { s.Mounts[0].Type = "\x00" }, "mounts[0].type: "},
	{"option without NUL", func(s *specs.Spec) { s.Mounts[0].Options[1] = "\x00" }, "mounts[0].options[1]: "},
	{"bind takes no data", func(s *specs.Spec) { s.Mounts[1].Options[2] = "size=1" }, `mounts[1].options[2]: "size=1" is not an option for bind mounts, which take none of a file system; `},
	{"bind has a source", func(s *specs.Spec) { s.Mounts[1].Source = "" }, "mounts[1].source: missing; "},
	{"type or bind", func(s *specs.Spec) { s.Mounts[0].Type = "" }, "mounts[0].type: missing; "},
	{"type bind without option", func(s *specs.Spec) { s.Mounts[0].Type = "bind" }, "mounts[0].type: bind is not a file system; add the option bind or rbind"},
	{"one of two mappings", func(s *specs.Spec) { s.Mounts[1].GIDMappings = nil }, "mounts[1]: has one of uidMappings and gidMappings only; give both"},
	{"mapping of a mount", func(s *specs.Spec) { s.Mounts[1].GIDMappings = []specs.LinuxIDMapping{{}} }, "mounts[1].gidMappings[0].size: is 0"},
	{"idmap without mapping", func(s *specs.Spec) {
		drop(s, "user")
		s.Linux.UIDMappings, s.Linux.GIDMappings = nil, nil
		s.Mounts[1].GIDMappings, s.Mounts[1].UIDMappings = nil, nil
	}, "mounts[1]: the option idmap or ridmap has no mapping to apply; "},

	{"device type", func(s *specs.Spec) { s.Linux.Devices[0].Type = "a" }, `linux.devices[0].type: "a" is not known; use c, b, u or p`},
	{"device path", func(s *specs.Spec) { s.Linux.Devices[0].Path = "dev/a" }, `linux.devices[0].path: "dev/a" is not an absolute path`},
	{"device at /", func(s *specs.Spec) { s.Linux.Devices[0].Path = "/dev/.." }, `linux.devices[0].path: "/dev/.." is the root`},
	{"device major", func(s *specs.Spec) { s.Linux.Devices[0].Major = -1 }, "linux.devices[0].major: -1 is out of range"},
	{"device minor", func(s *specs.Spec) { s.Linux.Devices[0].Minor = 1 << 20 }, "linux.devices[0].minor: 1048576 is out of range"},
	{"device uid", func(s *specs.Spec) { *s.Linux.Devices[0].UID = math.MaxUint32 }, "linux.devices[0].uid: 4294967295 is not an id"},
	{"device twice", func(s *specs.Spec) { s.Linux.Devices[1].Minor = 5 }, `linux.devices[1].path: "/dev/a" is another device in linux.devices[0]`},
	{"propagation", func(s *specs.Spec) { s.Linux.RootfsPropagation = "rrshared" }, `linux.rootfsPropagation: "rrshared" is not known; `},
	{"masked path is absolute", func(s *specs.Spec) { s.Linux.MaskedPaths[0] = "proc" }, `linux.maskedPaths[0]: "proc" is not an absolute path`},
	{"read-only path is absolute", func(s *specs.Spec) { s.Linux.ReadonlyPaths[0] = "" }, "linux.readonlyPaths[0]: missing"},
	{"masks need a mount namespace", func(s *specs.Spec) { drop(s, "mount") }, "linux.maskedPaths: needs a mount namespace; "},
	{"mountLabel without NUL", func(s *specs.Spec) { s.Linux.MountLabel = "\x00" }, "linux.mountLabel: "},

	{"sysctl of the host", func(s *specs.Spec) { s.Linux.Sysctl["kernel.panic"] = "1" }, `linux.sysctl["kernel.panic"]: is not separate for each container: it would change the host's; remove it`},
	{"sysctl of the host by slashes", func(s *specs.Spec) { s.Linux.Sysctl["kernel/core_pattern"] = "1" }, `linux.sysctl["kernel/core_pattern"]: is not separate`},
	{"sysctl that looks like net", func(s *specs.Spec) { s.Linux.Sysctl["net/../kernel/core_pattern"] = "1" }, `linux.sysctl: "net/../kernel/core_pattern" is no name of a kernel parameter; `},
	{"sysctl with dots exchanged", func(s *specs.Spec) { s.Linux.Sysctl["net.//.kernel"] = "1" }, `linux.sysctl: "net.//.kernel" is no name of a kernel parameter; `},
	{"sysctl domainname contradicts", func(s *specs.Spec) { s.Linux.Sysctl["kernel.domainname"] = "x" }, `linux.sysctl["kernel.domainname"]: is "x", while the property domainname is "b"; remove one`},
	{"sysctl domainname too long", func(s *specs.Spec) { s.Domainname, s.Linux.Sysctl["kernel.domainname"] = "", strings.Repeat("a", 65) }, `linux.sysctl["kernel.domainname"]`},
	{"sysctl hostname", func(s *specs.Spec) { s.Linux.Sysctl["kernel.hostname"] = "1" }, `linux.sysctl["kernel.hostname"]: conflicts with the property hostname; set hostname`},
	{"sysctl twice", func(s *specs.Spec) { s.Linux.Sysctl["net/ipv4/ip_forward"] = "0" }, `linux.sysctl["net/ipv4/ip_forward"]: is the same parameter as "net.ipv4.ip_forward"; `},
	{"sysctl needs ipc", func(s *specs.Spec) { drop(s, "ipc") }, `linux.sysctl["fs.mqueue.msg_max"]: needs a ipc namespace`},
	{"sysctl needs user", func(s *specs.Spec) { drop(s, "user"); s.Linux.UIDMappings, s.Linux.GIDMappings = nil, nil }, `linux.sysctl["user.max_user_namespaces"]: needs a user namespace`},
	{"sysctl value without NUL", func(s *specs.Spec) { s.Linux.Sysctl["kernel.msgmax"] = "\x00" }, `linux.sysctl["kernel.msgmax"]: "\x00" holds a NUL`},

	{"memory mode", func(s *specs.Spec) { s.Linux.MemoryPolicy.Mode = "MPOL_X" }, `linux.memoryPolicy.mode: "MPOL_X" is not known; `},
	{"memory nodes", func(s *specs.Spec) { s.Linux.MemoryPolicy.Nodes = "a" }, `linux.memoryPolicy.nodes: "a" is not a list`},
	{"memory nodes are bounded", func(s *specs.Spec) { s.Linux.MemoryPolicy.Nodes = "0-1024" }, `linux.memoryPolicy.nodes: "0-1024" has a number above 1023`},
	{"memory nodes are needed", func(s *specs.Spec) { s.Linux.MemoryPolicy.Nodes = "" }, "linux.memoryPolicy.nodes: missing; MPOL_BIND needs at least one"},
	{"memory nodes are refused", func(s *specs.Spec) { s.Linux.MemoryPolicy.Mode = specs.MpolLocal }, "linux.memoryPolicy.nodes: MPOL_LOCAL takes no nodes; remove them"},
	{"memory flag", func(s *specs.Spec) { s.Linux.MemoryPolicy.Flags[0] = "x" }, `linux.memoryPolicy.flags[0]: "x" is not known; `},
	{"memory flags exclude", func(s *specs.Spec) {
		s.Linux.MemoryPolicy.Flags = append(s.Linux.MemoryPolicy.Flags, specs.MpolFRelativeNodes)
	}, "linux.memoryPolicy.flags: MPOL_F_RELATIVE_NODES and MPOL_F_STATIC_NODES exclude each other"},
	{"personality domain", func(s *specs.Spec) { s.Linux.Personality.Domain = "BSD" }, `linux.personality.domain: "BSD" is not known; use LINUX or LINUX32`},
	{"personality flags", func(s *specs.Spec) { s.Linux.Personality.Flags = []specs.LinuxPersonalityFlag{"x"} }, "linux.personality.flags: the specification has no flags"},

	{"hook path", func(s *specs.Spec) { s.Hooks.StartContainer = []specs.Hook{{Path: "/a"}, {Path: "a"}} }, `hooks.startContainer[1].path: "a" is not an absolute path`},
	{"hook timeout", func(s *specs.Spec) { *s.Hooks.Prestart[0].Timeout = 0; *s.Process.OOMScoreAdj = 0 }, "hooks.prestart[0].timeout: 0 is no time; "},
	{"hook args without NUL", func(s *specs.Spec) { s.Hooks.Poststop[0].Args[0] = "\x00" }, "hooks.prestart[0].args[0]: "},
	{"hook env without NUL", func(s *specs.Spec) { s.Hooks.Poststop[0].Env[0] = "\x00" }, "hooks.prestart[0].env[0]: "},
	{"annotation key", func(s *specs.Spec) { s.Annotations[""] = "x" }, "annotations: has an empty key; name the annotation"},
}

func TestSpecRefuses(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := good()
			c.change(s)
			warnings, err := Spec(s, Options{})
			var e *fault.Error
			if !errors.As(err, &e) || warnings != nil {
				t.Fatalf("got warnings %q, error %v, want an *fault.Error with %q", warnings, err, c.want)
			}
			if !strings.HasPrefix(err.Error(), "config.json: "+c.want) {
				t.Errorf("got  %s\nwant config.json: %s", err, c.want)
			}
		})
	}
}

// TestAllFindsEvery makes mistakes that have nothing to do with one another, and wants each.
func TestAllFindsEvery(t *testing.T) {
	s := good()
	s.Process.Args[0], s.Process.Env, s.Process.Cwd = "", []string{"A", "=B", "C=\x00"}, "tmp"
	s.Process.Rlimits = []specs.POSIXRlimit{{Type: "NOFILE"}, {Type: "RLIMIT_CPU", Soft: 2, Hard: 1}, {Type: "RLIMIT_CPU"}}
	s.Process.User.UID, s.Process.User.GID = 65546, 65546
	s.Mounts[0].Type, s.Mounts[1].Options[2] = "", "nosiud"
	s.Mounts = append(s.Mounts, specs.Mount{Destination: "/", Type: "bind"})
	s.Linux.Namespaces[0].Type, s.Linux.Namespaces[1].Type = "net", "nett"
	s.Linux.Devices[2].Type, s.Linux.Devices[0].Path = "a", "p"
	s.Linux.Sysctl = map[string]string{"kernel.msgmx": "1", "kernel.panic": "1"}
	s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = []string{"proc", "/"}, []string{"sys"}
	s.Linux.NetDevices = nil
	//lint:ignore SA1019 prestart is deprecated, but engines use it
	s.Hooks.Prestart, s.Hooks.Poststop = []specs.Hook{{Path: "a"}}, []specs.Hook{{Path: "b"}}
	faults, _ := All(s, Options{})
	var got []string
	for _, f := range faults {
		got = append(got, strings.TrimPrefix(f.Error(), "config.json: "))
	}
	want := []string{
		`linux.namespaces[0].type: "net" is not known; use pid, network, mount, ipc, uts, user, cgroup or time; did you mean network?`,
		`linux.namespaces[1].type: "nett" is not known; use pid`,
		`process.args[0]: is empty`,
		`process.env[0]: has no '='`, `process.env[1]: has no name`, `process.env[2]: holds a NUL`,
		`process.cwd: "tmp" is not an absolute path`,
		`process.rlimits[0].type: "NOFILE" is no resource limit of Linux; see getrlimit(2), for example RLIMIT_NOFILE; did you mean RLIMIT_NOFILE?`,
		`process.rlimits[1].soft: 2 is above`, `process.rlimits[2].type: RLIMIT_CPU stands twice`,
		`process.user.uid: 65546 is not mapped`, `process.user.gid: 65546 is not mapped`,
		`mounts[0].type: missing`,
		`mounts[1].options[2]: "nosiud" is not an option for bind mounts, which take none of a file system; remove it, or bind and rbind; did you mean nosuid?`,
		`mounts[3].type: bind is not a file system`,
		`linux.maskedPaths[0]: "proc" is not an absolute path`, `linux.readonlyPaths[0]: "sys" is not`, `linux.maskedPaths[1]: "/" is the root`,
		`linux.devices[0].path: "p" is not`, `linux.devices[2].type: "a" is not known`,
		`linux.sysctl["kernel.msgmx"]: is not separate for each container: it would change the host's; remove it; did you mean kernel.msgmax?`,
		`linux.sysctl["kernel.panic"]: is not separate for each container: it would change the host's; remove it`,
		`hooks.prestart[0].path: "a" is not an absolute path`, `hooks.poststop[0].path: "b" is not an absolute path`,
	}
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Errorf("nothing of %s", want[i])
		case i >= len(want):
			t.Errorf("too much: %s", got[i])
		case !strings.HasPrefix(got[i], want[i]):
			t.Errorf("fault %d: got %s\nwant %s", i, got[i], want[i])
		}
	}
}

func TestSpecWarns(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(s *specs.Spec)
		want   string
	}{
		{"relative destination", func(s *specs.Spec) { s.Mounts[0].Destination = "proc" }, `mounts[0].destination: "proc" is not absolute, taken from /; relative paths are deprecated`},
		{"mappings and a joined user namespace", func(s *specs.Spec) { join(s, "user", "/u"); s.Process.User.UID = 99999 }, "linux.uidMappings, linux.gidMappings: the user namespace /u that is joined has its own, ignoring"},
		{"odd file mode", func(s *specs.Spec) { *s.Linux.Devices[0].FileMode |= os.ModeDevice }, "linux.devices[0].fileMode: 67109302 has bits that no mode of a file has, ignoring them"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := good()
			c.change(s)
			if warnings, err := Spec(s, Options{}); err != nil || !slices.Equal(warnings, []string{c.want}) {
				t.Errorf("got  %q, error %v\nwant %q", warnings, err, c.want)
			}
		})
	}
}

func TestRootlessRefusesNetworkDevices(t *testing.T) {
	_, err := Spec(good(), Options{Rootless: true})
	if want := "config.json: linux.netDevices: moving the host's network devices needs root; "; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestValidationBuildsNoTextWithoutAFault(t *testing.T) {
	s := good()
	s.Linux.Sysctl, s.Linux.NetDevices, s.Linux.TimeOffsets = nil, nil, nil // need room to sort and compare
	s.Mounts = s.Mounts[:1]
	if n := testing.AllocsPerRun(100, func() { Spec(s, Options{}) }); n > 4 {
		t.Errorf("%v allocations, want those of the checker and of splitting the version and two lists", n)
	}
}

func TestSpecChangesNothing(t *testing.T) {
	s := good()
	Spec(s, Options{})
	if !reflect.DeepEqual(s, good()) {
		t.Error("the configuration was changed")
	}
}

func BenchmarkSpec(b *testing.B) {
	s := good()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Spec(s, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
