package device

import (
	"time"

	"github.com/warrenvpn/warren/internal/tunnel"
	"github.com/warrenvpn/warren/packet"
)

// openPort is the UDP port in use while the interface is up.
type openPort struct{ packet.Port }

// upWait is how long what came out of the TUN waits for word that the interface
// is up.
const upWait = time.Second

// linkIsDown lets lanes wait for linkIsUp. Control only.
func (d *Device) linkIsDown() {
	if d.rising.Load() == nil {
		c := make(chan struct{})
		d.rising.Store(&c)
	}
}

// linkIsUp lets lanes go on: the port is open, or could not be opened. Control
// only.
func (d *Device) linkIsUp() {
	if c := d.rising.Swap(nil); c != nil {
		close(*c)
	}
}

// awaitUp is called by a lane that has packets and finds no port. A system sends
// packets from the moment its interface is up, and control hears of that later:
// in the kernel, which opens the sockets first, the first packets are not lost,
// and neither must they be here. What an interface still held when it went down
// comes out too, but no word follows.
func (d *Device) awaitUp() {
	c := d.rising.Load()
	if c == nil {
		return
	}
	timer := time.NewTimer(upWait)
	defer timer.Stop()
	select {
	case <-*c:
	case <-timer.C:
	case <-d.done:
	}
}

// bringUp opens the sockets and starts the peers. Control only.
func (d *Device) bringUp() error {
	if d.up {
		return nil
	}
	port, err := d.openPort(d.listenPort, d.fwMark)
	if err != nil {
		return err
	}
	d.rise(port)
	return nil
}

// rise begins to use port and brings every machine up.
func (d *Device) rise(port *openPort) {
	d.up = true
	d.eager = nil
	for _, p := range d.order {
		if p != nil {
			d.raise(p)
		}
	}
	d.usePort(port)
	d.log.Debug("interface up", "port", port.Number())
	d.beginKeepalives()
}

// raise brings the machine of p up. It answers from now on; its own keepalive
// follows in its turn.
func (d *Device) raise(p *peer) {
	now := d.clock.Now()
	// A lane that had not noticed that the interface went down may have staged
	// something since.
	d.own.add(DropStageFull, p.staged.Drop())
	if p.machine != nil {
		d.drive(p, func(m *tunnel.Peer, fx []tunnel.Effect) []tunnel.Effect {
			fx = m.SetPersistentKeepalive(now, 0, fx)
			return m.HandleUp(now, fx)
		})
	}
	if p.keepalive != 0 {
		d.encourage(p)
	}
}

// bringDown closes the sockets and erases every session; the configuration and
// the port number stay (compat 4.5). Control only.
func (d *Device) bringDown() {
	if !d.up {
		return
	}
	d.up = false
	d.usePort(nil) // first, so that lanes stage nothing more
	for _, p := range d.order {
		if p != nil {
			d.stop(p)
		}
	}
	d.log.Debug("interface down")
}

// stop erases a peer's sessions and what waits for one.
func (d *Device) stop(p *peer) {
	if p.machine == nil {
		d.own.add(DropStageFull, p.staged.Drop())
		return
	}
	now := d.clock.Now()
	d.drive(p, func(m *tunnel.Peer, fx []tunnel.Effect) []tunnel.Effect { return m.HandleDown(now, fx) })
}

func (d *Device) openPort(number uint16, mark uint32) (*openPort, error) {
	port, err := d.network.Open(number, mark)
	if err != nil {
		return nil, err // which names the port
	}
	return &openPort{port}, nil
}

// usePort puts port, which may be nil, in the place of the one in use and
// closes that. Control only.
func (d *Device) usePort(port *openPort) {
	old := d.port.Load()
	d.port.Store(port)
	if port != nil {
		d.listenPort = port.Number()
		for _, r := range port.Receivers() {
			d.startReceiver(r)
		}
	}
	if old != nil {
		if err := old.Close(); err != nil {
			d.log.Debug("close UDP port", "error", err)
		}
	}
}
