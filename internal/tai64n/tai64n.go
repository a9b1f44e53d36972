// Package tai64n makes the timestamps of handshake initiations: TAI64N labels
// that strictly increase, so that a recorded initiation is worth nothing later.
// [W] 5.1, 5.4.2
//
// It reads no clock: the caller passes the wall time. It does not decide which
// timestamps a responder accepts either; package tunnel compares them.
package tai64n

import (
	"bytes"
	"encoding/binary"
	"time"
)

// Size is the length of a timestamp in bytes.
const Size = 12

// tai64Epoch is the label of 1970-01-01 00:00:00 UTC: 2^62 plus the ten seconds
// TAI was ahead of UTC then. Leap seconds since are not counted, as every
// implementation does.
const tai64Epoch = 1<<62 + 10

// step is the precision of a timestamp in nanoseconds: the largest power of two
// that lies within one fiftieth of a second, the least interval in which a
// responder accepts initiations. A finer one would only tell the peer details of
// our clock. [K] noise.c
const step = 1 << 24

const second = 1_000_000_000

// Stamp is a TAI64N label: eight bytes of seconds and four of nanoseconds, both
// big-endian, so that comparing bytes compares times. The zero value is before
// every label.
type Stamp [Size]byte

// FromTime returns the label of a Unix time, rounded down to the protocol's
// precision (16.8 ms).
func FromTime(unixSec, nsec int64) Stamp {
	unixSec += nsec / second
	if nsec %= second; nsec < 0 {
		nsec += second
		unixSec--
	}
	return label(uint64(unixSec)+tai64Epoch, uint32(nsec)&^(step-1))
}

// After reports whether s is later than o: strictly greater as 12 bytes.
func (s Stamp) After(o Stamp) bool { return bytes.Compare(s[:], o[:]) > 0 }

// IsZero reports whether s is the zero value.
func (s Stamp) IsZero() bool { return s == Stamp{} }

// Time returns the Unix time of the label, for diagnostics. A label that came
// from a peer can hold any bits; the result is then meaningless but harmless.
func (s Stamp) Time() (unixSec, nsec int64) {
	return int64(binary.BigEndian.Uint64(s[:8]) - tai64Epoch), int64(binary.BigEndian.Uint32(s[8:]))
}

// Next returns the earliest label of the protocol's precision after s.
func (s Stamp) Next() Stamp {
	sec := binary.BigEndian.Uint64(s[:8])
	nsec := uint64(binary.BigEndian.Uint32(s[8:]))
	nsec = nsec&^(step-1) + step
	if nsec >= second {
		sec, nsec = sec+1, 0
	}
	return label(sec, uint32(nsec))
}

// Stamper makes labels that strictly increase, whatever the wall clock does. The
// zero value is ready. It belongs to one goroutine.
//
// One static key speaking to one peer needs one Stamper; peers never compare
// their labels with each other. A Stamper shared by very many peers stays correct
// but runs ahead of the clock as long as it makes more than 59 labels a second,
// so its floor must then be kept across restarts.
type Stamper struct {
	last Stamp
}

// Next returns the label of wall or, if that is not after the last label
// returned, the last label plus one step. The clock may stand still or go back
// for as long as it likes (R1, CVE-2021-46873): peers go on accepting.
func (p *Stamper) Next(wall time.Time) Stamp {
	s := FromTime(wall.Unix(), int64(wall.Nanosecond()))
	if !s.After(p.last) {
		s = p.last.Next()
	}
	p.last = s
	return s
}

// Floor returns the last label made: what to save so that labels go on
// increasing after a restart. It is zero if there was none.
func (p *Stamper) Floor() Stamp { return p.last }

// SetFloor makes all further labels greater than floor. It never lowers the
// floor. It refuses, and reports so, what no Stamper can have made: a value that
// is not a TAI64N label, as from a damaged file.
//
// A floor far in the future is no fault: it means that peers have seen such a
// label, so smaller ones would be refused.
func (p *Stamper) SetFloor(floor Stamp) bool {
	sec := binary.BigEndian.Uint64(floor[:8])
	nsec := binary.BigEndian.Uint32(floor[8:])
	// TAI64 labels end at 2^63; the highest half of what is left is kept free, so
	// that increasing can never reach that end.
	if sec >= 1<<62+1<<61 || nsec >= second {
		return false
	}
	if floor.After(p.last) {
		p.last = floor
	}
	return true
}

func label(sec uint64, nsec uint32) (s Stamp) {
	binary.BigEndian.PutUint64(s[:8], sec)
	binary.BigEndian.PutUint32(s[8:], nsec)
	return s
}
