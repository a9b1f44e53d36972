package tunnel

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/cookie"
	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/noise"
	"github.com/warrenvpn/warren/internal/tai64n"
	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/key"
	"github.com/warrenvpn/warren/packet"
)

// The simulation: hosts that keep the caller's contract of doc.go on a virtual
// network in virtual time. Each link's Peer runs beside a model, and invariants
// are checked after every step, whatever the test is about.

// epoch is when every world begins.
const epoch = mono.Time(time.Hour)

type world struct {
	t     testing.TB
	now   mono.Time
	wall  time.Time // wall clock at epoch
	delay time.Duration
	seed  uint64
	hosts []*host
	queue []*datagram // by time, then order of sending
	rules []*rule
	held  []*datagram
	last  map[string]*datagram // last sent, by "a->b kind"

	quiet bool // no trace
	trace []string
	count map[string]int // datagrams sent by "a->b kind", lost or not, and events
	steps int            // at this instant
	fired int            // timeouts in all
	bytes hash.Hash      // of everything sent
}

type datagram struct {
	at       mono.Time
	from, to *host
	src, dst netip.AddrPort
	b        []byte
	kind     string
	note     string
	meaning  *modelMessage
}

// rule is what the network does to the datagrams it matches.
type rule struct {
	left  int // how many more, negative for all
	path  string
	kind  string
	act   string // drop, dup, delay, hold, corrupt
	delay time.Duration
}

type host struct {
	w    *world
	name string
	addr netip.AddrPort
	*identity
	env     *Env
	checker *cookie.Checker
	load    bool // under load: mac2 is asked for
	up      bool
	shift   time.Duration // of its wall clock
	index   map[uint32]*entry
	keys    map[[16]byte]bool // fingerprints of all send keys ever installed
	links   []*link
}

type identity struct {
	id      string
	private key.Private
	public  key.Public
	static  *noise.Static
}

type entry struct {
	link    *link
	session *Session // nil for a handshake
}

// link is a configured peer of a host.
type link struct {
	h        *host
	remote   string // identity
	peer     *Peer
	act      *Activity
	staged   Staged
	current  atomic.Pointer[Session]
	endpoint packet.Endpoint
	timer    mono.Time // what control has armed
	model    *model
	names    map[*Session]string
	used     map[string]map[uint64]bool // counters by session name
	got      []string                   // payloads received
}

func newWorld(t testing.TB, seed uint64) *world {
	return &world{
		t: t, now: epoch, wall: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), delay: 20 * time.Millisecond,
		seed: seed, last: map[string]*datagram{}, count: map[string]int{}, bytes: sha256.New(),
	}
}

// pair returns a world with two hosts that know each other and are up.
func pair(t testing.TB, seed uint64) (w *world, a, b *link) {
	w = newWorld(t, seed)
	ha, hb := w.addHost("a"), w.addHost("b")
	a, b = ha.addLink("b"), hb.addLink("a")
	a.endpoint.Remote, b.endpoint.Remote = hb.addr, ha.addr
	ha.setUp(true)
	hb.setUp(true)
	return w, a, b
}

// identities are made once: the scalar multiplications of key set-up would take
// most of the time of the searching tests.
var identities sync.Map

func identityOf(id string) *identity {
	if i, ok := identities.Load(id); ok {
		return i.(*identity)
	}
	i := &identity{id: id, private: key.NewPrivate(sha256.Sum256([]byte("identity " + id)))}
	i.public = i.private.Public()
	i.static = noise.NewStatic(&i.private)
	if b, ok := strings.CutPrefix(id, "low"); ok { // low0, low1, ...: points of low order
		i.public, i.static = key.Public(lowOrder[b[0]-'0']), nil
	}
	identities.Store(id, i)
	return i
}

func (w *world) addHost(name string) *host {
	n := len(w.hosts) + 1
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], w.seed)
	seed[8] = byte(n)
	h := &host{
		w: w, name: name, addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}), 51820),
		index: map[uint32]*entry{}, keys: map[[16]byte]bool{},
	}
	h.env = &Env{Rand: rand.NewChaCha8(seed), Stamp: h.nextStamp, Indices: h}
	h.setIdentity(name)
	w.hosts = append(w.hosts, h)
	return h
}

func (w *world) host(name string) *host {
	for _, h := range w.hosts {
		if h.name == name {
			return h
		}
	}
	w.t.Fatalf("no host %q", name)
	return nil
}

