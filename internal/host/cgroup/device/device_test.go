package device

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/bpf"
	"github.com/hutch-project/hutch/internal/cgroupfs"
	"github.com/hutch-project/hutch/tests/cgrouptest"
)

func rules(t testing.TB, texts ...string) *Rules {
	t.Helper()
	var list []specs.LinuxDeviceCgroup
	for _, s := range texts {
		list = append(list, cgrouptest.Rule(t, s))
	}
	d, err := New(list)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// want is the plain reading of the rules: each kind of access goes by the last
// rule that matches.
func (d *Rules) want(kind byte, major, minor int64, a access) bool {
	if a == 0 {
		for i, r := range d.rules {
			if r.allow && r.matches(kind, major, minor) && !d.hidden(i) {
				return true
			}
		}
		return d.all
	}
	for bit := mknod; bit <= write; bit <<= 1 {
		if a&bit == 0 {
			continue
		}
		ok := d.all
		for _, r := range d.rules {
			if r.matches(kind, major, minor) && r.access&bit != 0 {
				ok = r.allow
			}
		}
		if !ok {
			return false
		}
	}
	return true
}

func (d *rule) matches(kind byte, major, minor int64) bool {
	return (d.kind == 'a' || d.kind == kind) && (d.major == Every || d.major == major) && (d.minor == Every || d.minor == minor)
}

// execute runs a program as the kernel does, for the instructions that there
// are. It refuses what the kernel's check refuses: a jump out of the program or
// back, a register that was not set, and code that is never reached.
func execute(t testing.TB, prog []bpf.Insn, accessType, major, minor uint32) uint32 {
	t.Helper()
	var regs [7]uint32
	set := [7]bool{1: true}
	ctx := [3]uint32{accessType, major, minor}
	for pc := 0; ; pc++ {
		if pc < 0 || pc >= len(prog) {
			t.Fatalf("the program runs out at %d of %d", pc, len(prog))
		}
		in := prog[pc]
		dst, src := in.Registers()
		used := func(r bpf.Reg) uint32 {
			if !set[r] {
				t.Fatalf("%d: register %d is used before it is set", pc, r)
			}
			return regs[r]
		}
		switch in.Code {
		case 0x61:
			if src != bpf.R1 || in.Off%4 != 0 || in.Off < 0 || in.Off > 8 {
				t.Fatalf("%d: load from %d + %d", pc, src, in.Off)
			}
			regs[dst] = ctx[in.Off/4]
		case 0xbc:
			regs[dst] = used(src)
		case 0xb4:
			regs[dst] = uint32(in.Imm)
		case 0x54:
			regs[dst] = used(dst) & uint32(in.Imm)
		case 0x4c:
			regs[dst] = used(dst) | used(src)
		case 0x64:
			regs[dst] = used(dst) << in.Imm
		case 0x74:
			regs[dst] = used(dst) >> in.Imm
		case 0x16, 0x56:
			if in.Off < 0 {
				t.Fatalf("%d: jump back", pc)
			}
			if (used(dst) == uint32(in.Imm)) == (in.Code == 0x16) {
				pc += int(in.Off)
			}
			continue
		case 0x95:
			return used(bpf.R0)
		default:
			t.Fatalf("%d: code %#x", pc, in.Code)
		}
		set[dst] = true
	}
}

func allowed(t testing.TB, prog []bpf.Insn, kind byte, major, minor int64, a access) bool {
	t.Helper()
	return execute(t, prog, uint32(a)<<16|uint32(kindNumber(kind)), uint32(major), uint32(minor)) == 1
}

func TestDeviceProgram(t *testing.T) {
	for _, c := range []struct {
		name  string
		rules []string
		yes   string // "c 1:3 rw, …"
		no    string
	}{
		{"no rules leave the default devices", nil,
			"c 1:3 rw, c 1:3 m, c 1:5 rw, c 136:7 rw, c 10:200 rw, c 5:2 rw, b 8:0 m, c 99:99 m", "b 8:0 r, c 10:229 rw, c 1:1 r, c 5:1 w"},
		{"allow list", []string{"deny a rwm", "allow c 10:229 rw"}, "c 10:229 rw, c 10:229 r, c 10:229 m", "c 10:228 r, b 10:229 r"},
		{"wildcard minor", []string{"deny a rwm", "allow b 8:* r"}, "b 8:0 r, b 8:15 r", "b 8:0 w, b 9:0 r, c 8:0 r"},
		{"wildcard major", []string{"deny a rwm", "allow b *:3 r"}, "b 8:3 r, b 9:3 r", "b 8:4 r"},
		{"kinds of access add up", []string{"deny a rwm", "allow c *:* r", "allow c 20:1 w"}, "c 20:1 rw, c 20:2 r", "c 20:2 rw"},
		{"all", []string{"allow a rwm"}, "c 10:229 rw, b 8:0 rw", ""},
		{"all but one kind of access", []string{"allow a rwm", "deny c 20:1 w"}, "c 20:1 r, c 20:2 w", "c 20:1 w, c 20:1 rw"},
		{"the last rule wins", []string{"deny a rwm", "allow c 20:* rw", "deny c 20:1 rw", "allow c 20:1 r"}, "c 20:0 rw, c 20:1 r", "c 20:1 w"},
		{"type a with numbers is both types", []string{"deny a rwm", "allow a 20:1 rw"}, "c 20:1 rw, b 20:1 r", "c 20:2 r"},
		{"a rule for all makes a new start", []string{"allow c 20:1 rw", "deny a rwm"}, "", "c 20:1 r"},
		{"docker denies fuse, making the node stays", []string{"deny a rwm", "allow c 5:1 rwm", "deny c 10:229 rwm"}, "c 10:229 m, c 5:1 rw", "c 10:229 rw"},
		{"largest number", []string{"deny a rwm", "allow c 4095:1048575 r"}, "c 4095:1048575 r", "c 4095:0 r"},
		{"numbers that no device has", []string{"deny a rwm", "allow c 4096:0 r", "allow c 1:1048576 r"}, "", "c 0:0 r, c 2:0 r"},
		{"the same as a default rule", []string{"deny a rwm", "allow c 1:3 rw", "deny c 1:3 r"}, "c 1:3 rw, c 1:3 m", ""},
		{"a type without rules is open", []string{"allow a rwm", "deny c *:* rwm"}, "b 8:0 rw, c 1:3 rw", "c 10:229 r"},
		{"a rule for all of a type", []string{"deny a rwm", "allow b *:* rwm"}, "b 8:0 rw, b 9:9 m", "c 10:229 r"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := rules(t, c.rules...)
			prog := d.program()
			for _, side := range []struct {
				list string
				want bool
			}{{c.yes, true}, {c.no, false}} {
				for one := range strings.SplitSeq(side.list, ", ") {
					if one == "" {
						continue
					}
					r := rules(t, "deny a rwm", "allow "+one).rules[0]
					if got := allowed(t, prog, r.kind, r.major, r.minor, r.access); got != side.want {
						t.Errorf("%s: allowed %v, want %v", one, got, side.want)
					}
				}
			}
		})
	}
}

