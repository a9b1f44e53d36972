package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/conf"
	"github.com/warrenvpn/warren/internal/cli"
)

func TestMedianAndQuantiles(t *testing.T) {
	for _, tc := range []struct {
		in   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{5, 1}, 3}, {[]float64{9, 1, 2}, 2}} {
		if got := median(tc.in); got != tc.want {
			t.Errorf("median(%v) = %v, want %v", tc.in, got, tc.want)
		}
	}
	if !math.IsNaN(median(nil)) || !math.IsNaN(quantile(nil, 0.5)) {
		t.Error("nothing has a median")
	}
	var hundred []float64
	for i := range 100 {
		hundred = append(hundred, float64(i+1))
	}
	for q, want := range map[float64]float64{0: 1, 0.5: 50, 0.9: 90, 0.99: 99, 0.999: 100, 1: 100} {
		if got := quantile(hundred, q); got != want {
			t.Errorf("quantile %v of 1 to 100 = %v, want %v", q, got, want)
		}
	}
}

func TestVerdictKnowsWhatIsBetter(t *testing.T) {
	for _, tc := range []struct {
		r             row
		ours, rival   float64
		goal, stretch string
	}{
		{row{unit: gigabits, of: toReference, target: 2, stretch: 3}, 4e9, 2e9, ">= 2 x, met", ">= 3 x, missed"},
		{row{unit: gigabits, of: toReference, target: 2, stretch: 3}, 3.9e9, 2e9, ">= 2 x, missed", ">= 3 x, missed"},
		{row{unit: gigabits, of: toLimit, target: 0.6, stretch: 0.8}, 6.4e9, 8e9, ">= 60 %, met", ">= 80 %, met"},
		{row{unit: milliseconds, of: toReference, target: 0.5, stretch: 0.3}, 1, 2, "<= 0.5 x, met", "<= 0.3 x, missed"},
		{row{unit: megabytes, of: absolute, target: 48e6, stretch: 24e6}, 47e6, 1, "<= 48 MB, met", "<= 24 MB, missed"},
		{row{unit: gigabits, of: toReference, target: 2, stretch: 3}, 4e9, math.NaN(), ">= 2 x, not measured", ">= 3 x, not measured"},
		{row{unit: gigabytes}, 1e9, 2e9, "", ""},
	} {
		all := samples{ours: {tc.ours}}
		if rival := tc.r.of.rival(); rival != "" && !math.IsNaN(tc.rival) {
			all[rival] = []float64{tc.rival}
		}
		v := tc.r.measured(all)
		if got := tc.r.goal(v, tc.r.target); got != tc.goal {
			t.Errorf("%v against %v: %q, want %q", tc.ours, tc.rival, got, tc.goal)
		}
		if got := tc.r.goal(v, tc.r.stretch); got != tc.stretch {
			t.Errorf("%v against %v: %q, want %q", tc.ours, tc.rival, got, tc.stretch)
		}
	}
}

// Every row is filled by one experiment, and has both targets or none.
func TestRowsAndExperimentsAgree(t *testing.T) {
	o := newOptions("")
	filled := map[string]int{}
	for _, e := range experiments() {
		for _, id := range e.rows {
			filled[id]++
		}
	}
	for _, r := range o.rows() {
		if filled[r.id] != 1 {
			t.Errorf("row %s is filled by %d experiments", r.id, filled[r.id])
		}
		delete(filled, r.id)
		if (r.of == untargeted) != (r.target == 0) || r.of != untargeted && !r.reaches(r.stretch, r.target) {
			t.Errorf("row %s: target %v, stretch %v", r.id, r.target, r.stretch)
		}
	}
	if len(filled) > 0 {
		t.Errorf("experiments fill rows that are not there: %v", filled)
	}
}

// measured is a suite as it is after a run.
func measured(t *testing.T) *suite {
	t.Helper()
	o := newOptions("1.0")
	o.runs, o.duration, o.mtu, o.streams = 3, time.Second, 1420, 4
	if err := o.check(); err != nil {
		t.Fatal(err)
	}
	s := newSuite(o, &bytes.Buffer{})
	s.contestants = []*contestant{
		{name: ours, title: ours, version: "1.0"}, {name: reference, title: "wireguard-go", version: "v0.1"},
		{name: bare, title: bare},
	}
	s.add(rowTCP, ours, 4e9, 6e9, 5e9)
	s.add(rowTCP, reference, 2e9, 1e9, 3e9)
	s.add(rowTCP, bare, 16e9)
	s.add(rowMemory, ours, 12.34e6)
	s.addEchoes(idle, ours, &echoes{times: []float64{2e-3, 1e-3}, sent: 3})
	s.addEchoes(idle, ours, &echoes{times: []float64{3e-3}, sent: 1})
	s.fail(reference, rowUDP, errors.New("it broke"))
	return s
}

