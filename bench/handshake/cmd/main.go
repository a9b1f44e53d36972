// Command cmd prints how many handshakes per second one core answers, of this
// project and of wireguard-go.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"github.com/warrenvpn/warren/bench/handshake"
	"github.com/warrenvpn/warren/internal/impl"
)

// result is what -json prints. Rates are in handshakes per second.
type result struct {
	Implementation string    // of the job x25519
	Ours, Theirs   float64   // medians
	Ratio          float64   // of the medians
	OursAll        []float64 // turn by turn, paired with TheirsAll
	TheirsAll      []float64
}

func main() {
	turns := flag.Int("n", 11, "turns, each of 1024 handshakes with either responder")
	cpu := flag.String("cpu", "", "the implementations to use, as in warren device --cpu")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	if err := run(*turns, *cpu, *asJSON); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(turns int, cpu string, asJSON bool) error {
	if cpu != "" {
		if err := impl.Use(cpu); err != nil {
			return err
		}
	}
	ours, theirs, err := handshake.Measure(turns)
	if err != nil {
		return err
	}
	r := result{OursAll: ours, TheirsAll: theirs, Ours: handshake.Median(ours), Theirs: handshake.Median(theirs)}
	if r.Theirs > 0 {
		r.Ratio = r.Ours / r.Theirs
	}
	for _, i := range impl.List() {
		if i.Job == "x25519" && i.InUse {
			r.Implementation = i.Name
		}
	}
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	fmt.Printf("handshakes per second, responder, one core (%s): %.0f, wireguard-go %.0f: %.2f x\n",
		r.Implementation, r.Ours, r.Theirs, r.Ratio)
	return nil
}
