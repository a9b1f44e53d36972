package tunnel

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/wire"
)

// One test per statement of [W] section 6, in its order, over two peers joined by
// a network of 20 ms. Above each stands what the paper says, in our words.

// connected returns a pair in which a began the handshake a second ago, and the
// instant a's session was made.
func connected(t *testing.T) (w *world, a, b *link) {
	t.Helper()
	w, a, b = pair(t, 1)
	a.data("hello")
	w.advance(time.Second)
	if len(b.got) != 1 {
		w.failf("not connected")
	}
	return w, a, b
}

// until lets time pass until a's current session has the age d.
func (l *link) until(d time.Duration) {
	w := l.h.w
	w.advance(l.peer.current.Created.Add(d).Sub(w.now))
}

func (w *world) expect(what string, want int) {
	w.t.Helper()
	if got := w.count[what]; got != want {
		w.failf("%s: got %d, want %d", what, got, want)
	}
}

// 6.1: the constants.
func TestPaper61Constants(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want uint64
	}{
		{"Rekey-After-Messages", wire.RekeyAfterMessages, 1 << 60},
		{"Rekey-After-Time", uint64(wire.RekeyAfterTime), uint64(120 * time.Second)},
		{"Reject-After-Time", uint64(wire.RejectAfterTime), uint64(180 * time.Second)},
		{"Rekey-Attempt-Time", uint64(wire.RekeyAttemptTime), uint64(90 * time.Second)},
		{"Rekey-Timeout", uint64(wire.RekeyTimeout), uint64(5 * time.Second)},
		{"Keepalive-Timeout", uint64(wire.KeepaliveTimeout), uint64(10 * time.Second)},
	} {
		if c.got != c.want {
			t.Errorf("%s = %d, want %d", c.name, c.got, c.want)
		}
	}
	// The paper has 2^64-2^13-1; the kernel's window is one word smaller.
	if paper := uint64(1<<64 - 1<<13 - 1); wire.RejectAfterMessages < paper || wire.RejectAfterMessages > paper+64 {
		t.Errorf("Reject-After-Messages = %d, want %d and at most a word more", wire.RejectAfterMessages, paper)
	}
}

// 6.1: an initiation is sent to a peer at most once every Rekey-Timeout, whatever
// asks for it (P30, T07).
func TestPaper61OneInitiationPerRekeyTimeout(t *testing.T) {
	w, a, _ := pair(t, 1)
	w.rules = []*rule{{left: -1, act: "drop"}}
	sent := 0
	for i := range 400 {
		a.data("x")
		if i%7 == 0 {
			a.input("rekey due", a.peer.HandleRekeyDue, func() { a.model.handleRekeyDue(w.now) })
		}
		w.advance(100 * time.Millisecond)
		sent = w.count["a->b initiation"]
		if limit := i/50 + 1; sent > limit {
			w.failf("%d initiations in %v, want at most %d", sent, time.Duration(i)*100*time.Millisecond, limit)
		}
	}
	if sent != 8 {
		w.failf("%d initiations in 40 s of steady requests, want 8", sent)
	}
}

// 6.1, [K]: a response counts as a handshake message too.
func TestPaper61NoInitiationRightAfterAResponse(t *testing.T) {
	w, a, b := pair(t, 1)
	w.rules = []*rule{{left: -1, path: "a->b", kind: "data", act: "drop"}}
	a.data("confirms nothing")
	w.advance(100 * time.Millisecond)
	b.data("waits")
	w.advance(4900 * time.Millisecond)
	w.expect("b->a initiation", 0)
	w.advance(500 * time.Millisecond)
	w.expect("b->a initiation", 1)
}

