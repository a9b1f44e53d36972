//go:build !purego

#include "textflag.h"

// ChaCha20, RFC 8439 2.3: four blocks at a time, one in each 32-bit lane of the
// vectors. Word i of the state is Vi, so no word ever moves to another lane, and
// blocks may belong to any messages of one key.
//
//	R0        key
//	R1        the quad: words 12 to 15 of four states, addresses, places
//	R2        constants of 2.3
//	R3        double rounds to go
//	R4 - R7   addresses: second half of the key, byte order; then the four blocks
//	R8        place of a block in the quad, if it has no address
//	V0 - V15  state; from the transposition on, V(4 i + j) has bytes 16 i and on of block j
//	V16 - V19 what is between two operations; initial state; text
//	V20       byte order that rotates words by 8
//	V21 - V24 initial words 12 to 15

// a += b; d ^= a: the first half of a line of 2.1, for four quarter rounds.
#define ADD_XOR(a0, a1, a2, a3, b0, b1, b2, b3, d0, d1, d2, d3) \
	VADD b0.S4, a0.S4, a0.S4;    \
	VADD b1.S4, a1.S4, a1.S4;    \
	VADD b2.S4, a2.S4, a2.S4;    \
	VADD b3.S4, a3.S4, a3.S4;    \
	VEOR a0.B16, d0.B16, d0.B16; \
	VEOR a1.B16, d1.B16, d1.B16; \
	VEOR a2.B16, d2.B16, d2.B16; \
	VEOR a3.B16, d3.B16, d3.B16

// a += b; t = d ^ a: the same, for ROTATE.
#define ADD_XOR_TO(a0, a1, a2, a3, b0, b1, b2, b3, d0, d1, d2, d3) \
	VADD b0.S4, a0.S4, a0.S4;     \
	VADD b1.S4, a1.S4, a1.S4;     \
	VADD b2.S4, a2.S4, a2.S4;     \
	VADD b3.S4, a3.S4, a3.S4;     \
	VEOR a0.B16, d0.B16, V16.B16; \
	VEOR a1.B16, d1.B16, V17.B16; \
	VEOR a2.B16, d2.B16, V18.B16; \
	VEOR a3.B16, d3.B16, V19.B16

// d <<<= 16
#define ROTATE_16(d0, d1, d2, d3) \
	VREV32 d0.H8, d0.H8; \
	VREV32 d1.H8, d1.H8; \
	VREV32 d2.H8, d2.H8; \
	VREV32 d3.H8, d3.H8

// d <<<= 8
#define ROTATE_8(d0, d1, d2, d3) \
	VTBL V20.B16, [d0.B16], d0.B16; \
	VTBL V20.B16, [d1.B16], d1.B16; \
	VTBL V20.B16, [d2.B16], d2.B16; \
	VTBL V20.B16, [d3.B16], d3.B16

// d = t <<< n, where back is 32 - n
#define ROTATE(n, back, d0, d1, d2, d3) \
	VSHL n, V16.S4, d0.S4;    \
	VSHL n, V17.S4, d1.S4;    \
	VSHL n, V18.S4, d2.S4;    \
	VSHL n, V19.S4, d3.S4;    \
	VSRI back, V16.S4, d0.S4; \
	VSRI back, V17.S4, d1.S4; \
	VSRI back, V18.S4, d2.S4; \
	VSRI back, V19.S4, d3.S4

// Four quarter rounds of 2.1, on (a0, b0, c0, d0) and so on, in four blocks.
#define QUARTER_ROUNDS(a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3) \
	ADD_XOR(a0, a1, a2, a3, b0, b1, b2, b3, d0, d1, d2, d3);    \
	ROTATE_16(d0, d1, d2, d3);                                  \
	ADD_XOR_TO(c0, c1, c2, c3, d0, d1, d2, d3, b0, b1, b2, b3); \
	ROTATE($12, $20, b0, b1, b2, b3);                           \
	ADD_XOR(a0, a1, a2, a3, b0, b1, b2, b3, d0, d1, d2, d3);    \
	ROTATE_8(d0, d1, d2, d3);                                   \
	ADD_XOR_TO(c0, c1, c2, c3, d0, d1, d2, d3, b0, b1, b2, b3); \
	ROTATE($7, $25, b0, b1, b2, b3)

// Adds V16 to V19, words of the initial state, to four words of the state.
#define ADD_INITIAL(w0, w1, w2, w3) \
	VADD V16.S4, w0.S4, w0.S4; \
	VADD V17.S4, w1.S4, w1.S4; \
	VADD V18.S4, w2.S4, w2.S4; \
	VADD V19.S4, w3.S4, w3.S4

