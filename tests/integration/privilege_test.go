package integration

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// capabilityMasks asks for the five sets as the kernel shows them.
const capabilityMasks = "grep -E '^Cap' /proc/self/status | tr -s '\\t\\n' '  '"

func TestCapabilities(t *testing.T) {
	t.Parallel()
	const kill, chown, bind = "CAP_KILL", "CAP_CHOWN", "CAP_NET_BIND_SERVICE" // bits 5, 0, 10
	cases := []struct {
		name string
		caps *specs.LinuxCapabilities
		uid  uint32
		want string
	}{
		{"empty", &specs.LinuxCapabilities{}, 0, "CapInh: 0000000000000000 CapPrm: 0000000000000000 CapEff: 0000000000000000 CapBnd: 0000000000000000 CapAmb: 0000000000000000"},
		{"root's", &specs.LinuxCapabilities{Bounding: []string{kill, chown}, Permitted: []string{kill, chown}, Effective: []string{kill, chown}}, 0,
			"CapInh: 0000000000000000 CapPrm: 0000000000000021 CapEff: 0000000000000021 CapBnd: 0000000000000021 CapAmb: 0000000000000000"},
		{"inheritable", &specs.LinuxCapabilities{Bounding: []string{kill}, Permitted: []string{kill}, Inheritable: []string{kill}}, 0,
			"CapInh: 0000000000000020 CapPrm: 0000000000000020 CapEff: 0000000000000020 CapBnd: 0000000000000020 CapAmb: 0000000000000000"},
		{"a user's are lost without ambient", &specs.LinuxCapabilities{Bounding: []string{kill}, Permitted: []string{kill}, Effective: []string{kill}}, 1000,
			"CapInh: 0000000000000000 CapPrm: 0000000000000000 CapEff: 0000000000000000 CapBnd: 0000000000000020 CapAmb: 0000000000000000"},
		{"ambient", &specs.LinuxCapabilities{Bounding: []string{kill, bind}, Permitted: []string{kill, bind}, Effective: []string{kill, bind},
			Inheritable: []string{bind}, Ambient: []string{bind}}, 1000,
			"CapInh: 0000000000000400 CapPrm: 0000000000000400 CapEff: 0000000000000400 CapBnd: 0000000000000420 CapAmb: 0000000000000400"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := script(t, capabilityMasks, func(s *specs.Spec) {
				s.Process.Capabilities = c.caps
				s.Process.User.UID, s.Process.User.GID = c.uid, c.uid
			})
			if got := strings.TrimSpace(out); got != c.want {
				t.Errorf("sets\n%s, want\n%s", got, c.want)
			}
		})
	}
}

// TestAmbientThatIsNotRaisedIsTold: also in a user namespace, where the runtime
// lacks nothing.
func TestAmbientThatIsNotRaisedIsTold(t *testing.T) {
	t.Parallel()
	const kill, chown = "CAP_KILL", "CAP_CHOWN"
	for _, s := range standings() {
		for _, command := range []string{"run", "create"} {
			t.Run(s.name+", "+command, func(t *testing.T) {
				t.Parallel()
				g := s.guest(t)
				g.spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: []string{kill, chown}, Permitted: []string{kill, chown},
					Effective: []string{kill, chown}, Inheritable: []string{kill}, Ambient: []string{kill, chown}}
				g.configure(program{args: []string{"/bin/true"}})
				res := g.as(call{root: g.root, args: g.line(command)}).do(t)
				if res.code != 0 || !strings.Contains(res.stderr, "can't raise ambient capability "+chown) || strings.Contains(res.stderr, kill) {
					t.Errorf("%s", res)
				}
				g.do("delete", "--force", g.id)
			})
		}
	}
}

// TestCapabilityUnknown: the runtime SHOULD warn and go on. The warning must
// not be on stderr, which is the container's.
func TestCapabilityUnknown(t *testing.T) {
	t.Parallel()
	b := newBundle(t, sh("echo ran"), withCapabilities("CAP_FANTASY"))
	log := b.path("log")
	res := call{root: b.root, global: []string{"--log", log}, args: b.line("run")}.do(t)
	if res.code != 0 || res.stdout != "ran\n" {
		t.Fatalf("%s", res)
	}
	if text := readText(t, log); !strings.Contains(text, "CAP_FANTASY") || !strings.Contains(text, "warn") {
		t.Errorf("no warning in the log: %q", text)
	}
}

