package bench

import (
	"fmt"
	"math"
)

// The names of contestants that rows ask about.
const (
	ours      = "warren"
	reference = "wireguard-go"
	limit     = "no cipher" // ours, without encryption
	bare      = "no tunnel" // the rig itself
	library   = "x/crypto"  // the cipher of the Go project
)

// scale is what a target is a number of.
type scale int

const (
	untargeted  scale = iota
	toReference       // a ratio: ours to the reference
	toLimit           // a ratio: ours to the build without a cipher
	toLibrary         // a ratio: ours to x/crypto
	absolute          // a value, in base units
)

// rival is who a ratio is to.
func (s scale) rival() string {
	switch s {
	case toReference:
		return reference
	case toLimit:
		return limit
	case toLibrary:
		return library
	}
	return ""
}

// row is a line of the table.
type row struct {
	id, what string
	unit     unit
	of       scale
	// What is to be reached, and what would be better still: ratios, or base
	// units if of is absolute.
	target, stretch float64
}

// samples are the readings of a row by contestant, in base units.
type samples map[string][]float64

// measured returns what is compared with the targets: a ratio of medians, or
// the median; NaN if there are no readings for it.
func (r row) measured(s samples) float64 {
	m := median(s[ours])
	if rival := r.of.rival(); rival != "" {
		m /= median(s[rival])
	}
	return m
}

// reaches compares a measured value with a target.
func (r row) reaches(measured, target float64) bool {
	if r.unit.less {
		return measured <= target
	}
	return measured >= target
}

// express prints a value that is measured as targets are.
func (r row) express(v float64) string {
	switch {
	case math.IsNaN(v):
		return ""
	case r.of == absolute || r.of == untargeted:
		return r.unit.number(v) + " " + r.unit.name
	case r.of == toLimit:
		return fmt.Sprintf("%.0f %%", 100*v)
	}
	return fmt.Sprintf("%.2f x", v)
}

// goal prints a target and what came of it.
func (r row) goal(measured, target float64) string {
	if r.of == untargeted {
		return ""
	}
	text := r.bound(target)
	switch {
	case math.IsNaN(measured):
		return text + ", not measured"
	case r.reaches(measured, target):
		return text + ", met"
	}
	return text + ", missed"
}

// bound prints a target.
func (r row) bound(target float64) string {
	sign := ">="
	if r.unit.less {
		sign = "<="
	}
	switch r.of {
	case absolute:
		return fmt.Sprintf("%s %.4g %s", sign, target*r.unit.scale, r.unit.name)
	case toLimit:
		return fmt.Sprintf("%s %.4g %%", sign, 100*target)
	}
	return fmt.Sprintf("%s %.4g x", sign, target)
}
