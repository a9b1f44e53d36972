package wgctl

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/conf"
)

// fakeNames is a resolver and a clock under the test's control.
type fakeNames struct {
	answers []error // of one look-up each, then success
	lookups int
	slept   []time.Duration
	said    []string
}

func (f *fakeNames) resolver(retries int) *Resolver {
	return &Resolver{
		Retries: retries,
		Lookup: func(string) ([]netip.Addr, error) {
			f.lookups++
			if f.lookups <= len(f.answers) {
				return nil, f.answers[f.lookups-1]
			}
			return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}, nil
		},
		Service: func(name string) (int, error) {
			if name == "http" {
				return 80, nil
			}
			return 0, errors.New("unknown port")
		},
		Sleep:  func(d time.Duration) { f.slept = append(f.slept, d) },
		Notify: func(line string) { f.said = append(f.said, line) },
	}
}

var (
	errBusy    = &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	errMissing = &net.DNSError{Err: "no such host", IsNotFound: true}
)

func busy(n int) []error { return slices.Repeat([]error{errBusy}, n) }

// Q03: fifteen retries, from one second on, each a fifth longer, at most 20 s.
func TestRetriesAndPausesAreExact(t *testing.T) {
	f := &fakeNames{answers: busy(100)}
	_, err := f.resolver(DefaultRetries).Resolve(conf.Endpoint{Host: "example.org", Port: "51820"})
	if err == nil || err.Error() != "Temporary failure in name resolution: `example.org:51820'" {
		t.Errorf("error = %v", err)
	}
	if f.lookups != 16 || len(f.slept) != 15 {
		t.Errorf("%d look-ups and %d pauses, want 16 and 15", f.lookups, len(f.slept))
	}
	var total time.Duration
	want := time.Second
	for i, d := range f.slept {
		if d != want {
			t.Errorf("pause %d = %v, want %v", i, d, want)
		}
		line := fmt.Sprintf("Temporary failure in name resolution: `example.org:51820'. Trying again in %.2f seconds...", want.Seconds())
		if f.said[i] != line {
			t.Errorf("said %q, want %q", f.said[i], line)
		}
		total += d
		want = min(want*6/5, 20*time.Second)
	}
	if total < 71*time.Second || total > 73*time.Second {
		t.Errorf("pauses add up to %v, want about 72 s", total)
	}
}

func TestPausesAreCapped(t *testing.T) {
	f := &fakeNames{answers: busy(40)}
	ap, err := f.resolver(Forever).Resolve(conf.Endpoint{Host: "example.org", Port: "http"})
	if err != nil || ap != netip.MustParseAddrPort("192.0.2.1:80") {
		t.Errorf("got %v, %v, want the first address", ap, err)
	}
	if f.lookups != 41 || slices.Max(f.slept) != 20*time.Second || f.slept[39] != 20*time.Second {
		t.Errorf("%d look-ups, pauses %v", f.lookups, f.slept)
	}
}

func TestNotFoundIsFinal(t *testing.T) {
	f := &fakeNames{answers: []error{errBusy, errMissing}}
	_, err := f.resolver(Forever).ResolveAs("[nosuch]:1", conf.Endpoint{Host: "nosuch", Port: "1"})
	var r *ResolveError
	if !errors.As(err, &r) || !errors.Is(err, errMissing) || err.Error() != "Name or service not known: `[nosuch]:1'" {
		t.Errorf("error = %v", err)
	}
	if f.lookups != 2 {
		t.Errorf("%d look-ups, want 2", f.lookups)
	}
}

// X8: whoever waits for ever waits for names that are not known yet, but not for
// what can be none.
func TestUnknownNamesAreRetriedOnDemand(t *testing.T) {
	f := &fakeNames{answers: []error{errMissing, errBusy, errMissing}}
	r := f.resolver(Forever)
	r.RetryUnknown = true
	ap, err := r.Resolve(conf.Endpoint{Host: "example.org", Port: "5"})
	if err != nil || ap.String() != "192.0.2.1:5" || f.lookups != 4 {
		t.Errorf("got %v, %v after %d look-ups", ap, err, f.lookups)
	}
	want := []string{
		"Name or service not known: `example.org:5'. Trying again in 1.00 seconds...",
		"Temporary failure in name resolution: `example.org:5'. Trying again in 1.20 seconds...",
		"Name or service not known: `example.org:5'. Trying again in 1.44 seconds...",
	}
	if !slices.Equal(f.said, want) {
		t.Errorf("said %q, want %q", f.said, want)
	}
	for _, host := range []string{
		"256.1.1.1", "1.2.3.4.5", "a b", "a..b", ".a", "x:y", "[x", "fe80::1%", "a/b", "u@h", "", ".",
		strings.Repeat("a", 64) + ".org", strings.Repeat("a.", 127) + "org",
	} {
		f := &fakeNames{answers: slices.Repeat([]error{errMissing}, 3)}
		r := f.resolver(Forever)
		r.RetryUnknown = true
		if _, err := r.Resolve(conf.Endpoint{Host: host, Port: "1"}); err == nil || f.lookups != 1 {
			t.Errorf("%q: %v after %d look-ups, want an error at once", host, err, f.lookups)
		}
	}
	for _, host := range []string{"a", "a.", "a_b", "-x", "münchen.example", "1a", "a.1b", strings.Repeat("a", 63) + ".org"} {
		if !couldExist(host) {
			t.Errorf("%q is taken for no name", host)
		}
	}
}

