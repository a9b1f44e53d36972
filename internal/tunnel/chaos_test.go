package tunnel

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/noise"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/packet"
)

// B60, T12: whatever the clock does, nothing panics, nothing loops, and a peer
// comes back when the clock does.
func TestClockChaos(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		w, a, b := pair(t, seed)
		clocks := []mono.Time{epoch, epoch - 1, 1, -epoch, 0, math.MaxInt64, math.MinInt64, epoch.Add(time.Hour)}
		var inFlight [][]byte
		for range 60 {
			now := clocks[r.IntN(len(clocks))]
			l := []*link{a, b}[r.IntN(2)]
			fx := l.chaos(r, now, inFlight)
			if len(fx) > 12 {
				t.Fatalf("seed %d: %d effects of one input", seed, len(fx))
			}
			for _, e := range fx {
				switch e.Kind {
				case Transmit:
					inFlight = append(inFlight, e.Message)
				case Admit:
					l.h.index[e.Session.LocalIndex].session = e.Session
				}
			}
			l.peer.Deadline()
		}
		w.now = epoch
	}
}

// chaos gives one random input to a peer, whatever time it is.
func (l *link) chaos(r *rand.Rand, now mono.Time, inFlight [][]byte) []Effect {
	p, env := l.peer, l.h.env
	_, current, next := p.Sessions()
	switch r.IntN(12) {
	case 0:
		return p.HandleUp(now, nil)
	case 1:
		return p.HandleWantSession(now, nil)
	case 2:
		return p.HandleRekeyDue(now, nil)
	case 3:
		return p.HandleConfirmed(now, next, nil)
	case 4:
		return p.SetPersistentKeepalive(now, uint16(r.IntN(3)*25), nil)
	case 5:
		l.act.DataSent(now)
	case 6:
		l.act.DataReceived(now)
	case 7:
		if current != nil {
			current.Reserve(now, 1)
			current.RekeyDueOnReceive(now)
		}
	case 8:
		return p.HandleTimeout(now, nil)
	default:
		if len(inFlight) > 0 {
			return l.chaosMessage(now, inFlight[r.IntN(len(inFlight))], env)
		}
	}
	return nil
}

// chaosMessage hands a handshake message straight to a peer, as the device would.
func (l *link) chaosMessage(now mono.Time, msg []byte, env *Env) []Effect {
	switch t, _ := wire.Classify(msg); t {
	case wire.TypeInitiation:
		if o, err := noise.Open(env.Static, msg); err == nil && o.Remote() == l.peer.Public() {
			return l.peer.HandleInitiation(now, &o, packet.Endpoint{}, nil)
		}
	case wire.TypeResponse:
		return l.peer.HandleResponse(now, msg, packet.Endpoint{}, nil)
	}
	return nil
}
