package sched

import (
	"runtime"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/program"
)

func TestAffinity(t *testing.T) {
	if runtime.NumCPU() < 2 {
		t.Skip("needs two processors")
	}
	pinned := func(b *program.Builder) {
		b = b.Element(program.T("test"))
		b.Sys(unix.SYS_SCHED_SETAFFINITY, program.Imm(0), program.Imm(8), b.Bytes([]byte{2, 0, 0, 0, 0, 0, 0, 0}).Arg())
	}
	const line = "Cpus_allowed_list"
	all := status(t, 0, func(*program.Builder) {})[line]
	if got := status(t, 0, pinned)[line]; got != "1" {
		t.Fatalf("pinned to %s", got)
	}
	if got := status(t, 0, func(b *program.Builder) { pinned(b); ResetAffinity(b) })[line]; got != all {
		t.Errorf("after the reset: %s, want %s", got, all)
	}
	p := &specs.Process{ExecCPUAffinity: &specs.CPUAffinity{Initial: "1", Final: "0"}}
	if got := status(t, 0, func(b *program.Builder) { InitialAffinity(b, p) })[line]; got != "1" {
		t.Errorf("initial: %s", got)
	}
	if got := status(t, 0, func(b *program.Builder) { InitialAffinity(b, p); FinalAffinity(b, p) })[line]; got != "0" {
		t.Errorf("final: %s", got)
	}
	if FinalAffinity(program.New(), &specs.Process{}) || FinalAffinity(program.New(), &specs.Process{ExecCPUAffinity: &specs.CPUAffinity{Initial: "1"}}) {
		t.Error("a mask without the property")
	}
	p.ExecCPUAffinity.Initial = "1-x"
	b := program.New()
	InitialAffinity(b, p)
	if _, err := b.Program(); err == nil || !strings.HasPrefix(err.Error(), "process.execCPUAffinity.initial: run on the processors 1-x: ") {
		t.Error(err)
	}
	p.ExecCPUAffinity.Final = "8191"
	fails(t, "process.execCPUAffinity.final: run on the processors 8191: sched_setaffinity: invalid argument", func(b *program.Builder) { FinalAffinity(b, p) })
}