func TestNoNewPrivileges(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{true, false} {
		out := script(t, "grep NoNewPrivs /proc/self/status", func(s *specs.Spec) { s.Process.NoNewPrivileges = on })
		if want := fmt.Sprintf("NoNewPrivs:\t%d\n", map[bool]int{true: 1, false: 0}[on]); out != want {
			t.Errorf("%v: %q, want %q", on, out, want)
		}
	}
}

func rlimit(kind string, soft, hard uint64) edit {
	return func(s *specs.Spec) {
		s.Process.Rlimits = append(s.Process.Rlimits, specs.POSIXRlimit{Type: kind, Soft: soft, Hard: hard})
	}
}

func TestRlimits(t *testing.T) {
	t.Parallel()
	const unlimited = ^uint64(0)
	out := command(t, []string{"busybox", "cat", "/proc/self/limits"},
		rlimit("RLIMIT_NOFILE", 100, 200), rlimit("RLIMIT_CORE", 0, 4096), rlimit("RLIMIT_CPU", 1000, 2000), rlimit("RLIMIT_DATA", 1<<30, unlimited),
		rlimit("RLIMIT_FSIZE", 1<<20, 1<<21), rlimit("RLIMIT_LOCKS", 11, 12), rlimit("RLIMIT_MEMLOCK", 4096, 8192), rlimit("RLIMIT_MSGQUEUE", 1, 2),
		rlimit("RLIMIT_NPROC", 300, 400), rlimit("RLIMIT_RSS", 5, 6), rlimit("RLIMIT_RTTIME", 7, 8), rlimit("RLIMIT_SIGPENDING", 9, 10),
		rlimit("RLIMIT_STACK", 1<<20, 1<<22), rlimit("RLIMIT_AS", 1<<34, 1<<35))
	got := map[string]string{}
	for _, line := range strings.Split(out, "\n") {
		if len(line) > 47 {
			got[strings.TrimSpace(line[:26])] = strings.Join(strings.Fields(line[26:])[:2], " ")
		}
	}
	for name, want := range map[string]string{
		"Max open files": "100 200", "Max core file size": "0 4096", "Max cpu time": "1000 2000", "Max data size": "1073741824 unlimited",
		"Max file size": "1048576 2097152", "Max file locks": "11 12", "Max locked memory": "4096 8192", "Max msgqueue size": "1 2",
		"Max processes": "300 400", "Max resident set": "5 6", "Max realtime timeout": "7 8", "Max pending signals": "9 10",
		"Max stack size": "1048576 4194304", "Max address space": "17179869184 34359738368",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
}

// TestRlimitsInherited: without limits the caller's hold; a Go runtime must
// not hand on the soft limit that its own start-up raised.
func TestRlimitsInherited(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1.5 is built with a Go that raises it")
	b := newBundle(t, args("busybox", "cat", "/proc/self/limits"))
	res := call{root: b.root, args: b.line("run"), wrap: []string{"sh", "-c", `ulimit -S -n 321; ulimit -H -n 654; exec "$@"`, "sh"}}.do(t).ok(t)
	if !strings.Contains(strings.Join(strings.Fields(res.stdout), " "), "Max open files 321 654 files") {
		t.Errorf("limits:\n%s", res.stdout)
	}
}

func TestRlimitsRefused(t *testing.T) {
	t.Parallel()
	t.Run("unknown", func(t *testing.T) {
		t.Parallel()
		refused(t, []string{"RLIMIT_FANTASY"}, rlimit("RLIMIT_FANTASY", 1, 1))
	})
	t.Run("twice", func(t *testing.T) {
		t.Parallel()
		hutchOnly(t, "1.1 takes the last one; the specification demands an error")
		refused(t, []string{"rlimits", "RLIMIT_NOFILE"}, rlimit("RLIMIT_NOFILE", 1000, 1000), rlimit("RLIMIT_NOFILE", 1024, 1024))
	})
	t.Run("soft above hard", func(t *testing.T) {
		t.Parallel()
		refused(t, nil, rlimit("RLIMIT_NOFILE", 2000, 1000))
	})
}

func TestOOMScoreAdj(t *testing.T) {
	t.Parallel()
	if out := script(t, "cat /proc/self/oom_score_adj", func(s *specs.Spec) { s.Process.OOMScoreAdj = ptr(500) }); out != "500\n" {
		t.Errorf("oom_score_adj %q", out)
	}
	// Absent is inherited.
	b := newBundle(t, sh("cat /proc/self/oom_score_adj"))
	res := call{root: b.root, args: b.line("run"), wrap: []string{"sh", "-c", `echo 321 >/proc/self/oom_score_adj; exec "$@"`, "sh"}}.do(t).ok(t)
	if res.stdout != "321\n" {
		t.Errorf("oom_score_adj %q, want the caller's 321", res.stdout)
	}
	refused(t, nil, func(s *specs.Spec) { s.Process.OOMScoreAdj = ptr(5000) })
}

func TestScheduler(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 has no scheduler")
	cases := []struct {
		name  string
		sched specs.Scheduler
		want  string
	}{
		{"batch", specs.Scheduler{Policy: specs.SchedBatch, Nice: 7}, "policy 3 nice 7 priority 0 flags 0"},
		{"idle", specs.Scheduler{Policy: specs.SchedIdle}, "policy 5 nice 0 priority 0 flags 0"},
		{"other", specs.Scheduler{Policy: specs.SchedOther, Nice: 3}, "policy 0 nice 3 priority 0 flags 0"},
		{"fifo", specs.Scheduler{Policy: specs.SchedFIFO, Priority: 9}, "policy 1 nice 0 priority 9 flags 0"},
		{"round robin", specs.Scheduler{Policy: specs.SchedRR, Priority: 4, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork}}, "policy 2 nice 0 priority 4 flags 1"},
		{"deadline", specs.Scheduler{Policy: specs.SchedDeadline, Runtime: 10_000_000, Deadline: 20_000_000, Period: 30_000_000,
			Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork}},
			"policy 6 nice 0 priority 0 flags 1 runtime 10000000 deadline 20000000 period 30000000"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			// With a policy of its own the probe could not start Go's threads:
			// ask from outside, of a process that waits.
			b := newBundle(t, args("sleep", "1000"), func(s *specs.Spec) { s.Process.Scheduler = &c.sched })
			giveRealtime(t, b)
			b.create().start()
			eventually(t, "sleep runs", func() bool { return strings.Contains(readText(t, fmt.Sprintf("/proc/%d/cmdline", b.pid)), "sleep") })
			if got := schedulerOf(t, b.pid); !strings.HasPrefix(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	t.Run("unknown policy", func(t *testing.T) {
		t.Parallel()
		refused(t, []string{"SCHED_FANTASY"}, func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: "SCHED_FANTASY"} })
	})
	t.Run("priority without a real-time policy", func(t *testing.T) {
		t.Parallel()
		refused(t, []string{"scheduler"}, func(s *specs.Spec) { s.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedOther, Priority: 5} })
	})
}

