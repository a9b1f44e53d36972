package cli

import (
	"fmt"
	"strings"
	"time"
)

// Duration words a number of seconds as wg(8) does: years, days, hours, minutes
// and seconds, without those that are zero. unit paints the words.
func Duration(seconds uint64, unit func(string) string) string {
	parts := []struct {
		size uint64
		name string
	}{{365 * 24 * 3600, "year"}, {24 * 3600, "day"}, {3600, "hour"}, {60, "minute"}, {1, "second"}}
	var out []string
	for _, p := range parts {
		n := seconds / p.size
		seconds %= p.size
		if n == 0 {
			continue
		}
		name := p.name
		if n > 1 {
			name += "s"
		}
		out = append(out, fmt.Sprintf("%d %s", n, unit(name)))
	}
	return strings.Join(out, ", ")
}

// Ago words how long ago a time is. now is the present second. future reports
// that the time has not come yet: a clock was set back.
func Ago(t, now time.Time, unit func(string) string) (text string, future bool) {
	switch then, sec := t.Unix(), now.Unix(); {
	case then == sec:
		return "Now", false
	case then > sec:
		return "", true
	default:
		return Duration(uint64(sec-then), unit) + " ago", false
	}
}

// Bytes words a byte count in units of 1024. unit paints the unit.
func Bytes(n uint64, unit func(string) string) string {
	const k = 1024
	switch {
	case n < k:
		return fmt.Sprintf("%d %s", n, unit("B"))
	case n < k*k:
		return fmt.Sprintf("%.2f %s", float64(n)/k, unit("KiB"))
	case n < k*k*k:
		return fmt.Sprintf("%.2f %s", float64(n)/(k*k), unit("MiB"))
	case n < k*k*k*k:
		return fmt.Sprintf("%.2f %s", float64(n)/(k*k*k), unit("GiB"))
	}
	return fmt.Sprintf("%.2f %s", float64(n)/(k*k*k)/k, unit("TiB"))
}
