package resource

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/tests/cgrouptest"
)

// lines prints the writes, one a line.
func lines(s *Settings) string {
	var b strings.Builder
	for _, w := range s.Writes() {
		fmt.Fprintf(&b, "%s=%s", w.File, w.Value)
		for o := w.fallback; o != nil; o = o.fallback {
			fmt.Fprintf(&b, " or %s=%s", o.File, o.Value)
		}
		if w.optional {
			b.WriteString(" optional")
		}
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n")
}

var (
	memory = cgrouptest.Memory
	cpu    = cgrouptest.CPU
	rate   = cgrouptest.Rate
)

func weights(major, minor int64, w, leaf uint16) specs.LinuxWeightDevice {
	d := specs.LinuxWeightDevice{}
	d.Major, d.Minor = major, minor
	if w != 0 {
		d.Weight = &w
	}
	if leaf != 0 {
		d.LeafWeight = &leaf
	}
	return d
}

// TestSettings has one row for each field and meaning. A text that begins with
// "!" is that of an error.
func TestSettings(t *testing.T) {
	for _, c := range []struct {
		name   string
		r      *specs.LinuxResources
		v1, v2 string
	}{
		{"nothing", nil, "", ""},
		{"memory limit", memory(4096, 0), "memory.limit_in_bytes=4096", "memory.max=4096"},
		{"memory and swap", memory(4096, 12288),
			"memory.limit_in_bytes=4096\nmemory.memsw.limit_in_bytes=12288", "memory.swap.max=8192\nmemory.max=4096"},
		{"no swap", memory(4096, 4096),
			"memory.limit_in_bytes=4096\nmemory.memsw.limit_in_bytes=4096", "memory.swap.max=0 optional\nmemory.max=4096"},
		{"swap without limit", memory(4096, -1),
			"memory.limit_in_bytes=4096\nmemory.memsw.limit_in_bytes=-1", "memory.swap.max=max optional\nmemory.max=4096"},
		{"memory without limit frees swap", memory(-1, 0),
			"memory.limit_in_bytes=-1\nmemory.memsw.limit_in_bytes=-1 optional", "memory.swap.max=max optional\nmemory.max=max"},
		{"memory without limit, swap with", memory(-1, 8192),
			"memory.limit_in_bytes=-1\nmemory.memsw.limit_in_bytes=8192", "memory.swap.max=8192\nmemory.max=max"},
		{"swap alone", memory(0, 8192), "memory.memsw.limit_in_bytes=8192",
			"!linux.resources.memory.swap: 8192: cgroup v2 limits swap without memory, so that memory.limit is needed too"},
		{"swap below memory", memory(8192, 4096), "!memory.swap: 4096: is the limit of memory and swap together",
			"!memory.swap: 4096: is the limit of memory and swap together"},
		{"no size", memory(-5, 0), "!linux.resources.memory.limit: -5 is not a size; give bytes, or -1 for no limit",
			"!linux.resources.memory.limit: -5 is not a size; give bytes, or -1 for no limit"},
		{"reservation", &specs.LinuxResources{Memory: &specs.LinuxMemory{Reservation: new(int64(4096))}},
			"memory.soft_limit_in_bytes=4096", "memory.low=4096"},
		{"reservation of all", &specs.LinuxResources{Memory: &specs.LinuxMemory{Reservation: new(int64(-1))}},
			"memory.soft_limit_in_bytes=-1", "memory.low=max"},
		{"swappiness", &specs.LinuxResources{Memory: &specs.LinuxMemory{Swappiness: new(uint64(0))}},
			"memory.swappiness=0", "!linux.resources.memory.swappiness: cgroup v2 cannot do it"},
		{"swappiness not set", &specs.LinuxResources{Memory: &specs.LinuxMemory{Swappiness: new(uint64(math.MaxUint64))}}, "", ""},
		{"swappiness too high", &specs.LinuxResources{Memory: &specs.LinuxMemory{Swappiness: new(uint64(101))}},
			"!memory.swappiness: 101 is out of range; give 0 to 100", "!memory.swappiness"},
		{"OOM killer off", &specs.LinuxResources{Memory: &specs.LinuxMemory{DisableOOMKiller: new(true)}},
			"memory.oom_control=1", "!linux.resources.memory.disableOOMKiller: cgroup v2 cannot do it"},
		{"OOM killer on", &specs.LinuxResources{Memory: &specs.LinuxMemory{DisableOOMKiller: new(false)}}, "", ""},
		{"hierarchy", &specs.LinuxResources{Memory: &specs.LinuxMemory{UseHierarchy: new(true)}}, "memory.use_hierarchy=1 optional", ""},
		{"kernel memory", &specs.LinuxResources{Memory: &specs.LinuxMemory{Kernel: new(int64(1)), KernelTCP: new(int64(1))}}, "", ""},

		{"shares", cpu(specs.LinuxCPU{Shares: new(uint64(512))}), "cpu.shares=512", "cpu.weight=59"},
		{"shares not set", cpu(specs.LinuxCPU{Shares: new(uint64(0))}), "", ""},
		{"shares too low", cpu(specs.LinuxCPU{Shares: new(uint64(1))}), "!linux.resources.cpu.shares: 1 is out of range; give 2 to 262144", "cpu.weight=1"},
		{"shares too high", cpu(specs.LinuxCPU{Shares: new(uint64(262145))}), "!cpu.shares: 262145 is out of range", "cpu.weight=10000"},
		{"quota and period", cpu(specs.LinuxCPU{Quota: new(int64(5000)), Period: new(uint64(10000))}),
			"cpu.cfs_period_us=10000\ncpu.cfs_quota_us=5000", "cpu.max=5000 10000"},
		{"quota alone", cpu(specs.LinuxCPU{Quota: new(int64(5000))}), "cpu.cfs_quota_us=5000", "cpu.max=5000"},
		{"period alone", cpu(specs.LinuxCPU{Period: new(uint64(10000))}), "cpu.cfs_period_us=10000", "cpu.max=max 10000"},
		{"no quota", cpu(specs.LinuxCPU{Quota: new(int64(-1))}), "cpu.cfs_quota_us=-1", "cpu.max=max"},
		{"burst", cpu(specs.LinuxCPU{Burst: new(uint64(1000)), Quota: new(int64(5000))}),
			"cpu.cfs_quota_us=5000\ncpu.cfs_burst_us=1000", "cpu.max=5000\ncpu.max.burst=1000"},
		{"idle wins over shares", cpu(specs.LinuxCPU{Idle: new(int64(1)), Shares: new(uint64(512))}), "cpu.idle=1", "cpu.idle=1"},
		{"idle no more", cpu(specs.LinuxCPU{Idle: new(int64(0)), Shares: new(uint64(512))}), "cpu.idle=0\ncpu.shares=512", "cpu.idle=0\ncpu.weight=59"},
		{"idle", cpu(specs.LinuxCPU{Idle: new(int64(2))}), "!linux.resources.cpu.idle: 2: give 0, or 1", "!linux.resources.cpu.idle: 2"},
		{"realtime", cpu(specs.LinuxCPU{RealtimePeriod: new(uint64(1000)), RealtimeRuntime: new(int64(900))}),
			"cpu.rt_period_us=1000\ncpu.rt_runtime_us=900", "!linux.resources.cpu.realtimePeriod: cgroup v2 cannot do it"},
		{"realtime not set", cpu(specs.LinuxCPU{RealtimePeriod: new(uint64(0)), RealtimeRuntime: new(int64(0))}), "", ""},
		{"cpuset", cpu(specs.LinuxCPU{Cpus: "0-1", Mems: "0"}),
			"cpuset.cpus=0-1 or cpus=0-1\ncpuset.mems=0 or mems=0", "cpuset.cpus=0-1\ncpuset.mems=0"},

		{"pids", &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(7))}}, "pids.max=7", "pids.max=7"},
		{"pids 0", &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(0))}}, "pids.max=1", "pids.max=1"},
		{"no limit of pids", &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(-1))}}, "pids.max=max", "pids.max=max"},
		{"pids not set", &specs.LinuxResources{Pids: &specs.LinuxPids{}}, "", ""},
		{"pids below", &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(-2))}}, "!linux.resources.pids.limit: -2", "!linux.resources.pids.limit: -2"},

		{"IO weight", &specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{Weight: new(uint16(500))}},
			"blkio.weight=500 or blkio.bfq.weight=500", "io.bfq.weight=500 or io.weight=4950"},
		{"IO weight too low", &specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{Weight: new(uint16(9))}},
			"!linux.resources.blockIO.weight: 9 is out of range; give 10 to 1000", "!blockIO.weight: 9"},
		{"leaf weight", &specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{LeafWeight: new(uint16(10))}},
			"blkio.leaf_weight=10", "!linux.resources.blockIO.leafWeight: cgroup v2 cannot do it"},
		{"weight of a device", &specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{WeightDevice: []specs.LinuxWeightDevice{weights(8, 0, 10, 0)}}},
			"blkio.weight_device=8:0 10 or blkio.bfq.weight_device=8:0 10", "io.bfq.weight=8:0 10 or io.weight=8:0 1"},
		{"leaf weight of a device", &specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{WeightDevice: []specs.LinuxWeightDevice{weights(8, 0, 0, 20)}}},
			"blkio.leaf_weight_device=8:0 20", "!linux.resources.blockIO.weightDevice[0].leafWeight: cgroup v2 cannot do it"},
		{"throttling", &specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{
			ThrottleReadBpsDevice:   []specs.LinuxThrottleDevice{rate(8, 0, 1)},
			ThrottleWriteBpsDevice:  []specs.LinuxThrottleDevice{rate(8, 16, 2)},
			ThrottleReadIOPSDevice:  []specs.LinuxThrottleDevice{rate(8, 0, 3)},
			ThrottleWriteIOPSDevice: []specs.LinuxThrottleDevice{rate(8, 0, 0)}}},
			"blkio.throttle.read_bps_device=8:0 1\nblkio.throttle.write_bps_device=8:16 2\n" +
				"blkio.throttle.read_iops_device=8:0 3\nblkio.throttle.write_iops_device=8:0 0",
			"io.max=8:0 rbps=1\nio.max=8:16 wbps=2\nio.max=8:0 riops=3\nio.max=8:0 wiops=max"},

		{"huge pages", &specs.LinuxResources{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "2MB", Limit: 4}}},
			"hugetlb.2MB.limit_in_bytes=4\nhugetlb.2MB.rsvd.limit_in_bytes=4 optional", "hugetlb.2MB.max=4\nhugetlb.2MB.rsvd.max=4 optional"},
		{"huge pages of odd size", &specs.LinuxResources{HugepageLimits: []specs.LinuxHugepageLimit{{Pagesize: "../MB"}}},
			`!linux.resources.hugepageLimits[0].pageSize: "../MB": give a size as`, "!hugepageLimits[0].pageSize"},
		{"network class", &specs.LinuxResources{Network: &specs.LinuxNetwork{ClassID: new(uint32(1048577))}},
			"net_cls.classid=1048577", "!linux.resources.network.classID: cgroup v2 cannot do it: it has no net_cls"},
		{"no network class", &specs.LinuxResources{Network: &specs.LinuxNetwork{ClassID: new(uint32(0))}}, "", ""},
		{"network priority", &specs.LinuxResources{Network: &specs.LinuxNetwork{Priorities: []specs.LinuxInterfacePriority{{Name: "eth0", Priority: 5}}}},
			"net_prio.ifpriomap=eth0 5", "!linux.resources.network.priorities[0]: cgroup v2 cannot do it"},
		{"rdma", &specs.LinuxResources{Rdma: map[string]specs.LinuxRdma{"mlx5_1": {HcaHandles: new(uint32(3)), HcaObjects: new(uint32(4))}, "a": {HcaObjects: new(uint32(1))}}},
			"rdma.max=a hca_object=1\nrdma.max=mlx5_1 hca_handle=3 hca_object=4", "rdma.max=a hca_object=1\nrdma.max=mlx5_1 hca_handle=3 hca_object=4"},
		{"rdma without a limit", &specs.LinuxResources{Rdma: map[string]specs.LinuxRdma{"a": {}}},
			"!linux.resources.rdma[a]: has no limit", "!linux.resources.rdma[a]: has no limit"},

		{"unified", &specs.LinuxResources{
			Pids:    &specs.LinuxPids{Limit: new(int64(7))},
			Unified: map[string]string{"pids.max": "9", "io.max": "8:0 rbps=1\n8:16 wbps=2\n"}},
			"!linux.resources.unified[io.max]: this host has cgroup v1; unified is for cgroup v2",
			"pids.max=7\nio.max=8:0 rbps=1\nio.max=8:16 wbps=2\npids.max=9"},
		{"unified with a path", &specs.LinuxResources{Unified: map[string]string{"../memory.max": "1"}}, "!", `!unified: "../memory.max": give the name of a file`},
		{"unified without controller", &specs.LinuxResources{Unified: map[string]string{"tasks": "1"}}, "!", `!unified: "tasks": give the name of a file`},
		{"unified with processes", &specs.LinuxResources{Unified: map[string]string{"cgroup.procs": "1"}}, "!", "!linux.resources.unified[cgroup.procs]: takes processes"},
	} {
		for _, m := range []struct {
			mode cgroup.Mode
			want string
		}{{cgroup.V1, c.v1}, {cgroup.V2, c.v2}} {
			t.Run(c.name+"/"+m.mode.String(), func(t *testing.T) {
				s, err := New(c.r, m.mode)
				if want, ok := strings.CutPrefix(m.want, "!"); ok {
					if err == nil || !strings.Contains(err.Error(), want) {
						t.Fatalf("got error %v, want %q", err, want)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := lines(s); got != m.want {
					t.Errorf("got\n%s\nwant\n%s", got, m.want)
				}
			})
		}
	}
}

func TestSettingsWithoutCgroups(t *testing.T) {
	s, err := New(&specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}}}, cgroup.None)
	if err != nil || len(s.Writes()) > 0 {
		t.Errorf("device rules alone: %v, %v; want no write and no error", s, err)
	}
	for _, r := range []*specs.LinuxResources{
		memory(4096, 0),
		{Pids: &specs.LinuxPids{Limit: new(int64(-1))}},
		{Unified: map[string]string{"memory.high": "max"}},
	} {
		if _, err := New(r, cgroup.None); !errors.Is(err, cgroup.ErrNoCgroups) {
			t.Errorf("a limit: %v, want ErrNoCgroups", err)
		}
	}
	empty := &specs.LinuxResources{Memory: &specs.LinuxMemory{}, CPU: &specs.LinuxCPU{}, BlockIO: &specs.LinuxBlockIO{}}
	if s, err := New(empty, cgroup.None); err != nil || len(s.Writes()) > 0 {
		t.Errorf("members without a limit: %v, %v; want no write and no error", s, err)
	}
}

