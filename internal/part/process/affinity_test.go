package process

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unsafe"

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

func TestParseList(t *testing.T) {
	for _, c := range []struct{ list, want string }{
		{"", "[]"}, {"0", "[0]"}, {"0-3,7", "[0 1 2 3 7]"}, {"7,0-1", "[0 1 7]"}, {" 5 , 9", "[5 9]"}, {"63-64,127", "[63 64 127]"},
		{"128", ""}, {"-1", ""}, {"1-", ""}, {"3-1", ""}, {"0,,1", ""}, {"a", ""}, {"+1", ""}, {"1-2-3", ""}, {"99999999999999999999", ""}, {",", ""},
	} {
		mask, err := ParseList(c.list, 128)
		if (err == nil) != (c.want != "") {
			t.Errorf("%q: %v", c.list, err)
		}
		if err == nil && fmt.Sprint(members(mask)) != c.want {
			t.Errorf("%q: %v, want %s", c.list, members(mask), c.want)
		}
	}
}

// members reads a mask as the kernel does, by x/sys.
func members(mask []byte) (out []int) {
	var set unix.CPUSet
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&set)), unsafe.Sizeof(set)), mask)
	for i := range len(mask) * 8 {
		if set.IsSet(i) {
			out = append(out, i)
		}
	}
	return out
}

func FuzzParseList(f *testing.F) {
	for _, s := range []string{"", "0-3,7", "1023", "1,1,1", "5-2", "0-1023"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		mask, err := ParseList(s, 1024)
		if err != nil {
			return
		}
		// What it stands for, written out, parses to the same.
		text := strings.Trim(strings.ReplaceAll(fmt.Sprint(members(mask)), " ", ","), "[]")
		again, err := ParseList(text, 1024)
		if err != nil || string(again) != string(mask) {
			t.Errorf("%q gives %v, which gives %v, %v", s, members(mask), members(again), err)
		}
	})
}
