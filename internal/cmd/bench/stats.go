package bench

import (
	"fmt"
	"math"
	"slices"
)

// median returns the middle of some numbers, or the mean of the two in the
// middle; of none, NaN.
func median(numbers []float64) float64 {
	s := slices.Sorted(slices.Values(numbers))
	if len(s) == 0 {
		return math.NaN()
	}
	return (s[len(s)/2] + s[(len(s)-1)/2]) / 2
}

// quantile returns the number that the part q of a sorted list does not exceed
// (the nearest rank); of none, NaN.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// unit says how values are printed, and whether less of it is better.
type unit struct {
	name  string
	scale float64 // of base units
	base  string  // the name of the base unit
	less  bool
}

var (
	gigabits     = unit{"Gbit/s", 1e-9, "bit/s", false}
	packets      = unit{"1,000/s", 1e-3, "1/s", false}
	perSecond    = unit{"1/s", 1, "1/s", false}
	gigabytesPer = unit{"GB/s", 1e-9, "byte/s", false}
	milliseconds = unit{"ms", 1e3, "s", true}
	inSeconds    = unit{"s", 1, "s", true}
	megabytes    = unit{"MB", 1e-6, "byte", true}
	gigabytes    = unit{"GB", 1e-9, "byte", true}
	kilobytes    = unit{"KB", 1e-3, "byte", true}
	percent      = unit{"% of a core", 100, "core", true}
)

// number prints a value for people: three digits that count.
func (u unit) number(v float64) string {
	if math.IsNaN(v) {
		return ""
	}
	v *= u.scale
	if math.Abs(v) >= 999.5 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// show prints the median, and the smallest and largest in brackets.
func (u unit) show(values []float64) string {
	switch len(values) {
	case 0:
		return ""
	case 1:
		return u.number(values[0])
	}
	return fmt.Sprintf("%s (%s..%s)", u.number(median(values)), u.number(slices.Min(values)), u.number(slices.Max(values)))
}
