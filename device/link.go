package device

import (
	"fmt"

	"github.com/warrenvpn/warren/internal/tunnel"
	"github.com/warrenvpn/warren/packet"
)

// openPort is the UDP port in use while the interface is up.
type openPort struct{ packet.Port }

// bringUp opens the sockets and starts the peers. Control only.
func (d *Device) bringUp() error {
	if d.up {
		return nil
	}
	port, err := d.openPort(d.listenPort, d.fwMark)
	if err != nil {
		return err
	}
	d.up = true
	d.usePort(port)
	d.log.Debug("interface up", "port", port.Number())
	now := d.clock.Now()
	for _, p := range d.order {
		if p != nil {
			d.drive(p, func(m *tunnel.Peer, fx []tunnel.Effect) []tunnel.Effect { return m.HandleUp(now, fx) })
		}
	}
	return nil
}

// bringDown closes the sockets and erases every session; the configuration and
// the port number stay (compat 4.5). Control only.
func (d *Device) bringDown() {
	if !d.up {
		return
	}
	d.up = false
	for _, p := range d.order {
		if p != nil {
			d.stop(p)
		}
	}
	d.usePort(nil)
	d.log.Debug("interface down")
}

// stop erases a peer's sessions and what waits for one.
func (d *Device) stop(p *peer) {
	now := d.clock.Now()
	d.drive(p, func(m *tunnel.Peer, fx []tunnel.Effect) []tunnel.Effect { return m.HandleDown(now, fx) })
}

func (d *Device) openPort(number uint16, mark uint32) (*openPort, error) {
	port, err := d.network.Open(number, mark)
	if err != nil {
		return nil, fmt.Errorf("open UDP port %d: %w", number, err)
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
