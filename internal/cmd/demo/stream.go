package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/warrenvpn/warren/internal/netlab"
)

// throughput returns the bits per second that arrive over one TCP connection,
// measured at the receiver from its first byte on.
func throughput(ctx context.Context, from, to *netlab.Host, addr netip.Addr, length time.Duration) (float64, error) {
	limit := time.Now().Add(length + 5*time.Second)
	out, in, err := stream(ctx, from, to, addr, limit)
	if err != nil {
		return 0, fmt.Errorf("stream from %s to %s: %w", from.Name(), to.Name(), err)
	}
	defer in.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		block := make([]byte, 256<<10)
		for {
			if _, err := out.Write(block); err != nil {
				return // closed below, or the receiver is gone
			}
		}
	}()
	bits, err := receive(in, length)
	out.Close()
	<-sent
	if err != nil {
		return 0, fmt.Errorf("stream from %s to %s: %w", from.Name(), to.Name(), err)
	}
	return bits, nil
}

// stream opens a TCP connection from one host to another.
func stream(ctx context.Context, from, to *netlab.Host, addr netip.Addr, limit time.Time) (out, in net.Conn, err error) {
	var l net.Listener
	err = to.Do(func() (err error) {
		var config net.ListenConfig
		l, err = config.Listen(ctx, "tcp", netip.AddrPortFrom(addr, 0).String())
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	err = from.Do(func() (err error) {
		d := net.Dialer{Deadline: limit}
		out, err = d.DialContext(ctx, "tcp", l.Addr().String())
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if in, err = l.Accept(); err != nil {
		out.Close()
		return nil, nil, err
	}
	return out, in, errors.Join(out.SetDeadline(limit), in.SetDeadline(limit))
}

// receive counts what arrives.
func receive(r io.Reader, length time.Duration) (bitsPerSecond float64, err error) {
	block := make([]byte, 256<<10)
	if _, err := io.ReadFull(r, block[:1]); err != nil {
		return 0, err
	}
	var bytes int
	for start := time.Now(); ; {
		n, err := r.Read(block)
		bytes += n
		elapsed := time.Since(start)
		if elapsed >= length {
			return 8 * float64(bytes) / elapsed.Seconds(), nil
		}
		if err != nil {
			return 0, err
		}
	}
}
