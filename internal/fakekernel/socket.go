package fakekernel

import (
	"fmt"
	"iter"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
)

// socket is one end of a connection; the kernel is the other. It is used by one
// goroutine, as every call of wgctl has its own.
type socket struct {
	k        *Kernel
	protocol int
	pid      uint32
	request  netlink.Header
	answers  []netlink.Message // one datagram each
	dump     *dump             // in progress
	parts    int
	closed   bool
}

// SetDeadline, SetReadDeadline and SetWriteDeadline do nothing: nobody waits.
func (s *socket) SetDeadline(time.Time) error      { return nil }
func (s *socket) SetReadDeadline(time.Time) error  { return nil }
func (s *socket) SetWriteDeadline(time.Time) error { return nil }

func (s *socket) Close() error {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	if s.closed {
		return syscall.EBADF
	}
	s.closed = true
	s.k.open--
	return nil
}

func (s *socket) SendMessages([]netlink.Message) error { return syscall.EOPNOTSUPP }

// Send handles a request at once, as a kernel does but for dumps.
func (s *socket) Send(m netlink.Message) error {
	wire, err := m.MarshalBinary()
	if err != nil {
		return err
	}
	if err := m.UnmarshalBinary(wire); err != nil { // a copy, of what would arrive
		return err
	}
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	r := Request{Type: uint16(m.Header.Type), Data: m.Data, Length: len(wire)}
	if s.protocol == 16 && len(m.Data) > 0 {
		r.Command = m.Data[0]
	}
	s.k.requests = append(s.k.requests, r)
	s.request, s.dump, s.parts, s.answers = m.Header, nil, 0, nil
	if m.Header.Flags&netlink.Request == 0 {
		return fmt.Errorf("a request of flags %v is none", m.Header.Flags)
	}
	errno := s.handle(m)
	if errno != 0 || s.dump == nil && len(s.answers) == 0 || m.Header.Flags&netlink.Acknowledge != 0 && s.dump == nil {
		s.acknowledge(errno, m)
	}
	return nil
}

// acknowledge answers with an error number and the request.
func (s *socket) acknowledge(errno syscall.Errno, m netlink.Message) {
	if errno == 0 && m.Header.Flags&netlink.Acknowledge == 0 {
		return
	}
	data := native.AppendUint32(nil, uint32(-int32(errno)))
	head, _ := netlink.Message{Header: m.Header, Data: m.Data}.MarshalBinary()
	s.answers = append(s.answers, netlink.Message{Header: netlink.Header{Type: netlink.Error}, Data: append(data, head...)})
}

func (s *socket) handle(m netlink.Message) syscall.Errno {
	isDump := m.Header.Flags&netlink.Dump == netlink.Dump
	switch {
	case s.protocol == 0 && m.Header.Type == 18 && isDump && len(m.Data) >= 16:
		for _, l := range s.k.links {
			s.answers = append(s.answers, netlink.Message{
				Header: netlink.Header{Type: 16, Flags: netlink.Multi | netlink.DumpInterrupted}, Data: putLink(l),
			})
		}
		s.answers = append(s.answers, doneMessage())
		return 0
	case s.protocol != 16:
		return syscall.EOPNOTSUPP
	case len(m.Data) < 4:
		return syscall.EINVAL
	case m.Header.Type == 16:
		return s.control(m)
	case m.Header.Type == familyID && !s.k.NoFamily:
		return s.wireguard(m, isDump)
	}
	return syscall.ENOENT
}

// control answers which number a family has.
func (s *socket) control(m netlink.Message) syscall.Errno {
	a, errno := s.k.parse(m.Data[4:], policy{1: {kind: u16}, 2: {kind: nulString, n: 15}})
	switch {
	case errno != 0:
		return errno
	case m.Data[0] != 3:
		return syscall.EOPNOTSUPP
	case cString(a[2]) != "wireguard" || s.k.NoFamily:
		return syscall.ENOENT
	}
	b := put([]byte{1, 2, 0, 0}, 2, []byte("wireguard\x00"))
	b = put(b, 1, native.AppendUint16(nil, familyID))
	b = put(b, 3, native.AppendUint32(nil, 1))
	s.answers = append(s.answers, netlink.Message{Header: netlink.Header{Type: 16}, Data: b})
	return 0
}

func (s *socket) wireguard(m netlink.Message, isDump bool) syscall.Errno {
	get, set, _, _ := policies(s.k.Era)
	switch {
	case m.Data[0] > 1 || isDump != (m.Data[0] == 0):
		return syscall.EOPNOTSUPP
	case s.k.Denied:
		return syscall.EPERM
	case m.Data[0] == 1:
		s.k.sets++
		if s.k.sets == s.k.FailSet {
			return syscall.ENOMEM
		}
		a, errno := s.k.parse(m.Data[4:], set)
		if errno != 0 {
			return errno
		}
		return s.k.setDevice(a)
	}
	a, errno := s.k.parse(m.Data[4:], get)
	if errno != 0 {
		return errno
	}
	l, errno := s.k.device(a)
	if errno == 0 {
		s.dump = &dump{k: s.k, l: l}
	}
	return errno
}

func doneMessage() netlink.Message {
	return netlink.Message{Header: netlink.Header{Type: netlink.Done, Flags: netlink.Multi}, Data: make([]byte, 4)}
}

// datagram returns the next one. Dumps go on only as they are read, and others
// may change things in between.
func (s *socket) datagram() ([]netlink.Message, error) {
	if s.dump != nil && s.parts > 0 && s.k.BetweenParts != nil {
		s.k.BetweenParts(s.k)
	}
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	switch {
	case s.closed:
		return nil, syscall.EBADF
	case len(s.answers) > 0:
		m := s.answers[0]
		s.answers = s.answers[1:]
		return []netlink.Message{m}, nil
	case s.dump == nil:
		return nil, syscall.EAGAIN // a real one would wait for ever
	}
	s.parts++
	msgs := []netlink.Message{s.dump.part()}
	if s.dump.done {
		s.dump = nil
		if 16+len(msgs[0].Data)+20 <= s.k.Page {
			msgs = append(msgs, doneMessage())
		} else {
			s.answers = append(s.answers, doneMessage())
		}
	}
	return msgs, nil
}

// Receive implements netlink.Socket.
func (s *socket) Receive() (all []netlink.Message, err error) {
	for m, err := range s.ReceiveIter() {
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// ReceiveIter implements netlink.Socket.
func (s *socket) ReceiveIter() iter.Seq2[netlink.Message, error] {
	return func(yield func(netlink.Message, error) bool) {
		msgs, err := s.datagram()
		if err != nil {
			yield(netlink.Message{}, err)
			return
		}
		for _, m := range msgs {
			m.Header.Sequence, m.Header.PID = s.request.Sequence, s.pid
			m.Header.Length = uint32(16 + len(m.Data))
			if s.k.Spoil != nil {
				s.k.Spoil(&m)
			}
			if !yield(m, nil) {
				return
			}
		}
	}
}
