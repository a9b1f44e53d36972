// Package order is what the test on the host and the first process of the guest
// say to each other, over a port of a virtual serial device.
//
// A message is its length in four bytes, big-endian, and JSON. The host sends
// orders, each with a number of its own; the guest answers each once, in the
// order in which they are done. Several can be under way.
//
// What it is not: it has no security; whoever holds the port is root in there.
package order

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// Port is the name of the serial port in the guest.
const Port = "org.warren.orders"

// The kinds of orders.
const (
	Hello    = "hello"    // the guest sends it unasked when it is ready, as number 0
	Run      = "run"      // run Argv, or Path with these arguments, and report what came of it
	Cancel   = "cancel"   // kill what order Of runs
	Write    = "write"    // write Data to the file Path
	Read     = "read"     // return the file Path
	Load     = "load"     // insert the modules Argv, and what they depend on
	PowerOff = "poweroff" // end the guest; no answer
)

// Order is what the guest is to do.
type Order struct {
	ID   uint64   `json:"id"`
	Kind string   `json:"kind"`
	Argv []string `json:"argv,omitempty"`
	Env  []string `json:"env,omitempty"` // added to the guest's own
	Data []byte   `json:"data,omitempty"`
	UID  uint32   `json:"uid,omitempty"` // of the process, and its group's
	Path string   `json:"path,omitempty"`
	Mode uint32   `json:"mode,omitempty"`
	Of   uint64   `json:"of,omitempty"`
}

// Answer is what came of an order.
type Answer struct {
	ID     uint64 `json:"id"`
	Stdout []byte `json:"stdout,omitempty"`
	Stderr []byte `json:"stderr,omitempty"`
	Status int    `json:"status,omitempty"` // exit status; 128 and the number of the signal that ended it
	Error  string `json:"error,omitempty"`  // why it could not be done at all
}

// MaxSize bounds a message: a nonsensical length must not take all memory.
const MaxSize = 256 << 20

// Send writes a message.
func Send(w io.Writer, m any) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(b) > MaxSize {
		return fmt.Errorf("send: a message of %d bytes, want at most %d", len(b), MaxSize)
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
	return err
}

// Receive reads a message into m. At the end of r it returns io.EOF.
func Receive(r io.Reader, m any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > MaxSize {
		return fmt.Errorf("receive: a message of %d bytes, want at most %d", n, MaxSize)
	}
	// Grown as it arrives: a cut-off message costs no more than it had.
	b, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err != nil {
		return err
	}
	if len(b) < int(n) {
		return io.ErrUnexpectedEOF
	}
	return json.Unmarshal(b, m)
}
