package quick_test

import (
	"slices"
	"testing"

	"github.com/warrenvpn/warren/internal/quick"
)

// A FwMark of the file is taken for the number of a table, too.
func TestReservedTables(t *testing.T) {
	reserved := []uint32{0, 253, 254, 255}
	for n := range uint32(1000) {
		if got, want := quick.ReservedTable(n), slices.Contains(reserved, n); got != want {
			t.Errorf("table %d is reserved: %v, want %v", n, got, want)
		}
	}
	if quick.ReservedTable(51820) || quick.ReservedTable(1<<32-1) {
		t.Error("a large number is reserved")
	}
}
