package handshake

import (
	"encoding/binary"
	"errors"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun/tuntest"

	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/key"
)

// theirs is a device of wireguard-go that is not up; what its goroutine for
// handshakes does with an initiation is done here.
type theirs struct {
	device  *device.Device
	checker device.CookieChecker
	macs    map[*device.Peer]*device.CookieGenerator
}

func newTheirs(private *key.Private, peers []key.Public) (*theirs, error) {
	t := &theirs{
		device: device.NewDevice(tuntest.NewChannelTUN().TUN(), conn.NewDefaultBind(), device.NewLogger(device.LogLevelSilent, "")),
		macs:   map[*device.Peer]*device.CookieGenerator{},
	}
	if err := t.device.SetPrivateKey(device.NoisePrivateKey(*private.RevealBytes())); err != nil {
		return nil, err
	}
	t.checker.Init(device.NoisePublicKey(private.Public()))
	for _, public := range peers {
		p, err := t.device.NewPeer(device.NoisePublicKey(public))
		if err != nil {
			return nil, err
		}
		p.Start() // of one that is not started nothing is consumed
		g := new(device.CookieGenerator)
		g.Init(device.NoisePublicKey(public))
		t.macs[p] = g
	}
	return t, nil
}

func (t *theirs) close() { t.device.Close() }

func (t *theirs) respond(initiations, responses [][]byte) error {
	for i, b := range initiations {
		if !t.checker.CheckMAC1(b) {
			return errors.New("mac1 is wrong")
		}
		peer := t.device.ConsumeMessageInitiation(parse(b))
		if peer == nil {
			return errors.New("initiation refused")
		}
		m, err := t.device.CreateMessageResponse(peer)
		if err != nil {
			return err
		}
		write(responses[i], m)
		t.macs[peer].AddMacs(responses[i])
		if err := peer.BeginSymmetricSession(); err != nil {
			return err
		}
	}
	return nil
}

// parse and write are for what wireguard-go has methods that it does not export.
func parse(b []byte) *device.MessageInitiation {
	m, from := new(device.MessageInitiation), wire.Initiation(b)
	m.Type = binary.LittleEndian.Uint32(b)
	m.Sender = from.SenderIndex()
	copy(m.Ephemeral[:], from.Ephemeral())
	copy(m.Static[:], from.EncryptedStatic())
	copy(m.Timestamp[:], from.EncryptedTimestamp())
	copy(m.MAC1[:], wire.MAC1(b))
	copy(m.MAC2[:], wire.MAC2(b))
	return m
}

func write(b []byte, m *device.MessageResponse) {
	to := wire.Response(b)
	to.SetHeader(m.Sender, m.Receiver)
	copy(to.Ephemeral(), m.Ephemeral[:])
	copy(to.EncryptedNothing(), m.Empty[:])
}
