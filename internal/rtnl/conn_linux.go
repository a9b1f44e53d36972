package rtnl

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Conn is a connection to the kernel's routing side. Several goroutines may
// use it.
type Conn struct {
	nl *netlink.Conn
}

// Dial connects in the network namespace of the calling thread.
func Dial() (*Conn, error) {
	nl, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return nil, fmt.Errorf("rtnetlink: %w", err)
	}
	// Kernels before 4.20 lack one of the two: dumps are then not filtered by
	// the kernel, and errors come without words.
	_ = nl.SetOption(netlink.ExtendedAcknowledge, true)
	_ = nl.SetOption(netlink.GetStrictCheck, true)
	return &Conn{nl: nl}, nil
}

// Close ends the connection.
func (c *Conn) Close() error { return c.nl.Close() }

// change sends a request that the kernel only acknowledges.
func (c *Conn) change(kind netlink.HeaderType, flags netlink.HeaderFlags, header []byte, attrs attributes) error {
	_, err := c.execute(kind, flags|netlink.Acknowledge, header, attrs)
	return err
}

// maxDumps limits how often an interrupted dump is asked for again.
const maxDumps = 5

// dump asks for a list. The kernel marks a list that changed while it was
// read; such a list may miss entries, so it is read again, and the last
// attempt is taken as it is.
func (c *Conn) dump(kind netlink.HeaderType, header []byte, attrs attributes) ([]netlink.Message, error) {
	for attempt := 1; ; attempt++ {
		msgs, err := c.execute(kind, netlink.Dump, header, attrs)
		if err != nil || attempt == maxDumps || !interrupted(msgs) {
			return msgs, err
		}
	}
}

func interrupted(msgs []netlink.Message) bool {
	for _, m := range msgs {
		if m.Header.Flags&netlink.DumpInterrupted != 0 {
			return true
		}
	}
	return false
}

// attributes writes the attributes of a request.
type attributes func(*netlink.AttributeEncoder)

func (c *Conn) execute(kind netlink.HeaderType, flags netlink.HeaderFlags, header []byte, attrs attributes) ([]netlink.Message, error) {
	ae := netlink.NewAttributeEncoder()
	if attrs != nil {
		attrs(ae)
	}
	tail, err := ae.Encode()
	if err != nil {
		return nil, err
	}
	msgs, err := c.nl.Execute(netlink.Message{
		Header: netlink.Header{Type: kind, Flags: netlink.Request | flags},
		Data:   append(header, tail...),
	})
	return msgs, plain(err)
}

// plain reduces an error of the netlink library to what the kernel said: the
// error number, with the kernel's words where it found some.
func plain(err error) error {
	var op *netlink.OpError
	if !errors.As(err, &op) {
		return err
	}
	if op.Message != "" {
		return &Refusal{Err: op.Err, Message: op.Message}
	}
	return op.Err
}

// decode calls f for every attribute behind a header of n bytes.
func decode(m netlink.Message, n int, f func(*netlink.AttributeDecoder)) error {
	if len(m.Data) < n {
		return fmt.Errorf("rtnetlink: message of %d bytes, want at least %d", len(m.Data), n)
	}
	ad, err := netlink.NewAttributeDecoder(m.Data[n:])
	if err != nil {
		return fmt.Errorf("rtnetlink: %w", err)
	}
	for ad.Next() {
		f(ad)
	}
	if err := ad.Err(); err != nil {
		return fmt.Errorf("rtnetlink: %w", err)
	}
	return nil
}

var native = binary.NativeEndian
