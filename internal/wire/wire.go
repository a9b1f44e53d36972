package wire

import "encoding/binary"

// Sizes of the fields, in bytes.
const (
	KeySize       = 32 // X25519 public keys
	TagSize       = 16 // Poly1305 tags
	MACSize       = 16 // mac1, mac2 and cookies
	TimestampSize = 12 // TAI64N
	NonceSize     = 24 // XChaCha20-Poly1305
)

// Sizes of the messages, in bytes. Initiation, response and cookie reply have
// exactly this size; a transport message has at least KeepaliveSize.
const (
	InitiationSize      = 148
	ResponseSize        = 92
	CookieReplySize     = 64
	TransportHeaderSize = 16
	KeepaliveSize       = TransportHeaderSize + TagSize
)

// Type is the first word of a message: one byte of type and three reserved
// zero bytes, read as one little-endian number. [W] 5.4
type Type uint32

// The message types.
const (
	TypeInitiation  Type = 1
	TypeResponse    Type = 2
	TypeCookieReply Type = 3
	TypeTransport   Type = 4
)

// String returns the paper's name of the message.
func (t Type) String() string {
	switch t {
	case TypeInitiation:
		return "initiation"
	case TypeResponse:
		return "response"
	case TypeCookieReply:
		return "cookie reply"
	case TypeTransport:
		return "transport data"
	default:
		return "unknown"
	}
}

// Classify returns the type of a datagram and whether it is a well-formed
// message: a known type, zero reserved bytes, and exactly the size of that type
// (at least KeepaliveSize for transport data, whose plaintext need not be
// padded). What is not well-formed is dropped without an answer. [W] 5.1
//
// hot path
func Classify(b []byte) (Type, bool) {
	if len(b) < KeepaliveSize {
		return 0, false
	}
	t := Type(binary.LittleEndian.Uint32(b))
	switch t {
	case TypeTransport:
		return t, true
	case TypeInitiation:
		return t, len(b) == InitiationSize
	case TypeResponse:
		return t, len(b) == ResponseSize
	case TypeCookieReply:
		return t, len(b) == CookieReplySize
	default:
		return t, false
	}
}

// Initiation is the first message of a handshake, [W] 5.4.2:
//
//	0    type and reserved   4
//	4    sender index        4
//	8    ephemeral           32
//	40   encrypted static    32 + tag
//	88   encrypted timestamp 12 + tag
//	116  mac1                16
//	132  mac2                16
type Initiation []byte

// SetHeader writes type, reserved bytes and sender index.
func (m Initiation) SetHeader(sender uint32) {
	binary.LittleEndian.PutUint32(m, uint32(TypeInitiation))
	binary.LittleEndian.PutUint32(m[4:], sender)
}

// SenderIndex returns the index by which the initiator wants to be addressed.
func (m Initiation) SenderIndex() uint32 { return binary.LittleEndian.Uint32(m[4:]) }

// Ephemeral returns the initiator's ephemeral public key.
func (m Initiation) Ephemeral() []byte { return m[8:40:40] }

// EncryptedStatic returns the initiator's static public key, sealed.
func (m Initiation) EncryptedStatic() []byte { return m[40:88:88] }

// EncryptedTimestamp returns the timestamp, sealed.
func (m Initiation) EncryptedTimestamp() []byte { return m[88:116:116] }

// MAC1 returns the first MAC.
func (m Initiation) MAC1() []byte { return MAC1(m) }

// MAC2 returns the second MAC, which is all zeros without a cookie.
func (m Initiation) MAC2() []byte { return MAC2(m) }

// Response is the second message of a handshake, [W] 5.4.3:
//
//	0   type and reserved  4
//	4   sender index       4
//	8   receiver index     4
//	12  ephemeral          32
//	44  encrypted nothing  tag
//	60  mac1               16
//	76  mac2               16
type Response []byte

// SetHeader writes type, reserved bytes and both indices.
func (m Response) SetHeader(sender, receiver uint32) {
	binary.LittleEndian.PutUint32(m, uint32(TypeResponse))
	binary.LittleEndian.PutUint32(m[4:], sender)
	binary.LittleEndian.PutUint32(m[8:], receiver)
}

