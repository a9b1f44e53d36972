package device

import (
	"sync"
	"testing"
)

// Joint 3: a bit that was posted is seen, whatever the interleaving.
func TestSignalsAreNeverLost(t *testing.T) {
	s := newSignals()
	peers := make([]*peer, 8)
	for i := range peers {
		peers[i] = new(peer)
	}
	const rounds = 20_000
	seen := make(map[*peer]uint32)
	answered := make([]chan struct{}, 4)
	for i := range answered {
		answered[i] = make(chan struct{}, 1)
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	// Each lane posts its own bit and waits until control has seen it.
	for lane := range answered {
		wg.Go(func() {
			for i := range rounds {
				s.post(peers[(i+lane)%len(peers)], 1<<lane)
				<-answered[lane]
			}
		})
	}
	go func() { wg.Wait(); close(stop) }()
	for {
		select {
		case <-s.wake:
			s.drain(2, func(p *peer, bits uint32) {
				seen[p] |= bits
				for lane := range answered {
					if bits&(1<<lane) != 0 {
						answered[lane] <- struct{}{}
					}
				}
			})
		case <-stop:
			return
		}
	}
}

func TestSignalsKeepOrder(t *testing.T) {
	s := newSignals()
	a, b, c := new(peer), new(peer), new(peer)
	s.post(b, wantSession)
	s.post(a, rekeyDue)
	s.post(b, rekeyDue)
	s.post(c, sawFirst)
	var got []*peer
	s.drain(perTurn, func(p *peer, bits uint32) {
		got = append(got, p)
		if p == b && bits != wantSession|rekeyDue {
			t.Errorf("bits = %b, want both", bits)
		}
	})
	if len(got) != 3 || got[0] != b || got[1] != a || got[2] != c {
		t.Errorf("order differs: %v", got)
	}
}
