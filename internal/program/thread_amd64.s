#include "textflag.h"

// func cloneThread(flags uintptr, stack unsafe.Pointer, tid *uint32) uintptr
//
// Both threads return from the system call, each on its stack. On top of that of
// the new one lies the argument of threadMain.
TEXT ·cloneThread(SB),NOSPLIT,$0-32
	MOVQ	flags+0(FP), DI
	MOVQ	stack+8(FP), SI
	XORL	DX, DX
	MOVQ	tid+16(FP), R10
	XORL	R8, R8
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
