package wgnl

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Numbers in attributes are in the order of the machine; only ports in socket
// addresses are big-endian.
var native = binary.NativeEndian

const attrHeader = 4

// align rounds up to the boundary that attributes begin at.
func align(n int) int { return (n + 3) &^ 3 }

// writer appends attributes. Each ends on a boundary of four bytes, filled with
// zeros that its length does not count.
type writer struct{ b []byte }

func (w *writer) header(kind uint16, length int) {
	w.b = native.AppendUint16(w.b, uint16(length))
	w.b = native.AppendUint16(w.b, kind)
}

func (w *writer) bytes(kind uint16, v []byte) {
	w.header(kind, attrHeader+len(v))
	w.b = append(w.b, v...)
	w.b = append(w.b, make([]byte, align(len(v))-len(v))...)
}

func (w *writer) u8(kind uint16, v uint8)   { w.bytes(kind, []byte{v}) }
func (w *writer) u16(kind uint16, v uint16) { w.bytes(kind, native.AppendUint16(nil, v)) }
func (w *writer) u32(kind uint16, v uint32) { w.bytes(kind, native.AppendUint32(nil, v)) }

// text ends with a zero byte.
func (w *writer) text(kind uint16, s string) { w.bytes(kind, append([]byte(s), 0)) }

// open begins a nest and returns what close needs. Kernels since 5.2 refuse
// nests without the flag.
func (w *writer) open(kind uint16) (at int) {
	at = len(w.b)
	w.header(kind|flagNested, 0)
	return at
}

func (w *writer) close(at int) {
	native.PutUint16(w.b[at:], uint16(len(w.b)-at))
}

// ErrMalformed is wrapped by the errors of everything that reads what a kernel
// should not have sent.
var ErrMalformed = errors.New("malformed netlink message")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}

// elements calls f for each attribute of b until f fails: the members of a
// list, for whose type nobody cares.
func elements(b []byte, f func(kind uint16, v []byte) error) error {
	for len(b) > 0 {
		if len(b) < attrHeader {
			return malformed("%d bytes after the last attribute", len(b))
		}
		length, kind := int(native.Uint16(b)), native.Uint16(b[2:])&maskAttrType
		if length < attrHeader || length > len(b) {
			return malformed("attribute %d has length %d, with %d bytes left", kind, length, len(b))
		}
		if err := f(kind, b[attrHeader:length]); err != nil {
			return err
		}
		b = b[min(align(length), len(b)):]
	}
	return nil
}

// attributes is elements without those of type 0, which are padding: the kernel
// puts it before numbers of 64 bits.
func attributes(b []byte, f func(kind uint16, v []byte) error) error {
	return elements(b, func(kind uint16, v []byte) error {
		if kind == 0 {
			return nil
		}
		return f(kind, v)
	})
}

// sized checks the length of an attribute.
func sized(what string, v []byte, want int) error {
	if len(v) != want {
		return malformed("%s has %d bytes, want %d", what, len(v), want)
	}
	return nil
}

// text returns the text before the first zero byte.
func text(v []byte) string {
	for i, c := range v {
		if c == 0 {
			return string(v[:i])
		}
	}
	return string(v)
}
