package seccomp

import (
	"bufio"
	"fmt"
	"io"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// library is a running testdata/libseccomp.c.
type library struct {
	in  io.WriteCloser
	out *bufio.Reader
}

// newLibrary builds and starts the helper. Without gcc or libseccomp's header it
// skips, or fails when HUTCH_REQUIRE_LIBSECCOMP is 1.
func newLibrary(tb testing.TB) *library {
	tb.Helper()
	binary := filepath.Join(tb.TempDir(), "libseccomp")
	build := exec.Command("gcc", "-O1", "-o", binary, "testdata/libseccomp.c", "-lseccomp")
	if out, err := build.CombinedOutput(); err != nil {
		if os.Getenv("HUTCH_REQUIRE_LIBSECCOMP") == "1" {
			tb.Fatalf("gcc testdata/libseccomp.c: %v: %s", err, out)
		}
		tb.Skipf("needs gcc and libseccomp's header (libseccomp-dev): %v", err)
	}
	cmd := exec.Command(binary)
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			tb.Errorf("the libseccomp helper: %v", err)
		}
	})
	return &library{in, bufio.NewReaderSize(out, 1<<16)}
}

// ask sends commands and returns the one line that they give.
func (l *library) ask(tb testing.TB, commands string) string {
	tb.Helper()
	if _, err := io.WriteString(l.in, commands); err != nil {
		tb.Fatal(err)
	}
	line, err := l.out.ReadString('\n')
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// token returns libseccomp's number of an architecture.
func token(a *arch) uint32 {
	if a.base == x32Bit {
		return a.audit &^ 0x80000000
	}
	return a.audit
}

// libraryKnows reports whether libseccomp 2.5.4 has the architecture.
func libraryKnows(a *arch) bool {
	switch a.name {
	case specs.ArchLOONGARCH64, specs.ArchM68K, specs.ArchSH, specs.ArchSHEB:
		return false
	}
	return true
}

// names returns an architecture's system calls as libseccomp has them.
func (l *library) names(t *testing.T, a *arch) map[string]uint32 {
	t.Helper()
	f := strings.Fields(l.ask(t, fmt.Sprintf("list %x\n", token(a))))
	names := map[string]uint32{}
	for i := 0; i < len(f); i += 2 {
		n, err := strconv.ParseUint(f[i+1], 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		names[f[i]] = uint32(n)
	}
	if len(names) < 300 {
		t.Fatalf("%s: libseccomp lists %d names", a.name, len(names))
	}
	return names
}

// allNames returns the names that libseccomp knows on any architecture.
func (l *library) allNames(t *testing.T) map[string]bool {
	all := map[string]bool{}
	for _, a := range arches() {
		if libraryKnows(&a) {
			for name := range l.names(t, &a) {
				all[name] = true
			}
		}
	}
	// libseccomp does not carry this call of ppc over from its stand-in on x86_64.
	delete(all, "sys_debug_setcontext")
	return all
}

// filter returns the filter that libseccomp makes as runc drives it, without runc's
// stub. refused is the reason when it makes none.
func (l *library) filter(tb testing.TB, s *specs.LinuxSeccomp, goarch string, tree bool) (program []unix.SockFilter, refused string) {
	tb.Helper()
	p := parse(s, goarch)
	if len(p.faults) > 0 {
		tb.Fatal(p.faults)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "filter %d %x ", map[bool]int{true: 1}[tree], p.deflt)
	for i := range p.arches {
		fmt.Fprintf(&b, "%x,", token(&p.arches[i]))
	}
	b.WriteByte('\n')
	for i, c := range s.Syscalls {
		if p.entries[i].skip {
			continue
		}
		for _, name := range c.Names {
			head := fmt.Sprintf("rule %x %s", p.entries[i].verdict, name)
			for _, conditions := range ruleLines(c.Args) {
				b.WriteString(head + conditions + "\n")
			}
		}
	}
	b.WriteString("end\n")
	answer := l.ask(tb, b.String())
	if strings.HasPrefix(answer, "error") {
		return nil, answer
	}
	f := strings.Fields(answer)
	for i := 0; i < len(f); i += 4 {
		var w [4]uint64
		var err error
		for j := range w {
			if w[j], err = strconv.ParseUint(f[i+j], 16, 32); err != nil {
				tb.Fatal(err)
			}
		}
		in := unix.SockFilter{Code: uint16(w[0]), Jt: uint8(w[1]), Jf: uint8(w[2]), K: uint32(w[3])}
		if p.arches[0].big {
			// The program is in the order of the kernel that it is for. On another
			// kernel some of the verdicts are not.
			in.Code = bits.ReverseBytes16(in.Code)
			if in.Code != unix.BPF_RET|unix.BPF_K || !p.gives(in.K) {
				in.K = bits.ReverseBytes32(in.K)
			}
		}
		program = append(program, in)
	}
	return program, ""
}

// gives reports whether the profile has the verdict.
func (p *profile) gives(verdict uint32) bool {
	return verdict == p.deflt || slices.ContainsFunc(p.entries, func(e entry) bool { return e.verdict == verdict })
}

// ruleLines returns the conditions of each rule that runc makes of an entry.
func ruleLines(args []specs.LinuxSeccompArg) []string {
	ops := []specs.LinuxSeccompOperator{"", specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo,
		specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpMaskedEqual}
	each := make([]string, len(args))
	count, twice := [6]int{}, false
	for i, a := range args {
		each[i] = fmt.Sprintf(" %x %x %x %x", a.Index, slices.Index(ops, a.Op), a.Value, a.ValueTwo)
		count[a.Index]++
		twice = twice || count[a.Index] > 1
	}
	if twice {
		return each
	}
	return []string{strings.Join(each, "")}
}