// 6.2: after Rekey-After-Messages messages either side asks for a new session.
func TestPaper62RekeyAfterMessagesEitherSide(t *testing.T) {
	for _, sender := range []string{"a", "b"} {
		t.Run(sender, func(t *testing.T) {
			w, a, b := connected(t)
			w.advance(5 * time.Second)
			l := map[string]*link{"a": a, "b": b}[sender]
			l.peer.current.next.Store(wire.RekeyAfterMessages - 1)
			before := w.count["a->b initiation"] + w.count["b->a initiation"]
			l.data("the last before the limit")
			if after := w.count["a->b initiation"] + w.count["b->a initiation"]; after != before {
				w.failf("initiation after exactly Rekey-After-Messages messages")
			}
			l.data("over the limit")
			w.expect(fmt.Sprintf("%s HandshakeStarted", sender), map[string]int{"a": 2, "b": 1}[sender])
		})
	}
}

// 6.2: a session that is Rekey-After-Time old when its initiator sends is replaced.
func TestPaper62RekeyAfterTimeWhenSending(t *testing.T) {
	w, a, _ := connected(t)
	a.until(wire.RekeyAfterTime - time.Millisecond)
	a.data("too early")
	w.expect("a->b initiation", 1)
	w.advance(time.Millisecond)
	w.expect("a->b initiation", 1) // nothing by itself
	a.data("old enough")
	w.expect("a->b initiation", 2)
	w.expect("a->b data", 3) // the old session carried it
}

// 6.2: by age only the initiator of the session does so, lest both do.
func TestPaper62RekeyAfterTimeOnlyInitiator(t *testing.T) {
	w, _, b := connected(t)
	b.until(wire.RejectAfterTime - time.Millisecond)
	w.rules = []*rule{{left: -1, act: "drop"}}
	b.data("old, but not ours to replace")
	w.expect("b->a data", 1)
	w.expect("b->a initiation", 0)
}

// 6.2: if the initiator only receives, it acts when no keepalive of its own and no
// retry would come in time any more.
func TestPaper62RekeyWhenReceiving(t *testing.T) {
	w, a, b := connected(t)
	limit := wire.RejectAfterTime - wire.KeepaliveTimeout - wire.RekeyTimeout
	a.until(limit - w.delay - time.Millisecond)
	b.data("arrives a millisecond early")
	w.advance(w.delay)
	w.expect("a->b initiation", 1)
	b.data("arrives in time")
	w.advance(w.delay)
	w.expect("a->b initiation", 2)
}

// 6.2: and it does so once.
func TestPaper62RekeyWhenReceivingOnce(t *testing.T) {
	w, a, b := connected(t)
	a.until(166 * time.Second)
	w.rules = []*rule{{left: -1, kind: "initiation", act: "drop"}}
	for range 13 {
		b.data("x")
		w.advance(time.Second)
	}
	w.expect("a HandshakeStarted", 2)
}

// 6.2: the responder never acts on what it receives.
func TestPaper62ResponderDoesNotRekeyWhenReceiving(t *testing.T) {
	w, a, _ := connected(t)
	a.peer.current.Initiator = false // keeps a quiet, so that b has something to receive
	a.model.current.initiator = false
	a.until(170 * time.Second)
	a.data("x")
	w.advance(time.Second)
	w.expect("b->a initiation", 0)
}

// 6.2: a session Reject-After-Time old is not sent with; the packet waits (T02).
func TestPaper62RejectAfterTimeSending(t *testing.T) {
	w, a, _ := connected(t)
	a.until(wire.RejectAfterTime - 1)
	w.rules = []*rule{{left: -1, act: "drop"}}
	a.data("in time")
	w.expect("a->b data", 2)
	w.advance(1)
	a.data("too late")
	w.expect("a->b data", 2)
	if a.staged.Len() != 1 {
		w.failf("%d packets staged, want 1", a.staged.Len())
	}
}

// 6.2: nor received with.
func TestPaper62RejectAfterTimeReceiving(t *testing.T) {
	w, a, b := connected(t)
	b.until(wire.RejectAfterTime - w.delay - 1)
	a.data("arrives in time")
	w.advance(1)
	a.data("arrives too late")
	w.advance(w.delay)
	if len(b.got) != 2 {
		w.failf("b got %q, want the first two", b.got)
	}
}

