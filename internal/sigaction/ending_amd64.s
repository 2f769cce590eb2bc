#include "textflag.h"

// The kernel has put the signal in DI.
TEXT ended<>(SB),NOSPLIT|NOFRAME,$0
	ADDL	$128, DI
	MOVL	$231, AX // exit_group
	SYSCALL
	INT	$3

// func ender() uintptr
TEXT ·ender(SB),NOSPLIT,$0-8
	LEAQ	ended<>(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
