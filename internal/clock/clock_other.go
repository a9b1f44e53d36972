//go:build !linux

package clock

// Elsewhere System is Portable: Go's monotonic clock counts suspended time on
// some systems and not on others, and nothing here corrects it.

func init() { offset.Store(1) } // no instant is zero

func newBootTimer(c *Clock) *Timer { return newPortableTimer(c) }