func TestIOPriority(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 has no ioPriority")
	for class, want := range map[specs.IOPriorityClass]string{
		specs.IOPRIO_CLASS_RT: "class 1 priority 3\n", specs.IOPRIO_CLASS_BE: "class 2 priority 3\n", specs.IOPRIO_CLASS_IDLE: "class 3 priority 3\n",
	} {
		out := command(t, []string{"probe", "ioprio"}, func(s *specs.Spec) { s.Process.IOPriority = &specs.LinuxIOPriority{Class: class, Priority: 3} })
		if out != want {
			t.Errorf("%s: %q, want %q", class, out, want)
		}
	}
	refused(t, []string{"ioPriority"}, func(s *specs.Spec) {
		s.Process.IOPriority = &specs.LinuxIOPriority{Class: "IOPRIO_CLASS_X", Priority: 3}
	})
	refused(t, []string{"ioPriority"}, func(s *specs.Spec) {
		s.Process.IOPriority = &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 8}
	})
}

func TestPersonality(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 has no personality")
	linux32 := "0x8\n"
	if runtime.GOARCH == "s390x" {
		linux32 = "0x0\n" // its kernel takes it off a program of 64 bits, at execve
	}
	for domain, want := range map[specs.LinuxPersonalityDomain]string{specs.PerLinux: "0x0\n", specs.PerLinux32: linux32} {
		out := command(t, []string{"probe", "personality"}, func(s *specs.Spec) { s.Linux.Personality = &specs.LinuxPersonality{Domain: domain} })
		if out != want {
			t.Errorf("%s: %q, want %q", domain, out, want)
		}
	}
	refused(t, []string{"personality"}, func(s *specs.Spec) { s.Linux.Personality = &specs.LinuxPersonality{Domain: "FANTASY"} })
}

