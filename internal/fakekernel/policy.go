package fakekernel

import (
	"bytes"
	"encoding/binary"
	"syscall"
)

var native = binary.NativeEndian

// kind is a type of attributes in a policy.
type kind int

const (
	u8 kind = iota + 1
	u16
	u32
	exact     // n bytes
	atLeast   // n bytes
	nulString // up to n bytes before the zero
	nest
	nestArray // a list, whose members are checked by a policy
)

type rule struct {
	kind   kind
	n      int
	mask   uint32 // 0: any number
	policy policy
}

type policy map[uint16]rule

type attrs map[uint16][]byte

const (
	nestedFlag = 0x8000
	typeMask   = 0x3fff
)

// policies returns those of an era: get, set, peer, allowed IP.
func policies(e Era) (get, set, peer, ip policy) {
	ip = policy{1: {kind: u16}, 2: {kind: atLeast, n: 4}, 3: {kind: u8}}
	peer = policy{
		1: {kind: exact, n: 32}, 2: {kind: exact, n: 32}, 3: {kind: u32}, 4: {kind: atLeast, n: 16}, 5: {kind: u16},
		6: {kind: exact, n: 16}, 7: {kind: exact, n: 8}, 8: {kind: exact, n: 8}, 9: {kind: nest}, 10: {kind: u32},
	}
	set = policy{
		1: {kind: u32}, 2: {kind: nulString, n: 15}, 3: {kind: exact, n: 32}, 4: {kind: exact, n: 32}, 5: {kind: u32},
		6: {kind: u16}, 7: {kind: u32}, 8: {kind: nest},
	}
	get = set
	if e >= Linux616 {
		ip[4] = rule{kind: u32, mask: 1}
		peer[3] = rule{kind: u32, mask: 7}
		set[5] = rule{kind: u32, mask: 1}
	}
	if e >= Linux700 {
		get = policy{1: set[1], 2: set[2]}
		peer[9] = rule{kind: nestArray, policy: ip}
		set[8] = rule{kind: nestArray, policy: peer}
	}
	return get, set, peer, ip
}

// parse checks attributes. The last of several of one type counts.
func (k *Kernel) parse(b []byte, p policy) (attrs, syscall.Errno) {
	strict := k.Era >= Linux56
	found := attrs{}
	for len(b) >= 4 {
		length, flagged := int(native.Uint16(b)), native.Uint16(b[2:])
		if length < 4 || length > len(b) {
			break
		}
		typ, v := flagged&typeMask, b[4:length]
		b = b[min((length+3)&^3, len(b)):]
		r, known := p[typ]
		if !known {
			if strict {
				return nil, syscall.EINVAL
			}
			continue
		}
		if errno := k.check(r, v, flagged&nestedFlag != 0); errno != 0 {
			return nil, errno
		}
		found[typ] = v
	}
	if len(b) > 0 && strict {
		return nil, syscall.EINVAL
	}
	return found, 0
}

// check checks one attribute.
func (k *Kernel) check(r rule, v []byte, nested bool) syscall.Errno {
	strict := k.Era >= Linux56
	isNest := r.kind == nest || r.kind == nestArray
	if strict && isNest != nested {
		return syscall.EINVAL
	}
	switch r.kind {
	case u8, u16, u32:
		size := map[kind]int{u8: 1, u16: 2, u32: 4}[r.kind]
		switch {
		case strict && len(v) != size:
			return syscall.EINVAL
		case len(v) < size:
			return syscall.ERANGE
		case r.mask != 0 && native.Uint32(v)&^r.mask != 0:
			return syscall.EINVAL
		}
	case exact:
		// Outside of the kernel a longer one passes, and is ignored later.
		if len(v) < r.n {
			return syscall.ERANGE
		}
		if len(v) != r.n {
			return syscall.EINVAL
		}
	case atLeast:
		if len(v) < r.n {
			return syscall.ERANGE
		}
	case nulString:
		end := bytes.IndexByte(v[:min(len(v), r.n+1)], 0)
		if end < 0 {
			return syscall.EINVAL
		}
	case nest:
		if len(v) > 0 && len(v) < 4 {
			return syscall.ERANGE
		}
	case nestArray:
		return k.checkArray(r.policy, v)
	}
	return 0
}

func (k *Kernel) checkArray(p policy, b []byte) (errno syscall.Errno) {
	members(b, func(v []byte, _ bool) bool {
		_, errno = k.parse(v, p)
		return errno == 0
	})
	return errno
}

// parseNested is parse for a member of a list, which needs the flag too.
func (k *Kernel) parseNested(v []byte, nested bool, p policy) (attrs, syscall.Errno) {
	if k.Era >= Linux56 && !nested {
		return nil, syscall.EINVAL
	}
	return k.parse(v, p)
}

// members calls f for the members of a list until it returns false.
func members(b []byte, f func(v []byte, nested bool) bool) {
	for len(b) >= 4 {
		length := int(native.Uint16(b))
		if length < 4 || length > len(b) {
			return
		}
		if !f(b[4:length], native.Uint16(b[2:])&nestedFlag != 0) {
			return
		}
		b = b[min((length+3)&^3, len(b)):]
	}
}

func cString(v []byte) string {
	before, _, _ := bytes.Cut(v, []byte{0})
	return string(before)
}
