//go:build linux

package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, tc := range []struct {
		in   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{5, 1}, 3}, {[]float64{9, 1, 2}, 2}} {
		if got := median(tc.in); got != tc.want {
			t.Errorf("median(%v) = %v, want %v", tc.in, got, tc.want)
		}
	}
}

func TestVerdictKnowsWhatIsBetter(t *testing.T) {
	for _, tc := range []struct {
		m            measurement
		ours, theirs float64
		want         bool
	}{
		{measurement{unit: gigabits, ratio: 2}, 4, 2, true},
		{measurement{unit: gigabits, ratio: 2}, 3.9, 2, false},
		{measurement{unit: milliseconds, ratio: 0.5}, 1, 2, true},
		{measurement{unit: milliseconds, ratio: 0.5}, 1.1, 2, false},
		{measurement{unit: megabytes, absolute: 48e6}, 47e6, 1, true},
		{measurement{unit: megabytes, absolute: 48e6}, 49e6, 1e9, false},
	} {
		r := result{measurement: tc.m, ours: []float64{tc.ours}, theirs: []float64{tc.theirs}}
		if r.met() != tc.want {
			t.Errorf("%s: ours %v, theirs %v: met = %v, want %v", r.target(), tc.ours, tc.theirs, r.met(), tc.want)
		}
	}
}

func TestTableIsMarkdown(t *testing.T) {
	var b strings.Builder
	printTable(&b, options{runs: 1, length: time.Second}, []result{{
		measurement: measurement{what: "row", unit: gigabits, ratio: 2}, ours: []float64{3e9}, theirs: []float64{1e9}, bare: []float64{9e9},
	}})
	want := "| row | Gbit/s | 9 (9..9) | 1 (1..1) | 3 (3..3) | 3.00 x | >= 2 x | met |\n"
	if !strings.HasSuffix(b.String(), want) {
		t.Errorf("table = %s, want its last line to be %s", b.String(), want)
	}
}

func TestReportOfIperf(t *testing.T) {
	var r iperfReport
	err := json.Unmarshal([]byte(`{"end": {"sum_received": {"bits_per_second": 2e9}, "sum_received_bidir_reverse": {"bits_per_second": 1e9}},
		"server_output_json": {"end": {"sum": {"packets": 100, "lost_packets": 20, "seconds": 2}}}}`), &r)
	if err != nil || r.received() != 3e9 || r.delivered() != 40 {
		t.Errorf("received %v, delivered %v (%v), want 3e9 and 40", r.received(), r.delivered(), err)
	}
}
