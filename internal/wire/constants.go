package wire

import "time"

// Strings of [W] 5.4. They are part of what both sides hash, so not one byte of
// them may change.
const (
	// Construction names the Noise protocol; its hash is the first chaining key.
	Construction = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
	// Identifier is hashed after Construction.
	Identifier = "WireGuard v1 zx2c4 Jason@zx2c4.com"
	// LabelMAC1 goes before a public key to make the key of mac1.
	LabelMAC1 = "mac1----"
	// LabelCookie goes before a public key to make the key of cookie replies.
	LabelCookie = "cookie--"
)

// Message counts of [W] 6.1 and the replay window.
const (
	// RekeyAfterMessages is the number of messages after which a session asks
	// to be replaced.
	RekeyAfterMessages uint64 = 1 << 60

	// RejectAfterMessages is the first counter that is neither sent nor
	// accepted. [W] 6.1 has 2^64-2^13-1; this is the kernel's value, which
	// follows from its window: a counter that is accepted can never be so high
	// that the window's upper edge overflows. [K] messages.h
	RejectAfterMessages uint64 = 1<<64 - 1 - ReplayWindow - 1

	// ReplayBits is the number of bits of the replay bitmap.
	ReplayBits = 8192

	// ReplayWindow is how far a counter may lie behind the greatest one seen.
	// One 64-bit word of the bitmap is always being reused. RFC 6479, [K] messages.h
	ReplayWindow = ReplayBits - 64
)

// Times of [W] 6.1, in the kernel's reading of them.
const (
	// RekeyAfterTime is the age at which the initiator of a session replaces it
	// when it sends.
	RekeyAfterTime = 120 * time.Second

	// RejectAfterTime is the age at which a session is neither used for sending
	// nor for receiving.
	RejectAfterTime = 180 * time.Second

	// RekeyAttemptTime is how long a handshake is retried.
	RekeyAttemptTime = 90 * time.Second

	// RekeyTimeout is the least time between two handshake messages to a peer,
	// and the wait before a retry.
	RekeyTimeout = 5 * time.Second

	// RekeyTimeoutJitterMax is the exclusive upper end of what is added to
	// RekeyTimeout so that two peers do not retry in step. [W] 6.1, [K] timers.c
	RekeyTimeoutJitterMax = time.Second / 3

	// KeepaliveTimeout is how long received data may stay unanswered before a
	// keepalive is sent.
	KeepaliveTimeout = 10 * time.Second

	// RekeyOnReceiveTime is the age at which the initiator of a session replaces
	// it when it only receives. [W] 6.2
	RekeyOnReceiveTime = RejectAfterTime - KeepaliveTimeout - RekeyTimeout

	// NewHandshakeTime is how long sent data may stay without any sign of life
	// before a new handshake is begun. [W] 6.4, [K] timers.c
	NewHandshakeTime = KeepaliveTimeout + RekeyTimeout

	// ZeroKeysTime is how long after the last handshake all keys of a peer are
	// erased. [W] 6.3
	ZeroKeysTime = 3 * RejectAfterTime

	// MaxTimerHandshakes is the number that the count of retries must exceed for
	// the peer to give up, so that a series has at most MaxTimerHandshakes+2
	// initiations. [K] timers.c
	MaxTimerHandshakes = int(RekeyAttemptTime / RekeyTimeout)
)

// Limits on handshakes and cookies.
const (
	// InitiationsPerSecond is how many initiations of one peer are accepted. It
	// also sets the precision of the timestamps. [K] messages.h
	InitiationsPerSecond = 50

	// InitiationInterval is the least time between two accepted initiations of
	// one peer.
	InitiationInterval = time.Second / InitiationsPerSecond

	// CookieSecretLifetime is the age at which the responder replaces the secret
	// its cookies are made from. [W] 5.4.7
	CookieSecretLifetime = 120 * time.Second

	// CookieLatency is subtracted from a cookie's lifetime at its holder, which
	// does not know how old the secret was when the reply left. [K] messages.h
	CookieLatency = 5 * time.Second

	// CookieLifetime is the age at which the holder of a cookie stops using it.
	CookieLifetime = CookieSecretLifetime - CookieLatency

	// HandshakeQueue is the number of handshake messages that may wait. [K] messages.h
	HandshakeQueue = 4096

	// UnderLoadQueue is the number of waiting handshake messages from which on a
	// device counts as under load. [K] receive.c
	UnderLoadQueue = HandshakeQueue / 8

	// UnderLoadTime is how long a device counts as under load after the queue was
	// last that long. [K] receive.c
	UnderLoadTime = time.Second

	// RatePerSecond, RateBurst and RateEntries bound the handshake messages that
	// are taken from one source under load, and the table of sources.
	// [K] ratelimiter.c
	RatePerSecond = 20
	RateBurst     = 5
	RateEntries   = 65536
)

// Limits of the data path and of configuration.
const (
	// MaxStaged is the number of packets that wait for a session of one peer;
	// the oldest goes first. [K] messages.h
	MaxStaged = 128

	// Padding is the multiple to which plaintexts are padded. [W] 5.4.6
	Padding = 16

	// MaxPeers is the number of peers of one device. [K] peer.h
	MaxPeers = 1 << 20

	// HandshakeTOS is the traffic class of initiations and responses: AF41. Cookie
	// replies have none. [K] messages.h
	HandshakeTOS = 0x88

	// DefaultMTU is 1500 bytes less the overhead over IPv6.
	DefaultMTU = 1420
)
