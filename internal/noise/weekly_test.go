//go:build weekly

package noise

import "testing"

// P03, weekly tier.
func TestX25519IteratedMillion(t *testing.T) { iterateX25519(t, 1_000_000) }
