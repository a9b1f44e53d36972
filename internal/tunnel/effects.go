package tunnel

import (
	"github.com/warrenvpn/warren/packet"
)

// Effect is one thing the caller must do. Effects are performed in the order in
// which they were appended.
type Effect struct {
	Kind    Kind
	Session *Session        // Admit, Install, Retire, SendKeepalive
	Message []byte          // Transmit; never written to again, so the caller may keep it
	To      packet.Endpoint // SetEndpoint
	Event   Event           // Report
}

// Kind says what an Effect asks for.
type Kind uint8

const (
	// Transmit sends Message to the peer's current endpoint with the traffic
	// class wire.HandshakeTOS. Without an endpoint, or if sending fails, the
	// message is lost as if the network had lost it.
	Transmit Kind = iota + 1

	// SetEndpoint makes To the peer's endpoint, learnt source address included:
	// the peer proved, by a handshake message, to be there. [W] 2.1
	SetEndpoint

	// Admit puts Session under its LocalIndex, so that transport messages with
	// that receiver index are opened with it. The index belonged to the handshake
	// until now.
	Admit

	// Install makes Session the one that is sent with: Staged.Publish.
	Install

	// Uninstall says that there is no session to send with: Staged.Unpublish.
	Uninstall

	// Retire takes Session out of the table of receivers, and of use if it is the
	// one that is sent with: Staged.Withdraw. When no lane can be
	// using it any more, Session.Clear erases its keys. Its index was given back
	// by Indices.Release before.
	Retire

	// SendKeepalive sends an empty transport message with Session, unless packets
	// are staged: they are about to be sent with the same session (an Install
	// follows) and serve the same purpose. The keepalive is noted in Activity
	// already, and whether it makes a new session due was looked at: the caller
	// does neither.
	SendKeepalive

	// DropStaged drops the packets that wait for a session: Staged.Drop.
	DropStaged

	// ForgetSource forgets the local address from which the peer was last reached
	// (packet.Endpoint.WithoutSource), for it may be what does not work. [K] timers.c
	ForgetSource

	// Report tells of Event, for counters and logs. It asks for nothing.
	Report
)

// Event is what an Effect of kind Report tells of.
type Event uint8

const (
	// HandshakeComplete: both sides have proved to hold the new session's keys.
	// This is the moment `wg show` calls the latest handshake.
	HandshakeComplete Event = iota + 1
	// HandshakeStarted: an initiation goes out that begins a series.
	HandshakeStarted
	// HandshakeRetried: an initiation was not answered in time, another goes out.
	HandshakeRetried
	// HandshakeGaveUp: the last initiation of a series was not answered in time.
	HandshakeGaveUp
	// HandshakeImpossible: no initiation could be made. The peer's public key is
	// of low order, or there was no randomness.
	HandshakeImpossible
	// HandshakeUnconfirmed: the peer starts anew without having confirmed the
	// session of our last response. The response was lost or refused; if this
	// repeats, the preshared keys differ.
	HandshakeUnconfirmed
	// InitiationRefused: an initiation of this peer failed authentication late:
	// its timestamp could not be decrypted or the response not be made.
	InitiationRefused
	// InitiationReplayed: the timestamp is not greater than the greatest seen:
	// a replay, a duplicate, or a peer whose clock went back.
	InitiationReplayed
	// InitiationTooSoon: less than wire.InitiationInterval after the last one.
	InitiationTooSoon
	// ResponseRefused: a response to our pending initiation did not authenticate:
	// forged, or the preshared keys differ.
	ResponseRefused
	// ResponseUnexpected: a response to no pending initiation: late, a duplicate,
	// or overtaken by the peer's own initiation.
	ResponseUnexpected
	// CookieAccepted: the peer is under load; the next initiation carries mac2.
	CookieAccepted
	// CookieRefused: a cookie reply that answers nothing or did not authenticate.
	CookieRefused
	// PeerSilent: data went unanswered for wire.NewHandshakeTime.
	PeerSilent
	// KeysErased: all keys were erased because of their age.
	KeysErased
)

var kindNames = [...]string{
	Transmit:      "Transmit",
	SetEndpoint:   "SetEndpoint",
	Admit:         "Admit",
	Install:       "Install",
	Uninstall:     "Uninstall",
	Retire:        "Retire",
	SendKeepalive: "SendKeepalive",
	DropStaged:    "DropStaged",
	ForgetSource:  "ForgetSource",
	Report:        "Report",
}

// String returns the constant's name.
func (k Kind) String() string { return nameOf(kindNames[:], int(k)) }

var eventNames = [...]string{
	HandshakeComplete:    "HandshakeComplete",
	HandshakeStarted:     "HandshakeStarted",
	HandshakeRetried:     "HandshakeRetried",
	HandshakeGaveUp:      "HandshakeGaveUp",
	HandshakeImpossible:  "HandshakeImpossible",
	HandshakeUnconfirmed: "HandshakeUnconfirmed",
	InitiationRefused:    "InitiationRefused",
	InitiationReplayed:   "InitiationReplayed",
	InitiationTooSoon:    "InitiationTooSoon",
	ResponseRefused:      "ResponseRefused",
	ResponseUnexpected:   "ResponseUnexpected",
	CookieAccepted:       "CookieAccepted",
	CookieRefused:        "CookieRefused",
	PeerSilent:           "PeerSilent",
	KeysErased:           "KeysErased",
}

// String returns the constant's name.
func (e Event) String() string { return nameOf(eventNames[:], int(e)) }

func nameOf(names []string, i int) string {
	if i <= 0 || i >= len(names) {
		return "none"
	}
	return names[i]
}