// From four words of all blocks to these words of each block, which are 16
// bytes of its keystream since words are little-endian (2.3).
#define TRANSPOSE(w0, w1, w2, w3) \
	VZIP1 w1.S4, w0.S4, V16.S4;   \
	VZIP1 w3.S4, w2.S4, V17.S4;   \
	VZIP2 w1.S4, w0.S4, V18.S4;   \
	VZIP2 w3.S4, w2.S4, V19.S4;   \
	VZIP1 V17.D2, V16.D2, w0.D2;  \
	VZIP2 V17.D2, V16.D2, w1.D2;  \
	VZIP1 V19.D2, V18.D2, w2.D2;  \
	VZIP2 V19.D2, V18.D2, w3.D2

// Adds a block of keystream to the text at an address (2.4).
#define XOR_BLOCK(address, s0, s1, s2, s3) \
	VLD1 (address), [V16.B16, V17.B16, V18.B16, V19.B16]; \
	VEOR s0.B16, V16.B16, V16.B16;                        \
	VEOR s1.B16, V17.B16, V17.B16;                        \
	VEOR s2.B16, V18.B16, V18.B16;                        \
	VEOR s3.B16, V19.B16, V19.B16;                        \
	VST1 [V16.B16, V17.B16, V18.B16, V19.B16], (address)

// func xorQuad(key *[32]byte, q *quad)
TEXT ·xorQuad(SB), NOSPLIT, $0-16
	MOVD key+0(FP), R0
	MOVD q+8(FP), R1
	MOVD $neonConstants<>(SB), R2
	ADD  $16, R0, R4
	ADD  $16, R2, R5

	VLD4R (R2), [V0.S4, V1.S4, V2.S4, V3.S4]
	VLD4R (R0), [V4.S4, V5.S4, V6.S4, V7.S4]
	VLD4R (R4), [V8.S4, V9.S4, V10.S4, V11.S4]
	VLD1  (R5), [V20.B16]
	VLD1  (R1), [V21.S4, V22.S4, V23.S4, V24.S4]
	VLD1  (R1), [V12.S4, V13.S4, V14.S4, V15.S4]
	MOVD  $10, R3

rounds:
	QUARTER_ROUNDS(V0, V1, V2, V3, V4, V5, V6, V7, V8, V9, V10, V11, V12, V13, V14, V15)
	QUARTER_ROUNDS(V0, V1, V2, V3, V5, V6, V7, V4, V10, V11, V8, V9, V15, V12, V13, V14)
	SUB  $1, R3
	CBNZ R3, rounds

	VLD4R (R2), [V16.S4, V17.S4, V18.S4, V19.S4]
	ADD_INITIAL(V0, V1, V2, V3)
	VLD4R (R0), [V16.S4, V17.S4, V18.S4, V19.S4]
	ADD_INITIAL(V4, V5, V6, V7)
	VLD4R (R4), [V16.S4, V17.S4, V18.S4, V19.S4]
	ADD_INITIAL(V8, V9, V10, V11)
	VADD  V21.S4, V12.S4, V12.S4
	VADD  V22.S4, V13.S4, V13.S4
	VADD  V23.S4, V14.S4, V14.S4
	VADD  V24.S4, V15.S4, V15.S4

	TRANSPOSE(V0, V1, V2, V3)
	TRANSPOSE(V4, V5, V6, V7)
	TRANSPOSE(V8, V9, V10, V11)
	TRANSPOSE(V12, V13, V14, V15)

	// The address of a block that has none is its place in the quad.
	LDP  64(R1), (R4, R5)
	LDP  80(R1), (R6, R7)
	ADD  $96, R1, R8
	CMP  $0, R4
	CSEL EQ, R8, R4, R4
	ADD  $64, R8
	CMP  $0, R5
	CSEL EQ, R8, R5, R5
	ADD  $64, R8
	CMP  $0, R6
	CSEL EQ, R8, R6, R6
	ADD  $64, R8
	CMP  $0, R7
	CSEL EQ, R8, R7, R7

	XOR_BLOCK(R4, V0, V4, V8, V12)
	XOR_BLOCK(R5, V1, V5, V9, V13)
	XOR_BLOCK(R6, V2, V6, V10, V14)
	XOR_BLOCK(R7, V3, V7, V11, V15)
	RET

// "expand 32-byte k", and the index of each byte before a rotation by 8.
DATA neonConstants<>+0(SB)/8, $0x3320646e61707865
DATA neonConstants<>+8(SB)/8, $0x6b20657479622d32
DATA neonConstants<>+16(SB)/8, $0x0605040702010003
DATA neonConstants<>+24(SB)/8, $0x0e0d0c0f0a09080b
GLOBL neonConstants<>(SB), NOPTR|RODATA, $32
