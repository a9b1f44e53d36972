package uapi

import (
	"bytes"
	"iter"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/key"
)

// large is a device that takes peers one after the other, twice.
type large struct {
	model
	released []int
}

func (l *large) ApplyOf(c conf.Change, peers iter.Seq[*conf.PeerChange]) error {
	var list conf.PeerList
	for range 2 {
		list.Clear()
		for p := range peers {
			list.Append(p)
		}
	}
	c.Peers = list.Unpack()
	return l.Apply(c)
}

func (l *large) Release(peers int) { l.released = append(l.released, peers) }

// A backend gets the same change in either way, and is told when its memory is
// free.
func TestPeersAreTakenOneByOne(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	c := bigChange(2_000)
	for i := range c.Peers {
		p := &c.Peers[i]
		if p.Remove = r.IntN(20) == 0; p.Remove {
			p.PublicKey = c.Peers[r.IntN(len(c.Peers))].PublicKey
		}
		if r.IntN(3) == 0 {
			psk := key.NewPreshared([32]byte{byte(i), 1})
			p.PresharedKey = &psk
		}
		if r.IntN(3) == 0 {
			e := conf.NumericEndpoint(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), uint16(i)))
			p.Endpoint = &e
		}
	}
	var request bytes.Buffer
	if err := WriteChange(&request, c); err != nil {
		t.Fatal(err)
	}
	var whole model
	var one large
	for _, b := range []Backend{&whole, &one} {
		p := &pipe{in: bytes.NewReader(request.Bytes())}
		if err := ServeConn(p, b); err != nil {
			t.Fatal(err)
		}
		if err := ReadReply(&p.out); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := one.Status(), whole.Status(); !reflect.DeepEqual(got, want) || len(got.Peers) < 1_000 {
		t.Errorf("%d peers taken one by one differ from %d taken together", len(got.Peers), len(want.Peers))
	}
	if len(one.released) != 1 || one.released[0] != len(c.Peers) {
		t.Errorf("it was told of %d peers, want once of %d", one.released, len(c.Peers))
	}
}
