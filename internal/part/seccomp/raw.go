package seccomp

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/fault"
)

// Annotations of profiles.
//
// Source: crun(1).
const (
	// RawAnnotation has a filter as it goes to seccomp(2), in base64, in the place of
	// linux.seccomp.
	RawAnnotation = "run.oci.seccomp_bpf_data"
	// ReceiverAnnotation names the agent's socket, where linux.seccomp.listenerPath does not.
	ReceiverAnnotation = "run.oci.seccomp.receiver"
	// FailUnknownAnnotation has a profile refused that names system calls which are none.
	FailUnknownAnnotation = "run.oci.seccomp_fail_unknown_syscall"
)

// rawElement is what errors name.
const rawElement = "annotations[" + RawAnnotation + "]"

// Raw returns the filter of text, an array of struct sock_filter in this machine's byte order
// in base64. With notify it has a listener. What the kernel would refuse without a reason is
// refused with one.
//
// Source: seccomp(2), SECCOMP_SET_MODE_FILTER.
func Raw(text string, notify bool) (*Filter, error) {
	const size = 8 // of struct sock_filter
	data, err := base64.StdEncoding.DecodeString(text)
	n := len(data) / size
	switch {
	case err != nil:
		return nil, fault.New(rawElement, "is no base64: "+err.Error(), "encode the bytes of the filter, as base64(1) does")
	case n == 0 || len(data)%size != 0:
		return nil, fault.New(rawElement, fmt.Sprintf("%d bytes are no filter", len(data)), "give instructions of 8 bytes each, at least one")
	case n > unix.BPF_MAXINSNS:
		return nil, fault.New(rawElement, fmt.Sprintf("%d instructions are more than %d", n, unix.BPF_MAXINSNS), "make the filter shorter")
	}
	f := &Filter{Notify: notify, Program: make([]unix.SockFilter, n), big: bigEndian()}
	for i := range f.Program {
		b := data[i*size:]
		f.Program[i] = unix.SockFilter{Code: binary.NativeEndian.Uint16(b), Jt: b[2], Jf: b[3], K: binary.NativeEndian.Uint32(b[4:])}
	}
	for i := range f.Program {
		if what := f.wrong(i); what != "" {
			return nil, fault.New(rawElement, fmt.Sprintf("instruction %d %s", i, what), "see seccomp(2); is the filter of this machine's byte order?")
		}
	}
	return f, nil
}

func bigEndian() bool {
	name := native(runtime.GOARCH)
	for _, a := range arches() {
		if a.name == name {
			return a.big
		}
	}
	return false
}

// wrong returns what the kernel would not take of instruction i, "" for nothing.
//
// Source: linux/net/core/filter.c, bpf_check_classic; linux/kernel/seccomp.c,
// seccomp_check_filter.
func (f *Filter) wrong(i int) string {
	in, rest := &f.Program[i], len(f.Program)-1-i
	const sizeOfData, scratch, classes = 64, 16, 0x07
	unknown := fmt.Sprintf("has the code %#x, which seccomp does not have", in.Code)
	switch in.Code & classes {
	case unix.BPF_LD, unix.BPF_LDX:
		switch {
		case in.Code == unix.BPF_LD|unix.BPF_W|unix.BPF_ABS:
			if in.K%4 != 0 || in.K >= sizeOfData {
				return fmt.Sprintf("loads from offset %d, where struct seccomp_data has no word", in.K)
			}
		case in.Code&0xe0 == unix.BPF_MEM && in.K >= scratch:
			return fmt.Sprintf("loads from scratch memory %d of %d", in.K, scratch)
		case in.Code&0xe0 != unix.BPF_MEM && in.Code&0xe0 != unix.BPF_IMM && in.Code&0xe0 != unix.BPF_LEN || in.Code&0x18 != unix.BPF_W:
			return unknown
		}
	case unix.BPF_ST, unix.BPF_STX:
		if in.K >= scratch || in.Code > classes {
			return fmt.Sprintf("stores to scratch memory %d of %d", in.K, scratch)
		}
	case unix.BPF_JMP:
		last := max(int(in.Jt), int(in.Jf))
		if in.Code == unix.BPF_JMP|unix.BPF_JA {
			last = int(min(in.K, unix.BPF_MAXINSNS))
		}
		switch {
		case in.Code&0xf0 > unix.BPF_JSET:
			return unknown
		case last >= rest:
			return "jumps behind the end"
		}
	case unix.BPF_ALU:
		switch op := in.Code & 0xf0; {
		case op > unix.BPF_NEG && op != unix.BPF_XOR:
			return unknown
		case in.Code == unix.BPF_ALU|unix.BPF_DIV|unix.BPF_K && in.K == 0:
			return "divides by zero"
		case (op == unix.BPF_LSH || op == unix.BPF_RSH) && in.Code&unix.BPF_X == 0 && in.K >= 32:
			return fmt.Sprintf("shifts by %d", in.K)
		}
	case unix.BPF_RET:
		if in.Code != unix.BPF_RET|unix.BPF_K && in.Code != unix.BPF_RET|unix.BPF_A {
			return unknown
		}
		return ""
	case unix.BPF_MISC:
		if in.Code != unix.BPF_MISC|unix.BPF_TAX && in.Code != unix.BPF_MISC|unix.BPF_TXA {
			return unknown
		}
	}
	if rest == 0 {
		return "is the last, and returns nothing"
	}
	return ""
}