func TestIgnoredIsReported(t *testing.T) {
	s, err := New(&specs.LinuxResources{Memory: &specs.LinuxMemory{Kernel: new(int64(1)), KernelTCP: new(int64(0))}}, cgroup.V2)
	if err != nil || fmt.Sprint(s.Ignored()) != "[linux.resources.memory.kernel]" {
		t.Errorf("got %v, %v", s.Ignored(), err)
	}
}

// TestSettleFindsTheOrder holds writes against a model of the kernel's check that
// memory is never above memory and swap.
func TestSettleFindsTheOrder(t *testing.T) {
	for _, c := range []struct{ limit, swap, newLimit, newSwap int }{
		{100, 200, 300, 400}, {300, 400, 100, 200}, {100, 100, 100, 100}, {100, 200, 200, 200}, {200, 200, 100, 200},
	} {
		limit, swap := c.limit, c.swap
		group := []Write{{File: "limit", group: groupMemory}, {File: "swap", group: groupMemory}}
		err := run(group, func(w *Write) error {
			l, s := c.newLimit, swap
			if w.File == "swap" {
				l, s = limit, c.newSwap
			}
			if l > s {
				return unix.EINVAL
			}
			limit, swap = l, s
			return nil
		})
		if err != nil || limit != c.newLimit || swap != c.newSwap {
			t.Errorf("%+v: %v, at last %d and %d", c, err, limit, swap)
		}
	}
}