// A look-up that its caller gave up ends the wait, whatever is said of the name.
func TestCancelledLookupsAreFinal(t *testing.T) {
	f := &fakeNames{answers: []error{errBusy, &net.DNSError{Err: "interrupted", UnwrapErr: context.Canceled, IsTemporary: true}}}
	r := f.resolver(Forever)
	r.RetryUnknown = true
	if _, err := r.Resolve(conf.Endpoint{Host: "example.org", Port: "5"}); !errors.Is(err, context.Canceled) || f.lookups != 2 {
		t.Errorf("error = %v after %d look-ups", err, f.lookups)
	}
}

func TestNoRetriesMeansOneLookup(t *testing.T) {
	f := &fakeNames{answers: busy(1)}
	if _, err := f.resolver(0).Resolve(conf.Endpoint{Host: "x", Port: "1"}); err == nil || len(f.slept) != 0 {
		t.Errorf("error = %v after %d pauses", err, len(f.slept))
	}
}

func TestNumericEndpointsAreNotLookedUp(t *testing.T) {
	f := &fakeNames{}
	for text, want := range map[string]string{
		"192.0.2.1:5": "192.0.2.1:5", "[2001:db8::1]:http": "[2001:db8::1]:80", "127.1:5": "127.0.0.1:5", "0x7f.1:5": "127.0.0.1:5",
		"0177.0.0.1:5": "127.0.0.1:5", "2130706433:5": "127.0.0.1:5", "0:5": "0.0.0.0:5", "10.0.256:5": "10.0.1.0:5", "0XA.1:5": "10.0.0.1:5",
		"[fe80::1%2]:5": "[fe80::1%2]:5", "[::ffff:192.0.2.1]:5": "[::ffff:192.0.2.1]:5",
	} {
		e, err := conf.ParseEndpoint(text)
		if err != nil {
			t.Fatal(err)
		}
		ap, err := f.resolver(0).Resolve(e)
		if err != nil || ap.String() != want {
			t.Errorf("%s = %v, %v, want %s", text, ap, err, want)
		}
	}
	if f.lookups != 0 {
		t.Errorf("%d look-ups, want none", f.lookups)
	}
	for _, host := range []string{"256", "4294967296", "1.2.3.256", "1.2.3.4.5", "08.1", "0b1.1", "1_0.1", "0x", "1..2", "a.1", "", "-1", "1.-1", "0o7.1"} {
		if a, ok := numericHost(host); ok && host != "256" {
			t.Errorf("%q is read as %v", host, a)
		}
	}
}

func TestZonesHaveToExist(t *testing.T) {
	for _, host := range []string{"fe80::1%nosuchlink", "2001:db8::1%1x"} {
		_, err := (&Resolver{}).Resolve(conf.Endpoint{Host: host, Port: "1"})
		if err == nil || !strings.HasPrefix(err.Error(), "Name or service not known: `["+host) {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestPorts(t *testing.T) {
	f := &fakeNames{}
	for s, want := range map[string]int{"0": 0, "65535": 65535, "http": 80, "65536": -1, "nosuch": -1, "+1": -1, "-1": -1, "": -1} {
		n, err := f.resolver(0).ServicePort(s)
		if (err == nil) != (want >= 0) || err == nil && int(n) != want {
			t.Errorf("port %q = %d, %v, want %d", s, n, err, want)
		}
		if err != nil && err.Error() != "Servname not supported for ai_socktype: `"+s+"'" {
			t.Errorf("port %q: %v", s, err)
		}
	}
}

func TestParseRetries(t *testing.T) {
	for s, want := range map[string]int{"": 15, "0": 0, "3": 3, "2147483647": 2147483647, "infinity": Forever} {
		if n, err := ParseRetries(s); err != nil || n != want {
			t.Errorf("%q = %d, %v, want %d", s, n, err, want)
		}
	}
	for _, s := range []string{"x", "-1", "2147483648", "+1", " 1", "1s", "Infinity", "99999999999999999999"} {
		if n, err := ParseRetries(s); err == nil {
			t.Errorf("%q = %d, want an error", s, n)
		}
	}
}

func TestResolveChangeMakesEndpointsNumeric(t *testing.T) {
	f := &fakeNames{}
	c := Client{Resolver: f.resolver(0)}
	given := conf.Endpoint{Host: "example.org", Port: "http"}
	ch := conf.Change{Peers: []conf.PeerChange{{}, {Endpoint: &given}}}
	if err := c.ResolveChange(&ch); err != nil {
		t.Fatal(err)
	}
	if got := ch.Peers[1].Endpoint.Text(); got != "192.0.2.1:80" || given.Host != "example.org" {
		t.Errorf("endpoint = %s, and what was given is %v", got, given)
	}
}