// link returns the link of host from to the peer whose identity or name is to.
func (w *world) link(from, to string) *link {
	for _, l := range w.host(from).links {
		if l.remote == to {
			return l
		}
	}
	for _, l := range w.host(from).links {
		if l.remote == w.host(to).id {
			return l
		}
	}
	w.t.Fatalf("host %s has no peer %s", from, to)
	return nil
}

func (w *world) failf(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("seed %d, %s: %s\ntrace:\n%s", w.seed, w.clock(), fmt.Sprintf(format, args...), strings.Join(w.trace, "\n"))
}

func (w *world) clock() string { return fmt.Sprintf("%.3f", w.now.Sub(epoch).Seconds()) }

func (w *world) logf(format string, args ...any) {
	if !w.quiet {
		w.trace = append(w.trace, w.clock()+" "+fmt.Sprintf(format, args...))
	}
}

// takeTrace returns what happened since it was last called.
func (w *world) takeTrace() []string {
	t := w.trace
	w.trace = nil
	return t
}

// advance lets d pass.
func (w *world) advance(d time.Duration) {
	end := w.now.Add(d)
	for range 100_000_000 {
		at, l := w.nextTimer()
		if len(w.queue) > 0 && (at == 0 || w.queue[0].at <= at) {
			at, l = w.queue[0].at, nil
		}
		if at == 0 || at > end {
			w.now = max(w.now, end)
			return
		}
		if at > w.now {
			w.now, w.steps = at, 0
		}
		if w.steps++; w.steps > 1000 {
			w.failf("busy loop: 1000 events at one instant")
		}
		if l != nil {
			l.timer = 0
			w.fired++
			l.input("timeout", l.peer.HandleTimeout, func() { l.model.handleTimeout(w.now) })
			continue
		}
		d := w.queue[0]
		w.queue = w.queue[1:]
		w.arrive(d)
	}
}

func (w *world) nextTimer() (at mono.Time, next *link) {
	for _, h := range w.hosts {
		for _, l := range h.links {
			if l.timer != 0 && (at == 0 || l.timer < at) {
				at, next = l.timer, l
			}
		}
	}
	return at, next
}

// suspend lets d pass on the clock while nobody runs and everything in flight is
// lost.
func (w *world) suspend(d time.Duration) {
	w.now = w.now.Add(d)
	w.queue = nil
}

// send puts d on the network.
func (w *world) send(d *datagram) {
	w.bytes.Write(d.b)
	d.at = w.now.Add(w.delay)
	for _, h := range w.hosts {
		if h.addr == d.dst {
			d.to = h
		}
	}
	path := d.from.name + "->?"
	if d.to != nil {
		path = d.from.name + "->" + d.to.name
	}
	w.count[path+" "+d.kind]++
	w.last[path+" "+d.kind] = d
	fate := ""
	if d.to == nil {
		fate = " (nobody there)"
	}
	for _, r := range w.rules {
		if r.left != 0 && (r.path == "" || r.path == path) && (r.kind == "" || r.kind == d.kind) {
			r.left--
			fate = w.apply(r, d)
			break
		}
	}
	w.logf("%s %s%s%s", path, d.kind, d.note, fate)
	if d.to != nil && (fate == "" || fate == " (twice)") {
		w.enqueue(d)
	}
}

func (w *world) apply(r *rule, d *datagram) string {
	switch r.act {
	case "drop":
		return " (lost)"
	case "hold":
		w.held = append(w.held, d)
		return " (held)"
	case "dup":
		w.enqueue(d.copy())
		return " (twice)"
	case "corrupt":
		c := d.copy()
		c.b[len(c.b)/2] ^= 1
		w.enqueue(c)
		return " (corrupted)"
	case "delay":
		c := d.copy()
		c.at = c.at.Add(r.delay)
		w.enqueue(c)
		return fmt.Sprintf(" (late by %v)", r.delay)
	}
	w.failf("unknown rule %q", r.act)
	return ""
}

func (d *datagram) copy() *datagram {
	c := *d
	c.b = bytes.Clone(d.b)
	return &c
}

func (w *world) enqueue(d *datagram) {
	if d.to == nil {
		return
	}
	i := len(w.queue)
	for i > 0 && w.queue[i-1].at > d.at {
		i--
	}
	w.queue = slices.Insert(w.queue, i, d)
}

