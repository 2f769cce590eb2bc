package compile

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/hutch-project/hutch/internal/part/seccomp"
	"github.com/hutch-project/hutch/internal/program"
	"github.com/hutch-project/hutch/internal/program/call"
)

// loadFilter emits the loading of the seccomp filter. With SCMP_ACT_NOTIFY the
// process sends the listener's descriptor. Where the profile does not let it, since the
// call would wait for the agent who is not there yet, it tells before what number the
// descriptor will have: the parent takes it, which needs CAP_SYS_PTRACE.
//
// Source: seccomp(2), SECCOMP_SET_MODE_FILTER.
func loadFilter(b *program.Builder, seccompFilter *seccomp.Filter) {
	b = b.Element(program.T("linux.seccomp")).Doing(program.T("load the filter"))
	// struct sock_fprog: a length of 16 bits, then, aligned, the address.
	const word = strconv.IntSize / 8
	var head [2 * word]byte
	binary.NativeEndian.PutUint16(head[:], uint16(len(seccompFilter.Program)))
	mem := b.Bytes(head[:])
	b.Pointer(mem, word, b.Bytes(sockFilters(seccompFilter)))
	flags := seccompFilter.Flags
	if seccompFilter.Notify {
		flags |= unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	}
	switch {
	case seccompFilter.Notify && allows(seccompFilter, unix.SYS_SENDMSG):
		listener := call.SeccompFilter(b, uint64(flags), mem).Fd()
		b.Doing(program.T("hand over the listener")).TellFd(Loading, 0, listener)
		return
	case seccompFilter.Notify:
		next := b.Reg()
		step := b.Step(program.T("look for the number of the listener's descriptor"))
		call.Dup(step, call.In(b.Sync())).To(next)
		call.Close(b, call.In(next))
		step.Tell(Loading, next)
	}
	call.SeccompFilter(b, uint64(flags), mem)
}

// sockFilters returns the instructions of f as the kernel takes them, struct sock_filter.
func sockFilters(f *seccomp.Filter) []byte {
	code := make([]byte, 0, 8*len(f.Program))
	for _, i := range f.Program {
		code = binary.NativeEndian.AppendUint16(code, i.Code)
		code = append(code, i.Jt, i.Jf)
		code = binary.NativeEndian.AppendUint32(code, i.K)
	}
	return code
}

// allows reports whether f lets the process make a call, whatever the arguments are.
func allows(f *seccomp.Filter, nr uintptr) bool {
	for _, rest := range [...]uint64{0, 1, ^uint64(0)} {
		d := &seccomp.Data{Number: int32(nr), Arch: seccomp.AuditArch(runtime.GOARCH), Args: [6]uint64{rest, rest, rest, rest, rest, rest}}
		if v := f.Verdict(d) & unix.SECCOMP_RET_ACTION_FULL; v != unix.SECCOMP_RET_ALLOW && v != unix.SECCOMP_RET_LOG {
			return false
		}
	}
	return true
}

// filter compiles linux.seccomp, or reads raw, which stands for it where it is not empty:
// of the profile counts listenerPath alone then.
func filter(profile *specs.LinuxSeccomp, raw string) (*seccomp.Filter, error) {
	if raw != "" {
		return seccomp.Raw(raw, profile != nil && profile.ListenerPath != "")
	}
	if profile == nil {
		return nil, nil
	}
	f, err := seccomp.Compile(profile, runtime.GOARCH)
	if err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	return f, nil
}
