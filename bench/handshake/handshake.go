// Package handshake compares how many handshakes per second one core answers:
// the state machine of this project and the device of wireguard-go, in one
// process and by turns, so that whatever else the machine does meets both.
//
// A responder gets an initiation as bytes from a peer it knows and has to leave
// the response as bytes, with the session's keys in place on its side: mac1 is
// checked, the initiation consumed, the response made, its MACs added, the
// transport ciphers made. Sockets, queues and goroutines are left out of both.
// There are many peers, as each of the two refuses a peer that comes again within
// 20 ms. Every response is consumed by its initiator afterwards, outside the time
// that is measured, so a responder that is wrong has no figure.
package handshake

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/warrenvpn/warren/internal/cookie"
	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/noise"
	"github.com/warrenvpn/warren/internal/tai64n"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/key"
)

// callers is how many peers a responder has: enough that a turn of the faster
// one takes longer than the 20 ms for which a peer has to wait.
const callers = 1024

// responder answers initiations. Those of one call are of different peers.
type responder interface {
	respond(initiations, responses [][]byte) error
}

// Measure lets both answer all callers, n times by turns, and returns how many
// handshakes per second each made, turn by turn.
func Measure(n int) (ours, theirs []float64, err error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // with the garbage collector, on one core
	private, err := key.GeneratePrivate(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	world, err := newWorld(private.Public())
	if err != nil {
		return nil, nil, err
	}
	warren := newOurs(&private, world.publics())
	reference, err := newTheirs(&private, world.publics())
	if err != nil {
		return nil, nil, err
	}
	defer reference.close()
	// The first turn of each is left out: static products are computed there.
	for turn := range n + 1 {
		var rates [2]float64
		for i := range rates {
			which := (i + turn) % 2 // who is first changes
			rates[which], err = world.turn([]responder{warren, reference}[which])
			if err != nil {
				return nil, nil, err
			}
		}
		if turn > 0 {
			ours, theirs = append(ours, rates[0]), append(theirs, rates[1])
		}
	}
	return ours, theirs, nil
}

// Median returns the middle one of several figures.
func Median(figures []float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// caller is an initiator.
type caller struct {
	static *noise.Static
	remote *noise.Remote // the responder
	macs   *cookie.Generator
}

// world is everybody who calls the responder.
type world struct {
	callers     []caller
	turns       uint32 // so far
	initiations [][]byte
	responses   [][]byte
}

func newWorld(responder key.Public) (*world, error) {
	w := &world{}
	for range callers {
		private, err := key.GeneratePrivate(rand.Reader)
		if err != nil {
			return nil, err
		}
		w.callers = append(w.callers, caller{
			static: noise.NewStatic(&private), remote: noise.NewRemote(responder), macs: cookie.NewGenerator(responder),
		})
		w.initiations = append(w.initiations, make([]byte, wire.InitiationSize))
		w.responses = append(w.responses, make([]byte, wire.ResponseSize))
	}
	return w, nil
}

func (w *world) publics() (all []key.Public) {
	for _, c := range w.callers {
		all = append(all, c.static.Public())
	}
	return all
}

// turn has r answer everybody once and returns how many it answers per second.
func (w *world) turn(r responder) (perSecond float64, err error) {
	w.turns++
	stamp := tai64n.FromTime(1_700_000_000+int64(w.turns), 0)
	pending := make([]noise.Initiator, len(w.callers))
	for i, c := range w.callers {
		var ephemeral [key.Size]byte
		rand.Read(ephemeral[:])
		pending[i], err = noise.Initiate(w.initiations[i], c.static, c.remote, &ephemeral, uint32(i+1), stamp)
		if err != nil {
			return 0, err
		}
		c.macs.AddMACs(1, w.initiations[i])
	}
	runtime.GC()
	begin := time.Now()
	if err := r.respond(w.initiations, w.responses); err != nil {
		return 0, fmt.Errorf("%T: %w", r, err)
	}
	took := time.Since(begin)
	for i, c := range w.callers {
		keys, err := pending[i].Consume(w.responses[i], c.static, nil)
		if err != nil {
			return 0, fmt.Errorf("%T: response %d: %w", r, i, err)
		}
		keys.Clear()
		if !cookie.NewChecker(c.static.Public(), rand.Reader).CheckMAC1(w.responses[i]) {
			return 0, fmt.Errorf("%T: response %d: mac1 is wrong", r, i)
		}
	}
	return float64(len(w.callers)) / took.Seconds(), nil
}

// index draws a session index that is not in use.
func index[T any](used map[uint32]T) uint32 {
	for {
		var b [4]byte
		rand.Read(b[:])
		i := binary.LittleEndian.Uint32(b[:])
		if _, taken := used[i]; !taken {
			return i
		}
	}
}

// now is a clock for machines that take the time as a number.
func now() mono.Time { return mono.Time(time.Since(started) + time.Hour) }

var started = time.Now()
