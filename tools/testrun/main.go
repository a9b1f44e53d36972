// Command testrun runs groups of tests and prints one line for each: its name,
// how many tests passed and failed, and how long it took. What failed is shown
// below the line; the whole output is in bin/testlog/GROUP.log.
//
// It is started by scripts/test, from the top of the tree.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const logDir = "bin/testlog"

func main() {
	fuzzTime := flag.String("fuzztime", "5000x", "how long each fuzz target runs, as go test -fuzztime")
	flag.Usage = usage
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	chosen, err := choose(flag.Args(), *fuzzTime)
	if err == nil {
		err = os.MkdirAll(logDir, 0o755)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	}
	var total tally
	for _, g := range chosen {
		total.add(runGroup(ctx, g))
		if ctx.Err() != nil {
			fmt.Fprintln(os.Stderr, "interrupted")
			os.Exit(130)
		}
	}
	fmt.Printf("%d passed, %d failed\n", total.passed, total.failed)
	if total.failed > 0 {
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: testrun [-fuzztime D] GROUP...")
	for _, g := range groups("") {
		fmt.Fprintf(os.Stderr, "  %-11s %s\n", g.name, g.about)
	}
}

func choose(names []string, fuzzTime string) ([]group, error) {
	var chosen []group
	for _, name := range names {
		found := false
		for _, g := range groups(fuzzTime) {
			if g.name == name {
				chosen, found = append(chosen, g), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no group %q; testrun -h lists them", name)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no group named; testrun -h lists them")
	}
	return chosen, nil
}

// runGroup runs one group and prints its line.
func runGroup(ctx context.Context, g group) tally {
	path := filepath.Join(logDir, g.name+".log")
	log, err := os.Create(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return tally{failed: 1}
	}
	defer log.Close()
	start := time.Now()
	r := &runner{ctx: ctx, log: log}
	if terminal() {
		fmt.Printf("%-11s ...", g.name)
	}
	g.run(r)
	if terminal() {
		fmt.Print("\r")
	}
	t := r.tally
	line := fmt.Sprintf("%-11s %5d passed  %3d failed  %7.1f s", g.name, t.passed, t.failed, time.Since(start).Seconds())
	if t.skipped > 0 {
		line += fmt.Sprintf("  %d skipped", t.skipped)
	}
	if r.note != "" {
		line += "  " + r.note
	}
	fmt.Println(line)
	for _, f := range r.failures {
		fmt.Print(f)
	}
	if t.failed > 0 {
		fmt.Printf("    the whole output is in %s\n", path)
	}
	return t
}

func terminal() bool {
	s, err := os.Stdout.Stat()
	return err == nil && s.Mode()&os.ModeCharDevice != 0
}

// tally counts tests.
type tally struct{ passed, failed, skipped int }

func (t *tally) add(o tally) {
	t.passed += o.passed
	t.failed += o.failed
	t.skipped += o.skipped
}
