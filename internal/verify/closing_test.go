package verify_test

import (
	"testing"

	"github.com/hutch-project/hutch/internal/compile"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/seat"
	"github.com/hutch-project/hutch/internal/template"
	"github.com/hutch-project/hutch/internal/verify"
)

// TestClosingThatLeavesDescriptorsIsRefused changes what closes descriptors one by one.
func TestClosingThatLeavesDescriptorsIsRefused(t *testing.T) {
	for name, change := range map[string]func(child []program.Instr, first, last int){
		"unchanged":             nil,
		"the last ends early":   func(child []program.Instr, _, last int) { child[last].Args[1] = program.Imm(200) },
		"the first begins late": func(child []program.Instr, first, _ int) { child[first].Args[0] = program.Imm(9) },
		"the last is empty":     func(child []program.Instr, _, last int) { child[last].Args[1] = child[last].Args[0] },
		"the last is missing":   func(child []program.Instr, first, last int) { child[last] = child[first] },
		"a bound is written":    func(child []program.Instr, first, last int) { writeBound(child, first, last) },
	} {
		t.Run(name, func(t *testing.T) {
			in := &compile.Input{Spec: template.Spec(), Rootfs: "/bundle/rootfs", Bundle: "/bundle", Keyring: "_ses.77", Fifo: true,
				Host: compile.Host{Privileged: true, LastCap: 40, HeldCaps: 1<<41 - 1, Denied: seat.Denied{CloseRange: true}}}
			out, err := compile.Compile(in)
			if err != nil {
				t.Fatal(err)
			}
			first, last := -1, -1
			for i := range out.Program.Child {
				if out.Program.Child[i].Op == program.OpClose {
					if first < 0 {
						first = i
					}
					last = i
				}
			}
			if first < 0 || first == last {
				t.Fatalf("descriptors are closed at %d to %d; want two instructions or more", first, last)
			}
			if change != nil {
				change(out.Program.Child, first, last)
			}
			if _, err := verify.Program(out.Program, in.Expect(out)); (err == nil) != (change == nil) {
				t.Errorf("%v; want it refused: %t", err, change != nil)
			}
		})
	}
}

// writeBound lets the last call before the closing whose result is not kept write the bound
// at which the closing ends.
func writeBound(child []program.Instr, first, last int) {
	end, _ := child[last].Args[1].Reg()
	for i := first - 1; i >= 0; i-- {
		if child[i].Op == program.OpSys && child[i].Dst == (program.Instr{}).Dst {
			child[i].Dst = end
			return
		}
	}
}
