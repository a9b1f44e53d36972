package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// event is one line of `go test -json`.
type event struct {
	Action, Package, ImportPath, Test, Output string
}

// goTest runs go test with args in dir and counts tests that have no subtests
// of their own. A package that fails without a failing test (it does not
// compile, it panics, it leaks) counts as one failure.
func (r *runner) goTest(title string, env []string, dir string, args ...string) {
	var errs bytes.Buffer
	c := r.command(env, dir, "go", append([]string{"test", "-json"}, args...)...)
	c.Stderr = &errs
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		r.fail(title, err.Error())
		return
	}
	s := newScore(title)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			e = event{Action: "output", Output: lines.Text() + "\n"}
		}
		fmt.Fprint(r.log, e.Output)
		s.take(e)
	}
	err = c.Wait()
	_, _ = r.log.Write(errs.Bytes())
	s.stderr = errs.String()
	if failed := s.finish(r); err != nil && failed == 0 {
		r.fail(title, errs.String()+err.Error())
	}
}

// score collects the events of one go test.
type score struct {
	title  string
	stderr string              // where go test says why a package cannot be set up
	result map[string]string   // of "package test": pass, fail or skip
	order  []string            // keys of result, as they ended
	parent map[string]bool     // tests with subtests
	output map[string][]string // of "package test"; "package " for the package's own
}

func newScore(title string) *score {
	return &score{title: title, result: map[string]string{}, parent: map[string]bool{}, output: map[string][]string{}}
}

func (s *score) take(e event) {
	pkg := e.Package
	if pkg == "" {
		pkg, _, _ = strings.Cut(e.ImportPath, " ")
	}
	id := pkg + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		s.output[id] = append(s.output[id], e.Output)
	case "pass", "fail", "skip", "build-fail":
		if e.Test == "" && e.Action != "fail" {
			return // a package's pass is not a test
		}
		s.result[id] = e.Action
		s.order = append(s.order, id)
		for i := strings.LastIndexByte(e.Test, '/'); i > 0; i = strings.LastIndexByte(e.Test[:i], '/') {
			s.parent[pkg+" "+e.Test[:i]] = true
		}
	}
}

// finish adds the score to r and returns the number of failures.
func (s *score) finish(r *runner) int {
	failed := 0
	for _, id := range s.order {
		switch s.result[id] {
		case "pass":
			if !s.parent[id] {
				r.tally.passed++
			}
		case "skip":
			r.tally.skipped++
		case "fail":
			if s.failedBelow(id) {
				continue
			}
			failed++
			name := strings.TrimSpace(strings.Replace(strings.TrimPrefix(id, modulePath+"/"), " ", ": ", 1))
			text := strings.Join(s.output[id], "")
			if strings.HasSuffix(id, " ") {
				text += s.stderr
			}
			r.fail(s.title+" "+strings.TrimSuffix(name, ":"), text)
		}
	}
	return failed
}

// failedBelow reports whether the failure of id is told by something below it:
// a subtest, or for a package one of its tests.
func (s *score) failedBelow(id string) bool {
	prefix := id + "/"
	if strings.HasSuffix(id, " ") {
		prefix = id
	}
	return slices.ContainsFunc(s.order, func(o string) bool {
		return o != id && strings.HasPrefix(o, prefix) && s.result[o] == "fail"
	})
}
