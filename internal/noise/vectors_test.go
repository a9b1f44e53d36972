package noise

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/warrenvpn/warren/internal/tai64n"
	"github.com/warrenvpn/warren/internal/vectors"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/key"
)

// P04: with everything that is random fixed, each role writes byte for byte what
// the independent script wrote, and understands what the script wrote for the
// other role. The MACs are package cookie's; there they are compared too.
func TestHandshakeVectors(t *testing.T) {
	for _, v := range vectors.Handshakes() {
		t.Run(v.Name, func(t *testing.T) {
			keys := initiatorAgainstVector(t, &v)
			checkTransport(t, &keys.Send, v.First, v.Payload)
			checkTransport(t, &keys.Receive, v.Answer, v.Payload)
			keys = responderAgainstVector(t, &v)
			checkTransport(t, &keys.Receive, v.First, v.Payload)
			checkTransport(t, &keys.Send, v.Answer, v.Payload)
		})
	}
}

func initiatorAgainstVector(t *testing.T, v *vectors.Handshake) Keys {
	s, r := sides(t, &v.Initiator, &v.Responder)
	got := make([]byte, wire.InitiationSize)
	i, err := Initiate(got, s, r, v.Initiator.Ephemeral.Array(), v.Initiator.Index, tai64n.Stamp(v.Timestamp))
	if err != nil {
		t.Fatal(err)
	}
	compareBeforeMACs(t, "initiation", got, v.Initiation)
	keys, err := i.Consume(wire.Response(v.Response), s, preshared(v))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "initiator's sending key", keys.Send[:], v.InitiatorSend)
	compare(t, "initiator's receiving key", keys.Receive[:], v.InitiatorReceive)
	return keys
}

func responderAgainstVector(t *testing.T, v *vectors.Handshake) Keys {
	s, r := sides(t, &v.Responder, &v.Initiator)
	o, err := Open(s, wire.Initiation(v.Initiation))
	if err != nil {
		t.Fatal(err)
	}
	if o.Remote() != key.Public(v.Initiator.Public) || o.Sender() != v.Initiator.Index {
		t.Errorf("opened as %v, index %d; want %x, %d", o.Remote(), o.Sender(), v.Initiator.Public, v.Initiator.Index)
	}
	p, err := o.Accept(s, r)
	if err != nil {
		t.Fatal(err)
	}
	if p.Stamp() != tai64n.Stamp(v.Timestamp) || p.Receiver() != v.Initiator.Index {
		t.Errorf("stamp %x, receiver %d; want %x, %d", p.Stamp(), p.Receiver(), v.Timestamp, v.Initiator.Index)
	}
	got := make([]byte, wire.ResponseSize)
	keys, err := p.Respond(got, v.Responder.Ephemeral.Array(), v.Responder.Index, preshared(v))
	if err != nil {
		t.Fatal(err)
	}
	compareBeforeMACs(t, "response", got, v.Response)
	compare(t, "responder's sending key", keys.Send[:], v.InitiatorReceive)
	compare(t, "responder's receiving key", keys.Receive[:], v.InitiatorSend)
	return keys
}

func sides(t *testing.T, local, remote *vectors.Side) (*Static, *Remote) {
	private := key.NewPrivate(*local.Private.Array())
	s := NewStatic(&private)
	public := s.Public()
	compare(t, "public key", public[:], local.Public)
	return s, NewRemote(key.Public(remote.Public))
}

// preshared is nil where the vector has none.
func preshared(v *vectors.Handshake) *key.Preshared {
	if len(v.Preshared) == 0 {
		return nil
	}
	psk := key.NewPreshared(*v.Preshared.Array())
	return &psk
}

// checkTransport opens and makes again a transport message. [W] 5.4.6: the nonce
// is 32 zero bits and the little-endian counter; there is no additional data.
func checkTransport(t *testing.T, k *[key.Size]byte, message, payload []byte) {
	t.Helper()
	m := wire.Transport(message)
	var nonce [chacha20poly1305.NonceSize]byte
	binary.LittleEndian.PutUint64(nonce[4:], m.Counter())
	c := newCipher(k)
	got, err := c.Open(nil, nonce[:], m.EncryptedPacket(), nil)
	if err != nil {
		t.Fatalf("transport message %d: %v", m.Counter(), err)
	}
	compare(t, "plaintext", got, payload)

	again := make([]byte, wire.TransportHeaderSize, len(message))
	wire.PutTransportHeader(again, m.ReceiverIndex(), m.Counter())
	compare(t, "transport message", c.Seal(again, nonce[:], payload, nil), message)
}

func compareBeforeMACs(t *testing.T, what string, got, want []byte) {
	t.Helper()
	compare(t, what, wire.BeforeMAC1(got), wire.BeforeMAC1(want))
	if macs := got[len(got)-2*wire.MACSize:]; !bytes.Equal(macs, make([]byte, 2*wire.MACSize)) {
		t.Errorf("%s: MACs are %x, want them left zero", what, macs)
	}
}

func compare(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s = %x, want %x", what, got, want)
	}
}
