package systemd

import (
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/hutch-project/hutch/internal/dbus"
)

func list(props []dbus.Property) string {
	out := make([]string, len(props))
	for i, p := range props {
		out[i] = p.String()
	}
	return strings.Join(out, "\n")
}

const noDevices = "DevicePolicy=\"strict\"\nDeviceAllow=@a(ss) []\n"

func TestProperties(t *testing.T) {
	const inf = "uint64 18446744073709551615"
	for name, c := range map[string]struct {
		r       specs.LinuxResources
		v1      bool
		version int
		want    string
	}{
		"nothing": {want: ""},
		"memory and swap": {
			r:    specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: new(int64(1000)), Swap: new(int64(1500)), Reservation: new(int64(400))}},
			want: "MemoryMax=uint64 1000\nMemoryLow=uint64 400\nMemorySwapMax=uint64 500",
		},
		"memory without limit": {
			r:    specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: new(int64(-1))}},
			want: "MemoryMax=" + inf + "\nMemorySwapMax=" + inf,
		},
		"v1": {
			v1: true,
			r: specs.LinuxResources{
				Memory:  &specs.LinuxMemory{Limit: new(int64(1000)), Swap: new(int64(1500))},
				CPU:     &specs.LinuxCPU{Shares: new(uint64(512))},
				BlockIO: &specs.LinuxBlockIO{Weight: new(uint16(300))},
				Pids:    &specs.LinuxPids{Limit: new(int64(7))},
			},
			want: "MemoryLimit=uint64 1000\nCPUShares=uint64 512\nTasksMax=uint64 7\nBlockIOWeight=uint64 300",
		},
		"cpu": {
			r: specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: new(uint64(1024)), Quota: new(int64(50000)), Period: new(uint64(200000)), Cpus: "0-1,9", Mems: "0"}},
			want: "CPUWeight=uint64 100\nCPUQuotaPeriodUSec=uint64 200000\nCPUQuotaPerSecUSec=uint64 250000\n" +
				"AllowedCPUs=@ay [0x03, 0x02]\nAllowedMemoryNodes=@ay [0x01]",
		},
		"an old systemd": {
			version: 239,
			r:       specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: new(int64(50000)), Period: new(uint64(200000)), Cpus: "0", Idle: new(int64(1))}},
			want:    "CPUQuotaPerSecUSec=uint64 250000",
		},
		"a quota is rounded up to a whole percentage": {
			r:    specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: new(int64(33333))}},
			want: "CPUQuotaPerSecUSec=uint64 340000",
		},
		"no quota": {
			r:    specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: new(int64(-1))}},
			want: "CPUQuotaPerSecUSec=" + inf,
		},
		"a quota without bounds": {
			r:    specs.LinuxResources{CPU: &specs.LinuxCPU{Quota: new(int64(1<<63 - 1)), Period: new(uint64(1))}},
			want: "CPUQuotaPeriodUSec=uint64 1\nCPUQuotaPerSecUSec=" + inf,
		},
		"a period alone": {
			r:    specs.LinuxResources{CPU: &specs.LinuxCPU{Period: new(uint64(5000))}},
			want: "CPUQuotaPeriodUSec=uint64 5000\nCPUQuotaPerSecUSec=" + inf,
		},
		"idle beats shares": {
			r:    specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: new(uint64(1024)), Idle: new(int64(1))}},
			want: "CPUWeight=uint64 0",
		},
		"no processes":    {r: specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(0))}}, want: "TasksMax=uint64 1"},
		"all processes":   {r: specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(-1))}}, want: "TasksMax=" + inf},
		"weight of block": {r: specs.LinuxResources{BlockIO: &specs.LinuxBlockIO{Weight: new(uint16(1000))}}, want: "IOWeight=uint64 10000"},
		"unified has the last word": {
			r: specs.LinuxResources{
				Memory: &specs.LinuxMemory{Limit: new(int64(1000))}, Pids: &specs.LinuxPids{Limit: new(int64(5))},
				Unified: map[string]string{
					"memory.max": "max", "memory.high": " 10\n", "memory.low": "2", "memory.min": "1", "memory.swap.max": "0",
					"pids.max": "0", "cpu.weight": "7", "cpu.max": "max 1000", "cpuset.cpus": "3", "cpuset.mems": "", "hugetlb.2MB.max": "x",
				},
			},
			want: "MemoryMax=" + inf + "\nTasksMax=uint64 1\nMemoryHigh=uint64 10\nMemoryLow=uint64 2\nMemoryMin=uint64 1\n" +
				"MemorySwapMax=uint64 0\nCPUWeight=uint64 7\nCPUQuotaPeriodUSec=uint64 1000\nCPUQuotaPerSecUSec=" + inf + "\nAllowedCPUs=@ay [0x08]",
		},
		"cpu.max and idle": {
			r:    specs.LinuxResources{Unified: map[string]string{"cpu.max": "10000", "cpu.idle": "1", "cpu.weight": "5"}},
			want: "CPUWeight=uint64 0\nCPUQuotaPerSecUSec=uint64 100000",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.version == 0 {
				c.version = 252
			}
			got, err := Properties(&c.r, nil, !c.v1, c.version)
			if err != nil {
				t.Fatal(err)
			}
			if s := list(got) + "\n"; strings.TrimSuffix(s, "\n") != strings.TrimSuffix(noDevices+c.want, "\n") {
				t.Errorf("got\n%swant\n%s%s", s, noDevices, c.want)
			}
		})
	}
	if got, err := Properties(nil, nil, true, 252); err != nil || list(got)+"\n" != noDevices {
		t.Errorf("nil: %s, %v", list(got), err)
	}
}

