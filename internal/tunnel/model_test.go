package tunnel

import (
	"fmt"
	"time"

	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/tai64n"
)

// model is a naive second implementation of Peer, written after the kernel's
// structure: eager timers that are armed and cancelled by each event, sessions
// without keys. Every input of every simulated peer goes to both, and what they
// answer must be equal, word for word. It trusts the simulation to tell it what
// a message truly is, where Peer has to find out by decrypting.
type model struct {
	name       string
	up, hasKey bool
	lowOrder   bool
	smaller    bool // own public key is the smaller of the two
	psk        string
	interval   time.Duration
	jitter     func(mono.Time) time.Duration // the real peer's, which has a test of its own

	retransmit, zero, silent, keepalive, persistent mono.Time

	again    bool
	attempts int
	sentAt   mono.Time
	wanted   bool

	previous, current, next *modelSession
	pending                 *modelHandshake
	sessions                int

	seen     bool
	latest   tai64n.Stamp
	accepted mono.Time

	out []string
	msg []*modelMessage // of the transmits in out
}

type modelSession struct {
	name      string
	initiator bool
	created   mono.Time
	dead      bool
	sent      uint64
}

type modelHandshake struct{ _ byte } // told apart by address

// modelMessage is what a handshake message means.
type modelMessage struct {
	initiation bool
	stamp      tai64n.Stamp
	psk        string
	handshake  *modelHandshake // begun, or answered
}

const (
	mRekeyTimeout = 5 * time.Second
	mKeepalive    = 10 * time.Second
	mRekeyAfter   = 120 * time.Second
	mReject       = 180 * time.Second
	mZero         = 540 * time.Second
	mRetries      = 18

	mRekeyMessages  uint64 = 1 << 60
	mRejectMessages uint64 = 1<<64 - 1 - 8128 - 1
)

func (m *model) say(format string, args ...any) { m.out = append(m.out, fmt.Sprintf(format, args...)) }

func (m *model) take() ([]string, []*modelMessage) {
	out, msg := m.out, m.msg
	m.out, m.msg = nil, nil
	return out, msg
}

// due returns the earliest armed timer, zero if none is.
func (m *model) due() mono.Time {
	if !m.up {
		return 0
	}
	var d mono.Time
	for _, t := range []mono.Time{m.retransmit, m.zero, m.silent, m.keepalive, m.persistent} {
		if t != 0 && (d == 0 || t < d) {
			d = t
		}
	}
	return d
}

func (m *model) usable(now mono.Time) bool {
	s := m.current
	return s != nil && !s.dead && now < s.created.Add(mReject) && s.sent < mRejectMessages
}

// What lanes report.

func (m *model) anySent(now mono.Time) { m.keepalive = 0; m.traversed(now) }

func (m *model) anyReceived(now mono.Time) { m.silent = 0; m.traversed(now) }

func (m *model) traversed(now mono.Time) {
	if m.interval != 0 && m.hasKey {
		m.persistent = now.Add(m.interval)
	}
}

func (m *model) dataSent(now mono.Time) {
	m.anySent(now)
	if m.silent == 0 {
		m.silent = now.Add(mKeepalive + mRekeyTimeout + m.jitter(now))
	}
}

func (m *model) dataReceived(now mono.Time) {
	m.anyReceived(now)
	if m.keepalive == 0 {
		m.keepalive = now.Add(mKeepalive)
	} else {
		m.again = true
	}
}

// Inputs.

func (m *model) request(now mono.Time) {
	m.attempts = 0
	m.wanted = !m.hasKey
	switch {
	case !m.hasKey:
	case m.sentAt == 0 || now >= m.sentAt.Add(mRekeyTimeout):
		m.initiate(now, "HandshakeStarted")
	case m.retransmit == 0 && !m.usable(now):
		m.retransmit = m.sentAt.Add(mRekeyTimeout + m.jitter(m.sentAt))
	}
}

func (m *model) initiate(now mono.Time, why string) {
	m.fireZero(now)
	m.sentAt = now
	m.retransmit = 0
	if m.lowOrder {
		m.say("report HandshakeImpossible")
		return
	}
	m.pending = &modelHandshake{}
	m.anySent(now)
	m.retransmit = now.Add(mRekeyTimeout + m.jitter(now))
	m.say("report %s", why)
	m.say("transmit initiation")
	m.msg = append(m.msg, &modelMessage{initiation: true, handshake: m.pending})
}

func (m *model) retire(s *modelSession) {
	if s != nil {
		s.dead = true
		m.say("retire %s", s.name)
	}
}

func (m *model) newSession(now mono.Time, initiator bool) *modelSession {
	m.sessions++
	m.zero = now.Add(mZero)
	return &modelSession{name: fmt.Sprintf("s%d", m.sessions), initiator: initiator, created: now}
}

func (m *model) handleInitiation(now mono.Time, in *modelMessage, from string) {
	switch {
	case !m.up || !m.hasKey:
		return
	case m.seen && !in.stamp.After(m.latest):
		m.say("report InitiationReplayed")
		return
	case m.accepted != 0 && now < m.accepted.Add(20*time.Millisecond):
		m.say("report InitiationTooSoon")
		return
	}
	m.seen, m.latest, m.accepted, m.sentAt = true, in.stamp, now, now
	m.say("endpoint %s", from)
	if m.pending != nil && m.smaller && m.retransmit != 0 {
		m.sentAt = now.Add(time.Second)
		m.retransmit = max(m.retransmit, now.Add(mRekeyTimeout+m.jitter(now)+time.Second))
	}
	m.pending = nil
	if m.next != nil {
		m.say("report HandshakeUnconfirmed")
	}
	m.retire(m.next)
	m.retire(m.previous)
	m.previous = nil
	m.next = m.newSession(now, false)
	m.say("admit %s", m.next.name)
	m.anyReceived(now)
	m.anySent(now)
	m.say("transmit response")
	m.msg = append(m.msg, &modelMessage{handshake: in.handshake, psk: m.psk})
}

