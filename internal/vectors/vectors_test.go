package vectors

import "testing"

func TestHandshakesAreComplete(t *testing.T) {
	cases := Handshakes()
	if len(cases) != 200 {
		t.Fatalf("got %d handshakes, want 200 (P04)", len(cases))
	}
	preshared := 0
	for _, c := range cases {
		if len(c.Preshared) != 0 {
			preshared++
		}
		for name, size := range map[string]struct{ got, want int }{
			"initiation":     {len(c.Initiation), 148},
			"response":       {len(c.Response), 92},
			"cookie reply":   {len(c.InitiationCookie.Reply), 64},
			"cookie reply 2": {len(c.ResponseCookie.Reply), 64},
			"first":          {len(c.First), 16 + len(c.Payload) + 16},
			"timestamp":      {len(c.Timestamp), 12},
		} {
			if size.got != size.want {
				t.Errorf("%s: %s has %d bytes, want %d", c.Name, name, size.got, size.want)
			}
		}
	}
	if preshared == 0 || preshared == len(cases) {
		t.Errorf("%d of %d handshakes have a preshared key, want some of both", preshared, len(cases))
	}
}

func TestHashesAreComplete(t *testing.T) {
	for i, c := range Hashes() {
		if len(c.Data) != i || len(c.Hash) != 32 || len(c.MAC) != 16 || len(c.KDF[2]) != 32 {
			t.Errorf("case %d is incomplete: %+v", i, c)
		}
	}
}

func TestLowOrderPointsAreDistinct(t *testing.T) {
	seen := map[[32]byte]bool{}
	for _, p := range LowOrder() {
		seen[p] = true
	}
	if len(seen) != 14 {
		t.Errorf("got %d encodings, want 14", len(seen))
	}
}
