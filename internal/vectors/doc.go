// Package vectors holds known answers for tests, and is imported by tests only.
//
// There are two kinds. Published vectors, in rfc.go, are tables copied from the
// documents they name. Our own, in testdata, were made by gen/handshake.py, which
// implements everything from X25519 upwards in Python by itself and shares no code
// with the packages tested. To make them again:
//
//	go generate ./internal/vectors
//
// All byte strings in the files are hexadecimal.
//
// testdata/handshakes.json is a list of complete handshakes ([Handshake]), each
// with:
//
//	name               number, and whether a preshared key is used
//	initiator          private (not clamped), public, ephemeral (private, not
//	responder          clamped) and index of either side
//	preshared          the preshared key, or "" for none; zeros mean none, too
//	timestamp          the 12 bytes of the TAI64N label
//	initiation         the 148 bytes sent, with mac1 and a mac2 of zeros
//	response           the 92 bytes sent, likewise
//	initiator_send     the transport keys
//	initiator_receive
//	payload            a plaintext, padded or not
//	first              the transport message with it from the initiator, counter 0
//	answer_counter     a counter, in decimal, as a string
//	answer             the transport message with it from the responder
//	initiation_cookie  the responder's reaction to initiation under load
//	response_cookie    the initiator's reaction to response under load
//
// where a reaction ([Cookie]) is:
//
//	secret  the secret its cookies are made from
//	source  address and port the message came from
//	nonce   the nonce of the reply
//	value   the cookie
//	reply   the 64 bytes of the cookie reply
//	mac2    the mac2 that the message would have had with this cookie
//
// testdata/blake2s.json is a list of [Hash] cases: BLAKE2s of data; the 16-byte
// keyed hash under key and under its first half; HMAC under chain of the first 33
// bytes of data; the three outputs of KDF3 of the same.
package vectors

//go:generate sh -c "python3 gen/handshake.py handshakes > testdata/handshakes.json"
//go:generate sh -c "python3 gen/handshake.py blake2s > testdata/blake2s.json"
