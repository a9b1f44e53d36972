package device

import (
	"bytes"
	"io"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/key"
	"github.com/warrenvpn/warren/uapi"
)

// many is a device with n peers.
type many int

func (n many) Status() conf.Device     { return conf.Device{Peers: make([]conf.Peer, n)} }
func (n many) Apply(conf.Change) error { return nil }

func (n many) ApplyOf(_ conf.Change, peers iter.Seq[*conf.PeerChange]) error {
	for range peers {
	}
	return nil
}

// set makes a change of n peers through the control socket of t.
func set(t *testing.T, b uapi.Backend, n int) {
	t.Helper()
	c := conf.Change{Peers: make([]conf.PeerChange, n)}
	for i := range c.Peers {
		c.Peers[i].PublicKey = key.Public{byte(i), byte(i >> 8)}
	}
	var requests, replies bytes.Buffer
	if err := uapi.WriteChange(&requests, &c); err != nil {
		t.Fatal(err)
	}
	if err := uapi.ServeConn(struct {
		io.Reader
		io.Writer
	}{&requests, &replies}, b); err != nil {
		t.Fatal(err)
	}
	if err := uapi.ReadReply(&replies); err != nil {
		t.Fatal(err)
	}
}

// Memory goes back before a large change is answered, and once after the last of
// large answers; small ones are not worth it.
func TestMemoryOfLargeRequestsGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var released atomic.Int32
		check := func(what string, want int32) {
			t.Helper()
			synctest.Wait()
			if n := released.Load(); n != want {
				t.Errorf("%s: memory was given back %d times, want %d", what, n, want)
			}
		}
		large, small := newThrifty(many(bulk)), newThrifty(many(bulk-1))
		large.release = func() { released.Add(1) }
		small.release = large.release
		set(t, small, bulk-1)
		small.Status()
		time.Sleep(2 * settle)
		check("small", 0)
		set(t, large, bulk)
		check("large change", 1)
		for range 5 {
			large.Status()
			time.Sleep(settle / 2)
		}
		check("while it is asked again and again", 1)
		time.Sleep(settle)
		check("large answer", 2)
	})
}