// TestDeviceProgramIsThePlainReading compares random rules with their plain
// reading, on v1's list too.
func TestDeviceProgramIsThePlainReading(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	number := func() int64 { return rnd.Int64N(4) - 1 }
	for range 3000 {
		d := &Rules{all: rnd.IntN(2) == 0}
		for range rnd.IntN(6) {
			d.rules = append(d.rules, rule{"abc"[rnd.IntN(3)], number(), number(), 1 + access(rnd.IntN(7)), rnd.IntN(2) == 0, "f"})
		}
		prog := d.program()
		list, err := d.exceptions()
		for _, kind := range []byte{'b', 'c'} {
			for n := range int64(9) {
				for _, a := range []access{0, mknod, read, write, read | write} { // what the kernel asks for
					want := d.want(kind, n/3, n%3, a)
					if got := allowed(t, prog, kind, n/3, n%3, a); got != want {
						t.Fatalf("%+v: %c %d:%d %q: allowed %v, want %v", d, kind, n/3, n%3, a, got, want)
					}
					if err != nil || a&(a-1) != 0 || a == 0 {
						continue // v1 judges mixed access by single rules
					}
					e := Entry{kind, n / 3, n % 3, a}
					hit := slices.ContainsFunc(list, func(o Entry) bool { return o.covers(&e) && o.access&a == a })
					if got := hit != d.all; got != want {
						t.Fatalf("%+v: v1: %s: allowed %v, want %v, list %v", d, &e, got, want, list)
					}
				}
			}
		}
	}
}