func TestMemoryPolicy(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 has no memoryPolicy")
	local := "mode 0x4 nodes 0x0\n"
	if !kernelHas("5.14") {
		local = "mode 0x1 nodes 0x0\n" // which the kernel makes of it
	}
	_, err := os.Stat("/sys/devices/system/node")
	numa := err == nil // some architectures' kernels are built without it
	cases := []struct {
		policy specs.LinuxMemoryPolicy
		want   string
	}{
		{specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0"}, "mode 0x2 nodes 0x1\n"},
		{specs.LinuxMemoryPolicy{Mode: specs.MpolInterleave, Nodes: "0"}, "mode 0x3 nodes 0x1\n"},
		{specs.LinuxMemoryPolicy{Mode: specs.MpolPreferred, Nodes: "0"}, "mode 0x1 nodes 0x1\n"},
		{specs.LinuxMemoryPolicy{Mode: specs.MpolLocal}, local},
		{specs.LinuxMemoryPolicy{Mode: specs.MpolDefault}, "mode 0x0 nodes 0x0\n"},
		{specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0-0", Flags: []specs.MemoryPolicyFlagType{specs.MpolFStaticNodes}}, "mode 0x8002 nodes 0x1\n"},
	}
	for _, c := range cases {
		t.Run(string(c.policy.Mode)+c.policy.Nodes, func(t *testing.T) {
			t.Parallel()
			set := func(s *specs.Spec) { s.Linux.MemoryPolicy = &c.policy }
			if !numa {
				refused(t, []string{"linux.memoryPolicy", "built without"}, args("probe", "mempolicy"), set)
				return
			}
			if out := command(t, []string{"probe", "mempolicy"}, set); out != c.want {
				t.Errorf("%q, want %q", out, c.want)
			}
		})
	}
	for name, p := range map[string]specs.LinuxMemoryPolicy{
		"unknown mode": {Mode: "MPOL_FANTASY"}, "unknown flag": {Mode: specs.MpolBind, Nodes: "0", Flags: []specs.MemoryPolicyFlagType{"X"}},
		"bad nodes": {Mode: specs.MpolBind, Nodes: "0-"}, "node that is not there": {Mode: specs.MpolBind, Nodes: "63"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused(t, []string{"memoryPolicy"}, func(s *specs.Spec) { s.Linux.MemoryPolicy = &p })
		})
	}
}

func TestKeyring(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("probe", "keyring"))
	if out := b.run().ok(t).stdout; !strings.Contains(out, ";3f080000;_ses.") {
		t.Errorf("session keyring %q, want one of the container's own", out)
	}
	c := newBundle(t, args("probe", "keyring"))
	if out := c.run("--no-new-keyring").stdout; strings.Contains(out, ";3f080000;_ses.") {
		t.Errorf("session keyring %q despite --no-new-keyring", out)
	}
}

func sysctl(key, value string) edit {
	return func(s *specs.Spec) {
		if s.Linux.Sysctl == nil {
			s.Linux.Sysctl = map[string]string{}
		}
		s.Linux.Sysctl[key] = value
	}
}

