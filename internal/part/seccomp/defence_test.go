package seccomp

import (
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// TestArgumentsAreComparedWhole: what differs in the upper half of an argument is no
// match, wherever the condition stands.
func TestArgumentsAreComparedWhole(t *testing.T) {
	const value = 1<<32 | 2
	for _, test := range []struct {
		op           specs.LinuxSeccompOperator
		a, b         uint64 // for masked comparisons a is the mask
		hits, misses []uint64
	}{
		{specs.OpEqualTo, value, 0, []uint64{value}, []uint64{2, 1 << 32, 2<<32 | 2}},
		{specs.OpNotEqual, value, 0, []uint64{2, 1 << 32, 2<<32 | 2}, []uint64{value}},
		{specs.OpMaskedEqual, 1 << 32, 1 << 32, []uint64{value, 3 << 32}, []uint64{2, 2 << 32}},
		{specs.OpGreaterThan, value, 0, []uint64{value + 1, 2 << 32}, []uint64{value, 3}},
		{specs.OpGreaterEqual, value, 0, []uint64{value, 2 << 32}, []uint64{value - 1, 3}},
		{specs.OpLessThan, value, 0, []uint64{value - 1, 3}, []uint64{value, 2 << 32}},
		{specs.OpLessEqual, value, 0, []uint64{value, 3}, []uint64{value + 1, 2 << 32}},
	} {
		for index := range uint(2) {
			args := []specs.LinuxSeccompArg{{Index: index, Op: test.op, Value: test.a, ValueTwo: test.b}}
			if index == 1 {
				args = append([]specs.LinuxSeccompArg{{Index: 0, Op: specs.OpEqualTo, Value: 7}}, args...)
			}
			f, err := Compile(&specs.LinuxSeccomp{
				DefaultAction: specs.ActErrno,
				Syscalls:      []specs.LinuxSyscall{{Names: []string{"getpid"}, Action: specs.ActAllow, Args: args}},
			}, "amd64")
			if err != nil {
				t.Fatal(err)
			}
			allowed := func(arg uint64) bool {
				d := &Data{Number: 39, Arch: AuditArch("amd64")}
				d.Args[0], d.Args[index] = 7, arg
				return f.Verdict(d) == unix.SECCOMP_RET_ALLOW
			}
			for _, arg := range test.hits {
				if !allowed(arg) {
					t.Errorf("%s, argument %d: %#x is refused", test.op, index, arg)
				}
			}
			for _, arg := range test.misses {
				if allowed(arg) {
					t.Errorf("%s, argument %d: %#x is allowed", test.op, index, arg)
				}
			}
		}
	}
}