// TestTheKernelTakesThePrograms loads random ones: the kernel refuses code that is
// never reached.
func TestTheKernelTakesThePrograms(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		d := &Rules{all: rnd.IntN(2) == 0}
		for range rnd.IntN(6) {
			d.rules = append(d.rules, rule{"abc"[rnd.IntN(3)], rnd.Int64N(3) - 1, rnd.Int64N(3) - 1, 1 + access(rnd.IntN(7)), rnd.IntN(2) == 0, ""})
		}
		fd, err := load(d.program())
		if cgroupfs.IsPermission(err) {
			t.Skip("needs CAP_BPF")
		}
		if err != nil {
			t.Fatalf("%+v: %v", d, err)
		}
		unix.Close(fd)
	}
}

func TestDeviceRulesAreChecked(t *testing.T) {
	for _, c := range []struct {
		rule specs.LinuxDeviceCgroup
		want string
	}{
		{specs.LinuxDeviceCgroup{Type: "p", Access: "r"}, `linux.resources.devices[0].type: "p": give a, b or c`},
		{specs.LinuxDeviceCgroup{Type: "c"}, "linux.resources.devices[0].access: is empty"},
		{specs.LinuxDeviceCgroup{Type: "c", Access: "xy"}, `linux.resources.devices[0].access: "xy": give a composition of r, w and m`},
		{specs.LinuxDeviceCgroup{Type: "c", Access: "r", Major: new(int64(1 << 32))}, "linux.resources.devices[0].major: 4294967296 is not"},
		{specs.LinuxDeviceCgroup{Type: "c", Access: "r", Minor: new(int64(-2))}, "linux.resources.devices[0].minor: -2 is not"},
	} {
		_, err := New([]specs.LinuxDeviceCgroup{c.rule})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.rule, err, c.want)
		}
	}
}

func TestDeviceWritesV1(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after []string
		want          string // an error with "!"
	}{
		{"from unknown to an allow list", nil, []string{"deny a rwm", "allow c 10:229 rw"}, "-a +c 10:229 rw"},
		{"numbers merge", nil, []string{"deny a rwm", "allow c 10:229 r", "allow c 10:229 w"}, "-a +c 10:229 rw"},
		{"all", nil, []string{"allow a rwm"}, "+a"},
		{"all but one", nil, []string{"allow a rwm", "deny c 10:229 w"}, "+a -c 10:229 w"},
		{"type a with numbers", nil, []string{"deny a rwm", "allow a 20:1 r"}, "-a +b 20:1 r +c 20:1 r"},
		{"one more, one less", []string{"deny a rwm", "allow c 20:1 rw"}, []string{"deny a rwm", "allow c 20:2 rw", "allow c 20:1 r"},
			"-c 20:1 w +c 20:2 rw"},
		{"no change", []string{"deny a rwm"}, []string{"deny a rwm"}, ""},
		{"from all", []string{"allow a rwm"}, []string{"deny a rwm"}, "-a"},
		{"a hole", nil, []string{"deny a rwm", "allow c 20:* rw", "deny c 20:1 rw"}, "!linux.resources.devices[2]: c 20:1 rw is a part of a wider rule"},
		{"denying what nothing allows, as docker does", nil, []string{"deny a rwm", "deny c 10:229 rwm"}, "-a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before *Rules
			if c.before != nil {
				before = rules(t, c.before...)
			}
			writes, err := rules(t, c.after...).writesFrom(before)
			if want, ok := strings.CutPrefix(c.want, "!"); ok {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Fatalf("got %v, want %q", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range writes {
				isDefault := slices.ContainsFunc(defaults[:], func(d rule) bool {
					e := Entry{d.kind, d.major, d.minor, d.access}
					return w.text == e.String()
				})
				if isDefault && w.allow {
					continue
				}
				got = append(got, map[bool]string{true: "+", false: "-"}[w.allow]+w.text)
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got %q, want %q", s, c.want)
			}
		})
	}
}

func TestDefaultsAreRules(t *testing.T) {
	list := Defaults()
	d, err := New(list)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(d.rules); n != 2*len(list) {
		t.Errorf("%d rules, want %d", n, 2*len(list))
	}
	for i, r := range d.rules[:len(list)] {
		if r.field = ""; r != defaults[i] {
			t.Errorf("rule %d: %+v, want %+v", i, r, defaults[i])
		}
	}
}

// TestUnknownAccessIsLeftOut: of "rwa" r and w count.
func TestUnknownAccessIsLeftOut(t *testing.T) {
	of := func(access string) *Rules {
		t.Helper()
		l, err := New([]specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}, {Allow: true, Type: "c", Access: access}})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if !of("rwa").Equal(of("wr")) || of("rwa").Equal(of("rwm")) {
		t.Error("rwa is not rw")
	}
}
