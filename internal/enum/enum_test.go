package enum

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestTablesHaveTheWordsOfTheSpecification: each constant of specs-go has a row with the
// kernel's number.
func TestTablesHaveTheWordsOfTheSpecification(t *testing.T) {
	for _, c := range []struct {
		property string
		table    Table
		want     map[string]uint64
	}{
		{"process.scheduler.policy", SchedPolicies, map[string]uint64{
			string(specs.SchedOther): unix.SCHED_NORMAL, string(specs.SchedFIFO): unix.SCHED_FIFO, string(specs.SchedRR): unix.SCHED_RR,
			string(specs.SchedBatch): unix.SCHED_BATCH, string(specs.SchedISO): 4, string(specs.SchedIdle): unix.SCHED_IDLE,
			string(specs.SchedDeadline): unix.SCHED_DEADLINE,
		}},
		{"process.scheduler.flags", SchedFlags, map[string]uint64{
			string(specs.SchedFlagResetOnFork): 1, string(specs.SchedFlagReclaim): 2, string(specs.SchedFlagDLOverrun): 4,
			string(specs.SchedFlagKeepPolicy): 8, string(specs.SchedFlagKeepParams): 0x10, string(specs.SchedFlagUtilClampMin): 0x20,
			string(specs.SchedFlagUtilClampMax): 0x40,
		}},
		{"process.ioPriority.class", IOClasses, map[string]uint64{
			string(specs.IOPRIO_CLASS_RT): 1, string(specs.IOPRIO_CLASS_BE): 2, string(specs.IOPRIO_CLASS_IDLE): 3,
		}},
		{"linux.memoryPolicy.mode", MemoryModes, map[string]uint64{
			string(specs.MpolDefault): 0, string(specs.MpolPreferred): 1, string(specs.MpolBind): 2, string(specs.MpolInterleave): 3,
			string(specs.MpolLocal): 4, string(specs.MpolPreferredMany): 5, string(specs.MpolWeightedInterleave): 6,
		}},
		{"linux.memoryPolicy.flags", MemoryFlags, map[string]uint64{
			string(specs.MpolFNumaBalancing): 1 << 13, string(specs.MpolFRelativeNodes): 1 << 14, string(specs.MpolFStaticNodes): 1 << 15,
		}},
		{"linux.personality.domain", Domains, map[string]uint64{string(specs.PerLinux): 0, string(specs.PerLinux32): 8}},
		{"process.rlimits", Rlimits, map[string]uint64{
			"RLIMIT_CPU": 0, "RLIMIT_FSIZE": 1, "RLIMIT_DATA": 2, "RLIMIT_STACK": 3, "RLIMIT_CORE": 4, "RLIMIT_RSS": 5, "RLIMIT_NPROC": 6,
			"RLIMIT_NOFILE": 7, "RLIMIT_MEMLOCK": 8, "RLIMIT_AS": 9, "RLIMIT_LOCKS": 10, "RLIMIT_SIGPENDING": 11, "RLIMIT_MSGQUEUE": 12,
			"RLIMIT_NICE": 13, "RLIMIT_RTPRIO": 14, "RLIMIT_RTTIME": 15,
		}},
	} {
		if len(c.table) != len(c.want) {
			t.Errorf("%s: %d rows, want %d", c.property, len(c.table), len(c.want))
		}
		for name, number := range c.want {
			if v := c.table.Find(name); v == nil || v.Number != number {
				t.Errorf("%s: %s is %+v, want %d", c.property, name, v, number)
			} else if got := c.table.Name(number); got != name {
				t.Errorf("%s: %d is %q, want %s", c.property, number, got, name)
			}
		}
		for _, name := range []string{"", "RLIMIT_", "CPU", "rlimit_cpu", "SCHED_", "RLIMIT_CPUS"} {
			if v := c.table.Find(name); v != nil {
				t.Errorf("%s: %q is %+v", c.property, name, v)
			}
		}
	}
}

// TestCapabilitiesAreInOrder: the row of a capability is its number.
func TestCapabilitiesAreInOrder(t *testing.T) {
	if got, want := len(Capabilities), unix.CAP_LAST_CAP+1; got != want {
		t.Errorf("%d capabilities, want the kernel header's %d", got, want)
	}
	for i, c := range Capabilities {
		if c.Number != uint64(i) {
			t.Errorf("%s has the number %d in row %d", c.Name, c.Number, i)
		}
	}
}

func TestOr(t *testing.T) {
	for want, table := range map[string]Table{"": nil, "A": {{Name: "A"}}, "A or B": {{Name: "A"}, {Name: "B"}}} {
		if got := table.Or(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got, want := IOClasses.Or(), "IOPRIO_CLASS_RT, IOPRIO_CLASS_BE or IOPRIO_CLASS_IDLE"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