// release sends what was held, in order or the other way round.
func (w *world) release(reverse bool) {
	held := w.held
	w.held = nil
	if reverse {
		slices.Reverse(held)
	}
	for _, d := range held {
		d.at = w.now.Add(w.delay)
		w.enqueue(d)
	}
}

// replay sends a copy of the last datagram of a path and kind, from src if valid.
func (w *world) replay(path, kind string, src netip.AddrPort) {
	d := w.last[path+" "+kind]
	if d == nil {
		w.failf("no %s was sent on %s", kind, path)
	}
	c := d.copy()
	c.at = w.now.Add(w.delay)
	if src.IsValid() {
		c.src = src
	}
	w.logf("%s %s (replayed)", path, kind)
	w.enqueue(c)
}

// redirect sends a copy of the last datagram of a path and kind to another host,
// as if from the one it was meant for.
func (w *world) redirect(path, kind string, to *host) {
	d := w.last[path+" "+kind]
	if d == nil {
		w.failf("no %s was sent on %s", kind, path)
	}
	c := d.copy()
	c.at, c.src, c.dst, c.to = w.now.Add(w.delay), d.dst, to.addr, to
	w.logf("%s %s (sent to %s)", path, kind, to.name)
	w.enqueue(c)
}

func (w *world) arrive(d *datagram) {
	if d.to == nil || d.to.addr != d.dst {
		return // moved meanwhile
	}
	c := d.copy() // messages are opened in place
	d.to.receive(c)
	w.check()
}

// ---- hosts

func (h *host) nextStamp() tai64n.Stamp {
	t := h.w.wall.Add(h.w.now.Sub(epoch) + h.shift)
	return tai64n.FromTime(t.Unix(), int64(t.Nanosecond()))
}

func (h *host) Reserve(p *Peer) uint32 {
	for {
		var b [4]byte
		h.env.Rand.Read(b[:])
		i := binary.LittleEndian.Uint32(b[:])
		if h.index[i] == nil {
			for _, l := range h.links {
				if l.peer == p {
					h.index[i] = &entry{link: l}
					return i
				}
			}
			h.w.failf("index reserved for an unknown peer")
		}
	}
}

func (h *host) Release(i uint32) {
	if h.index[i] == nil {
		h.w.failf("%s released index %x, which is not in use", h.name, i)
	}
	delete(h.index, i)
}

// setIdentity changes the private key; "" takes it away.
func (h *host) setIdentity(id string) {
	h.identity = &identity{}
	if id != "" {
		h.identity = identityOf(id)
	}
	h.env.Static = h.static
	if id != "" {
		h.checker = cookie.NewChecker(h.public, h.env.Rand)
	}
	for _, l := range h.links {
		l.model.smaller = h.smallerThan(l.peer)
		l.input("static changed", l.peer.HandleStaticChanged, func() {
			l.model.handleStaticChanged(h.w.now, id != "")
		})
	}
}

func (h *host) smallerThan(p *Peer) bool {
	own, theirs := h.public, p.Public()
	return bytes.Compare(own[:], theirs[:]) <= 0
}

func (h *host) addLink(remote string) *link {
	l := &link{h: h, remote: remote, act: new(Activity), names: map[*Session]string{}, used: map[string]map[uint64]bool{}}
	l.peer = NewPeer(h.env, identityOf(remote).public, l.act)
	l.model = &model{
		name: h.name, hasKey: h.env.Static != nil, jitter: l.peer.jitter, smaller: h.smallerThan(l.peer),
		lowOrder: strings.HasPrefix(remote, "low"),
	}
	h.links = append(h.links, l)
	if h.up {
		l.input("up", l.peer.HandleUp, func() { l.model.handleUp(h.w.now) })
	}
	return l
}

func (h *host) removeLink(l *link) {
	l.input("down", l.peer.HandleDown, func() { l.model.handleDown() })
	l.peer.Clear()
	h.links = slices.DeleteFunc(h.links, func(o *link) bool { return o == l })
}

func (h *host) setUp(up bool) {
	h.up = up
	for _, l := range h.links {
		if up {
			l.input("up", l.peer.HandleUp, func() { l.model.handleUp(h.w.now) })
		} else {
			l.input("down", l.peer.HandleDown, func() { l.model.handleDown() })
		}
	}
}