// SenderIndex returns the index by which the responder wants to be addressed.
func (m Response) SenderIndex() uint32 { return binary.LittleEndian.Uint32(m[4:]) }

// ReceiverIndex returns the sender index of the initiation this answers.
func (m Response) ReceiverIndex() uint32 { return binary.LittleEndian.Uint32(m[8:]) }

// Ephemeral returns the responder's ephemeral public key.
func (m Response) Ephemeral() []byte { return m[12:44:44] }

// EncryptedNothing returns the tag that authenticates the responder.
func (m Response) EncryptedNothing() []byte { return m[44:60:60] }

// MAC1 returns the first MAC.
func (m Response) MAC1() []byte { return MAC1(m) }

// MAC2 returns the second MAC, which is all zeros without a cookie.
func (m Response) MAC2() []byte { return MAC2(m) }

// CookieReply answers a handshake message under load, [W] 5.4.7:
//
//	0   type and reserved  4
//	4   receiver index     4
//	8   nonce              24
//	32  encrypted cookie   16 + tag
type CookieReply []byte

// SetHeader writes type, reserved bytes and receiver index.
func (m CookieReply) SetHeader(receiver uint32) {
	binary.LittleEndian.PutUint32(m, uint32(TypeCookieReply))
	binary.LittleEndian.PutUint32(m[4:], receiver)
}

// ReceiverIndex returns the sender index of the message this answers.
func (m CookieReply) ReceiverIndex() uint32 { return binary.LittleEndian.Uint32(m[4:]) }

// Nonce returns the random nonce.
func (m CookieReply) Nonce() []byte { return m[8:32:32] }

// EncryptedCookie returns the cookie, sealed.
func (m CookieReply) EncryptedCookie() []byte { return m[32:64:64] }

// Transport carries one padded IP packet, or nothing (a keepalive), [W] 5.4.6:
//
//	0   type and reserved  4
//	4   receiver index     4
//	8   counter            8
//	16  encrypted packet   padded plaintext + tag
type Transport []byte

// ReceiverIndex returns the receiver's index of the session.
//
// hot path
func (m Transport) ReceiverIndex() uint32 { return binary.LittleEndian.Uint32(m[4:]) }

// Counter returns the nonce of the message.
//
// hot path
func (m Transport) Counter() uint64 { return binary.LittleEndian.Uint64(m[8:]) }

// EncryptedPacket returns ciphertext and tag.
//
// hot path
func (m Transport) EncryptedPacket() []byte { return m[TransportHeaderSize:] }

// IsKeepalive reports whether the message has an empty plaintext.
//
// hot path
func (m Transport) IsKeepalive() bool { return len(m) == KeepaliveSize }

// PutTransportHeader writes the header of a transport message to the first
// TransportHeaderSize bytes of b.
//
// hot path
func PutTransportHeader(b []byte, receiver uint32, counter uint64) {
	_ = b[TransportHeaderSize-1]
	binary.LittleEndian.PutUint32(b, uint32(TypeTransport))
	binary.LittleEndian.PutUint32(b[4:], receiver)
	binary.LittleEndian.PutUint64(b[8:], counter)
}

// The two MACs are the last 32 bytes of an initiation as of a response, and the
// sender index stands in the same place, so the functions below serve both.

// SenderIndex returns the sender index of an initiation or a response.
func SenderIndex(msg []byte) uint32 { return binary.LittleEndian.Uint32(msg[4:]) }

// MAC1 returns the first MAC of an initiation or a response.
func MAC1(msg []byte) []byte {
	return msg[len(msg)-2*MACSize : len(msg)-MACSize : len(msg)-MACSize]
}

// MAC2 returns the second MAC of an initiation or a response.
func MAC2(msg []byte) []byte { return msg[len(msg)-MACSize:] }

// BeforeMAC1 returns the bytes that mac1 authenticates: msg up to mac1. [W] 5.4.4
func BeforeMAC1(msg []byte) []byte { return msg[:len(msg)-2*MACSize] }

// BeforeMAC2 returns the bytes that mac2 authenticates: msg up to mac2. [W] 5.4.4
func BeforeMAC2(msg []byte) []byte { return msg[:len(msg)-MACSize] }
