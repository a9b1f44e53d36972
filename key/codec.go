package key

import "fmt"

// textLen is the length of the base64 form: 43 characters and one '='.
const textLen = 44

// decodeBase64 and encodeBase64 take the same time for every key: no table
// look-up and no branch depends on a character's value, so the text of a
// private key does not leak through the cache (B104).
func decodeBase64(s string) (b [Size]byte, err error) {
	if len(s) != textLen {
		return b, fmt.Errorf("%w: got %d characters, want %d of base64", ErrFormat, len(s), textLen)
	}
	bad := int(s[textLen-1] ^ '=')
	var v int
	for i := 0; i < 40; i += 4 {
		v = sextet(s[i])<<18 | sextet(s[i+1])<<12 | sextet(s[i+2])<<6 | sextet(s[i+3])
		bad |= v >> 31
		o := i / 4 * 3
		b[o], b[o+1], b[o+2] = byte(v>>16), byte(v>>8), byte(v)
	}
	v = sextet(s[40])<<18 | sextet(s[41])<<12 | sextet(s[42])<<6
	bad |= v>>31 | v&0xff // the two unused bits must be zero
	b[30], b[31] = byte(v>>16), byte(v>>8)
	if bad != 0 {
		return [Size]byte{}, fmt.Errorf("%w: not base64 of 32 bytes", ErrFormat)
	}
	return b, nil
}

func encodeBase64(b [Size]byte) string {
	var s [textLen]byte
	for i := 0; i < 30; i += 3 {
		v := int(b[i])<<16 | int(b[i+1])<<8 | int(b[i+2])
		o := i / 3 * 4
		s[o], s[o+1], s[o+2], s[o+3] = letter(v>>18), letter(v>>12), letter(v>>6), letter(v)
	}
	v := int(b[30])<<16 | int(b[31])<<8
	s[40], s[41], s[42], s[43] = letter(v>>18), letter(v>>12), letter(v>>6), '='
	return string(s[:])
}

// sextet returns the value of a base64 character, or -1.
func sextet(c byte) int {
	v := -1
	v += within(c, 'A', 'Z') & (int(c) - 'A' + 1)
	v += within(c, 'a', 'z') & (int(c) - 'a' + 27)
	v += within(c, '0', '9') & (int(c) - '0' + 53)
	v += within(c, '+', '+') & 63
	v += within(c, '/', '/') & 64
	return v
}

// letter returns the base64 character of the low six bits of v.
func letter(v int) byte {
	c := byte(v & 63)
	r := within(c, 0, 25) & (int(c) + 'A')
	r |= within(c, 26, 51) & (int(c) - 26 + 'a')
	r |= within(c, 52, 61) & (int(c) - 52 + '0')
	r |= within(c, 62, 62) & '+'
	r |= within(c, 63, 63) & '/'
	return byte(r)
}

// within returns -1 (all bits) if lo <= c <= hi, else 0, without a branch.
func within(c, lo, hi byte) int {
	return ^((int(c)-int(lo))>>31 | (int(hi)-int(c))>>31)
}

func decodeHex(s string) (b [Size]byte, err error) {
	if len(s) != 2*Size {
		return b, fmt.Errorf("%w: got %d characters, want %d hexadecimal digits", ErrFormat, len(s), 2*Size)
	}
	var bad int
	for i := range b {
		v := nibble(s[2*i])<<4 | nibble(s[2*i+1])
		bad |= v >> 31
		b[i] = byte(v)
	}
	if bad != 0 {
		return [Size]byte{}, fmt.Errorf("%w: not hexadecimal", ErrFormat)
	}
	return b, nil
}

// nibble returns the value of a hexadecimal digit, or -1.
func nibble(c byte) int {
	v := -1
	v += within(c, '0', '9') & (int(c) - '0' + 1)
	v += within(c, 'a', 'f') & (int(c) - 'a' + 11)
	v += within(c, 'A', 'F') & (int(c) - 'A' + 11)
	return v
}