// receive is the intake and the inbound lane of a device.
func (h *host) receive(d *datagram) {
	t, ok := wire.Classify(d.b)
	if !ok || !h.up || h.env.Static == nil && t != wire.TypeTransport {
		return
	}
	from := packet.Endpoint{Remote: d.src, Local: h.addr.Addr()}
	switch t {
	case wire.TypeTransport:
		h.receiveTransport(wire.Transport(d.b), from)
	case wire.TypeCookieReply:
		if e := h.index[wire.CookieReply(d.b).ReceiverIndex()]; e != nil {
			e.link.cookieReply(wire.CookieReply(d.b))
		}
	case wire.TypeInitiation, wire.TypeResponse:
		if !h.checker.CheckMAC1(d.b) {
			return
		}
		if h.load && !h.checker.CheckMAC2(h.w.now, d.b, d.src) {
			reply := make([]byte, wire.CookieReplySize)
			if err := h.checker.Reply(h.w.now, reply, d.b, d.src); err != nil {
				h.w.failf("cookie reply: %v", err)
			}
			h.w.send(&datagram{from: h, src: h.addr, dst: d.src, b: reply, kind: "cookie"})
			return
		}
		h.receiveHandshake(t, d, from)
	}
}

func (h *host) receiveHandshake(t wire.Type, d *datagram, from packet.Endpoint) {
	if t == wire.TypeResponse {
		if e := h.index[wire.Response(d.b).ReceiverIndex()]; e != nil {
			l := e.link
			l.input("response", func(now mono.Time, fx []Effect) []Effect {
				return l.peer.HandleResponse(now, wire.Response(d.b), from, fx)
			}, func() { l.model.handleResponse(h.w.now, d.meaning, d.src.String()) })
		}
		return
	}
	o, err := noise.Open(h.env.Static, wire.Initiation(d.b))
	if err != nil {
		return
	}
	for _, l := range h.links {
		if l.peer.Public() == o.Remote() {
			l.input("initiation", func(now mono.Time, fx []Effect) []Effect {
				return l.peer.HandleInitiation(now, &o, from, fx)
			}, func() { l.model.handleInitiation(h.w.now, d.meaning, d.src.String()) })
			return
		}
	}
}

func (l *link) cookieReply(m wire.CookieReply) {
	before := l.state()
	fx := l.peer.HandleCookieReply(l.h.w.now, m, nil)
	if len(fx) != 1 || fx[0].Kind != Report {
		l.h.w.failf("cookie reply caused %v, want a report alone", fx)
	}
	if after := l.state(); after != before {
		l.h.w.failf("cookie reply changed state from %s to %s", before, after)
	}
	l.perform(fx, nil)
}

// state is everything of a link that a message without authentication must leave.
func (l *link) state() string {
	p := l.peer
	return fmt.Sprint(p.previous, p.current, p.next, p.pending == nil, p.retransmitAt, p.zeroAt, p.attempts, p.sentAt,
		p.latest, l.act.unheard.Load(), l.act.unanswered.Load(), l.act.traversal.Load(), l.endpoint, l.timer)
}

func (h *host) receiveTransport(m wire.Transport, from packet.Endpoint) {
	e := h.index[m.ReceiverIndex()]
	if e == nil || e.session == nil || !e.session.Receivable(h.w.now) {
		return
	}
	l, s, now := e.link, e.session, h.w.now
	keepalive := m.IsKeepalive()
	plain, ok := s.Open(m, m.Counter())
	if !ok {
		return
	}
	admitted := []bool{true}
	s.Admit([]uint64{m.Counter()}, admitted)
	if !admitted[0] {
		h.w.logf("%s: replayed counter", h.name)
		return
	}
	l.setEndpoint(from)
	if s.FirstReceipt() {
		l.input("confirmed", func(now mono.Time, fx []Effect) []Effect {
			return l.peer.HandleConfirmed(now, s, fx)
		}, func() { l.model.handleConfirmed(l.names[s]) })
	}
	if c := l.current.Load(); c != nil && c.RekeyDueOnReceive(now) {
		l.input("rekey due", l.peer.HandleRekeyDue, func() { l.model.handleRekeyDue(now) })
	}
	if keepalive {
		l.act.KeepaliveReceived(now)
		l.model.anyReceived(now)
		return
	}
	l.wake(l.act.DataReceived(now))
	l.model.dataReceived(now)
	payload := string(plain[1 : 1+plain[0]])
	l.got = append(l.got, payload)
	h.w.logf("%s: got %q", h.name, payload)
}

