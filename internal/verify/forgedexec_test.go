package verify_test

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/part/namespace"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/template"
	"github.com/hutch-project/hutch/internal/verify"
)

// TestForeignRootIsRefused has a further process enter the root directory of another process
// than init.
func TestForeignRootIsRefused(t *testing.T) {
	s := template.Spec()
	s.Process.Terminal = false
	in := &compile.ExecInput{Process: s.Process, Linux: &specs.Linux{}, Host: compile.Host{Privileged: true, LastCap: 40, HeldCaps: 1<<41 - 1},
		Init: namespace.Init{Pid: 77, Pidfd: 9, Flags: unix.CLONE_NEWNS | unix.CLONE_NEWUTS, OwnRoot: true}}
	p, tasks, err := compile.Exec(in)
	if err != nil {
		t.Fatal(err)
	}
	e := in.Expect(tasks)
	if _, err := verify.Program(p, e); err != nil {
		explain(t, p, err)
	}
	changed := 0
	for _, code := range [...][]program.Instr{p.Parent, p.Child} {
		for pc := range code {
			off, ok := code[pc].Args[1].Addr()
			if path, _ := p.CString(off); ok && code[pc].NR == unix.SYS_OPENAT && path == "/proc/77/root" {
				copy(p.Data(off, 13), "/proc/01/root")
				changed++
			}
		}
	}
	if changed == 0 {
		t.Fatal("no root directory is opened")
	}
	refused(t, p, e, verify.RootChange)
}
