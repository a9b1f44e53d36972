//go:build linux && e2e

package kernel

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/wire"
	"github.com/warrenvpn/warren/interop/kernel/traffic"
)

// A tunnel that carries data: both tools read the same of it, and Q04: syncconf
// with what is there already, or with another peer in it, costs no session.
func testLive(t *testing.T, b *bed, p pair) {
	p.connect(t, combination{preshared: true})
	ping := func() {
		t.Helper()
		if err := p.ours.ping(p.kernel.inner[0], 20, atOnce); err != nil {
			t.Error(err)
		}
	}
	ping()
	for _, line := range []string{"show wg1 latest-handshakes", "show wg1 transfer", "show wg1 endpoints", "show wg1 dump"} {
		// A keepalive may come between the two.
		eventually(t, line, func() error {
			ours, theirs := b.wg(t, ourWG(), say(line)), b.wg(t, b.theirs, say(line))
			if ours != theirs || strings.HasSuffix(ours.Stdout, "\t0\n") {
				return fmt.Errorf("ours:\n%s\ntheirs:\n%s", show(ours), show(theirs))
			}
			return nil
		})
	}
	// The time of a handshake is in seconds: too coarse for this.
	seen := must(t, func() (*traffic.Capture, error) { return capture(b, "tap0") })
	defer seen.Close()
	conf := b.must(t, ourWG(), "showconf wg1")
	for _, more := range []string{"", "\n[Peer]\nPublicKey = PUB5\nAllowedIPs = 10.200.0.0/16\n", ""} {
		if err := b.vm.WriteFile(context.Background(), "/run/f/live.conf", []byte(conf+cast.names.Replace(more)), 0o600); err != nil {
			t.Fatal(err)
		}
		b.must(t, ourWG(), "syncconf wg1 /run/f/live.conf")
		ping()
	}
	data := 0
	for {
		d, ok := seen.Next(p.ours.outerPort(false), p.kernel.outerPort(false), 300*time.Millisecond)
		if !ok {
			break
		}
		if kind, _ := wire.Classify(d.Payload); kind == wire.TypeTransport {
			data++
		} else {
			t.Errorf("syncconf cost a session: %v from %s", kind, d.From)
		}
	}
	if data < 120 {
		t.Errorf("%d messages of data were seen, want 120: requests and answers", data)
	}
	if got := b.must(t, b.theirs, "showconf wg1"); got != conf {
		t.Errorf("after all that the configuration is\n%s, want\n%s", got, conf)
	}
}