// ---- links

// wake is what a device does when a lane found the peer asleep.
func (l *link) wake(asleep bool) {
	if asleep {
		l.timer = l.peer.Deadline()
	}
}

// data is the outbound lane: it sends a payload or stages it.
func (l *link) data(payload string) {
	w := l.h.w
	if !l.h.up {
		return
	}
	if s := l.current.Load(); s != nil && l.sendOn(s, payload) {
		w.check()
		return
	}
	staged, dropped := l.staged.Push([]byte(payload), 0, &l.current)
	if !staged {
		w.failf("packet neither sent nor staged")
	}
	if dropped > 0 {
		w.logf("%s: oldest staged packet dropped", l.h.name)
	}
	l.want()
	w.check()
}

func (l *link) want() {
	l.input("want", l.peer.HandleWantSession, func() { l.model.handleWant(l.h.w.now) })
}

// sendOn seals a payload, or a keepalive if it is empty, and sends it.
func (l *link) sendOn(s *Session, payload string) bool {
	w := l.h.w
	c, ok, due := s.Reserve(w.now, 1)
	if !ok {
		if l.model.current != nil && l.model.current.name == l.names[s] {
			l.model.current.dead = true
		}
		return false
	}
	if l.names[s] == "" || l.used[l.names[s]][c] {
		w.failf("counter %d of session %q used twice", c, l.names[s])
	}
	l.used[l.names[s]][c] = true
	if !s.Initiator && !s.Confirmed() {
		w.failf("%s sends on a session the initiator has not used yet (P14)", l.h.name)
	}
	n := 0
	if payload != "" {
		n = (1 + len(payload) + 15) / 16 * 16
	}
	b := make([]byte, wire.TransportHeaderSize+n+wire.TagSize)
	kind, note := "keepalive", ""
	if n > 0 {
		kind, note = "data", fmt.Sprintf(" %q", payload)
		b[wire.TransportHeaderSize] = byte(len(payload))
		copy(b[wire.TransportHeaderSize+1:], payload)
	}
	s.Seal(b, c)
	if !l.endpoint.IsValid() {
		return true
	}
	w.send(&datagram{from: l.h, src: l.h.addr, dst: l.endpoint.Remote, b: b, kind: kind, note: note})
	if l.model.current != nil && l.model.current.name == l.names[s] {
		l.model.current.sent = s.next.Load()
	}
	if n > 0 { // the machine has noted the keepalive
		l.wake(l.act.DataSent(w.now))
		l.model.dataSent(w.now)
		if due {
			l.input("rekey due", l.peer.HandleRekeyDue, func() { l.model.handleRekeyDue(w.now) })
		}
	}
	return true
}

func (l *link) setEndpoint(e packet.Endpoint) {
	if l.endpoint.Remote != e.Remote {
		l.h.w.logf("%s: peer is at %v", l.h.name, e.Remote)
	}
	l.endpoint = e
}

// input gives one input to peer and model, compares, and performs.
func (l *link) input(what string, real func(mono.Time, []Effect) []Effect, model func()) {
	w := l.h.w
	fx := real(w.now, nil)
	model()
	want, meanings := l.model.take()
	got := make([]string, 0, len(fx))
	fresh := map[*Session]string{}
	for _, e := range fx {
		if e.Kind == Admit {
			fresh[e.Session] = fmt.Sprintf("s%d", len(l.names)+len(fresh)+1)
		}
		got = append(got, l.describe(e, fresh))
	}
	if !slices.Equal(got, want) {
		w.failf("%s of %s:\n got %q\nwant %q", what, l.h.name, got, want)
	}
	for s, n := range fresh {
		l.names[s] = n
		l.used[n] = map[uint64]bool{}
	}
	for _, m := range meanings {
		if m.initiation {
			m.stamp = l.peer.stamped
			m.psk = l.model.psk
		}
	}
	l.timer = l.peer.Deadline()
	l.perform(fx, meanings)
	l.timer = l.peer.Deadline()
	w.check()
}