func (m *model) handleResponse(now mono.Time, in *modelMessage, from string) {
	switch {
	case !m.up || m.pending == nil || in.handshake != m.pending:
		m.say("report ResponseUnexpected")
		return
	case in.psk != m.psk:
		m.say("report ResponseRefused")
		return
	}
	m.pending = nil
	s := m.newSession(now, true)
	m.anyReceived(now)
	m.anySent(now)
	m.say("endpoint %s", from)
	m.retire(m.previous)
	if m.next != nil {
		m.retire(m.current)
		m.previous, m.next = m.next, nil
	} else {
		m.previous = m.current
	}
	m.current = s
	m.say("admit %s", s.name)
	m.say("keepalive %s", s.name)
	m.say("install %s", s.name)
	m.complete()
}

func (m *model) complete() {
	m.retransmit, m.attempts, m.wanted = 0, 0, false
	m.say("report HandshakeComplete")
}

func (m *model) handleConfirmed(name string) {
	if !m.up || m.next == nil || m.next.name != name {
		return
	}
	m.retire(m.previous)
	m.previous, m.current, m.next = m.current, m.next, nil
	if !m.current.dead {
		m.say("install %s", name)
		m.complete()
	}
}

func (m *model) handleWant(now mono.Time) {
	if m.up && !m.usable(now) {
		m.request(now)
	}
}

func (m *model) handleRekeyDue(now mono.Time) {
	if m.up && m.current != nil && (!m.usable(now) || m.stale(now)) {
		m.request(now)
	}
}

func (m *model) stale(now mono.Time) bool {
	s := m.current
	return s.sent > mRekeyMessages || s.initiator && now >= s.created.Add(mRekeyAfter)
}

func (m *model) handleUp(now mono.Time) {
	if !m.up {
		m.up = true
		if m.interval != 0 {
			m.firePersistent(now)
			return
		}
	}
	m.beginWanted(now)
}

func (m *model) handleDown() {
	m.eraseAll()
	m.up, m.wanted, m.again = false, false, false
	m.retransmit, m.zero, m.silent, m.keepalive, m.persistent = 0, 0, 0, 0, 0
	m.attempts, m.sentAt = 0, 0
	m.say("drop staged")
}

func (m *model) eraseAll() {
	m.pending = nil
	if m.current != nil {
		m.say("uninstall")
	}
	m.retire(m.previous)
	m.retire(m.current)
	m.retire(m.next)
	m.previous, m.current, m.next = nil, nil, nil
}

func (m *model) handleStaticChanged(now mono.Time, hasKey bool) {
	m.hasKey = hasKey
	m.pending, m.sentAt = nil, 0
	if m.current != nil {
		m.current.dead = true
		m.say("uninstall")
	}
	if m.next != nil {
		m.next.dead = true
	}
	if !hasKey {
		m.wanted = m.wanted || m.up && (m.retransmit != 0 || m.interval != 0)
		m.retransmit, m.persistent = 0, 0
		return
	}
	m.beginWanted(now)
}

func (m *model) beginWanted(now mono.Time) {
	if m.up && m.wanted && m.hasKey {
		if m.interval != 0 {
			m.firePersistent(now)
		} else {
			m.request(now)
		}
	}
}

func (m *model) setInterval(now mono.Time, d time.Duration) {
	old := m.interval
	m.interval = d
	switch {
	case d == 0:
		m.persistent = 0
	case old == 0 && m.up:
		m.firePersistent(now)
	case m.persistent != 0:
		m.persistent = m.persistent.Add(d - old)
	}
}

func (m *model) firePersistent(now mono.Time) {
	m.traversed(now)
	m.sendKeepalive(now)
}

func (m *model) sendKeepalive(now mono.Time) {
	if !m.usable(now) {
		m.request(now)
		return
	}
	m.anySent(now)
	m.say("keepalive %s", m.current.name)
	if m.stale(now) {
		m.request(now)
	}
}

func expired(t *mono.Time, now mono.Time) bool {
	if *t == 0 || *t > now {
		return false
	}
	*t = 0
	return true
}

func (m *model) handleTimeout(now mono.Time) {
	if !m.up {
		return
	}
	m.fireZero(now)
	if expired(&m.retransmit, now) {
		m.fireRetransmit(now)
	}
	if expired(&m.silent, now) {
		m.say("forget source")
		m.say("report PeerSilent")
		m.request(now)
	}
	if expired(&m.keepalive, now) {
		rearm := m.again && m.usable(now)
		m.again = false
		m.sendKeepalive(now)
		if rearm {
			m.keepalive = now.Add(mKeepalive)
		}
	}
	if expired(&m.persistent, now) {
		m.firePersistent(now)
	}
}

func (m *model) fireZero(now mono.Time) {
	if expired(&m.zero, now) {
		m.eraseAll()
		m.say("report KeysErased")
	}
}

func (m *model) fireRetransmit(now mono.Time) {
	switch {
	case m.attempts > mRetries:
		m.keepalive = 0
		if m.zero == 0 {
			m.zero = now.Add(mZero)
		}
		m.say("drop staged")
		m.say("report HandshakeGaveUp")
	case now < m.sentAt.Add(mRekeyTimeout):
		m.retransmit = m.sentAt.Add(mRekeyTimeout + m.jitter(m.sentAt))
	default:
		m.attempts++
		m.say("forget source")
		m.initiate(now, "HandshakeRetried")
	}
}