func TestSettleEnds(t *testing.T) {
	calls := 0
	err := run([]Write{{group: 1}, {group: 1}, {group: 2}}, func(*Write) error { calls++; return unix.EINVAL })
	if !errors.Is(err, unix.EINVAL) || calls != 2 {
		t.Errorf("got %v after %d calls, want EINVAL after 2", err, calls)
	}
	calls = 0
	err = run([]Write{{group: 1}, {group: 1}}, func(*Write) error { calls++; return unix.EBUSY })
	if !errors.Is(err, unix.EBUSY) || calls != 1 {
		t.Errorf("got %v after %d calls, want EBUSY after 1", err, calls)
	}
}

func BenchmarkNew(b *testing.B) {
	r := typical()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(r, cgroup.V2); err != nil {
			b.Fatal(err)
		}
	}
}

// typical is what an engine sends for a container with limits.
func typical() *specs.LinuxResources {
	return &specs.LinuxResources{
		Devices: []specs.LinuxDeviceCgroup{{Access: "rwm"}},
		Memory:  &specs.LinuxMemory{Limit: new(int64(64 << 20)), Swap: new(int64(64 << 20))},
		CPU:     &specs.LinuxCPU{Shares: new(uint64(512)), Quota: new(int64(50000)), Period: new(uint64(100000))},
		Pids:    &specs.LinuxPids{Limit: new(int64(100))},
	}
}
