package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"syscall"

	"github.com/warrenvpn/warren/packet"
)

// portablePort is a port over package net: one socket per family, one system
// call per message, no learnt source address.
type portablePort struct {
	conns  [2]*net.UDPConn // IPv4, IPv6; nil where the host has none
	number uint16
}

func (n *Network) openPortable(number uint16, mark uint32) (Port, error) {
	if mark != 0 {
		return nil, errNoMark()
	}
	var err error
	for range maxOpenTries {
		var p *portablePort
		if p, err = listenBoth(number); err == nil {
			return p, nil
		}
		if number != 0 || !errors.Is(err, errInUse) {
			break
		}
	}
	return nil, fmt.Errorf("open UDP port %d: %w", number, err)
}

func errNoMark() error {
	return fmt.Errorf("mark packets on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

// listenBoth opens number on both families, or on the one that there is.
func listenBoth(number uint16) (*portablePort, error) {
	p := &portablePort{number: number}
	var missing error
	for i, network := range []string{"udp4", "udp6"} {
		conn, err := net.ListenUDP(network, &net.UDPAddr{Port: int(p.number)})
		if err != nil {
			if isNoFamily(err) {
				missing = err
				continue
			}
			_ = p.Close()
			return nil, err
		}
		p.conns[i] = conn
		p.number = conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	}
	if p.conns[0] == nil && p.conns[1] == nil {
		return nil, missing
	}
	return p, nil
}

func (p *portablePort) Number() uint16 { return p.number }

func (p *portablePort) Receivers() []Receiver {
	var all []Receiver
	for _, c := range p.conns {
		if c != nil {
			all = append(all, portableReceiver{c})
		}
	}
	return all
}

func (p *portablePort) Send(runs []packet.Run) error {
	var first error
	for i := range runs {
		if err := p.sendRun(&runs[i]); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (p *portablePort) sendRun(r *packet.Run) error {
	to := netip.AddrPortFrom(r.To.Remote.Addr().Unmap(), r.To.Remote.Port())
	conn := p.conns[0]
	if to.Addr().Is6() {
		conn = p.conns[1]
	}
	if conn == nil {
		return fmt.Errorf("send to %v: %w", to, syscall.EAFNOSUPPORT)
	}
	var first error
	for rest := r.Buf; len(rest) > 0; {
		n := len(rest)
		if r.Segment > 0 {
			n = min(n, r.Segment)
		}
		if _, err := conn.WriteToUDPAddrPort(rest[:n], to); err != nil && first == nil {
			first = err
		}
		rest = rest[n:]
	}
	return first
}

func (p *portablePort) SetMark(mark uint32) error {
	if mark == 0 {
		return nil
	}
	return errNoMark()
}

func (p *portablePort) Close() error {
	var errs []error
	for _, c := range p.conns {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

type portableReceiver struct{ conn *net.UDPConn }

func (r portableReceiver) Handshake() bool { return false }

func (r portableReceiver) Receive(batch []packet.Datagram) (int, error) {
	if len(batch) == 0 {
		return 0, nil
	}
	d := &batch[0]
	n, from, err := r.conn.ReadFromUDPAddrPort(d.Buf)
	if err != nil {
		return 0, err
	}
	d.N, d.Segment, d.TOS = n, n, 0
	d.From = packet.Endpoint{Remote: netip.AddrPortFrom(from.Addr().Unmap(), from.Port())}
	return 1, nil
}
