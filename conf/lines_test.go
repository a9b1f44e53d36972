package conf

import (
	"bufio"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// Lines of all lengths are those of the text, however it is cut when it is read.
func TestLinesAreThoseOfTheText(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 7))
	for range 20 {
		var want []string
		for range r.IntN(60) {
			n := r.IntN(80)
			if r.IntN(10) == 0 {
				n = r.IntN(4 * block)
			}
			want = append(want, strings.Repeat(string(rune('a'+r.IntN(26))), n))
		}
		text := strings.Join(want, "\n")
		if text != "" && r.IntN(2) == 0 {
			text += "\n"
		} else if len(want) > 0 && want[len(want)-1] == "" {
			want = want[:len(want)-1] // no line feed, so no line
		}
		for name, in := range map[string]io.Reader{
			"whole": strings.NewReader(text), "halves": iotest.HalfReader(strings.NewReader(text)),
			"error with data": iotest.DataErrReader(strings.NewReader(text)),
		} {
			var got []string
			l := lineReader{r: in}
			line, err := l.next()
			for ; err == nil; line, err = l.next() {
				got = append(got, line)
			}
			if !errors.Is(err, io.EOF) || !slices.Equal(got, want) {
				t.Fatalf("%s: %d lines, %v, want %d", name, len(got), err, len(want))
			}
		}
	}
}

func TestLineThatIsTooLong(t *testing.T) {
	for n, want := range map[int]error{maxLine - 1: nil, 3 * maxLine: bufio.ErrTooLong} {
		_, err := Parse(strings.NewReader("#"+strings.Repeat("x", n-1)+"\n"), "f", Options{})
		if !errors.Is(err, want) {
			t.Errorf("%d bytes: error = %v, want %v", n, err, want)
		}
	}
}

// manyPeers is a configuration of n peers with two allowed IPs and an endpoint.
func manyPeers(r io.Reader, n int) *Config {
	c := &Config{Peers: make([]PeerChange, n)}
	for i := range c.Peers {
		p := &c.Peers[i]
		_, _ = io.ReadFull(r, p.PublicKey[:])
		four := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		six := netip.AddrFrom16([16]byte{0: 0xfd, 4: byte(i >> 16), 5: byte(i >> 8), 6: byte(i)})
		e := NumericEndpoint(netip.AddrPortFrom(four, 51820))
		p.ReplaceAllowedIPs, p.Endpoint = true, &e
		p.AllowedIPs = []AllowedIP{{Prefix: netip.PrefixFrom(four, 32)}, {Prefix: netip.PrefixFrom(six, 64)}}
	}
	return c
}

// BenchmarkParse100000Peers is a file of 14 MB.
func BenchmarkParse100000Peers(b *testing.B) {
	const n = 100_000
	var text strings.Builder
	r := rand.NewChaCha8([32]byte{1})
	if err := WriteConfig(&text, manyPeers(r, n)); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		c, err := Parse(strings.NewReader(text.String()), "f", Options{})
		if err != nil || len(c.Peers) != n {
			b.Fatal(err)
		}
	}
}
