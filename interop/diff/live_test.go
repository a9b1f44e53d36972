//go:build linux && e2e

package diff

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// Q12: on one interface with a live tunnel both tools show the same: handshakes
// that were, bytes that went, and a peer that roamed. Our daemon and the
// reference daemon are both asked (I10, I11).
func TestLiveTunnelIsShownAlike(t *testing.T) {
	record(t)
	if tools.upstream.date < since {
		t.Log("compared with an old tool")
	}
	for _, reference := range []bool{false, true} {
		t.Run(map[bool]string{false: "ours", true: "reference"}[reference], func(t *testing.T) { liveTunnel(t, reference) })
	}
}

func liveTunnel(t *testing.T, reference bool) {
	lab := newLab(t)
	s := newSide(t, lab, "live", &tools.upstream)
	s.reference = reference
	s.must(t, "mkdir", "-p", workDir+"/bin")
	// Two interfaces of one host are peers of each other, across loopback.
	for i, iface := range []string{"wg0", "wg1"} {
		s.startDaemon(t, iface)
		other := 1 - i
		conf := fmt.Sprintf("[Interface]\nPrivateKey = {K%d}\nListenPort = %d\n[Peer]\nPublicKey = {P%d}\nAllowedIPs = 10.9.0.%d/32\n"+
			"[Peer]\nPublicKey = {P5}\nAllowedIPs = 10.8.0.0/16\nPersistentKeepalive = 65535\n", i+1, 7001+i, other+1, 2-i)
		if i == 0 {
			conf = strings.Replace(conf, "AllowedIPs = 10.9", "Endpoint = 127.0.0.1:7002\nPresharedKey = {S1}\nAllowedIPs = 10.9", 1)
		} else {
			conf = strings.Replace(conf, "AllowedIPs = 10.9", "PresharedKey = {S1}\nAllowedIPs = 10.9", 1)
		}
		if err := s.host.WriteFile(workDir+"/"+iface, []byte(fromNames.Replace(conf)), 0o600); err != nil {
			t.Fatal(err)
		}
		s.must(t, "wg", "setconf", iface, workDir+"/"+iface)
		s.must(t, "ip", "address", "add", fmt.Sprintf("10.9.%d.1/24", i), "dev", iface)
		s.must(t, "ip", "link", "set", iface, "up")
	}
	// Nobody has the address, and so nobody answers: that packets arrive is enough.
	s.must(t, "/bin/bash", "-c", `for i in {1..150}; do
			ping -q -c 3 -i 0.01 -W 0.1 -s 1000 10.9.0.2
			[ "$(wg show wg1 transfer | cut -f2 | sort -n | tail -1)" -lt 3000 ] || exit 0
		done; exit 1`)
	ours := *s
	ours.tool = &tools.ours
	rnd := rand.New(rand.NewPCG(*seed, 2))
	for _, env := range [][]string{nil, {"WG_COLOR_MODE=always"}, {"WG_HIDE_KEYS=never"}} {
		for _, args := range [][]string{
			{"show", "wg0"}, {"show", "wg1"}, {"show", "wg0", "dump"}, {"show", "wg1", "latest-handshakes"}, {"show", "wg0", "transfer"},
			{"show", "wg1", "endpoints"}, {"showconf", "wg0"}, {"showconf", "wg1"},
		} {
			var got, want outcome
			// A second may pass between the two, and a packet.
			for range 5 {
				var err error
				if want, err = s.run(env, "", append([]string{"wg"}, args...)...); err != nil {
					t.Fatal(err)
				}
				if got, err = ours.run(env, "", append([]string{"wg"}, args...)...); err != nil {
					t.Fatal(err)
				}
				if reference {
					want.stdout, got.stdout = inOrder(want.stdout), inOrder(got.stdout)
				}
				if got == want {
					break
				}
				time.Sleep(time.Duration(rnd.IntN(50)) * time.Millisecond)
			}
			if got != want {
				t.Errorf("%v wg %q:\nours:\n%s\nupstream:\n%s", env, args, indented(resultLines(got)), indented(resultLines(want)))
			}
			if slices.Equal(args, []string{"show", "wg1"}) && !strings.Contains(want.stdout, "latest handshake") {
				t.Errorf("the tunnel is not alive:\n%s", want.stdout)
			}
		}
	}
	// More than one interface: upstream lists sockets as the folder has them.
	for _, args := range [][]string{{"show", "interfaces"}, {"show", "all", "listen-port"}, {"show", "all", "peers"}} {
		want, err := s.run(nil, "", append([]string{"wg"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ours.run(nil, "", append([]string{"wg"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		w, g := strings.Fields(want.stdout), strings.Fields(got.stdout)
		slices.Sort(w)
		slices.Sort(g)
		if !slices.Equal(w, g) || got.code != want.code || got.stderr != want.stderr {
			t.Errorf("wg %q: ours %q, upstream %q", args, got.stdout, want.stdout)
		}
	}
}

func resultLines(o outcome) []string {
	return append(slices.Concat(shown("1", o.stdout), shown("2", o.stderr)), fmt.Sprintf("= %d", o.code))
}
