package quick_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/quick"
	"github.com/warrenvpn/warren/key"
)

const (
	privateText = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHl8="
	peer1Text   = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
	peer2Text   = "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8="
)

func noService(string) (uint16, error) { return 0, errors.New("no services here") }

func parseFile(t *testing.T, text string) *quick.Config {
	t.Helper()
	c, err := quick.Parse(text, "wg0.conf", "wg0", conf.Options{Service: noService})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func publicKey(t *testing.T, s string) key.Public {
	t.Helper()
	k, err := conf.ParsePublicKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// live is a tunnel with two peers.
func live(t *testing.T) quick.Live {
	t.Helper()
	private, err := conf.ParsePrivateKey(privateText)
	if err != nil {
		t.Fatal(err)
	}
	return quick.Live{
		Device: conf.Device{PrivateKey: private, ListenPort: 51820, FwMark: 0xca6c, Peers: []conf.Peer{
			{PublicKey: publicKey(t, peer1Text), AllowedIPs: prefixes([]string{"10.0.0.2/32"}), Endpoint: netip.MustParseAddrPort("192.0.2.7:5"), PersistentKeepalive: 25},
			{PublicKey: publicKey(t, peer2Text), AllowedIPs: prefixes([]string{"10.0.0.3/32", "fd00::3/128"}), Endpoint: netip.MustParseAddrPort("[2001:db8::7]:6")},
		}},
		Addresses: prefixes([]string{"10.0.0.1/24", "fd00::1/64"}), Servers: []string{"1.1.1.1"}, MTU: 1400,
	}
}

// Q26: what wg-quick writes, in its order.
func TestSaveText(t *testing.T) {
	c := parseFile(t, "# gone\n[Interface]\nPostDown = d # kept\nPreUp = a\nPostUp=b %i\nPreDown = c\nSaveConfig = TRUE\nTable = 7\nMTU=1300\nPrivateKey = "+privateText+"\n")
	got, err := quick.SaveText(c, live(t))
	if err != nil {
		t.Fatal(err)
	}
	want := "[Interface]\nAddress = 10.0.0.1/24\nAddress = fd00::1/64\nDNS = 1.1.1.1\nMTU = 1400\nTable = 7\nSaveConfig = true\n" +
		"PreUp = a\nPostUp = b %i\nPreDown = c\nPostDown = d # kept\nListenPort = 51820\nFwMark = 0xca6c\nPrivateKey = " + privateText + "\n\n" +
		"[Peer]\nPublicKey = " + peer1Text + "\nAllowedIPs = 10.0.0.2/32\nEndpoint = 192.0.2.7:5\nPersistentKeepalive = 25\n\n" +
		"[Peer]\nPublicKey = " + peer2Text + "\nAllowedIPs = 10.0.0.3/32, fd00::3/128\nEndpoint = [2001:db8::7]:6\n"
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	got, err = quick.SaveText(parseFile(t, "[Interface]\n"), quick.Live{})
	if err != nil || string(got) != "[Interface]\n" {
		t.Errorf("of nothing: %q, %v", got, err)
	}
}

// Comments, order and names stay; what the file does not ask for is not added.
func TestMerge(t *testing.T) {
	file := "# office\n[Interface]\n# Name = here\nAddress = 10.0.0.1/24 , FD00::1/64 # both\nPrivateKey = " + privateText + "\nDNS = 1.1.1.1, corp\nPostUp = echo # x\n\n" +
		"# laptop\n[Peer]\nPublicKey = " + peer1Text + " # old\nEndpoint = host.example.org:5\nAllowedIPs = 10.0.0.2/32, 10.9.0.0/16\n\n" +
		"# gone\n[Peer]\nPublicKey = " + privateText + "\nAllowedIPs = 10.0.0.9/32\n"
	want := "# office\n[Interface]\n# Name = here\nAddress = 10.0.0.1/24 , FD00::1/64 # both\nPrivateKey = " + privateText + "\nDNS = 1.1.1.1, corp\nPostUp = echo # x\n\n" +
		"# laptop\n[Peer]\nPublicKey = " + peer1Text + " # old\nEndpoint = host.example.org:5\nAllowedIPs = 10.0.0.2/32\nPersistentKeepalive = 25\n\n" +
		"\n[Peer]\nPublicKey = " + peer2Text + "\nAllowedIPs = 10.0.0.3/32, fd00::3/128\nEndpoint = [2001:db8::7]:6\n"
	got, err := quick.Merge(file, live(t))
	if err != nil || got != want {
		t.Errorf("got, %v,\n%s\nwant\n%s", err, got, want)
	}
	again, err := quick.Merge(got, live(t))
	if err != nil || again != got {
		t.Errorf("merged again it is, %v,\n%s", err, again)
	}
}

func TestMergeUpdates(t *testing.T) {
	file := "[Interface]\nAddress = 10.0.0.5/24\nAddress = 10.0.0.6/24\nListenPort = 1 # port\nFwMark = 2\nMTU = 3\n" +
		"[Peer]\nPublicKey=" + peer1Text + "\nEndpoint = 192.0.2.1:9\nAllowedIPs = 10.0.0.2\n" +
		"[Peer]\nPublicKey = " + peer2Text + "\nPersistentKeepalive = 5\nPresharedKey = " + privateText + "\n"
	want := "[Interface]\nAddress = 10.0.0.1/24, fd00::1/64\nListenPort = 51820 # port\nFwMark = 51820\nMTU = 1400\n" +
		"[Peer]\nPublicKey=" + peer1Text + "\nEndpoint = 192.0.2.7:5\nAllowedIPs = 10.0.0.2\nPersistentKeepalive = 25\n" +
		"[Peer]\nPublicKey = " + peer2Text + "\nAllowedIPs = 10.0.0.3/32, fd00::3/128\n"
	got, err := quick.Merge(file, live(t))
	if err != nil || got != want {
		t.Errorf("got, %v,\n%s\nwant\n%s", err, got, want)
	}
}

// FuzzMerge: whatever the file, the result of a merge that can be read says
// what the device is, and merging again changes nothing.
func FuzzMerge(f *testing.F) {
	f.Add("# c\n[Interface]\nAddress = 10.0.0.1/24\n[Peer]\nPublicKey = " + peer1Text + "\nAllowedIPs = 10.0.0.2/32\n")
	f.Add("[Peer]\n[peer]\r\nPublicKey=" + peer1Text + "\nPublicKey=" + peer2Text + "\n# d\n[Interface]\nMTU=1\n[Other]\n")
	f.Fuzz(func(t *testing.T, file string) {
		c, err := quick.Parse(file, "wg0.conf", "wg0", conf.Options{Service: noService})
		if err != nil {
			return
		}
		l := live(t)
		text, err := quick.Merge(file, l)
		if err != nil {
			t.Fatal(err)
		}
		back, err := quick.Parse(text, "wg0.conf", "wg0", conf.Options{Service: noService})
		if err != nil {
			t.Fatalf("%q became %q: %v", file, text, err)
		}
		allowed := make(map[key.Public]int)
		for _, p := range back.Device.Peers {
			allowed[p.PublicKey] += len(p.AllowedIPs)
		}
		for _, p := range l.Device.Peers {
			if allowed[p.PublicKey] < len(p.AllowedIPs) {
				t.Errorf("%q became %q, which lacks allowed IPs of %v", file, text, p.PublicKey)
			}
		}
		if len(allowed) != len(l.Device.Peers) || len(back.PostUp) != len(c.PostUp) {
			t.Errorf("%q became %q: %d peers, %d hooks", file, text, len(allowed), len(back.PostUp))
		}
		if again, err := quick.Merge(text, l); err != nil || strings.TrimRight(again, "\n") != strings.TrimRight(text, "\n") {
			t.Errorf("%q became %q and then %q, %v", file, text, again, err)
		}
	})
}
