// Package aead is the transport cipher of [W] 5.4.6: ChaCha20-Poly1305
// (RFC 8439) with a 64-bit counter as nonce and no associated data.
//
// Its unit is the run: messages of one key, sealed or opened in place by one
// call, so that kernels for wide vector units can fill their lanes across
// messages. It is not a general AEAD: the handshake uses x/crypto directly. A
// Key holds a secret; its owner calls Clear.
//
// Kernels are registered in package impl under the job "aead". All give the
// same bytes; they run in constant time with respect to keys and contents, not
// to lengths.
package aead

import (
	"crypto/cipher"
	"log/slog"

	"golang.org/x/crypto/chacha20poly1305"
)

// Overhead is the size of the authentication tag in bytes.
const Overhead = chacha20poly1305.Overhead

// Key seals or opens the transport messages of one direction of a session. It
// is safe for concurrent use until Clear.
type Key struct {
	k       [chacha20poly1305.KeySize]byte
	general cipher.AEAD // with a copy of k; for the kernel that is x/crypto, and what others leave to it
}

// New returns the key for k, which the caller may clear afterwards.
func New(k *[chacha20poly1305.KeySize]byte) *Key { return &Key{k: *k, general: newGeneral(k)} }

// Run is a list of messages for one call. Its owner keeps it and fills it anew,
// so that its memory is allocated once; it is not safe for concurrent use.
type Run struct {
	// Messages are worked on in place and do not overlap. Each is as long as
	// the message on the wire without its header: what is in front of the last
	// Overhead bytes is text, those are the tag.
	Messages [][]byte
	// Counters are the nonces, one for each message.
	Counters []uint64
	// OK tells, after OpenRun, which messages were authentic. Its length is
	// set by OpenRun.
	OK []bool

	scratch scratch // what kernels keep between calls
}

// Reset empties r but keeps its memory.
//
// hot path
func (r *Run) Reset() {
	clear(r.Messages)
	r.Messages, r.Counters, r.OK = r.Messages[:0], r.Counters[:0], r.OK[:0]
}

// Add appends a message.
//
// hot path
func (r *Run) Add(message []byte, counter uint64) {
	r.Messages = append(r.Messages, message)
	r.Counters = append(r.Counters, counter)
}

// SealRun encrypts the text of every message and writes its tag. It panics,
// before it has touched any, if a message is shorter than Overhead or there is
// not a counter for each.
//
// hot path
func (k *Key) SealRun(r *Run) {
	r.checkCounters()
	for _, m := range r.Messages {
		if len(m) < Overhead {
			panic("aead: a message has no room for its tag")
		}
	}
	kernels.Get().seal(k, r)
}

// OpenRun verifies every message and decrypts its text, and sets OK. The text
// of a message whose tag is wrong is zeroed. A message shorter than Overhead is
// not authentic. It panics if there is not a counter for each message.
//
// hot path
func (k *Key) OpenRun(r *Run) {
	r.checkCounters()
	if cap(r.OK) < len(r.Messages) {
		r.OK = make([]bool, len(r.Messages), max(len(r.Messages), cap(r.Messages)))
	}
	r.OK = r.OK[:len(r.Messages)]
	kernels.Get().open(k, r)
}

// Seal encrypts and authenticates one message, in the sense of SealRun. For
// many there is SealRun.
func (k *Key) Seal(message []byte, counter uint64) {
	k.SealRun(&Run{Messages: [][]byte{message}, Counters: []uint64{counter}})
}

// Open verifies and decrypts one message, in the sense of OpenRun, and returns
// its text.
func (k *Key) Open(message []byte, counter uint64) (text []byte, ok bool) {
	r := Run{Messages: [][]byte{message}, Counters: []uint64{counter}}
	k.OpenRun(&r)
	if !r.OK[0] {
		return nil, false
	}
	return message[:len(message)-Overhead], true
}

// Clear overwrites the key. No call may run at the same time or later.
func (k *Key) Clear() {
	clear(k.k[:])
	clearGeneral(k.general)
}

// String hides the key.
func (*Key) String() string { return "(redacted)" }

// LogValue hides the key.
func (*Key) LogValue() slog.Value { return slog.StringValue("(redacted)") }

// checkCounters panics if they are not as many as the messages. A kernel would
// notice too, but when some messages are sealed already: who sealed these again,
// with the counters they had, would send them in the clear.
func (r *Run) checkCounters() {
	if len(r.Counters) != len(r.Messages) {
		panic("aead: not a counter for each message")
	}
}
