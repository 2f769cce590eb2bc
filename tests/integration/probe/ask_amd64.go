package main

import "golang.org/x/sys/unix"

// askDumpable has a process at the entry of a system call make prctl PR_GET_DUMPABLE
// instead, and then the call itself, at whose entry it stands again. It returns -1 when
// there was no answer.
//
// Source: ptrace(2), "Syscall-stops"; prctl(2).
func askDumpable(pid int) int {
	const sizeofSyscall = 2 // bytes of the instruction
	var own unix.PtraceRegs
	if unix.PtraceGetRegs(pid, &own) != nil {
		return -1
	}
	other := own
	other.Orig_rax, other.Rdi = unix.SYS_PRCTL, unix.PR_GET_DUMPABLE
	if unix.PtraceSetRegs(pid, &other) != nil || !toSyscallStop(pid) || unix.PtraceGetRegs(pid, &other) != nil {
		return -1
	}
	answer := int(other.Rax)
	again := own
	again.Rax, again.Orig_rax, again.Rip = own.Orig_rax, ^uint64(0), own.Rip-sizeofSyscall
	if unix.PtraceSetRegs(pid, &again) != nil || !toSyscallStop(pid) || answer < 0 {
		return -1
	}
	return answer
}

// toSyscallStop lets a process go on to its next system call stop.
func toSyscallStop(pid int) bool {
	for deliver := 0; ; {
		if unix.PtraceSyscall(pid, deliver) != nil {
			return false
		}
		var ws unix.WaitStatus
		if _, err := unix.Wait4(pid, &ws, unix.WALL, nil); err != nil || !ws.Stopped() {
			return false
		}
		if ws.StopSignal() == unix.SIGTRAP|0x80 {
			return true
		}
		if deliver = int(ws.StopSignal()); ws.TrapCause() > 0 {
			deliver = 0
		}
	}
}