// 6.2: after Reject-After-Messages messages likewise (P17, B47).
func TestPaper62RejectAfterMessagesSending(t *testing.T) {
	w, a, b := connected(t)
	w.advance(5 * time.Second)
	a.peer.current.next.Store(wire.RejectAfterMessages - 2)
	w.rules = []*rule{{left: -1, kind: "initiation", act: "drop"}}
	for range 4 {
		a.data("x")
	}
	w.expect("a->b data", 3)
	if a.staged.Len() != 2 {
		w.failf("%d packets staged, want 2", a.staged.Len())
	}
	w.rules = nil
	w.advance(10 * time.Second)
	if len(b.got) != 5 {
		w.failf("b got %d packets, want all 5 after a new handshake", len(b.got))
	}
}

// 6.2: on receipt too.
func TestPaper62RejectAfterMessagesReceiving(t *testing.T) {
	_, _, b := connected(t)
	ok := []bool{true, true}
	b.peer.current.Admit([]uint64{wire.RejectAfterMessages - 1, wire.RejectAfterMessages}, ok)
	if !ok[0] || ok[1] {
		t.Errorf("counters below and at the limit: admitted %v, want [true false]", ok)
	}
}

// 6.3: a new session is the current one, the one before it the previous one.
func TestPaper63Rotation(t *testing.T) {
	w, a, b := connected(t)
	first := a.peer.current
	for range 3 {
		a.until(wire.RekeyAfterTime)
		old := a.peer.current
		a.data("rekey")
		w.advance(time.Second)
		for _, l := range []*link{a, b} {
			if p := l.peer; p.current == nil || p.previous == nil || p.next != nil {
				w.failf("slots of %s: %v %v %v, want previous and current", l.h.name, p.previous, p.current, p.next)
			}
		}
		if a.peer.previous != old {
			w.failf("previous is not what was current")
		}
	}
	if a.names[a.peer.current] != "s4" || first.Sendable() {
		w.failf("current is %s, want s4, and the first session dead", a.names[a.peer.current])
	}
}

// 6.3: what was before the previous one is discarded: its index is free and its
// keys are erased.
func TestPaper63PreviousPreviousIsDiscarded(t *testing.T) {
	w, a, _ := connected(t)
	first := a.peer.current
	for range 2 {
		a.until(wire.RekeyAfterTime)
		a.data("rekey")
		w.advance(time.Second)
	}
	if e := a.h.index[first.LocalIndex]; e != nil {
		w.failf("the index of the first of three sessions is still in use")
	}
}

// 6.3: messages under way on the previous session are still received (P34).
func TestPaper63PreviousReceives(t *testing.T) {
	w, a, b := connected(t)
	a.until(wire.RekeyAfterTime)
	w.rules = []*rule{{left: 1, path: "b->a", kind: "data", act: "hold"}}
	b.data("slow")
	a.data("rekey")
	w.advance(time.Second)
	w.release(false)
	w.advance(time.Second)
	if len(a.got) != 1 || a.got[0] != "slow" {
		w.failf("a got %q, want the packet sent on the previous session", a.got)
	}
}

// 6.3, 5.4.3: the responder's new session is next: received with, and not sent with
// before the initiator has used it (P14).
func TestPaper63ResponderWaitsForConfirmation(t *testing.T) {
	w, a, b := connected(t)
	a.until(wire.RekeyAfterTime)
	a.data("rekey")
	w.advance(30 * time.Millisecond) // the initiation has arrived, the response not yet
	old, fresh := b.peer.current, b.peer.next
	if fresh == nil || b.current.Load() != old {
		w.failf("b did not keep sending with the old session")
	}
	b.data("on the old session")
	w.advance(40 * time.Millisecond)
	if b.peer.current != fresh || b.peer.previous != old || b.peer.next != nil {
		w.failf("the initiator's first message did not make next current")
	}
}

// 6.3: of the responder's side, the initiator confirms with a keepalive if it has
// nothing to say.
func TestPaper63InitiatorConfirmsAtOnce(t *testing.T) {
	w, a, b := pair(t, 1)
	a.want()
	w.advance(time.Second)
	w.expect("a->b keepalive", 1)
	w.expect("b HandshakeComplete", 1)
	if b.peer.current == nil {
		w.failf("b has no current session")
	}
}