func TestPropertiesErrors(t *testing.T) {
	unified := func(k, v string) specs.LinuxResources {
		return specs.LinuxResources{Unified: map[string]string{k: v}}
	}
	for want, r := range map[string]specs.LinuxResources{
		"linux.resources.memory.swap: ":                 {Memory: &specs.LinuxMemory{Limit: new(int64(10)), Swap: new(int64(5))}},
		`linux.resources.cpu.cpus: "4-1": `:             {CPU: &specs.LinuxCPU{Cpus: "4-1"}},
		`linux.resources.cpu.cpus: "0-99999": `:         {CPU: &specs.LinuxCPU{Cpus: "0-99999"}},
		`linux.resources.cpu.mems: ",": has no`:         {CPU: &specs.LinuxCPU{Mems: ","}},
		`linux.resources.unified[memory.max]: "1G": `:   unified("memory.max", "1G"),
		`linux.resources.unified[pids.max]: "": `:       unified("pids.max", ""),
		`linux.resources.unified[cpu.max]: "1 2 3": `:   unified("cpu.max", "1 2 3"),
		`linux.resources.unified[cpu.max]: "-1": `:      unified("cpu.max", "-1"),
		`linux.resources.unified[cpu.max]: "max 0": `:   unified("cpu.max", "max 0"),
		`linux.resources.unified[cpuset.cpus]: "all": `: unified("cpuset.cpus", "all"),
	} {
		if got, err := Properties(&r, nil, true, 252); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, %v, want an error %q", list(got), err, want)
		}
	}
}

func TestOOMPolicy(t *testing.T) {
	r := &specs.LinuxResources{Unified: map[string]string{"memory.oom.group": "1"}}
	if got := list(OOMPolicy(r, 253)); got != `OOMPolicy="kill"` {
		t.Errorf("got %s", got)
	}
	if got := OOMPolicy(r, 252); got != nil {
		t.Errorf("systemd 252 got %s", list(got))
	}
	r.Unified["memory.oom.group"] = "0"
	if got := list(OOMPolicy(r, 260)); got != `OOMPolicy="continue"` {
		t.Errorf("got %s", got)
	}
}

func TestDevices(t *testing.T) {
	rule := func(allow bool, kind string, major, minor int64, access string) specs.LinuxDeviceCgroup {
		d := specs.LinuxDeviceCgroup{Allow: allow, Type: kind, Access: access}
		if major >= 0 {
			d.Major = &major
		}
		if minor >= 0 {
			d.Minor = &minor
		}
		return d
	}
	denyAll, allowAll := rule(false, "a", -1, -1, "rwm"), rule(true, "", -1, -1, "rwm")
	null := rule(true, "c", 1, 3, "mrw")
	const auto = "auto []"
	type rules = []specs.LinuxDeviceCgroup
	for name, c := range map[string]struct {
		rules, defaults rules
		version         int
		v2, v1          string
	}{
		"defaults alone": {nil, rules{null}, 252, `strict ("/dev/char/1:3", "rwm")`, ""},
		"a list": {
			rules{null, denyAll, rule(true, "b", 8, -1, "r"), rule(true, "b", 8, -1, "w"), rule(true, "a", 7, 1, "m")}, rules{rule(true, "c", -1, -1, "m")}, 252,
			`strict ("block-8", "rw") ("/dev/block/7:1", "m") ("/dev/char/7:1", "m") ("char-*", "m")`, "",
		},
		"all":                       {rules{denyAll, allowAll}, rules{null}, 252, auto, ""},
		"all of one kind of access": {rules{rule(true, "a", -1, -1, "rw")}, nil, 252, `strict ("block-*", "rw") ("char-*", "rw")`, ""},
		"all but one":               {rules{allowAll, rule(false, "c", 1, 5, "w")}, rules{null}, 252, auto, "strict []"},
		"denied again":              {rules{null, rule(false, "c", 1, -1, "w")}, nil, 252, `strict ("/dev/char/1:3", "rm")`, ""},
		"a part of a wider rule":    {rules{rule(true, "c", 1, -1, "rw"), rule(false, "c", 1, 5, "w")}, nil, 252, auto, `strict ("char-1", "r")`},
		"a minor of all majors":     {rules{null, rule(true, "c", -1, 3, "r")}, nil, 252, auto, `strict ("/dev/char/1:3", "rwm")`},
		"majors before systemd 240": {rules{null, rule(true, "c", 136, -1, "r")}, nil, 239, auto, `strict ("/dev/char/1:3", "rwm")`},
	} {
		t.Run(name, func(t *testing.T) {
			if c.v1 == "" {
				c.v1 = c.v2
			}
			for v2, want := range map[bool]string{true: c.v2, false: c.v1} {
				b := &builder{v2: v2, version: c.version}
				b.devices(c.rules, c.defaults)
				got := strings.Trim(b.list[0].Value.String(), `"`)
				if b.list[0].Name != "DevicePolicy" || b.list[1].String() != "DeviceAllow=@a(ss) []" || len(b.list) > 3 {
					t.Fatalf("v2 %v: got %s", v2, list(b.list))
				}
				if len(b.list) == 2 {
					got += " []"
				} else {
					all := strings.Trim(b.list[2].Value.String(), "[]")
					got += " " + strings.ReplaceAll(all, "), (", ") (")
				}
				if got != want {
					t.Errorf("v2 %v: got %s, want %s", v2, got, want)
				}
			}
		})
	}
}