func TestSysctl(t *testing.T) {
	t.Parallel()
	out := script(t, "cd /proc/sys; cat net/ipv4/ip_forward kernel/msgmax kernel/shm_rmid_forced fs/mqueue/msg_max",
		sysctl("net.ipv4.ip_forward", "1"), sysctl("kernel.msgmax", "8000"), sysctl("kernel.shm_rmid_forced", "1"), sysctl("fs.mqueue.msg_max", "12"),
		mount(specs.Mount{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue"}))
	if out != "1\n8000\n1\n12\n" {
		t.Errorf("values %q", out)
	}
}

func TestSysctlDottedInterface(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 writes to another file")
	// The slash form keeps a dot of an interface's name; lo has none, so both
	// forms must reach the same file.
	if out := script(t, "cat /proc/sys/net/ipv4/conf/lo/forwarding", sysctl("net/ipv4/conf/lo/forwarding", "1")); out != "1\n" {
		t.Errorf("value %q", out)
	}
	other := newNetns(t)
	other.run("ip", "link", "add", "eth0.100", "type", "veth", "peer", "name", "p0")
	out := script(t, "cat /proc/sys/net/ipv4/conf/eth0.100/forwarding", namespace(specs.NetworkNamespace, other.path()),
		sysctl("net/ipv4/conf/eth0.100/forwarding", "1"))
	if out != "1\n" {
		t.Errorf("value %q", out)
	}
}

func TestSysctlRefused(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, key string
		edit      edit
	}{
		{"not of a namespace", "vm.swappiness", nil},
		{"net of the host", "net.ipv4.ip_forward", withoutNamespace(specs.NetworkNamespace)},
		{"net of the host, by path", "net.ipv4.ip_forward", namespace(specs.NetworkNamespace, "/proc/self/ns/net")},
		{"ipc of the host", "kernel.msgmax", withoutNamespace(specs.IPCNamespace)},
		{"ipc of the host, by path", "kernel.msgmni", namespace(specs.IPCNamespace, "/proc/self/ns/ipc")},
		{"mqueue of the host, by path", "fs.mqueue.msg_max", namespace(specs.IPCNamespace, "/proc/self/ns/ipc")},
		{"uts of the host, by path", "kernel.domainname", namespace(specs.UTSNamespace, "/proc/self/ns/uts")},
		{"upwards", "net.ipv4.../../../kernel/core_pattern", nil},
		{"upwards with slashes", "net/../kernel/core_pattern", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if strings.HasPrefix(c.name, "upwards") {
				hutchOnly(t, "1.1 says less than the field's name")
			}
			before := readText(t, "/proc/sys/kernel/core_pattern")
			edits := []edit{sysctl(c.key, "1")}
			if c.edit != nil {
				edits = append(edits, c.edit)
			}
			refused(t, []string{c.key}, edits...)
			if readText(t, "/proc/sys/kernel/core_pattern") != before {
				t.Error("the host's core_pattern has changed")
			}
		})
	}
}

// TestNamesOfTheHostAreRefused: a uts namespace that is joined by a path and is the host's
// gets no name, but for the one that it has.
func TestNamesOfTheHostAreRefused(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "1.1 changes the host's names")
	was := [2]string{readText(t, "/proc/sys/kernel/hostname"), readText(t, "/proc/sys/kernel/domainname")}
	joined := namespace(specs.UTSNamespace, "/proc/self/ns/uts")
	host, other := strings.TrimSpace(was[0]), "another"
	for slices.Contains(was[:], other+"\n") { // a run without the defence has left it
		other += "-one"
	}
	refused(t, []string{"hostname", "is the host's"}, joined, func(s *specs.Spec) { s.Hostname = other })
	refused(t, []string{"domainname", "is the host's"}, joined, func(s *specs.Spec) { s.Hostname, s.Domainname = "", other })
	if out := script(t, "cat /proc/sys/kernel/hostname", joined, func(s *specs.Spec) { s.Hostname = host }); out != host+"\n" {
		t.Errorf("the name is %q", out)
	}
	if now := [2]string{readText(t, "/proc/sys/kernel/hostname"), readText(t, "/proc/sys/kernel/domainname")}; now != was {
		t.Errorf("the host's names are %q, were %q", now, was)
	}
}

func TestLSMWithoutLSM(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/sys/kernel/security/apparmor"); err == nil {
		t.Skip("the machine has AppArmor")
	}
	hutchOnly(t, "1.1 says nothing of the field")
	refused(t, []string{"apparmorProfile"}, func(s *specs.Spec) { s.Process.ApparmorProfile = "some-profile" })
}

// giveRealtime gives the container's cgroup some real-time share, where the kernel gives a
// new one none (CONFIG_RT_GROUP_SCHED, v1).
func giveRealtime(t testing.TB, b *bundle) {
	t.Helper()
	if _, err := os.Stat(cgroupRoot + "/cpu/cpu.rt_runtime_us"); err != nil {
		return
	}
	if b.spec.Linux.Resources == nil {
		b.spec.Linux.Resources = &specs.LinuxResources{}
	}
	b.spec.Linux.Resources.CPU = &specs.LinuxCPU{RealtimeRuntime: ptr(int64(1000))}
	b.writeSpec()
}

// schedulerOf asks for another process's scheduling attributes.
func schedulerOf(t testing.TB, pid int) string {
	t.Helper()
	out, err := exec.Command(workDir+"/assets/probe", "sched", strconv.Itoa(pid)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestKeyringOfExec: a further process has init's session keyring, and no other
// container has it.
func TestKeyringOfExec(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]edit{"root": func(*specs.Spec) {}, "user namespace": userNamespace} {
		for _, command := range []string{"create", "run"} {
			t.Run(name+" "+command, func(t *testing.T) {
				t.Parallel()
				b := newBundle(t, sh("probe keyring; sleep 1000"), e)
				if command == "create" {
					b.create().start()
				} else {
					call{root: b.root, args: b.line("run", "--detach", "--pid-file", b.path("pid")), stdout: b.path("out"), stderr: b.path("err")}.do(t).ok(t)
				}
				own := strings.TrimSpace(b.waitOutput("\n"))
				if !strings.Contains(own, ";3f080000;_ses.") || strings.Contains(own, b.id) {
					t.Errorf("session keyring %q", own)
				}
				b.execs(own, nil, "probe", "keyring")
				b.execs(own, []string{"--cwd", "/tmp"}, "probe", "keyring")
				if other := newBundle(t, args("probe", "keyring"), e).run().stdout; strings.TrimSpace(other) == own {
					t.Errorf("another container has it too: %q", other)
				}
				b.rt("delete", "--force", b.id).ok(t)
			})
		}
	}
}
