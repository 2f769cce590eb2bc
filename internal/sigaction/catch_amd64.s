//go:build !plain

#include "textflag.h"

// The handler. The kernel calls it as C does: the signal is in DI. It needs no
// register of Go's and no stack to speak of, and all registers are the kernel's to
// restore.
TEXT caught<>(SB),NOSPLIT|NOFRAME,$0
	PUSHQ	DI // its first byte is the signal
	MOVL	·writeEnd(SB), DI
	MOVQ	SP, SI
	MOVL	$1, DX
	MOVL	$1, AX // write
	SYSCALL
	POPQ	DI
	RET

TEXT restore<>(SB),NOSPLIT|NOFRAME,$0
	MOVL	$15, AX // rt_sigreturn
	SYSCALL
	INT	$3

// func handlers() (handler, restorer uintptr)
TEXT ·handlers(SB),NOSPLIT,$0-16
	LEAQ	caught<>(SB), AX
	MOVQ	AX, handler+0(FP)
	LEAQ	restore<>(SB), AX
	MOVQ	AX, restorer+8(FP)
	RET
