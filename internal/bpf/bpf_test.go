package bpf

import (
	"errors"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestConstantsAreTheKernels(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want int
	}{
		{"class ALU", classALU, unix.BPF_ALU},
		{"class LDX", classLDX, unix.BPF_LDX},
		{"class JMP", classJMP, unix.BPF_JMP},
		{"class JMP32", classJMP32, unix.BPF_JMP32},
		{"mode", modeMEM, unix.BPF_MEM},
		{"size", sizeWord, unix.BPF_W},
		{"source", fromReg, unix.BPF_X},
		{"or", opOr, unix.BPF_OR},
		{"shift left", opLsh, unix.BPF_LSH},
		{"and", opAnd, unix.BPF_AND},
		{"shift", opRsh, unix.BPF_RSH},
		{"move", opMov, unix.BPF_MOV},
		{"equal", opJeq, unix.BPF_JEQ},
		{"not equal", opJne, unix.BPF_JNE},
		{"exit", opExit, unix.BPF_EXIT},
		{"size of an instruction", int(unsafe.Sizeof(Insn{})), 8},
	} {
		if c.got != c.want {
			t.Errorf("%s: %#x, want %#x", c.name, c.got, c.want)
		}
	}
	if dst, src := Move(R3, R5).Registers(); dst != R3 || src != R5 {
		t.Errorf("registers: %d, %d", dst, src)
	}
}

func TestLoadDevice(t *testing.T) {
	fd, err := LoadDevice([]Insn{MoveImm(R0, 1), Exit()}, "hutch_test")
	if errors.Is(err, unix.EPERM) {
		t.Skip("needs CAP_BPF")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor flags %#x, %v, want close-on-exec", flags, err)
	}
	if fd, err := LoadDevice([]Insn{MoveImm(R0, 1)}, "hutch_test"); err == nil {
		unix.Close(fd)
		t.Error("a program without an end was taken")
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if err := AttachDevice(int(null.Fd()), fd, -1); !errors.Is(err, unix.EBADF) {
		t.Errorf("attach to what is no cgroup: %v, want EBADF", err)
	}
}
