//go:build !plain && !race

#include "textflag.h"

// func cloneThread(flags uintptr, stack unsafe.Pointer, tid *uint32) uintptr
//
// Both threads return from the system call, each on its stack. On top of that of
// the new one lies the argument of threadMain, where a call expects it.
//
// What is assumed: nothing of Go's looks at g, in R14 or by TLS, on the new thread.
// Both are those of the calling thread: without CLONE_SETTLS the kernel leaves FS as
// it is, and the step from here to threadMain (ABI0 to ABIInternal) loads R14 by it.
// The functions called are nosplit, take no signal, and return to nothing. The stack
// is aligned to 16 by the caller; Go asks for 8.
TEXT ·cloneThread(SB),NOSPLIT,$0-32
	MOVQ	flags+0(FP), DI
	MOVQ	stack+8(FP), SI
	XORL	DX, DX // parent_tid
	MOVQ	tid+16(FP), R10
	XORL	R8, R8 // tls
	MOVL	$56, AX // clone
	SYSCALL
	TESTQ	AX, AX
	JZ	thread
	MOVQ	AX, ret+24(FP)
	RET
thread:
	XORL	BP, BP
	CALL	·threadMain(SB)
	INT	$3

// func loadAcquire(p *uint32) uint32
//
// Loads are in order here, and so are stores.
TEXT ·loadAcquire(SB),NOSPLIT,$0-12
	MOVQ	p+0(FP), AX
	MOVL	(AX), AX
	MOVL	AX, ret+8(FP)
	RET

// func storeRelease(p *uint32, v uint32)
TEXT ·storeRelease(SB),NOSPLIT,$0-12
	MOVQ	p+0(FP), AX
	MOVL	v+8(FP), CX
	MOVL	CX, (AX)
	RET
