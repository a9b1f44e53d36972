//go:build weekly

package x25519

import "testing"

// P03, weekly tier.
func TestIteratedMillion(t *testing.T) { iterate(t, 1_000_000) }
