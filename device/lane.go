package device

import (
	"slices"
	"time"

	"github.com/warrenvpn/warren/internal/tunnel"
)

// lane is one goroutine that may hold sessions: the outbound lane of a TUN
// queue, the inbound lane of a socket, or the handshake intake.
type lane struct {
	epoch *epoch
	drops drops
	vital bool // without it the device is of no use: its end is the end of Run
}

// conveyor takes loads from a lane to its last stage, the one that hands them to
// the system: how the stages of a lane are spread over goroutines is decided
// here, and nowhere else. Inline, the last stage is a call. Pipelined, it has a
// goroutine of its own and works on one load while the lane fills the other:
// one flow can then use two processors.
type conveyor[T any] struct {
	last       func(T)
	full, free chan T // nil: inline
	ended      chan struct{}
}

// newConveyor returns a conveyor, and the load to begin with. A lane that ends
// calls close.
func newConveyor[T any](pipelined bool, newLoad func() T, last func(T)) (*conveyor[T], T) {
	c := &conveyor[T]{last: last}
	if pipelined {
		c.full, c.free, c.ended = make(chan T, 1), make(chan T, 1), make(chan struct{})
		c.free <- newLoad()
		go c.work()
	}
	return c, newLoad()
}

// pass gives a load away and returns an empty one.
//
// hot path
func (c *conveyor[T]) pass(load T) T {
	if c.full == nil {
		c.last(load)
		return load
	}
	c.full <- load
	return <-c.free
}

// workNow works on a load that cannot wait to be passed, and stays with the
// caller, after everything passed before it: packets keep their order.
func (c *conveyor[T]) workNow(load T) {
	if c.full != nil {
		c.free <- <-c.free // it comes back when it has been worked on
	}
	c.last(load)
}

func (c *conveyor[T]) work() {
	defer close(c.ended)
	for load := range c.full {
		c.last(load)
		c.free <- load
	}
}

// close returns when everything passed has been worked on.
func (c *conveyor[T]) close() {
	if c.full != nil {
		close(c.full)
		<-c.ended
	}
}

// setbacks counts errors in a row of what a lane reads from. They are passing by
// contract, but one that does not pass must not become a busy loop (E15).
type setbacks int

const (
	freeSetbacks = 8 // so many are taken as noise
	setbackPause = 10 * time.Millisecond
)

// endure waits a moment if errors do not end. Nobody waits for a lane that does.
func (s *setbacks) endure() {
	if *s++; *s > freeSetbacks {
		time.Sleep(setbackPause)
	}
}

// startLane starts run on a goroutine of its own; its end reaches control
// through finished. Control only.
func (d *Device) startLane(run func(*lane)) *lane {
	l := &lane{epoch: d.crew.join()}
	d.lanes = append(d.lanes, l)
	go func() {
		run(l)
		d.finished <- l
	}()
	return l
}

// laneEnded forgets a lane but keeps its counts. Control only.
func (d *Device) laneEnded(l *lane) {
	d.crew.part(l.epoch)
	if i := slices.Index(d.lanes, l); i >= 0 {
		d.lanes = slices.Delete(d.lanes, i, i+1)
	}
	for r := range l.drops.n {
		d.gone.add(Drop(r), int(l.drops.n[r].Load()))
	}
}

// dropCounters lists the counters to be summed. Control only.
func (d *Device) dropCounters() []*drops {
	c := []*drops{&d.gone, &d.own}
	for _, l := range d.lanes {
		c = append(c, &l.drops)
	}
	return c
}

// retire erases the keys of s once the last lane that may be using them has let
// go. Its index is free already. Control only.
func (d *Device) retire(p *peer, s *tunnel.Session) {
	p.staged.Withdraw(s, &p.session)
	d.crew.bury(s.Clear)
}