// 6.3: and with the data that waits, without a keepalive, if there is some.
func TestPaper63StagedDataConfirms(t *testing.T) {
	w, _, _ := connected(t)
	w.expect("a->b keepalive", 0)
	w.expect("b HandshakeComplete", 1)
}

// 6.3: without a new session for three times Reject-After-Time everything is
// erased: all sessions.
func TestPaper63EraseSessions(t *testing.T) {
	w, a, b := connected(t)
	created := a.peer.current.Created
	w.advance(created.Add(3*wire.RejectAfterTime - 1).Sub(w.now))
	if a.peer.current == nil {
		w.failf("erased too early")
	}
	w.advance(1)
	for _, l := range []*link{a, b} {
		if p := l.peer; p.previous != nil || p.current != nil || p.next != nil || l.current.Load() != nil {
			w.failf("%s has sessions left", l.h.name)
		}
	}
	if len(a.h.index)+len(b.h.index) != 0 {
		w.failf("indices left")
	}
}

// 6.3: and handshakes that were never finished.
func TestPaper63EraseHandshake(t *testing.T) {
	w, a, _ := pair(t, 1)
	w.rules = []*rule{{left: -1, act: "drop"}}
	a.data("x")
	w.advance(108 * time.Second)
	w.expect("a HandshakeGaveUp", 1)
	if a.peer.pending == nil {
		w.failf("the handshake is gone already")
	}
	w.advance(3 * wire.RejectAfterTime)
	if a.peer.pending != nil || len(a.h.index) != 0 {
		w.failf("the handshake is still there")
	}
}

// 6.3: and a session of a responder that nobody confirmed.
func TestPaper63EraseUnconfirmed(t *testing.T) {
	w, a, b := pair(t, 1)
	w.rules = []*rule{{left: -1, path: "b->a", act: "drop"}}
	a.data("x")
	w.advance(103*time.Second + 3*wire.RejectAfterTime)
	if b.peer.next != nil || len(b.h.index) != 0 {
		w.failf("the unconfirmed session is still there")
	}
}

// 6.4: the first packet is queued, and a handshake begins.
func TestPaper64FirstPacketIsQueued(t *testing.T) {
	w, a, b := pair(t, 1)
	a.data("first")
	w.expect("a->b initiation", 1)
	w.expect("a->b data", 0)
	w.advance(time.Second)
	if len(b.got) != 1 || b.got[0] != "first" {
		w.failf("b got %q", b.got)
	}
}

// 6.4: without a response for Rekey-Timeout the initiation is sent again, made
// anew: other ephemeral key, other index, later timestamp.
func TestPaper64RetryIsMadeAnew(t *testing.T) {
	w, a, _ := pair(t, 1)
	w.rules = []*rule{{left: -1, act: "drop"}}
	a.data("x")
	first := wire.Initiation(w.last["a->b initiation"].b)
	stamp := a.peer.stamped
	w.advance(wire.RekeyTimeout - 1)
	w.expect("a->b initiation", 1)
	w.advance(wire.RekeyTimeoutJitterMax)
	w.expect("a->b initiation", 2)
	second := wire.Initiation(w.last["a->b initiation"].b)
	if bytes.Equal(first.Ephemeral(), second.Ephemeral()) || first.SenderIndex() == second.SenderIndex() {
		w.failf("the retry has the ephemeral key or the index of the first initiation")
	}
	if !a.peer.stamped.After(stamp) {
		w.failf("the retry's timestamp is not later")
	}
}

// 6.4: likewise for a session that is to be replaced because of its age.
func TestPaper64RetryOfARekey(t *testing.T) {
	w, a, _ := connected(t)
	a.until(wire.RekeyAfterTime)
	w.rules = []*rule{{left: 2, kind: "initiation", act: "drop"}}
	a.data("rekey")
	w.advance(11 * time.Second)
	w.expect("a->b initiation", 4)
	w.expect("a HandshakeComplete", 2)
}

