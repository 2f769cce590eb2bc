package verify

import (
	"testing"
	"unsafe"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/calls"
	"github.com/hutch-project/hutch/internal/program"
)

// walkerOf returns a walker at the beginning of what emit builds.
func walkerOf(t *testing.T, emit func(b *program.Builder)) (*walker, *state) {
	t.Helper()
	b := program.New()
	emit(b)
	p, err := b.Program()
	if err != nil {
		t.Fatal(err)
	}
	w := newWalker(p, &Expect{Kind: Exec, Spec: &specs.Spec{}, Notify: true})
	w.code = p.Child
	return w, w.begin()
}

// Each call that opens a descriptor by the table is one whose descriptor the verifier
// follows: what it does not know of could be left open for the container.
func TestEachDescriptorIsFollowed(t *testing.T) {
	n := 0
	for nr := range calls.Limit() {
		c := calls.Of(nr)
		if c == nil {
			continue
		}
		for _, second := range []uint64{0, unix.TIOCGPTPEER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER} {
			w, s := walkerOf(t, func(b *program.Builder) {
				var args []program.Arg
				fd := b.RegOf(-1)
				b.Sys(unix.SYS_OPENAT, program.Imm(unix.AT_FDCWD), b.Str("/host"), program.Imm(unix.O_PATH)).To(fd)
				for i := range c.Len() {
					switch c.Arg(i) {
					case calls.Fd, calls.Dir:
						args = append(args, program.Val(fd))
					case calls.Path, calls.Str:
						args = append(args, b.Str("name"))
					case calls.How:
						args = append(args, program.Struct(b, &unix.OpenHow{Flags: unix.O_PATH}).Arg())
					case calls.MountAttr:
						args = append(args, program.Struct(b, &unix.MountAttr{}).Arg())
					case calls.Ioctl, calls.SeccompFlag:
						args = append(args, program.Imm(second))
					default:
						args = append(args, program.Imm(24))
					}
				}
				b.Sys(uintptr(nr), args...).Fd()
			})
			in := &w.code[1]
			if !in.GivesFd() {
				continue
			}
			n++
			w.set(s, w.reg(w.code[0].Dst), w.apply(s, 0, &w.code[0]))
			if w.follow(s, 1, in, w.apply(s, 1, in)); w.fail != nil {
				t.Errorf("%s: %v", c.Name, w.fail)
			}
		}
	}
	if n < 15 {
		t.Errorf("only %d calls open a descriptor; the test would prove nothing", n)
	}
}

func TestADescriptorThatIsNotFollowedIsRefused(t *testing.T) {
	w, s := walkerOf(t, func(b *program.Builder) {
		b.Sys(unix.SYS_OPENAT, program.Imm(unix.AT_FDCWD), b.Str("/host"), program.Imm(unix.O_PATH)).Fd()
	})
	if w.follow(s, 0, &w.code[0], value{k: kPos}); w.fail == nil || w.fail.Rule != Known {
		t.Errorf("%v", w.fail)
	}
}

// What the kernel writes is not known beforehand: as much as the call says, and all that
// lies behind where it does not say.
func TestWhatACallWrites(t *testing.T) {
	var m program.Mem
	var n program.Reg
	for _, c := range []struct {
		name string
		emit func(b *program.Builder)
		want func(w *walker) uint32
	}{
		{"read", func(b *program.Builder) {
			b.Sys(unix.SYS_READ, program.Imm(0), m.Arg(), program.Imm(5))
		}, func(*walker) uint32 { return 5 }},
		{"read as many as a register says", func(b *program.Builder) {
			b.Sys(unix.SYS_READ, program.Imm(0), m.Arg(), program.Val(n))
		}, func(w *walker) uint32 { return w.p.Size() }},
		{"read more than there is", func(b *program.Builder) {
			b.Sys(unix.SYS_READ, program.Imm(0), m.Arg(), program.Imm(uint64(1<<40|1)))
		}, func(w *walker) uint32 { return w.p.Size() }},
		{"the usage of wait4", func(b *program.Builder) {
			b.Sys(unix.SYS_WAIT4, program.Imm(-1), program.Imm(0), program.Imm(0), m.Arg())
		}, func(*walker) uint32 { return uint32(unsafe.Sizeof(unix.Rusage{})) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, _ := walkerOf(t, func(b *program.Builder) {
				m, n = b.Zero(256), b.Reg()
				c.emit(b)
			})
			got := w.outputs(&w.code[0])
			if len(got) != 1 || got[0] != (span{m.Off, c.want(w)}) {
				t.Errorf("%v, want %d bytes at %d", got, c.want(w), m.Off)
			}
		})
	}
}
