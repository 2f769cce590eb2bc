package cgroup_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/host/cgroup"
	"github.com/hutch-project/hutch/internal/host/cgroup/stats"
)

func TestQuotaThrottles(t *testing.T) {
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		needs(t, l, "cpu")
		p, m := applied(t, l, cpu(specs.LinuxCPU{Quota: new(int64(2000)), Period: new(uint64(10000))}))
		born(t, p, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo ready; exec sleep 1000")
		s, err := stats.Read(m.Paths())
		if err != nil {
			t.Fatal(err)
		}
		if s.CPU.ThrottledPeriods == 0 || s.CPU.ThrottledTime == 0 {
			t.Errorf("a busy loop with a quota of 20%% was never throttled: %+v", s.CPU)
		}
	})
}

// TestCpusetPins: whoever asks for all processors, as init and exec'd processes do, gets
// those of the cgroup. Before Linux 6.4 the kernel pins nothing that is only born there.
func TestCpusetPins(t *testing.T) {
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		needs(t, l, "cpuset")
		p, _ := applied(t, l, cpu(specs.LinuxCPU{Cpus: "0"}))
		if got := inside(t, p, "taskset -p ffff $$ >/dev/null; grep Cpus_allowed_list /proc/self/status >&2"); got != "Cpus_allowed_list:\t0\n" {
			t.Errorf("got %q", got)
		}
	})
}

// TestMemoryLimitKills has a shell grow beyond its limit.
func TestMemoryLimitKills(t *testing.T) {
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		needs(t, l, "memory")
		p, m := applied(t, l, memory(8<<20, 0))
		if got := inside(t, p, "x=$(head -c 16000000 /dev/zero | tr '\\0' a); echo >&2 alive"); strings.Contains(got, "alive") {
			t.Errorf("16 MB with a limit of 8 MiB: %q", got)
		}
		if n, err := stats.OOMKills(m.Paths()); n == 0 || err != nil {
			t.Errorf("OOMKills: %d, %v", n, err)
		}
	})
}

// disk returns the numbers of a whole disk.
func disk(t *testing.T) (major, minor int64) {
	t.Helper()
	entries, err := os.ReadDir("/sys/block")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "loop") || strings.HasPrefix(e.Name(), "ram") || strings.HasPrefix(e.Name(), "zram") {
			continue
		}
		var st unix.Stat_t
		if err := unix.Stat("/dev/"+e.Name(), &st); err == nil {
			return int64(unix.Major(uint64(st.Rdev))), int64(unix.Minor(uint64(st.Rdev)))
		}
	}
	t.Skip("needs a disk")
	return 0, 0
}

func TestBlockIO(t *testing.T) {
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		needs(t, l, map[bool]string{true: "io", false: "blkio"}[l.Mode == cgroup.V2])
		major, minor := disk(t)
		limits := func(n uint64) *specs.LinuxResources {
			list := []specs.LinuxThrottleDevice{rate(major, minor, n)}
			return &specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{
				ThrottleReadBpsDevice: list, ThrottleWriteBpsDevice: list, ThrottleReadIOPSDevice: list, ThrottleWriteIOPSDevice: list,
			}}
		}
		p, m := applied(t, l, limits(1<<20))
		check := func(want string) {
			t.Helper()
			if l.Mode == cgroup.V2 {
				line := ""
				if want != "" {
					line = fmt.Sprintf("%d:%d", major, minor) + strings.NewReplacer("N", want).Replace(" rbps=N wbps=N riops=N wiops=N")
				}
				if got := content(t, p, "io", "io.max"); got != line {
					t.Errorf("io.max is %q, want %q", got, line)
				}
				return
			}
			for _, name := range []string{"read_bps", "write_bps", "read_iops", "write_iops"} {
				line := ""
				if want != "" {
					line = fmt.Sprintf("%d:%d", major, minor) + " " + want
				}
				if got := content(t, p, "blkio", "blkio.throttle."+name+"_device"); got != line {
					t.Errorf("%s is %q, want %q", name, got, line)
				}
			}
		}
		check("1048576")
		bad := limits(2 << 20)
		bad.BlockIO.ThrottleWriteIOPSDevice = []specs.LinuxThrottleDevice{rate(4000, 1, 5)}
		err := settings(t, bad, l.Mode).Update(nil, m.Paths())
		if err == nil || !strings.Contains(err.Error(), "linux.resources.blockIO.throttleWriteIOPSDevice[0]") ||
			!strings.Contains(err.Error(), "no such device") {
			t.Errorf("a device that there is not: %v", err)
		}
		check("1048576")
		if err := settings(t, limits(0), l.Mode).Update(nil, m.Paths()); err != nil {
			t.Fatal(err)
		}
		check("")
	})
}

func TestBlockIOWeight(t *testing.T) {
	forEach(t, func(t *testing.T, l *cgroup.Layout) {
		needs(t, l, map[bool]string{true: "io", false: "blkio"}[l.Mode == cgroup.V2])
		p, _ := planned(t, l, "/"+unique())
		err := settings(t, &specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{Weight: new(uint16(500))}}, l.Mode).Apply(p)
		at, _ := p.Dir(map[bool]string{true: "io", false: "blkio"}[l.Mode == cgroup.V2])
		for name, want := range map[string]string{
			"blkio.bfq.weight": "500", "blkio.weight": "500", "io.bfq.weight": "default 500", "io.weight": "default 4950",
		} {
			got, readErr := os.ReadFile(at.Abs + "/" + name)
			if readErr != nil {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(string(got)) != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
			return
		}
		if err == nil || !strings.Contains(err.Error(), "linux.resources.blockIO.weight: this kernel has no") {
			t.Errorf("a kernel without weights: %v", err)
		}
	})
}
