package device

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/allowedips"
	"github.com/warrenvpn/warren/internal/clock"
	"github.com/warrenvpn/warren/internal/noise"
	"github.com/warrenvpn/warren/internal/tai64n"
	"github.com/warrenvpn/warren/internal/tunnel"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/key"
)

// ErrClosed is returned by Apply after Run has ended.
var ErrClosed = errors.New("device closed")

// MaxPeers is the largest number of peers of one device.
const MaxPeers = wire.MaxPeers

// Config is what a device is made of.
type Config struct {
	TUN     TUN
	Network Network
	// Rand is the only source of randomness. Nil means crypto/rand. It is read by
	// one goroutine at a time.
	Rand io.Reader
	// Pipelined gives the last stage of each lane, which hands over to the
	// system, a goroutine of its own, so that one flow can use two processors in
	// each direction. It costs a little where there are none to spare.
	Pipelined bool
	// Log receives what control notices. Nil discards it. Lanes never log. Its
	// handler must not call the device: control waits for it.
	Log *slog.Logger
}

// Device is a WireGuard device. Its methods are safe for concurrent use.
type Device struct {
	tun     TUN
	network Network
	log     *slog.Logger
	rand    io.Reader
	clock   *clock.Clock

	pipelined bool // does not change

	// Shared with the lanes.
	routes   atomic.Pointer[allowedips.Table[*peer]]
	identity atomic.Pointer[identity]
	port     atomic.Pointer[openPort]      // nil: the interface is down
	rising   atomic.Pointer[chan struct{}] // closed by word that the interface is up; nil: it came
	mtu      atomic.Int32
	index    *indexTable
	signals  *signals
	intake   chan handshakeMessage

	// To and from control.
	calls    chan func()
	opened   chan openedInitiation
	running  chan struct{} // closed when Run begins
	done     chan struct{} // closed when Run ends
	started  atomic.Bool
	finished chan *lane // lanes that have returned
	lanes    []*lane    // every lane there is: owned by control, read by Drops through it

	// Owned by control.
	env        tunnel.Env
	peers      directory
	order      []*peer // by creation; nil where one was removed
	holes      int
	due        deadlines
	eager      []*peer // whose persistent keepalive is to be turned on; see turns.go
	crew       crew
	linkUp     bool // the interface is up
	up         bool // and so are we: the sockets are open
	privateKey key.Private
	listenPort uint16
	fwMark     uint32
	acting     *peer // whose machine is running: the owner of indices it reserves
	fx         []tunnel.Effect
	sender     sender
	gone       drops // of lanes that have ended
	own        drops // control's own
}

// identity is the private key in use and what derives from it. It is immutable;
// its static key is erased after the last lane has let go of it.
type identity struct {
	static *noise.Static
	public key.Public
}

// New returns a device that is not running yet. It takes over c.TUN.
func New(c Config) (*Device, error) {
	if c.TUN == nil || c.Network == nil {
		return nil, errors.New("new device: TUN and Network are required")
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	} else {
		c.Rand = &sharedRand{r: c.Rand}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	d := &Device{
		tun: c.TUN, network: c.Network, log: c.Log, rand: c.Rand, clock: clock.System(), pipelined: c.Pipelined,
		index:    newIndexTable(c.Rand),
		signals:  newSignals(),
		intake:   make(chan handshakeMessage, intakeQueue),
		calls:    make(chan func()),
		opened:   make(chan openedInitiation, openedQueue),
		running:  make(chan struct{}),
		done:     make(chan struct{}),
		finished: make(chan *lane),
		peers:    newDirectory(),
	}
	d.routes.Store(allowedips.New[*peer]())
	d.linkIsDown()
	d.mtu.Store(int32(c.TUN.MTU()))
	d.env = tunnel.Env{
		Rand:    c.Rand,
		Stamp:   d.stamp,
		Indices: indices{d},
	}
	return d, nil
}

// stamp labels an initiation with the wall time. Each machine sees to it that
// its own labels rise, also when this clock goes back.
func (d *Device) stamp() tai64n.Stamp {
	w := d.clock.Wall()
	return tai64n.FromTime(w.Unix(), int64(w.Nanosecond()))
}

// Apply makes a change, whole or not at all. It waits until Run has begun. The
// endpoints in c must be numeric. A port that is taken gives an error that
// wraps syscall.EADDRINUSE; a bad value gives a *ChangeError.
func (d *Device) Apply(c conf.Change) error { return d.ApplyOf(c, c.All()) }

// ApplyOf is Apply with peers in place of c.Peers, for more of them than are to
// be in memory at once: conf.PeerList. They are gone through twice, on another
// goroutine.
func (d *Device) ApplyOf(c conf.Change, peers iter.Seq[*conf.PeerChange]) error {
	var err error
	if !d.call(func() { err = d.applyOf(&c, peers) }) {
		return ErrClosed
	}
	return err
}

// Status returns the present state. It waits until Run has begun; after Run
// has ended it returns the zero Device.
func (d *Device) Status() conf.Device {
	var s conf.Device
	d.call(func() { s = d.status() })
	return s
}

// Drops returns how many packets were dropped, by reason, since New.
func (d *Device) Drops() map[string]uint64 {
	var total [numDrops]uint64
	sum := func(counters ...*drops) {
		for _, c := range counters {
			for i := range total {
				total[i] += c.n[i].Load()
			}
		}
	}
	if !d.call(func() { sum(d.dropCounters()...) }) {
		sum(&d.gone, &d.own) // every lane has ended, or is about to
	}
	m := make(map[string]uint64, numDrops)
	for i, n := range total {
		m[Drop(i).String()] = n
	}
	return m
}

// call runs f on the control goroutine and reports whether it ran.
func (d *Device) call(f func()) bool {
	ran := make(chan struct{})
	select {
	case d.calls <- func() { f(); close(ran) }:
		<-ran
		return true
	case <-d.done:
		return false
	}
}

// sharedRand is a source of randomness for control and the intake, which makes
// the nonces of cookie replies.
type sharedRand struct {
	mu sync.Mutex // guards r
	r  io.Reader
}

func (s *sharedRand) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.r.Read(b)
}

// indices gives the machines indices from the device's table.
type indices struct{ d *Device }

// Reserve draws an index for the peer whose machine is running.
func (x indices) Reserve(*tunnel.Peer) uint32 { return x.d.index.reserve(x.d.acting) }

// Release frees an index.
func (x indices) Release(index uint32) { x.d.index.release(index) }

// Run drives the device until ctx ends, which is no error, or its interface is
// gone, which returns ErrInterfaceGone. It closes the TUN, and returns after
// every goroutine it started has ended. It can be called once.
func (d *Device) Run(ctx context.Context) error {
	if d.started.Swap(true) {
		return errors.New("run device: it has run before")
	}
	return d.control(ctx)
}

// ErrInterfaceGone says that the interface was deleted under the device.
var ErrInterfaceGone = errors.New("the interface was deleted")
