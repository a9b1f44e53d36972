package handshake

import "testing"

// Both responders are right and have a figure.
func TestMeasure(t *testing.T) {
	ours, theirs, err := Measure(2)
	if err != nil {
		t.Fatal(err)
	}
	if len(ours) != 2 || len(theirs) != 2 || min(ours[0], ours[1], theirs[0], theirs[1]) <= 0 {
		t.Errorf("Measure(2) = %v, %v; want two figures for each", ours, theirs)
	}
}

func TestMedian(t *testing.T) {
	for _, tc := range []struct {
		figures []float64
		want    float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := Median(tc.figures); got != tc.want {
			t.Errorf("Median(%v) = %v, want %v", tc.figures, got, tc.want)
		}
	}
}
