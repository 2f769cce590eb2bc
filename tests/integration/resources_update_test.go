package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// limitIs fails when the limit's file of v1 or of v2 has not the value. A file
// that this kernel lacks skips the look.
func (b *bundle) limitIs(controller, v1, wantV1, v2, wantV2 string) {
	b.t.Helper()
	name, want := v1, wantV1
	if onV2(b.t) {
		name, want = v2, wantV2
	}
	if _, err := os.Stat(filepath.Join(b.cgroupDir(controller), name)); err != nil {
		b.t.Logf("no %s on this kernel", name)
		return
	}
	if got := b.limit(controller, v1, v2); got != want {
		b.t.Errorf("%s %q, want %q", name, got, want)
	}
}

// TestUpdateFlags: each flag of runc's update reaches its file, one call after
// the other, and what an earlier one has set stays.
func TestUpdateFlags(t *testing.T) {
	t.Parallel()
	b := newBundle(t, args("sleep", "1000")).create().start()
	update := func(words ...string) { t.Helper(); b.rt(append(append([]string{"update"}, words...), b.id)...).ok(t) }

	update("--memory", "64m", "--memory-swap", "96m", "--memory-reservation", "32m")
	update("--cpu-share", "2048", "--cpu-quota", "40000", "--cpu-period", "80000")
	update("--cpu-period", "50000") // the quota stays
	if kernelHas("5.14") {
		update("--cpu-burst", "20000")
	} else {
		b.rt("update", "--cpu-burst", "20000", b.id).failed(t, "linux.resources.cpu.burst", "this kernel has no")
	}
	update("--cpuset-cpus", "0", "--cpuset-mems", "0")
	update("--pids-limit", "33")
	update("--kernel-memory", "64m", "--kernel-memory-tcp", "64m") // nothing
	check := func() {
		t.Helper()
		b.limitIs("memory", "memory.limit_in_bytes", "67108864", "memory.max", "67108864")
		b.limitIs("memory", "memory.memsw.limit_in_bytes", "100663296", "memory.swap.max", "33554432")
		b.limitIs("memory", "memory.soft_limit_in_bytes", "33554432", "memory.low", "33554432")
		b.limitIs("cpu", "cpu.shares", "2048", "cpu.weight", "174")
		b.limitIs("cpu", "cpu.cfs_quota_us", "40000", "cpu.max", "40000 50000")
		b.limitIs("cpu", "cpu.cfs_period_us", "50000", "cpu.max", "40000 50000")
		b.limitIs("cpu", "cpu.cfs_burst_us", "20000", "cpu.max.burst", "20000")
		b.limitIs("cpuset", "cpuset.cpus", "0", "cpuset.cpus", "0")
		b.limitIs("cpuset", "cpuset.mems", "0", "cpuset.mems", "0")
		b.limitIs("pids", "pids.max", "33", "pids.max", "33")
	}
	check()
	update() // no option at all is a success and changes nothing
	check()
	update("--pids-limit", "-1", "--memory", "-1", "--memory-swap", "-1", "--cpu-quota", "-1")
	b.limitIs("pids", "pids.max", "max", "pids.max", "max")
	b.limitIs("cpu", "cpu.cfs_quota_us", "-1", "cpu.max", "max 50000")
	if onV2(t) {
		b.limitIs("memory", "", "", "memory.max", "max")
	}
	for _, c := range [][2]string{{"--memory", "lots"}, {"--pids-limit", "1.5"}, {"--cpu-share", "-1"}, {"--blkio-weight", "70000"}} {
		b.rt("update", c[0], c[1], b.id).failed(t, c[0], c[1])
	}
	b.rt("update", "--l3-cache-schema", "L3:0=f", b.id).failed(t, "linux.intelRdt")
	if onV2(t) {
		b.rt("update", "--cpu-rt-runtime", "1000", b.id).failed(t, "linux.resources.cpu.realtimeRuntime")
	}
}

