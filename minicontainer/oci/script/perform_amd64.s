#include "textflag.h"

// The program that performs a script. It is never called: its bytes are copied
// into an executable of its own (image.go), so it names no address outside of
// itself, has no frame and needs no Go.
//
//	R12  the call at hand: sixteen words, see encode.go
//	R13  its bits for arguments that are to be loaded
//
// Word n of the call lies at 8*n.
TEXT ·performer(SB), NOSPLIT|NOFRAME, $0
	MOVQ $(0x600000+128), R12 // behind the header: the first call

call:
	MOVQ 72(R12), BX // unless: the address of an earlier result
	TESTQ BX, BX
	JZ load
	CMPQ (BX), $0
	JGE next

load:
	MOVQ 56(R12), R13
	MOVQ 8(R12), DI
	BTQ $0, R13
	JCC second
	MOVQ (DI), DI
second:
	MOVQ 16(R12), SI
	BTQ $1, R13
	JCC third
	MOVQ (SI), SI
third:
	MOVQ 24(R12), DX
	BTQ $2, R13
	JCC fourth
	MOVQ (DX), DX
fourth:
	MOVQ 32(R12), R10 // the fourth is in R10, not CX: the call overwrites CX
	BTQ $3, R13
	JCC fifth
	MOVQ (R10), R10
fifth:
	MOVQ 40(R12), R8
	BTQ $4, R13
	JCC sixth
	MOVQ (R8), R8
sixth:
	MOVQ 48(R12), R9
	BTQ $5, R13
	JCC make
	MOVQ (R9), R9

make:
	MOVQ (R12), AX
	CMPQ AX, $-1
	JEQ jump
	SYSCALL
	MOVQ AX, 64(R12) // the result
	TESTQ AX, AX
	JGT next
	JEQ end
	MOVQ AX, BX
	NEGQ BX
	CMPQ BX, 80(R12) // an errno that is allowed?
	JEQ next
	CMPQ BX, 88(R12)
	JEQ next
	JMP fail

end:
	CMPQ 96(R12), $0 // zero is fine unless it is an end of file that was not to come
	JNE fail

next:
	ADDQ $128, R12
	JMP call

jump:
	MOVQ DI, R12
	JMP call

fail:
	// sendto(wire, frame, 16, MSG_NOSIGNAL): its length of 12 bytes, a zero byte
	// and the call's index, and the result.
	PUSHQ AX
	MOVQ 104(R12), BX
	SHLQ $40, BX
	ORQ $12, BX
	PUSHQ BX
	MOVQ $0x600000, BX
	MOVQ (BX), DI
	MOVQ SP, SI
	MOVQ $16, DX
	MOVQ $0x4000, R10
	XORL R8, R8
	XORL R9, R9
	MOVQ $44, AX
	SYSCALL
	TESTQ AX, AX
	JGT exit
	// Nobody listens any more: the call's name goes to standard error, with the
	// errno in the three digits before the end of its line.
	MOVQ 112(R12), SI
	MOVQ 120(R12), BX
	LEAQ -2(SI)(BX*1), DI
	MOVQ 64(R12), AX
	NEGQ AX
	MOVQ $10, CX
	MOVQ $3, R8
digit:
	XORL DX, DX
	DIVQ CX
	ADDQ $0x30, DX
	MOVB DX, (DI)
	DECQ DI
	DECQ R8
	JNZ digit
	MOVQ $2, DI
	MOVQ BX, DX
	MOVQ $1, AX
	SYSCALL

exit:
	MOVQ $1, DI
	MOVQ $231, AX // exit_group
	SYSCALL
	JMP exit

// performerEnd marks where the program ends.
TEXT ·performerEnd(SB), NOSPLIT|NOFRAME, $0
	RET

// func bounds() (start, end uintptr)
TEXT ·bounds(SB), NOSPLIT, $0-16
	LEAQ ·performer(SB), AX
	MOVQ AX, start+0(FP)
	LEAQ ·performerEnd(SB), AX
	MOVQ AX, end+8(FP)
	RET
