//go:build linux

// Command bench compares this module's device with wireguard-go, its newest
// module version, and prints a table of targets and what was measured.
//
// Only ratios mean anything: both ends of a tunnel and the load generator share
// one machine. So every measurement is paired. Both implementations are set up
// side by side, the runs alternate between them, and which one goes first
// alternates too; what is compared is the medians.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var o options
	flag.StringVar(&o.warren, "warren", "../bin/warren", "the binary to measure")
	flag.StringVar(&o.reference, "reference", "", "the binary to compare with; built from its module if empty")
	flag.IntVar(&o.runs, "n", 5, "runs of each measurement and implementation")
	flag.DurationVar(&o.length, "t", 3*time.Second, "length of a run")
	only := flag.String("only", "", "regular expression: the rows to measure")
	flag.Parse()
	var err error
	if o.only, err = regexp.Compile(*only); err == nil {
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	warren, reference string
	runs              int
	length            time.Duration
	only              *regexp.Regexp
	load              string // of the machine before the first run
}

func run(ctx context.Context, o options) error {
	o.load = load()
	dir, err := os.MkdirTemp("", "bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if o.reference == "" {
		o.reference = filepath.Join(dir, "wireguard-go")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", o.reference, referenceModule)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", referenceModule, err, out)
		}
	}
	if o.warren, err = filepath.Abs(o.warren); err != nil {
		return err
	}
	contestants := []contestant{
		{"warren", []string{o.warren, "device"}},
		{"wireguard-go", []string{o.reference}},
	}
	var results []result
	for _, m := range measurements {
		if !o.only.MatchString(m.what) {
			continue
		}
		r, err := m.compare(ctx, o, contestants)
		if err != nil {
			return fmt.Errorf("%s: %w", m.what, err)
		}
		results = append(results, r)
		fmt.Fprintf(os.Stderr, "%-50s %s\n", m.what, r.brief())
	}
	printTable(os.Stdout, o, results)
	return nil
}

const referenceModule = "golang.zx2c4.com/wireguard"

// referenceVersion returns the version in go.mod.
func referenceVersion() string {
	info, _ := debug.ReadBuildInfo()
	if info != nil {
		for _, d := range info.Deps {
			if d.Path == referenceModule {
				return d.Version
			}
		}
	}
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", referenceModule).Output()
	if err != nil {
		return "of unknown version"
	}
	return string(out[:len(out)-1])
}

// median returns the middle of some numbers, or the mean of the two in the
// middle.
func median(numbers []float64) float64 {
	s := slices.Sorted(slices.Values(numbers))
	if len(s) == 0 {
		return 0
	}
	return (s[len(s)/2] + s[(len(s)-1)/2]) / 2
}
