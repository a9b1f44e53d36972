//go:build !purego

#include "textflag.h"

// The Internet checksum of RFC 1071: words of 32 bits are added to lanes of 64,
// which never overflow.
//
//	R0      next byte to read
//	R1      bytes left
//	R2      next byte to write
//	R3      last byte; result
//	R4      bytes left but for the last of an odd number
//	R5, R6  addresses for the last vector and byte; scratch
//	V0-V3   vectors just loaded
//	V4-V7   sums of their lower halves
//	V8-V11  sums of their upper halves

#define CLEAR(s0, s1) \
	VEOR s0.B16, s0.B16, s0.B16; \
	VEOR s1.B16, s1.B16, s1.B16

#define CLEAR_SUMS \
	CLEAR(V4, V5); \
	CLEAR(V6, V7); \
	CLEAR(V8, V9); \
	CLEAR(V10, V11)

// Adds the two words in each half of a vector to the sums.
#define ADD_VECTOR(vector, lower, upper) \
	VUADDW  vector.S2, lower.D2, lower.D2; \
	VUADDW2 vector.S4, upper.D2, upper.D2

#define ADD_FOUR \
	ADD_VECTOR(V0, V4, V8);  \
	ADD_VECTOR(V1, V5, V9);  \
	ADD_VECTOR(V2, V6, V10); \
	ADD_VECTOR(V3, V7, V11)

// Loads what is less than a vector: the last one that ends at an even offset,
// most of which was seen before, and the last byte.
#define LOAD_REST \
	AND   $~1, R1, R4;    \
	ADD   R0, R4, R5;     \
	SUB   $16, R5;        \
	VLD1  (R5), [V0.B16]; \
	ADD   R0, R1, R3;     \
	MOVBU -1(R3), R3

// Adds the vector without the bytes that were added before, and clears the last
// byte unless it is one of an odd number.
#define ADD_REST \
	MOVD $lastBytes<>(SB), R5;   \
	ADD  R4, R5;                 \
	VLD1 (R5), [V1.B16];         \
	VAND V1.B16, V0.B16, V0.B16; \
	ADD_VECTOR(V0, V4, V8);      \
	AND  $1, R1;                 \
	NEG  R1, R1;                 \
	AND  R1, R3

// Adds all sums and the last byte up in R3.
#define TOTAL \
	VADD  V8.D2, V4.D2, V4.D2;  \
	VADD  V9.D2, V5.D2, V5.D2;  \
	VADD  V10.D2, V6.D2, V6.D2; \
	VADD  V11.D2, V7.D2, V7.D2; \
	VADD  V5.D2, V4.D2, V4.D2;  \
	VADD  V7.D2, V6.D2, V6.D2;  \
	VADD  V6.D2, V4.D2, V4.D2;  \
	VMOV  V4.D[0], R4;          \
	VMOV  V4.D[1], R5;          \
	ADD   R4, R3;               \
	ADD   R5, R3

// func sumNEON(src *byte, n int) uint64
TEXT ·sumNEON(SB), NOSPLIT, $0-24
	MOVD src+0(FP), R0
	MOVD n+8(FP), R1
	CLEAR_SUMS
	SUBS $64, R1
	BLT  rounds_done

rounds:
	VLD1.P 64(R0), [V0.B16, V1.B16, V2.B16, V3.B16]
	ADD_FOUR
	SUBS   $64, R1
	BGE    rounds

rounds_done:
	ADDS $48, R1
	BLT  vectors_done

vectors:
	VLD1.P 16(R0), [V0.B16]
	ADD_VECTOR(V0, V4, V8)
	SUBS   $16, R1
	BGE    vectors

vectors_done:
	ADD $16, R1
	LOAD_REST
	ADD_REST
	TOTAL
	MOVD R3, ret+16(FP)
	RET

// func copySumNEON(dst, src *byte, n int) uint64
TEXT ·copySumNEON(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R2
	MOVD src+8(FP), R0
	MOVD n+16(FP), R1
	CLEAR_SUMS
	SUBS $64, R1
	BLT  rounds_done

rounds:
	VLD1.P 64(R0), [V0.B16, V1.B16, V2.B16, V3.B16]
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R2)
	ADD_FOUR
	SUBS   $64, R1
	BGE    rounds

rounds_done:
	ADDS $48, R1
	BLT  vectors_done

vectors:
	VLD1.P 16(R0), [V0.B16]
	VST1.P [V0.B16], 16(R2)
	ADD_VECTOR(V0, V4, V8)
	SUBS   $16, R1
	BGE    vectors

vectors_done:
	ADD  $16, R1
	LOAD_REST
	ADD  R2, R4, R6
	SUB  $16, R6
	VST1 [V0.B16], (R6)
	ADD  R2, R1, R6
	MOVB R3, -1(R6)
	ADD_REST
	TOTAL
	MOVD R3, ret+24(FP)
	RET

// From offset n on, a vector that masks all but the last n bytes.
DATA lastBytes<>+0(SB)/8, $0
DATA lastBytes<>+8(SB)/8, $0
DATA lastBytes<>+16(SB)/8, $0xffffffffffffffff
DATA lastBytes<>+24(SB)/8, $0xffffffffffffffff
GLOBL lastBytes<>(SB), NOPTR|RODATA, $32