func (l *link) describe(e Effect, fresh map[*Session]string) string {
	name := l.names[e.Session]
	if name == "" {
		name = fresh[e.Session]
	}
	switch e.Kind {
	case Transmit:
		t, _ := wire.Classify(e.Message)
		return "transmit " + t.String()
	case SetEndpoint:
		return "endpoint " + e.To.Remote.String()
	case Admit:
		return "admit " + name
	case Install:
		return "install " + name
	case Uninstall:
		return "uninstall"
	case Retire:
		return "retire " + name
	case SendKeepalive:
		return "keepalive " + name
	case DropStaged:
		return "drop staged"
	case ForgetSource:
		return "forget source"
	case Report:
		return "report " + e.Event.String()
	}
	return "unknown effect"
}

// perform is the device's performer.
func (l *link) perform(fx []Effect, meanings []*modelMessage) {
	h, w := l.h, l.h.w
	for _, e := range fx {
		switch e.Kind {
		case Transmit:
			m := meanings[0]
			meanings = meanings[1:]
			if l.endpoint.IsValid() {
				kind := "response"
				if m.initiation {
					kind = "initiation"
				}
				w.send(&datagram{from: h, src: h.addr, dst: l.endpoint.Remote, b: e.Message, kind: kind, meaning: m})
			}
		case SetEndpoint:
			l.setEndpoint(e.To)
		case Admit:
			en := h.index[e.Session.LocalIndex]
			if en == nil || en.session != nil || en.link != l {
				w.failf("session admitted under an index that is not its handshake's")
			}
			en.session = e.Session
			l.checkFreshKey(e.Session)
		case Install:
			l.staged.Publish(e.Session, &l.current, func(pkts []StagedPacket) {
				for _, p := range pkts {
					l.sendOn(e.Session, string(p.Packet))
				}
			})
		case Uninstall:
			l.staged.Unpublish(&l.current)
		case Retire:
			if en := h.index[e.Session.LocalIndex]; en != nil && en.session == e.Session {
				w.failf("session retired whose index is still held")
			}
			if l.current.Load() == e.Session {
				defer func(s *Session) {
					if l.current.Load() == s {
						w.failf("retired session is still sent with")
					}
				}(e.Session)
			}
			e.Session.Clear()
		case SendKeepalive:
			if l.staged.Len() == 0 {
				l.sendOn(e.Session, "")
			}
		case DropStaged:
			if n := l.staged.Drop(); n > 0 {
				w.logf("%s: %d staged dropped", h.name, n)
			}
		case ForgetSource:
			l.endpoint = l.endpoint.WithoutSource()
			w.count[h.name+" ForgetSource"]++
		case Report:
			w.logf("%s: %s", h.name, e.Event)
			w.count[h.name+" "+e.Event.String()]++
		}
	}
}

// checkFreshKey fails if a key was ever sent with before: its counters begin at 0
// again (B24, P16).
func (l *link) checkFreshKey(s *Session) {
	var tag [16]byte
	s.send.Seal(tag[:], ^uint64(0))
	if l.h.keys[tag] {
		l.h.w.failf("a session was made twice from the same keys")
	}
	l.h.keys[tag] = true
}

// check verifies what holds after every step.
func (w *world) check() {
	for _, h := range w.hosts {
		held := 0
		for _, l := range h.links {
			held += l.check()
		}
		if held != len(h.index) {
			w.failf("%s has %d indices in use, its peers hold %d", h.name, len(h.index), held)
		}
	}
}

func (l *link) check() (indices int) {
	w, p := l.h.w, l.peer
	if p.pending != nil {
		indices++
	}
	for _, s := range []*Session{p.previous, p.current, p.next} {
		if s != nil {
			indices++
			if e := l.h.index[s.LocalIndex]; e == nil || e.link != l || e.session != nil && e.session != s {
				w.failf("index of a session of %s is lost", l.h.name)
			}
		}
	}
	if due := l.model.due(); due != 0 && (l.timer == 0 || l.timer > due) {
		w.failf("timer of %s armed for %v, but %v is due", l.h.name, l.timer.Sub(epoch), due.Sub(epoch))
	}
	if d := p.Deadline(); l.timer == 0 && d != 0 {
		w.failf("timer of %s not armed, deadline is %v", l.h.name, d.Sub(epoch))
	}
	if c := l.current.Load(); c != nil && c != p.current && c.Sendable() {
		w.failf("%s sends with a session that is not current", l.h.name)
	}
	return indices
}

// lowOrder are public keys whose products are all zeros.
var lowOrder = [][32]byte{
	{},
	{1},
	{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
		0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
	{0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
		0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57},
	{0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
	{0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
	{0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
}

func addrPort(a [4]byte, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4(a), port)
}
