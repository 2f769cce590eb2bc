//go:build !plain && !race

#include "textflag.h"

// func cloneThread(flags uintptr, stack unsafe.Pointer, tid *uint32) uintptr
//
// Both threads return from the system call, each on its stack. On top of that of
// the new one lies the argument of threadMain. The order of arguments is this
// architecture's: tls comes before child_tid.
//
// What is assumed: nothing of Go's looks at g on the new thread. It is the calling
// thread's, in R28, as is the register of TLS: without CLONE_SETTLS the kernel leaves
// that as it is. The functions called are nosplit, take no signal, and return to
// nothing. The stack pointer has to be a multiple of 16, which the caller sees to.
//
// Source: clone(2), "C library/kernel differences".
TEXT ·cloneThread(SB),NOSPLIT,$0-32
	MOVD	flags+0(FP), R0
	MOVD	stack+8(FP), R1
	MOVD	$0, R2 // parent_tid
	MOVD	$0, R3 // tls
	MOVD	tid+16(FP), R4
	MOVD	$220, R8 // clone
	SVC
	CBZ	R0, thread
	MOVD	R0, ret+24(FP)
	RET
thread:
	// A callee has its link register at 0(RSP) and its argument at 8(RSP).
	MOVD	(RSP), R0
	SUB	$16, RSP
	MOVD	R0, 8(RSP)
	MOVD	$0, R29 // frame pointer
	CALL	·threadMain(SB)
	BRK

// func loadAcquire(p *uint32) uint32
TEXT ·loadAcquire(SB),NOSPLIT,$0-12
	MOVD	p+0(FP), R0
	LDARW	(R0), R1
	MOVW	R1, ret+8(FP)
	RET

// func storeRelease(p *uint32, v uint32)
TEXT ·storeRelease(SB),NOSPLIT,$0-12
	MOVD	p+0(FP), R0
	MOVW	v+8(FP), R1
	STLRW	R1, (R0)
	RET
