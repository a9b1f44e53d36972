package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// echoPatience is how long the last answers are waited for.
const echoPatience = time.Second

// echoes sends echo requests from the client to the server. A round trip ends
// when the kernel receives the answer, not when this process, which competes
// for the processors, comes to read it.
func (r *rig) echoes(ctx context.Context, count int) (*echoes, error) {
	p := pinger{id: uint16(os.Getpid()), sent: make([]atomic.Int64, count)}
	err := r.client.Do(p.open)
	if err != nil {
		return nil, fmt.Errorf("open ICMP socket: %w", err)
	}
	defer unix.Close(p.fd)
	got := make(chan []float64, 1)
	go func() { got <- p.receive() }()
	err = p.send(ctx, &unix.SockaddrInet4{Addr: r.target.As4()})
	p.end.Store(time.Now().Add(echoPatience).UnixNano())
	e := &echoes{times: <-got, sent: count}
	if err == nil && len(e.times) < count/2 {
		err = fmt.Errorf("%d of %d echoes were answered", len(e.times), count)
	}
	return e, err
}

// pinger sends on one goroutine and receives on another.
type pinger struct {
	fd   int
	id   uint16
	sent []atomic.Int64 // when, in nanoseconds of the clock the kernel stamps with
	end  atomic.Int64   // when to give up, once everything was sent
}

// open makes the socket in the network namespace of the thread.
func (p *pinger) open() (err error) {
	p.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
	if err != nil {
		return err
	}
	wait := unix.NsecToTimeval(int64(50 * time.Millisecond))
	err = errors.Join(
		unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_NEW, 1),
		unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20),
		unix.SetsockoptTimeval(p.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait))
	if err != nil {
		unix.Close(p.fd)
	}
	return err
}

func (p *pinger) send(ctx context.Context, to *unix.SockaddrInet4) error {
	next := time.Now()
	for i := range p.sent {
		packet := encodeEcho(p.id, uint16(i))
		p.sent[i].Store(time.Now().UnixNano())
		// A full queue is a lost echo, as it would be further on.
		if err := unix.Sendto(p.fd, packet, 0, to); err != nil && !errors.Is(err, unix.ENOBUFS) {
			return fmt.Errorf("send echo: %w", err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		next = next.Add(echoInterval)
		time.Sleep(time.Until(next))
	}
	return nil
}

// receive returns the round trips of what is answered until the end.
func (p *pinger) receive() (times []float64) {
	packet, control := make([]byte, 1500), make([]byte, 128)
	for len(times) < len(p.sent) {
		n, c, _, _, err := unix.Recvmsg(p.fd, packet, control, 0)
		if end := p.end.Load(); end != 0 && time.Now().UnixNano() > end {
			break
		}
		if err != nil {
			continue // nothing came for a while
		}
		sequence, ok := decodeEcho(packet[:n], p.id)
		if !ok || int(sequence) >= len(p.sent) {
			continue
		}
		at, ok := stamp(control[:c])
		// Each is counted once, even if it is answered twice.
		if since := p.sent[sequence].Swap(0); ok && since != 0 {
			times = append(times, time.Duration(at-since).Seconds())
		}
	}
	return times
}

// stamp returns when the kernel received a packet: socket(7), SO_TIMESTAMPNS.
func stamp(control []byte) (nanoseconds int64, ok bool) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return 0, false
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS_NEW && len(m.Data) >= 16 {
			seconds := int64(binary.NativeEndian.Uint64(m.Data))
			return seconds*1e9 + int64(binary.NativeEndian.Uint64(m.Data[8:])), true
		}
	}
	return 0, false
}