func TestTablesAreMarkdown(t *testing.T) {
	var b strings.Builder
	measured(t).result(Machine{Processor: "a processor", Processors: 2, Kernel: "Linux 6", LoadBefore: "0.5", Implementations: map[string]string{"sum": "plain", "aead": "fast"}}).writeTables(&b)
	const want = `
a processor, 2 processors, Linux 6; load of the machine before: 0.5.
warren: 1.0. wireguard-go: v0.1. In use: aead fast, sum plain. 3 runs of 1 s each, alternating; median (smallest..largest).

| what | unit | no tunnel | wireguard-go | warren | measured | target | stretch |
|---|---|---|---|---|---|---|---|
| 1 TCP stream, MTU 1420 | Gbit/s | 16 | 2 (1..3) | 5 (4..6) | 2.50 x | >= 2 x, met | >= 3 x, missed |
| resident memory, peak during 1 TCP stream | MB |  |  | 12.3 | 12.3 MB | <= 48 MB, met | <= 24 MB, met |

Round trips of echoes 2ms apart, all runs together, in ms:

| ping |  | p50 | p90 | p99 | p99.9 | max | answered |
|---|---|---|---|---|---|---|---|
| idle | warren | 2 | 3 | 3 | 3 | 3 | 3 of 4 |

Not measured: wireguard-go, udp: it broke
`
	if b.String() != want {
		t.Errorf("tables are\n%s\nwant\n%s", b.String(), want)
	}
}

func TestResultIsForPrograms(t *testing.T) {
	var b bytes.Buffer
	if err := encode(&b, measured(t).result(describeMachine())); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Machine struct {
			Processors      int
			Kernel          string `json:"kernel"`
			Implementations map[string]string
		}
		Options struct{ Runs int }
		Rows    []struct {
			ID         string
			Unit       string
			Samples    map[string][]float64
			Medians    map[string]float64
			RatioTo    string `json:"ratio_to"`
			Measured   float64
			Target     float64
			Stretch    float64
			TargetMet  *bool `json:"target_met"`
			StretchMet *bool `json:"stretch_met"`
		}
		Latency []struct {
			State string
			P999  float64 `json:"p99.9"`
		}
		Problems []struct{ Contestant, Error string }
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Machine.Processors == 0 || got.Machine.Kernel == "" || got.Machine.Implementations["aead"] == "" || got.Options.Runs != 3 {
		t.Errorf("machine %+v, options %+v: something is missing", got.Machine, got.Options)
	}
	if len(got.Rows) != 2 || len(got.Latency) != 1 || len(got.Problems) != 1 {
		t.Fatalf("%d rows, %d latencies, %d problems, want 2, 1, 1:\n%s", len(got.Rows), len(got.Latency), len(got.Problems), b.Bytes())
	}
	r := got.Rows[0]
	if r.ID != rowTCP || r.Unit != "bit/s" || !slices.Equal(r.Samples[ours], []float64{4e9, 6e9, 5e9}) || r.Medians[reference] != 2e9 ||
		r.RatioTo != reference || r.Measured != 2.5 || r.Target != 2 || r.Stretch != 3 || !*r.TargetMet || *r.StretchMet {
		t.Errorf("row is %+v", r)
	}
	if got.Latency[0].State != idle || got.Latency[0].P999 != 3e-3 {
		t.Errorf("latency is %+v", got.Latency[0])
	}
}