// TestUpdateFromStandardInput: as CRI does, the whole of linux.resources comes in, with the
// devices of the container, and those that are named for none.
func TestUpdateFromStandardInput(t *testing.T) {
	t.Parallel()
	look := "dd if=/dev/kmsg of=/dev/null bs=8192 count=1 2>&1; true"
	b := newBundle(t, args("sleep", "1000"), withCapabilities("CAP_SYSLOG"),
		device(specs.LinuxDevice{Path: "/dev/kmsg", Type: "c", Major: 1, Minor: 11}),
		resources(func(r *specs.LinuxResources) { r.Devices = []specs.LinuxDeviceCgroup{{Access: "rwm"}} })).create().start()
	denied := func(when string) {
		t.Helper()
		if got := b.exec(nil, "sh", "-c", look).ok(t).stdout; !strings.Contains(got, "Operation not permitted") {
			t.Errorf("%s: %q", when, got)
		}
	}
	denied("before")
	text := `{"devices":[{"allow":false,"access":"rwm"}],"memory":{"limit":67108864,"swap":67108864,"disableOOMKiller":false},` +
		`"cpu":{"shares":512,"quota":0,"period":0,"cpus":"","mems":""},"pids":{"limit":44},"blockIO":{"weight":0},"network":{},"hugepageLimits":[],"unified":{}}`
	update := func(text string) {
		t.Helper()
		in, err := os.Open(writeText(t, b.path("resources"), text))
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		call{root: b.root, args: []string{"update", "--resources=-", b.id}, stdin: in}.do(t).ok(t)
	}
	update(text)
	denied("after")
	b.limitIs("memory", "memory.limit_in_bytes", "67108864", "memory.max", "67108864")
	b.limitIs("cpu", "cpu.shares", "512", "cpu.weight", "59")
	b.limitIs("pids", "pids.max", "44", "pids.max", "44")
	// What Docker sends for an update of the tasks alone: all else is 0, and stays.
	update(`{"memory":{"limit":0,"reservation":0,"kernel":0},"cpu":{"shares":0,"period":0,"quota":0},"blockIO":{"weight":0},"pids":{"limit":45}}`)
	b.limitIs("pids", "pids.max", "45", "pids.max", "45")
	b.limitIs("memory", "memory.limit_in_bytes", "67108864", "memory.max", "67108864")
	// Which is known to the next one, too: on v2 the limit of swap goes by that of memory.
	update(`{"memory":{"limit":0,"swap":134217728},"cpu":{"shares":0}}`)
	b.limitIs("memory", "memory.memsw.limit_in_bytes", "134217728", "memory.swap.max", "67108864")
	b.limitIs("cpu", "cpu.shares", "512", "cpu.weight", "59")
}