// 6.4: a response ends the series.
func TestPaper64ResponseEndsRetries(t *testing.T) {
	w, a, _ := connected(t)
	w.advance(60 * time.Second)
	w.expect("a->b initiation", 1)
	if a.peer.retransmitAt != 0 {
		w.failf("a retry is still due")
	}
}

// 6.4: so does the confirmation of a session the other side began.
func TestPaper64ConfirmationEndsRetries(t *testing.T) {
	w, a, b := pair(t, 1)
	w.rules = []*rule{{left: 1, path: "a->b", kind: "initiation", act: "drop"}}
	a.data("x")
	w.advance(time.Second)
	b.data("y")
	w.advance(60 * time.Second)
	w.expect("a->b initiation", 1)
	if len(a.got) != 1 || len(b.got) != 1 {
		w.failf("a got %q, b got %q", a.got, b.got)
	}
}

// 6.4: after Rekey-Attempt-Time the peer gives up and drops what waits. The kernel
// counts attempts: 20 initiations (T03).
func TestPaper64GiveUp(t *testing.T) {
	w, a, _ := pair(t, 1)
	w.rules = []*rule{{left: -1, act: "drop"}}
	a.data("x")
	w.advance(24 * time.Hour)
	w.expect("a->b initiation", wire.MaxTimerHandshakes+2)
	w.expect("a->b initiation", 20)
	w.expect("a ForgetSource", 19)
	if a.staged.Len() != 0 {
		w.failf("%d packets still staged", a.staged.Len())
	}
}

// 6.4, [K]: giving up also cancels a keepalive that is owed.
func TestPaper64GivingUpCancelsTheKeepalive(t *testing.T) {
	w, a, b := connected(t)
	w.rules = []*rule{{left: -1, act: "drop"}}
	w.advance(114 * time.Second)
	w.expect("a->b initiation", 21)
	w.rules[0].path = "a->b"
	b.data("owed an answer")
	w.advance(20 * time.Second)
	w.expect("a HandshakeGaveUp", 1)
	w.expect("a->b keepalive", 0)
	if len(a.got) != 1 {
		w.failf("a got %q", a.got)
	}
}

// 6.4: a new packet begins the count anew.
func TestPaper64NewDataResetsAttempts(t *testing.T) {
	w, a, _ := pair(t, 1)
	w.rules = []*rule{{left: -1, act: "drop"}}
	a.data("x")
	w.advance(100 * time.Second)
	w.expect("a->b initiation", 20)
	a.data("y") // sends nothing now, because of the 5 s rule
	w.expect("a->b initiation", 20)
	w.advance(24 * time.Hour)
	w.expect("a->b initiation", 39)
	w.expect("a HandshakeGaveUp", 1)
}

// 6.5: data that is not answered within Keepalive-Timeout is answered with a
// keepalive.
func TestPaper65PassiveKeepalive(t *testing.T) {
	w, a, _ := pair(t, 1)
	a.data("x")
	w.advance(60*time.Millisecond + wire.KeepaliveTimeout - 1)
	w.expect("b->a keepalive", 0)
	w.advance(1)
	w.expect("b->a keepalive", 1)
}

// 6.5: a keepalive is a transport message of nothing, 32 bytes (P37).
func TestPaper65KeepaliveIsEmpty(t *testing.T) {
	w, a, _ := pair(t, 1)
	a.data("x")
	w.advance(11 * time.Second)
	if d := w.last["b->a keepalive"]; d == nil || len(d.b) != 32 {
		w.failf("keepalive %v, want 32 bytes", d)
	}
	if len(a.got) != 0 {
		w.failf("a keepalive was delivered")
	}
}

// 6.5: it is sent only by a peer that has nothing to send: data takes its place.
func TestPaper65DataTakesTheKeepalivesPlace(t *testing.T) {
	w, a, b := pair(t, 1)
	a.data("x")
	w.advance(9 * time.Second)
	b.data("answer")
	w.advance(8 * time.Second)
	w.expect("b->a keepalive", 0)
}

