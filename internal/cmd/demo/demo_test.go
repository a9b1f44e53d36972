package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/examples"
	"github.com/warrenvpn/warren/internal/netlab"
)

// The tables of this package say where hosts are; the files say what they are
// called and which addresses they have. Both must agree.
func TestNetworksMatchExamples(t *testing.T) {
	for example, members := range map[string][]*member{
		"full": fullNetwork(), "nat-to-nat": crossingNetwork(netlab.KeepPorts),
	} {
		dirs, err := fs.ReadDir(examples.Files, example)
		if err != nil || len(dirs) != len(members) {
			t.Errorf("%s has %d hosts (%v), want %d", example, len(dirs), err, len(members))
		}
		for _, m := range members {
			text, err := fs.ReadFile(examples.Files, fmt.Sprintf("%s/%s/wg0.conf", example, m.name))
			if err != nil {
				t.Error(err)
				continue
			}
			for _, want := range []string{
				fmt.Sprintf("# Name = %s%s\n", m.name, domain),
				fmt.Sprintf("Address = %s/", m.tunnel[0]),
				fmt.Sprintf(",2001:DB8::%s/", strings.TrimPrefix(m.tunnel[1].String(), "2001:db8::")),
			} {
				if !bytes.Contains(text, []byte(want)) {
					t.Errorf("%s/%s/wg0.conf does not contain %q", example, m.name, want)
				}
			}
			if behind := len(m.lan) > 0; behind != bytes.Contains(text, []byte("PersistentKeepalive = 25")) {
				t.Errorf("%s/%s: behind a NAT: %v, and a keepalive must go with it", example, m.name, behind)
			}
		}
	}
}

func TestNamesHaveTheFamiliesOfTheHost(t *testing.T) {
	var sites []site
	for _, m := range fullNetwork() {
		sites = append(sites, m.site)
	}
	for _, tc := range []struct {
		site int
		want string
	}{
		{0, "[198.51.100.10 3fff:0:1::10]"}, // both families
		{3, "[198.51.100.10]"},              // behind a NAT with IPv4
		{4, "[3fff:0:1::10]"},               // behind a NAT with IPv6
	} {
		if got := fmt.Sprint(names(sites[tc.site], sites)["public-server1"+domain]); got != tc.want {
			t.Errorf("%s resolves public-server1 to %s, want %s", sites[tc.site].name, got, tc.want)
		}
	}
}

func TestEchoDecode(t *testing.T) {
	for _, family := range []icmp{icmp4, icmp6} {
		s := &echoSocket{icmp: family, id: 7, seq: 9}
		request := s.encode()
		reply := bytes.Clone(request)
		reply[0] = s.reply
		exceeded := make([]byte, s.quoted+8)
		exceeded[0] = s.timeExceeded
		copy(exceeded[s.quoted:], request[:8])
		stranger := bytes.Clone(reply)
		stranger[7]++ // another sequence number
		for name, tc := range map[string]struct {
			packet        []byte
			arrived, ours bool
		}{
			"reply":          {reply, true, true},
			"time exceeded":  {exceeded, false, true},
			"other sequence": {stranger, true, false},
			"own request":    {request, false, false},
			"short":          {exceeded[:len(exceeded)-1], false, false},
			"empty":          {nil, false, false},
		} {
			arrived, ours := s.decode(tc.packet)
			if arrived != tc.arrived || ours != tc.ours {
				t.Errorf("%s, %s: arrived, ours = %v, %v, want %v, %v", s.network, name, arrived, ours, tc.arrived, tc.ours)
			}
		}
	}
}

// reader gives 1,000 bytes per read until its end.
type reader struct{ err error }

func (r reader) Read(b []byte) (int, error) { return min(len(b), 1000), r.err }

func TestReceiveMeasures(t *testing.T) {
	bits, err := receive(reader{}, time.Millisecond)
	if err != nil || bits <= 0 {
		t.Errorf("receive = %v, %v, want a rate", bits, err)
	}
	if _, err := receive(reader{fs.ErrClosed}, time.Minute); err == nil {
		t.Error("a stream that broke off was measured")
	}
}

func sample() *Result {
	direct := PathResult{ReadableBy: []string{"a", "b"}}
	relayed := PathResult{Via: "r", ReadableBy: []string{"a", "b", "r"}}
	ping := PingResult{Milliseconds: 0.5, Sent: pings}
	return &Result{
		Hosts: []HostResult{{Name: "a", Tunnel: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}},
		Pairs: []PairResult{
			{From: "a", To: "r", PathResult: direct, Ping4: ping, Ping6: ping, BitsPerSecond: 2.5e9},
			{From: "a", To: "b", PathResult: relayed, Ping4: ping, Ping6: PingResult{1, 2, pings}, BitsPerSecond: 700e6},
		},
		Relay: "r", RelayShow: "interface: wg0\n",
		Crossings: []CrossingResult{
			{NATs: [2]string{"one", "two"}, PathResult: direct, After: 1},
			{NATs: [2]string{"one", "two"}, PathResult: relayed},
		},
	}
}

func TestReportSaysWhoCanRead(t *testing.T) {
	var b strings.Builder
	report{&b, false}.result(sample())
	for _, want := range []string{
		"from  to  path    ping IPv4  ping IPv6              TCP, 1 s     who can read it\n",
		"a     r   direct  0.50 ms    0.50 ms                2.50 Gbit/s  the two alone\n",
		"a     b   via r   0.50 ms    1.00 ms, 2 of 15 lost  700 Mbit/s   the two, and r\n",
		"it can read the traffic of those pairs",
		"interface: wg0\n",
		"one           two           direct  after 1.0 s   the two alone\n",
		"one           two           via r   never direct  the two, and r\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report does not contain %q:\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("colour where none was asked for")
	}
}

func TestReportColoursKeepColumns(t *testing.T) {
	var plain, coloured strings.Builder
	report{&plain, false}.result(sample())
	report{&coloured, true}.result(sample())
	stripped := coloured.String()
	for _, code := range []string{bold, good, warning, "0"} {
		stripped = strings.ReplaceAll(stripped, "\x1b["+code+"m", "")
	}
	if stripped != plain.String() {
		t.Errorf("without its colours the report differs:\n%s\nwant\n%s", stripped, plain.String())
	}
}

func TestJSONNamesAreStable(t *testing.T) {
	b, err := json.Marshal(sample())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"hosts", "tunnel", "public", "behind_nat", "pid", "pairs", "from", "to", "via", "readable_by",
		"ping_ipv4", "ping_ipv6", "median_ms", "lost", "sent", "tcp_bits_per_second", "relay", "relay_show", "nat_to_nat", "nats",
		"after_seconds", "seconds",
	} {
		if !bytes.Contains(b, []byte(`"`+name+`":`)) {
			t.Errorf("no %q in %s", name, b)
		}
	}
}

func TestCommandRejectsContradictions(t *testing.T) {
	for _, args := range [][]string{{"--keep", "--clean"}, {"--json", "--clean"}, {"extra"}, {"--no-such-flag"}, {"enter"}} {
		c := Command()
		c.SetArgs(args)
		c.SetOut(&bytes.Buffer{})
		c.SetErr(&bytes.Buffer{})
		if err := c.ExecuteContext(t.Context()); err == nil {
			t.Errorf("demo %v was accepted", args)
		}
	}
}
