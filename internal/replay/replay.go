// Package replay decides which message counters of a session are new.
//
// It is the sliding window of RFC 6479: a ring of words, each word cleared as a
// whole when the window moves into it, so nothing is ever shifted. It knows
// nothing of ciphers or sessions. Call it only with counters of messages that
// authenticated; otherwise anybody could move the window. [W] 5.4.6
package replay

import "github.com/warrenvpn/warren/internal/wire"

const (
	wordBits = 64
	words    = wire.ReplayBits / wordBits // a power of two: the ring index is a mask
)

// Window remembers which counters were seen. The zero value has seen none. It
// takes 1032 bytes and belongs to whoever holds its session's receive lock.
type Window struct {
	// next is one more than the greatest counter accepted.
	next uint64
	// ring holds a bit for each counter of the last words*wordBits; the word of
	// counter c is ring[c/wordBits%words].
	ring [words]uint64
}

// Accept reports whether counter is new, and remembers it. It refuses counters
// seen before, counters more than wire.ReplayWindow behind the greatest, and
// counters from wire.RejectAfterMessages on. [W] 5.4.6, 6.2
//
// hot path
func (w *Window) Accept(counter uint64) bool {
	if counter >= wire.RejectAfterMessages {
		return false
	}
	// No overflow: counter + 1 + ReplayWindow is below 2^64 because of the limit.
	if counter+1+wire.ReplayWindow < w.next {
		return false
	}
	word := counter / wordBits
	if counter >= w.next {
		w.clearUpTo(word)
		w.next = counter + 1
	}
	bit := uint64(1) << (counter % wordBits)
	seen := &w.ring[word%words]
	if *seen&bit != 0 {
		return false
	}
	*seen |= bit
	return true
}

// clearUpTo empties the words after the newest one up to word.
func (w *Window) clearUpTo(word uint64) {
	if w.next == 0 {
		return // nothing was ever set
	}
	newest := (w.next - 1) / wordBits
	for n := min(word-newest, words); n > 0; n-- {
		newest++
		w.ring[newest%words] = 0
	}
}
