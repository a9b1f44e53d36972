package main

import (
	"io"
	"strings"
	"testing"
)

// TestScoreCountsLeaves: a test with subtests is counted by them, a package
// that dies without a failing test counts as one failure, and every failure is
// shown once.
func TestScoreCountsLeaves(t *testing.T) {
	s := newScore("unit")
	for _, e := range []event{
		{Action: "pass", Package: "p", Test: "TestA/one"},
		{Action: "fail", Package: "p", Test: "TestA/two"},
		{Action: "fail", Package: "p", Test: "TestA"},
		{Action: "pass", Package: "p", Test: "TestB/x/y"},
		{Action: "pass", Package: "p", Test: "TestB/x"},
		{Action: "pass", Package: "p", Test: "TestB"},
		{Action: "skip", Package: "p", Test: "TestC"},
		{Action: "fail", Package: "p"},
		{Action: "pass", Package: "q"},
		{Action: "output", Package: "r", Output: "panic: x\n"},
		{Action: "fail", Package: "r"},
	} {
		s.take(e)
	}
	r := &runner{log: io.Discard}
	if n := s.finish(r); n != 2 || r.tally != (tally{passed: 2, failed: 2, skipped: 1}) || len(r.failures) != 2 {
		t.Errorf("%d failures, tally %+v, shown %q, want 2 passed, 2 failed, 1 skipped, 2 shown", n, r.tally, r.failures)
	}
	if all := strings.Join(r.failures, ""); !strings.Contains(all, "TestA/two") || !strings.Contains(all, "panic: x") {
		t.Errorf("shown is %q, want the failing subtest and the panic", all)
	}
}