func TestResultHasListsAlsoWhereNothingWasMeasured(t *testing.T) {
	s := measured(t)
	s.samples, s.latency = nil, nil
	var b bytes.Buffer
	if err := encode(&b, s.result(Machine{})); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"rows": []`, `"latency": []`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in\n%s", want, b.String())
		}
	}
}

// Who goes first alternates; a contestant that fails is left out of the rest of
// the experiment, and of no other.
func TestTurnsAlternateAndFailuresAreAlone(t *testing.T) {
	s := measured(t)
	a, b := s.contestants[0], s.contestants[1]
	order := ""
	broken := false
	e := experiment{rows: []string{rowBoth}, read: func(_ context.Context, r *rig, _ *options) (*reading, error) {
		if r == s.rigs[rigKey{a.name, direct}] {
			order += "a"
			return value(rowBoth, 1, nil)
		}
		order += "b"
		if broken {
			return nil, errors.New("it broke")
		}
		return value(rowBoth, 2, nil)
	}}
	closed := 0
	for _, c := range []*contestant{a, b} {
		s.rigs[rigKey{c.name, direct}] = &rig{close: func() error { closed++; return nil }}
	}
	s.takeTurns(t.Context(), e)
	if order != "abbaab" {
		t.Errorf("order of turns is %q, want abbaab", order)
	}
	if got := s.samples[rowBoth]; len(got[ours]) != 3 || len(got[reference]) != 3 {
		t.Errorf("samples are %v, want three of each", got)
	}
	order, broken, s.problems = "", true, nil
	s.takeTurns(t.Context(), e)
	if order != "abaa" || len(s.problems) != 1 || s.problems[0].Contestant != reference {
		t.Errorf("order %q, problems %v; want abaa, and one problem", order, s.problems)
	}
	if closed != 1 || s.rigs[rigKey{b.name, direct}] != nil || s.rigs[rigKey{a.name, direct}] == nil {
		t.Error("the broken rig is kept, or the other is not")
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

func TestEchoIsMatchedByIDAndSequence(t *testing.T) {
	answer := func(id, sequence uint16) []byte {
		b := encodeEcho(id, sequence)
		b[0] = icmpReply
		return append(append([]byte{0x45}, make([]byte, 19)...), b...)
	}
	if seq, ok := decodeEcho(answer(7, 513), 7); !ok || seq != 513 {
		t.Errorf("decoded %d, %v, want 513", seq, ok)
	}
	request := answer(7, 1)
	request[20] = icmpRequest
	for name, packet := range map[string][]byte{
		"of another": answer(8, 1), "a request": request, "too short": answer(7, 1)[:27], "empty": nil,
		"with a header beyond its end": append([]byte{0x4f}, make([]byte, 30)...),
	} {
		if _, ok := decodeEcho(packet, 7); ok {
			t.Errorf("a packet %s is taken for an answer", name)
		}
	}
}

func TestPeersAreDistinctAndReadable(t *testing.T) {
	const count = 70_000 // beyond 16 bits
	var b bytes.Buffer
	b.WriteString("[Interface]\nListenPort = 1\n")
	list(&b, count)
	c, err := conf.Parse(&b, "peers", conf.Options{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, p := range c.Peers {
		if len(p.AllowedIPs) != 2 || p.Endpoint == nil {
			t.Fatalf("peer %v has %d allowed IPs and endpoint %v, want two and one", p.PublicKey, len(p.AllowedIPs), p.Endpoint)
		}
		seen[p.PublicKey.String()] = true
		for _, a := range p.AllowedIPs {
			seen[a.Prefix.String()] = true
		}
	}
	if len(seen) != 3*count {
		t.Errorf("%d different keys and prefixes, want %d", len(seen), 3*count)
	}
}

func TestFlagsThatCannotBeMeant(t *testing.T) {
	for _, tc := range []struct{ args, want string }{
		{"--only (", "--only: error parsing regexp"},
		{"--only no-such-row", "--only no-such-row: no row matches"},
		{"--only ^handshakes$", "--only ^handshakes$: this row needs --handshakes"},
		{"--runs 0", "--runs 0: want 1 to 1000"},
		{"--duration 1500ms", "--duration 1.5s: want whole seconds"},
		{"--duration 0s", "--duration 0s: want whole seconds"},
		{"--mtu 100", "--mtu 100: want 1280 to"},
		{"--streams 1000", "--streams 1000: want 1 to 128"},
		{"--offered fast", "--offered fast: want a number"},
		{"--lanes -1", "--lanes -1: want 0 to 8"},
		{"--lanes 9", "--lanes 9: want 0 to 8"},
		{"--with tinc,wireguard", "--with wireguard: there is none of this name"},
		{"--no-such-flag", "unknown flag"},
		{"word", `there is no argument "word"`},
		{"--list --json -", "none of the others can be"},
	} {
		c := Command("")
		c.SetArgs(strings.Fields(tc.args))
		c.SilenceErrors, c.SilenceUsage = true, true
		if err := c.Execute(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.args, err, tc.want)
		}
	}
}

func TestListHasEveryRow(t *testing.T) {
	c := Command("")
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetArgs([]string{"--list", "--mtu", "8920"})
	if err := c.Execute(); err != nil {
		t.Fatal(err)
	}
	for _, r := range newOptions("").rows() {
		if !strings.Contains(out.String(), "| "+r.id+" |") {
			t.Errorf("%s is not listed", r.id)
		}
	}
	if want := "| tcp | 1 TCP stream, MTU 8920 | >= 2 x | >= 3 x |\n"; !strings.Contains(out.String(), want) {
		t.Errorf("list is\n%s\nwant in it\n%s", out.String(), want)
	}
}

func TestFlagsComplete(t *testing.T) {
	c := Command("")
	for flag, want := range map[string]string{"only": rowRelay + "\t1 TCP stream through", "with": "tinc"} {
		f, ok := c.GetFlagCompletionFunc(flag)
		if !ok {
			t.Errorf("--%s is not completed", flag)
			continue
		}
		words, _ := f(c, nil, "")
		if !slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, want) }) {
			t.Errorf("--%s: %q, want %q among them", flag, words, want)
		}
	}
}

func TestReferenceIsAnotherProgram(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "wireguard-go")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	o := newOptions("1")
	if c, err := o.findReference(); c != nil || err != nil {
		t.Errorf("this program by another name is taken as reference: %v, %v", c, err)
	}
	o.reference = filepath.Join(dir, "wireguard-go")
	if c, err := o.findReference(); c == nil || err != nil || c.title != "the other warren" {
		t.Errorf("the reference that was named is %v, %v", c, err)
	}
	o.reference = filepath.Join(dir, "missing")
	if _, err := o.findReference(); err == nil || !strings.HasPrefix(err.Error(), "--reference: ") || len(cli.Hints(err)) == 0 {
		t.Errorf("a program that is not there: %v, want an error with a hint", err)
	}
}

func TestCipherIsTimedBothWays(t *testing.T) {
	seal, open := cipherSpeed(time.Millisecond)
	if seal < 1e6 || open < 1e6 || math.IsInf(seal, 0) || math.IsInf(open, 0) {
		t.Errorf("seal %v, open %v bytes per second", seal, open)
	}
}

// What counts handshakes is a program of its own; these stand for it.
func TestHandshakesAreCountedByAProgram(t *testing.T) {
	for _, tc := range []struct{ script, want string }{
		{`[ "$*" = "-json -n 3" ] && echo '{"Ours": 5, "OursAll": [4, 6], "TheirsAll": [1, 2]}'`, ""},
		{`echo '{}'`, "no figures in {}"},
		{`echo nonsense`, "invalid character"},
		{`echo it broke >&2; exit 1`, "exit status 1\nit broke"},
	} {
		s := measured(t)
		s.handshakes = filepath.Join(t.TempDir(), "count")
		if err := os.WriteFile(s.handshakes, []byte("#!/bin/sh\n"+tc.script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		err := shakeHands(t.Context(), s)
		if tc.want != "" {
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: %v, want %q", tc.script, err, tc.want)
			}
			continue
		}
		got := s.samples[rowHandshakes]
		if err != nil || !slices.Equal(got[ours], []float64{4, 6}) || !slices.Equal(got[reference], []float64{1, 2}) {
			t.Errorf("%s: %v, %v", tc.script, got, err)
		}
	}
}

func TestVersionIsFoundInWhatProgramsPrint(t *testing.T) {
	for text, want := range map[string]string{
		"OpenVPN 2.6.14 x86_64-pc-linux-gnu [SSL (OpenSSL)]\nlibrary versions: OpenSSL 3.0.19": "2.6.14",
		"tinc version 1.0.36\nCopyright (C) 1998-2019":                                         "1.0.36",
		"Version: 1.11.0\n": "1.11.0", "boringtun 0.7.1": "0.7.1", "": "of unknown version", "error 7": "of unknown version",
	} {
		if got := versionIn(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// One that is not here is named once, and is no failure of the whole.
func TestMissingAlternativeIsSaidOnce(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	s := measured(t)
	s.problems, s.with = nil, []string{"tinc", "nebula"}
	s.addAlternatives(t.Context())
	if len(s.problems) != 2 || len(s.contestants) != 3 || s.verdict() != nil {
		t.Errorf("problems %v, %d contestants, verdict %v; want two, three and none", s.problems, len(s.contestants), s.verdict())
	}
	if got := s.problems[0]; got.Contestant != "tinc" || got.Error != "no tincd in PATH (apt install tinc)" {
		t.Errorf("said is %+v", got)
	}
	s.fail(ours, rowTCP, errors.New("it broke"))
	if s.verdict() == nil {
		t.Error("a row of this program that was not measured is no failure")
	}
}