// TestUpdateDevices: rules for devices take the place of those that are there, for init and
// for further processes, and are taken back with limits that fail.
//
// Source: crun(1), "update".
func TestUpdateDevices(t *testing.T) {
	t.Parallel()
	hutchOnly(t, "runc leaves devices out of an update")
	const allow = `{"allow":true,"type":"c","major":1,"minor":11,"access":"rwm"}`
	look := "dd if=/dev/kmsg of=/dev/null bs=8192 count=1 2>&1 | grep -c 'not permitted'; true"
	b := newBundle(t, args("sleep", "1000"), withCapabilities("CAP_SYSLOG"),
		device(specs.LinuxDevice{Path: "/dev/kmsg", Type: "c", Major: 1, Minor: 11}),
		resources(func(r *specs.LinuxResources) { r.Devices = []specs.LinuxDeviceCgroup{{Access: "rwm"}} })).create().start()
	denied := func(when, want string) {
		t.Helper()
		if got := b.exec(nil, "sh", "-c", look).ok(t).stdout; got != want {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
		if got := b.exec(nil, "sh", "-c", "echo >/dev/null && echo usual").ok(t).stdout; got != "usual\n" {
			t.Errorf("%s: the default devices: %q", when, got)
		}
	}
	update := func(text string) result {
		t.Helper()
		return b.rt("update", "--resources", writeText(t, b.path("resources"), text), b.id)
	}
	denied("before", "1\n")
	update(`{"devices":[{"allow":false,"access":"rwm"},` + allow + `]}`).ok(t)
	denied("allowed", "0\n")
	update(`{"devices":[],"pids":{"limit":50}}`).ok(t)
	denied("a list that is empty", "0\n")
	update(`{"devices":[{"allow":false,"access":"rwm"}],"cpu":{"cpus":"4000"}}`).failed(t, "linux.resources.cpu.cpus")
	denied("an update that failed", "0\n")
	update(`{"devices":[{"allow":false,"access":"rwm"}]}`).ok(t)
	denied("denied again", "1\n")
	update(`{"devices":[{"allow":true,"type":"x","access":"rwm"}]}`).failed(t, "linux.resources.devices[0].type")
	denied("a rule that is none", "1\n")
}

// TestResourceNothingIsNoLimit: what engines send for "not set" passes on every layout,
// at create and at update.
func TestResourceNothingIsNoLimit(t *testing.T) {
	t.Parallel()
	unset := func(r *specs.LinuxResources) {
		r.Memory = &specs.LinuxMemory{Limit: ptr[int64](0), Swap: ptr[int64](0), Reservation: ptr[int64](0), Kernel: ptr[int64](0),
			KernelTCP: ptr[int64](0), Swappiness: ptr(^uint64(0)), DisableOOMKiller: ptr(false), UseHierarchy: ptr(false)}
		r.CPU = &specs.LinuxCPU{Shares: ptr[uint64](0), Quota: ptr[int64](0), Period: ptr[uint64](0), Burst: nil,
			RealtimeRuntime: ptr[int64](0), RealtimePeriod: ptr[uint64](0)}
		r.BlockIO = &specs.LinuxBlockIO{Weight: ptr[uint16](0), LeafWeight: ptr[uint16](0)}
		r.Network = &specs.LinuxNetwork{}
		r.HugepageLimits = []specs.LinuxHugepageLimit{}
		r.Rdma = map[string]specs.LinuxRdma{}
	}
	b := newBundle(t, args("sleep", "1000"), resources(unset)).create().start()
	b.rt("update", "--blkio-weight", "0", "--cpu-rt-period", "0", "--cpu-rt-runtime", "0", "--cpu-period", "0", "--cpu-quota", "0",
		"--cpu-share", "0", "--memory", "0", "--memory-swap", "0", "--memory-reservation", "0", "--cpuset-cpus", "", b.id).ok(t)
	b.limitIs("cpu", "cpu.shares", "1024", "cpu.weight", "100")
	if !systemdCgroup() { // which has a default of its own
		b.limitIs("pids", "pids.max", "max", "pids.max", "max")
	}
}

// TestResourceBlockIOThrottle: a rate of a device of this machine, and its update, which
// leaves the other rates.
func TestResourceBlockIOThrottle(t *testing.T) {
	t.Parallel()
	names, _ := filepath.Glob("/sys/block/*/dev")
	needs(t, "block-device", len(names) > 0)
	var major, minor int64
	if _, err := fmt.Sscanf(readText(t, names[len(names)-1]), "%d:%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	dev := fmt.Sprintf("%d:%d", major, minor)
	rate := specs.LinuxThrottleDevice{Rate: 1 << 20}
	rate.Major, rate.Minor = major, minor
	b := newBundle(t, args("sleep", "1000"), resources(func(r *specs.LinuxResources) {
		r.BlockIO = &specs.LinuxBlockIO{ThrottleWriteBpsDevice: []specs.LinuxThrottleDevice{rate}}
	})).create().start()
	b.limitIs("blkio", "blkio.throttle.write_bps_device", dev+" 1048576", "io.max", dev+" rbps=max wbps=1048576 riops=max wiops=max")
	file := writeText(t, b.path("io.json"), fmt.Sprintf(`{"blockIO":{"throttleReadIOPSDevice":[{"major":%d,"minor":%d,"rate":77}]}}`, major, minor))
	b.rt("update", "-r", file, b.id).ok(t)
	b.limitIs("blkio", "blkio.throttle.read_iops_device", dev+" 77", "io.max", dev+" rbps=max wbps=1048576 riops=77 wiops=max")
	b.limitIs("blkio", "blkio.throttle.write_bps_device", dev+" 1048576", "io.max", dev+" rbps=max wbps=1048576 riops=77 wiops=max")
}

// TestResourceHugepageLimit: where the machine has huge pages and their controller.
func TestResourceHugepageLimit(t *testing.T) {
	t.Parallel()
	size, there := hugeSize(t)
	set := resources(func(r *specs.LinuxResources) {
		r.HugepageLimits = []specs.LinuxHugepageLimit{{Pagesize: size, Limit: 4 << 30}}
	})
	controllers := "/proc/self/cgroup"
	if onV2(t) {
		controllers = cgroupRoot + "/cgroup.controllers"
	}
	if !there || !strings.Contains(readText(t, controllers), "hugetlb") ||
		userCaller && systemdCgroup() { // which hands users no huge pages
		refused(t, []string{"linux.resources.hugepageLimits[0]", "hugetlb"}, set)
		return
	}
	b := newBundle(t, args("sleep", "1000"), set).create()
	for _, file := range []string{"hugetlb." + size, "hugetlb." + size + ".rsvd"} {
		b.limitIs("hugetlb", file+".limit_in_bytes", "4294967296", file+".max", "4294967296")
	}
}

// hugeSize returns a size of huge pages that the machine has, as the controller names it, and
// whether it has any; else 2MB.
func hugeSize(t *testing.T) (size string, has bool) {
	t.Helper()
	dirs, err := filepath.Glob("/sys/kernel/mm/hugepages/hugepages-*kB")
	if err != nil {
		t.Fatal(err)
	}
	if len(dirs) == 0 {
		return "2MB", false
	}
	var kib int
	if _, err := fmt.Sscanf(filepath.Base(dirs[0]), "hugepages-%dkB", &kib); err != nil {
		t.Fatal(err)
	}
	switch {
	case kib >= 1<<20:
		return fmt.Sprintf("%dGB", kib>>20), true
	case kib >= 1<<10:
		return fmt.Sprintf("%dMB", kib>>10), true
	}
	return fmt.Sprintf("%dKB", kib), true
}
