#include "textflag.h"

// func cloneSharing(args *cloneArgs, size uintptr) (pid uintptr, errno uintptr)
//
// clone3(2) for a child that runs on the caller's own stack while the caller
// stands still. What the child calls overwrites the stack below the caller's
// frame, the place of this function's return address too; so that is kept in a
// register, of which each of the two has its own.
TEXT ·cloneSharing(SB), NOSPLIT|NOFRAME, $0-32
	MOVQ args+0(FP), DI
	MOVQ size+8(FP), SI
	POPQ R12
	MOVQ $435, AX // clone3
	SYSCALL
	PUSHQ R12
	CMPQ AX, $0xfffffffffffff001
	JCC failed
	MOVQ AX, pid+16(FP)
	MOVQ $0, errno+24(FP)
	RET

failed:
	NEGQ AX
	MOVQ $-1, pid+16(FP)
	MOVQ AX, errno+24(FP)
	RET
