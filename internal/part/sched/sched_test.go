package sched

import (
	"fmt"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/enum"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/tests/testneed"
)

func TestSchedulerAndIOPriority(t *testing.T) {
	testneed.Root(t)
	own, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	// What is not set is the caller's; a nice value that is not is the kernel's to keep.
	callers := fmt.Sprintf("%d %d", own.Policy, own.Nice)
	idleNice := fmt.Sprint(own.Nice)
	for _, c := range []struct {
		rule string
		p    specs.Process
		want string // policy, nice, priority, flags, error, ioprio
	}{
		{"batch with a nice value", specs.Process{Scheduler: &specs.Scheduler{Policy: specs.SchedBatch, Nice: 7}}, "3 7 0 0 <nil> "},
		{"idle, reset on fork", specs.Process{Scheduler: &specs.Scheduler{Policy: specs.SchedIdle, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork}}}, "5 " + idleNice + " 0 1 <nil> "},
		{"best effort", specs.Process{IOPriority: &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 6}}, callers + " 0 0 <nil> 16390"},
		{"idle", specs.Process{IOPriority: &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_IDLE}}, callers + " 0 0 <nil> 24576"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			out, err := printed(t, "sched", func(b *program.Builder) { Scheduler(b, &c.p); IOPriority(b, &c.p) })
			if err != nil || !strings.HasPrefix(out, c.want) {
				t.Errorf("%q, %v; want %q", out, err, c.want)
			}
		})
	}
	fails(t, "process.scheduler: set policy SCHED_FIFO: sched_setattr: invalid argument", func(b *program.Builder) {
		Scheduler(b, &specs.Process{Scheduler: &specs.Scheduler{Policy: specs.SchedFIFO, Priority: 100}})
	})
	fails(t, "process.ioPriority: set class IOPRIO_CLASS_BE: ioprio_set: invalid argument", func(b *program.Builder) {
		// From 8 on there are hints (Linux 6.5), which have no level.
		IOPriority(b, &specs.Process{IOPriority: &specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: -1}})
	})
}

func TestMemoryPolicy(t *testing.T) {
	for _, c := range []struct {
		rule      string
		p         specs.LinuxMemoryPolicy
		want, err string
	}{
		{"bind with a flag", specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0", Flags: []specs.MemoryPolicyFlagType{specs.MpolFStaticNodes}}, "0x8002 1 0", ""},
		{"interleave", specs.LinuxMemoryPolicy{Mode: specs.MpolInterleave, Nodes: "0-0,0"}, "0x3 1 0", ""},
		{"local takes no nodes", specs.LinuxMemoryPolicy{Mode: specs.MpolLocal}, "0x4 0 0", ""},
		{"default", specs.LinuxMemoryPolicy{Mode: specs.MpolDefault}, "0x0 0 0", ""},
		{"a node that is not there", specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "1023"}, "", `linux.memoryPolicy: set mode MPOL_BIND, nodes "1023": set_mempolicy: invalid argument`},
		{"a node that cannot be", specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "1024"}, "", `linux.memoryPolicy: set mode MPOL_BIND, nodes "1024": nodes: "1024" has a number that is too high`},
	} {
		t.Run(c.rule, func(t *testing.T) {
			out, err := printed(t, "mempolicy", func(b *program.Builder) { MemoryPolicy(b, &c.p) })
			if err != nil && strings.Contains(err.Error(), "function not implemented") || strings.HasSuffix(out, " 38") {
				t.Skip("needs CONFIG_NUMA")
			}
			if out != c.want || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
				t.Errorf("%q, %v\nwant %q, %s", out, err, c.want, c.err)
			}
		})
	}
}

func TestUnknownWordsAreFaults(t *testing.T) {
	for want, emit := range map[string]func(*program.Builder){
		`process.scheduler: set policy SCHED_X: "SCHED_X" is not known; use ` + enum.SchedPolicies.Or(): func(b *program.Builder) {
			Scheduler(b, &specs.Process{Scheduler: &specs.Scheduler{Policy: "SCHED_X"}})
		},
		`process.scheduler: set policy SCHED_RR: "X" is not known; use ` + enum.SchedFlags.Or(): func(b *program.Builder) {
			Scheduler(b, &specs.Process{Scheduler: &specs.Scheduler{Policy: specs.SchedRR, Flags: []specs.LinuxSchedulerFlag{"X"}}})
		},
		`process.ioPriority: set class X: "X" is not known; use ` + enum.IOClasses.Or(): func(b *program.Builder) {
			IOPriority(b, &specs.Process{IOPriority: &specs.LinuxIOPriority{Class: "X"}})
		},
		`linux.memoryPolicy: set mode X, nodes "": "X" is not known; use ` + enum.MemoryModes.Or(): func(b *program.Builder) {
			MemoryPolicy(b, &specs.LinuxMemoryPolicy{Mode: "X"})
		},
		`linux.memoryPolicy: set mode MPOL_BIND, nodes "0": "X" is not known; use ` + enum.MemoryFlags.Or(): func(b *program.Builder) {
			MemoryPolicy(b, &specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0", Flags: []specs.MemoryPolicyFlagType{"X"}})
		},
	} {
		b := program.New()
		emit(b)
		if _, err := b.Program(); err == nil || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}
