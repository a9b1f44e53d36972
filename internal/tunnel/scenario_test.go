package tunnel

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/mono"
	"github.com/warrenvpn/warren/internal/scripttest"
	"github.com/warrenvpn/warren/key"
)

// Scenarios are scripts (package scripttest) over the simulation. Hosts are a, b
// and so on; a path is written a->b. What happens is printed with its time in
// seconds since the beginning. Commands:
//
//	pair [seed=N] [delay=20ms] [down] [nokey]   hosts a and b that know each other
//	host NAME                                   another host, without peers
//	peer NAME ID [endpoint]                     add peer ID to a host, at endpoint's address
//	unpeer NAME ID                              remove it
//	send a->b [TEXT] [xN]                       a data packet, or N
//	advance DURATION [quietly]                  time passes; quietly counts instead of printing
//	traffic a->b EVERY DURATION [answered EVERY]  packets at an interval, quietly
//	drop|dup|hold|corrupt [N|all] [PATH] [KIND] the next datagrams are treated so
//	delay DURATION [N|all] [PATH] [KIND]        so are they, later by DURATION
//	pass                                        end all of these
//	release [reversed]                          what was held goes out
//	replay PATH KIND [from ADDR]                the last such datagram again
//	redirect PATH KIND NAME                     the last such datagram to another host
//	keepalive NAME SECONDS                      persistent keepalive of NAME's first peer
//	psk NAME TEXT|none                          preshared key of NAME's first peer
//	key NAME ID|none                            private key
//	up NAME | down NAME                         the interface
//	move NAME ADDR                              the host's outer address
//	load NAME on|off                            whether the host asks for mac2
//	suspend DURATION                            nobody runs, the clock does
//	clock NAME DURATION                         the wall clock is set forward or back
//	sessions                                    the slots of all peers
func TestScenarios(t *testing.T) {
	scripttest.Run(t, "testdata/*.txt", func(t *testing.T) scripttest.Machine { return &script{t: t} })
}

type script struct {
	t *testing.T
	w *world
	n int // packets sent without text
}

func (s *script) Do(name string, args []string) ([]string, error) {
	f, ok := map[string]func([]string) error{
		"pair": s.pair, "host": s.host, "peer": s.peer, "unpeer": s.unpeer, "send": s.send, "advance": s.advance,
		"traffic": s.traffic, "drop": s.rule("drop"), "dup": s.rule("dup"), "hold": s.rule("hold"),
		"corrupt": s.rule("corrupt"), "delay": s.rule("delay"), "pass": s.pass, "release": s.release, "replay": s.replay,
		"redirect":  s.redirect,
		"keepalive": s.keepalive, "psk": s.psk, "key": s.key, "up": s.up, "down": s.down, "move": s.move, "load": s.load,
		"suspend": s.suspend, "clock": s.clock, "sessions": s.sessions,
	}[name]
	if !ok {
		return nil, fmt.Errorf("unknown command")
	}
	if s.w == nil && name != "pair" {
		return nil, fmt.Errorf("the first command must be pair")
	}
	if err := f(args); err != nil {
		return nil, err
	}
	s.w.check()
	return s.w.takeTrace(), nil
}

func (s *script) pair(args []string) error {
	seed, delay, up, withKey := uint64(1), 20*time.Millisecond, true, true
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		var err error
		switch k {
		case "seed":
			seed, err = strconv.ParseUint(v, 10, 64)
		case "delay":
			delay, err = time.ParseDuration(v)
		case "down":
			up = false
		case "nokey":
			withKey = false
		default:
			err = fmt.Errorf("unknown option %q", a)
		}
		if err != nil {
			return err
		}
	}
	s.w = newWorld(s.t, seed)
	s.w.delay = delay
	a, b := s.w.addHost("a"), s.w.addHost("b")
	if !withKey {
		a.setIdentity("")
	}
	a.addLink("b").endpoint.Remote = b.addr
	b.addLink("a").endpoint.Remote = a.addr
	b.setUp(true)
	if up {
		a.setUp(true)
	}
	return nil
}

func (s *script) host(args []string) error { s.w.addHost(args[0]).setUp(true); return nil }

func (s *script) peer(args []string) error {
	l := s.w.host(args[0]).addLink(args[1])
	if len(args) > 2 {
		l.endpoint.Remote = s.w.host(args[2]).addr
	}
	return nil
}

func (s *script) unpeer(args []string) error {
	s.w.host(args[0]).removeLink(s.w.link(args[0], args[1]))
	return nil
}

func (s *script) send(args []string) error {
	from, to, ok := strings.Cut(args[0], "->")
	if !ok {
		return fmt.Errorf("want a path like a->b")
	}
	text, times := "", 1
	for _, a := range args[1:] {
		if n, err := strconv.Atoi(strings.TrimPrefix(a, "x")); err == nil && a[0] == 'x' {
			times = n
		} else {
			text = a
		}
	}
	for range times {
		payload := text
		if payload == "" {
			s.n++
			payload = strconv.Itoa(s.n)
		}
		s.w.link(from, to).data(payload)
	}
	return nil
}

func (s *script) advance(args []string) error {
	d, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	s.quietly(len(args) > 1 && args[1] == "quietly", func() { s.w.advance(d) })
	return nil
}

