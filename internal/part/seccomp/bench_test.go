package seccomp

import (
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkCompileDocker compiles Docker's default profile, with its three
// architectures.
func BenchmarkCompileDocker(b *testing.B) {
	s := readProfile(b, "docker")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(s, "amd64"); err != nil {
			b.Fatal(err)
		}
	}
}

// TestCompileAllocatesLittle holds the allocations of Docker's profile.
func TestCompileAllocatesLittle(t *testing.T) {
	s := readProfile(t, "docker")
	n := testing.AllocsPerRun(10, func() {
		if _, err := Compile(s, "amd64"); err != nil {
			t.Fatal(err)
		}
	})
	if n > 200 {
		t.Errorf("%v allocations, want at most 200", n)
	}
}

// TestHotCallsAreCheap holds the number of instructions that hot calls take in
// Docker's profile, and logs the table of docs/seccomp.md.
func TestHotCallsAreCheap(t *testing.T) {
	s := readProfile(t, "docker")
	f, err := Compile(s, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	steps := func(program []unix.SockFilter, name string) int {
		slot, ok := colX8664.slot(findRow(name))
		if !ok {
			t.Fatalf("no call %s", name)
		}
		v, n := run(program, &Data{Number: int32(slot), Arch: unix.AUDIT_ARCH_X86_64}, false)
		if v != unix.SECCOMP_RET_ALLOW && name != "clone3" && name != "mount" {
			t.Errorf("%s: %#x", name, v)
		}
		return n
	}
	names := []string{"read", "write", "close", "openat", "mmap", "futex", "epoll_wait", "recvfrom", "sendto", "newfstatat", "statx", "clone", "clone3", "socket", "execve", "personality", "rseq", "mount"}
	for _, name := range names {
		if n := steps(f.Program, name); n > 14 && name != "socket" && name != "clone" && name != "personality" {
			t.Errorf("%s: %d instructions, want at most 14", name, n)
		}
	}
	l := newLibrary(t)
	linear, refused := l.filter(t, s, "amd64", false)
	if refused != "" {
		t.Fatal(refused)
	}
	tree, refused := l.filter(t, s, "amd64", true)
	if refused != "" {
		t.Fatal(refused)
	}
	t.Logf("%-12s %5s %6s %5s", "call", "ours", "linear", "tree")
	for _, name := range names {
		t.Logf("%-12s %5d %6d %5d", name, steps(f.Program, name), steps(linear, name), steps(tree, name))
	}
	t.Logf("%-12s %5d %6d %5d", "program", len(f.Program), len(linear), len(tree))
}
