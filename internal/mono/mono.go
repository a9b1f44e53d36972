// Package mono defines the instant type used by every state machine.
//
// It reads no clock: package clock does that. Values are comparable, ordered
// and cheap to store in an atomic.
package mono

import "time"

// Time is an instant in nanoseconds on a clock that never goes back and that
// counts the time a machine spends suspended. The zero value means "never" or
// "not set"; no clock returns it.
type Time int64

// Add returns the instant d after t.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns the duration from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// IsZero reports whether t is not set.
func (t Time) IsZero() bool { return t == 0 }

// Earliest returns the earlier of two instants, where a zero instant means
// "never" and so loses against any other.
func Earliest(a, b Time) Time {
	switch {
	case a == 0:
		return b
	case b == 0 || a < b:
		return a
	default:
		return b
	}
}