// quietly runs f and, if asked to, prints only how many of each kind were sent.
func (s *script) quietly(quiet bool, f func()) {
	if !quiet {
		f()
		return
	}
	w := s.w
	w.quiet, w.count = true, map[string]int{}
	f()
	w.quiet = false
	var kinds []string
	for k := range w.count {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	for _, k := range kinds {
		w.logf("%s: %d", k, w.count[k])
	}
	if len(kinds) == 0 {
		w.logf("nothing")
	}
}

func (s *script) traffic(args []string) error {
	from, to, _ := strings.Cut(args[0], "->")
	every, err := time.ParseDuration(args[1])
	if err != nil {
		return err
	}
	total, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	answer := total + 1
	if len(args) == 5 {
		if answer, err = time.ParseDuration(args[4]); err != nil {
			return err
		}
	}
	s.quietly(true, func() {
		for t := time.Duration(0); t < total; t += every {
			s.w.link(from, to).data("x")
			if t/answer != (t-every)/answer {
				s.w.link(to, from).data("y")
			}
			s.w.advance(every)
		}
	})
	return nil
}

func (s *script) rule(act string) func([]string) error {
	return func(args []string) error {
		r := &rule{left: 1, act: act}
		if act == "delay" {
			d, err := time.ParseDuration(args[0])
			if err != nil {
				return err
			}
			r.delay, args = d, args[1:]
		}
		for _, a := range args {
			if n, err := strconv.Atoi(a); err == nil {
				r.left = n
			} else if a == "all" {
				r.left = -1
			} else if strings.Contains(a, "->") {
				r.path = a
			} else {
				r.kind = a
			}
		}
		s.w.rules = append(s.w.rules, r)
		return nil
	}
}

func (s *script) pass([]string) error { s.w.rules = nil; return nil }

func (s *script) release(args []string) error { s.w.release(len(args) > 0); return nil }

func (s *script) replay(args []string) error {
	var src netip.AddrPort
	if len(args) == 4 {
		var err error
		if src, err = netip.ParseAddrPort(args[3]); err != nil {
			return err
		}
	}
	s.w.replay(args[0], args[1], src)
	return nil
}

func (s *script) redirect(args []string) error {
	s.w.redirect(args[0], args[1], s.w.host(args[2]))
	return nil
}

func (s *script) keepalive(args []string) error {
	n, err := strconv.ParseUint(args[1], 10, 16)
	if err != nil {
		return err
	}
	s.w.host(args[0]).links[0].setKeepalive(uint16(n))
	return nil
}

func (l *link) setKeepalive(seconds uint16) {
	l.input("keepalive", func(now mono.Time, fx []Effect) []Effect {
		return l.peer.SetPersistentKeepalive(now, seconds, fx)
	}, func() { l.model.setInterval(l.h.w.now, time.Duration(seconds)*time.Second) })
}

func (s *script) psk(args []string) error { s.w.host(args[0]).links[0].setPSK(args[1]); return nil }

func (l *link) setPSK(text string) {
	l.model.psk = text
	if text == "none" {
		l.model.psk = ""
		l.peer.SetPreshared(nil)
		return
	}
	var b [key.Size]byte
	copy(b[:], text)
	k := key.NewPreshared(b)
	l.peer.SetPreshared(&k)
}

func (s *script) key(args []string) error {
	id := args[1]
	if id == "none" {
		id = ""
	}
	s.w.host(args[0]).setIdentity(id)
	return nil
}

func (s *script) up(args []string) error   { s.w.host(args[0]).setUp(true); return nil }
func (s *script) down(args []string) error { s.w.host(args[0]).setUp(false); return nil }

func (s *script) move(args []string) error {
	a, err := netip.ParseAddrPort(args[1])
	s.w.host(args[0]).addr = a
	return err
}

func (s *script) load(args []string) error { s.w.host(args[0]).load = args[1] == "on"; return nil }

func (s *script) suspend(args []string) error {
	d, err := time.ParseDuration(args[0])
	s.w.suspend(d)
	return err
}

func (s *script) clock(args []string) error {
	d, err := time.ParseDuration(args[1])
	s.w.host(args[0]).shift += d
	return err
}

func (s *script) sessions([]string) error {
	for _, h := range s.w.hosts {
		for _, l := range h.links {
			var slots []string
			previous, current, next := l.peer.Sessions()
			for i, ses := range []*Session{previous, current, next} {
				if ses != nil {
					slots = append(slots, []string{"previous ", "current ", "next "}[i]+l.sessionState(ses))
				}
			}
			if slots == nil {
				slots = []string{"no session"}
			}
			s.w.logf("%s to %s: %s", h.name, l.remote, strings.Join(slots, "; "))
		}
	}
	return nil
}

func (l *link) sessionState(s *Session) string {
	role := "responder"
	if s.Initiator {
		role = "initiator"
	}
	state := ""
	if !s.usable(l.h.w.now) {
		state = ", not to send with"
	}
	return fmt.Sprintf("%s (%s, %v old%s)", l.names[s], role, l.h.w.now.Sub(s.Created).Truncate(time.Millisecond), state)
}