// 6.5: and only if the other side sends data: a silent link stays silent (T05,
// B56).
func TestPaper65SilentLinkStaysSilent(t *testing.T) {
	w, a, _ := pair(t, 1)
	a.data("x")
	w.advance(20 * time.Second)
	w.count = map[string]int{}
	w.fired = 0
	w.advance(24 * time.Hour)
	for what, n := range w.count {
		if what != "a KeysErased" && what != "b KeysErased" {
			w.failf("%s: %d", what, n)
		}
	}
	if w.fired > 6 {
		w.failf("%d timeouts in a silent day, want a handful", w.fired)
	}
}

// 6.5: a peer that does not answer data for Keepalive-Timeout + Rekey-Timeout is
// sent an initiation.
func TestPaper65SilentPeer(t *testing.T) {
	w, a, _ := connected(t)
	w.advance(10 * time.Second) // b's keepalive answers the first packet
	w.rules = []*rule{{left: -1, path: "b->a", act: "drop"}}
	a.data("x")
	w.advance(wire.KeepaliveTimeout + wire.RekeyTimeout - 1)
	w.expect("a->b initiation", 1)
	w.advance(wire.RekeyTimeoutJitterMax)
	w.expect("a->b initiation", 2)
	w.expect("a ForgetSource", 1)
}

// 6.5: the time counts from the first unanswered message, not from the last (B58).
func TestPaper65SilenceCountsFromFirstData(t *testing.T) {
	w, a, _ := connected(t)
	w.advance(10 * time.Second) // b's keepalive answers the first packet
	w.rules = []*rule{{left: -1, path: "b->a", act: "drop"}}
	for range 16 {
		a.data("x")
		w.advance(time.Second)
	}
	w.expect("a->b initiation", 2)
}

// 6.5: anything authenticated is an answer, a keepalive too.
func TestPaper65KeepaliveIsAnAnswer(t *testing.T) {
	w, a, _ := connected(t)
	a.data("x")
	w.advance(100 * time.Second)
	w.expect("a PeerSilent", 0)
}

// 6.5: then as in 6.4: every Rekey-Timeout, until there is a session or the
// attempts are used up.
func TestPaper65SilentPeerIsGivenUp(t *testing.T) {
	w, a, _ := connected(t)
	w.rules = []*rule{{left: -1, path: "b->a", act: "drop"}}
	a.data("x")
	w.advance(10 * time.Minute)
	w.expect("a->b initiation", 21)
	w.expect("a HandshakeGaveUp", 1)
}

// 6.6: on a cookie reply nothing is sent again at once.
func TestPaper66CookieSendsNothing(t *testing.T) {
	w, a, b := pair(t, 1)
	b.h.load = true
	a.data("x")
	w.advance(wire.RekeyTimeout - 1)
	w.expect("b->a cookie", 1)
	w.expect("a CookieAccepted", 1)
	w.expect("a->b initiation", 1)
}

// 6.6: the retry, when its time has come, carries mac2 and is answered.
func TestPaper66RetryCarriesTheCookie(t *testing.T) {
	w, a, b := pair(t, 1)
	b.h.load = true
	a.data("x")
	w.advance(6 * time.Second)
	w.expect("a->b initiation", 2)
	w.expect("b->a response", 1)
	if mac2 := wire.MAC2(w.last["a->b initiation"].b); bytes.Equal(mac2, make([]byte, 16)) {
		w.failf("the retry has no mac2")
	}
	if len(b.got) != 1 {
		w.failf("b got %q", b.got)
	}
}

// 6.6: a response can be refused for load as well; it is not repeated, the
// initiator's retry brings about another.
func TestPaper66CookieForAResponse(t *testing.T) {
	w, a, b := pair(t, 1)
	a.h.load = true
	a.data("x")
	w.advance(wire.RekeyTimeout - 1)
	w.expect("b->a response", 1)
	w.expect("b CookieAccepted", 1)
	w.advance(time.Second)
	w.expect("b->a response", 2)
	if len(b.got) != 1 {
		w.failf("b got %q", b.got)
	}
}
