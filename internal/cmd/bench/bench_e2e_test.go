//go:build linux && e2e

package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/netlab"
	"github.com/warrenvpn/warren/internal/testbin"
)

// What is measured: this program, and it without a cipher.
var warrenBinary, limitBinary string

func TestMain(m *testing.M) {
	os.Exit(testbin.Main(m, testbin.Program{Path: &warrenBinary, What: testbin.Warren}, testbin.Program{
		Path: &limitBinary, Dir: "../../../bench", What: "github.com/warrenvpn/warren/bench/limit",
		Flags: []string{"-tags", "nocipher", "-ldflags", "-X github.com/warrenvpn/warren/internal/aead.benchmark=limit"},
	}))
}

// run calls `warren bench` and returns what it wrote to both outputs.
func run(t *testing.T, prepare func(*exec.Cmd), args ...string) (out, errs string, code int) {
	t.Helper()
	cmd := exec.Command(warrenBinary, append([]string{"bench"}, args...)...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if prepare != nil {
		prepare(cmd)
	}
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// finding makes a command find only these programs.
func finding(t *testing.T, programs ...string) func(*exec.Cmd) {
	dir := t.TempDir()
	for _, p := range programs {
		file, err := exec.LookPath(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(file, filepath.Join(dir, p)); err != nil {
			t.Fatal(err)
		}
	}
	return func(c *exec.Cmd) { c.Env = append(os.Environ(), "PATH="+dir) }
}

// Two rows, one run of a second, against itself and the build without a cipher;
// an alternative that is not there is said once and does no harm.
func TestBenchMeasures(t *testing.T) {
	out, errs, code := run(t, finding(t, "iperf3"), "--runs", "1", "--duration", "1s", "--only", "^tcp-limit$|^ping-idle-p50$",
		"--reference", warrenBinary+" --plan pipelined", "--limit", limitBinary, "--with", "boringtun", "--json", "-")
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, errs)
	}
	var r Result
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	if len(r.Rows) != 2 {
		t.Fatalf("%d rows, want 2:\n%s", len(r.Rows), out)
	}
	for _, row := range r.Rows {
		for _, who := range []string{ours, reference, bare} {
			if len(row.Samples[who]) != 1 || row.Samples[who][0] <= 0 {
				t.Errorf("%s: samples of %s are %v, want one", row.ID, who, row.Samples[who])
			}
		}
	}
	if limited := r.Rows[0]; len(limited.Samples[limit]) != 1 || limited.Measured == nil || *limited.Measured <= 0 || *limited.Measured > 10 {
		t.Errorf("beside the limit: %+v", limited)
	}
	if len(r.Latency) != 3 || r.Latency[0].Answered < 400 || r.Latency[0].P50 <= 0 || r.Latency[0].P50 > r.Latency[0].Max {
		t.Errorf("latency is %+v", r.Latency)
	}
	if len(r.Problems) != 1 || r.Problems[0].Contestant != "boringtun" || !strings.Contains(r.Problems[0].Error, "cargo install boringtun-cli") {
		t.Errorf("problems are %+v, want that boringtun is not here, once", r.Problems)
	}
	if !strings.Contains(errs, "| ping, idle, p50 | ms |") {
		t.Errorf("no table beside the JSON:\n%s", errs)
	}
	labs, err := netlab.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range labs {
		if l.Name == "bench" && !l.Alive {
			t.Errorf("lab %s is left behind", l.ID)
		}
	}
}

// What distributions have is configured so that it carries packets.
func TestAlternativesWork(t *testing.T) {
	o := newOptions("test")
	o.mtu, o.self = 1420, warrenBinary
	for _, a := range alternatives {
		if a.name != "openvpn" && a.name != "tinc" && a.name != "nebula" {
			continue // crates: interop has BoringTun
		}
		t.Run(a.name, func(t *testing.T) {
			c, err := a.enlist(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if c.version == "of unknown version" {
				t.Error("its version is not found out")
			}
			r, err := newRig(t.Context(), c, direct, o.mtu)
			if err != nil {
				t.Fatal(err)
			}
			defer r.close()
			e, err := r.echoes(t.Context(), 20)
			if err != nil || len(e.times) < 10 {
				t.Errorf("echoes: %v, %v", e, err)
			}
			if size, err := memoryOf(r.server, residentNow); err != nil || size < 1e6 {
				t.Errorf("its memory is %v, %v", size, err)
			}
		})
	}
}

// Peers by the thousand, measured as peers by the million are.
func TestBenchMeasuresPeers(t *testing.T) {
	o := newOptions("test")
	o.runs, o.duration, o.streams, o.mtu, o.only = 1, time.Second, 4, 1420, "^idle-|^million-"
	o.crowd, o.fewer, o.multitude, o.self = 2000, 1000, 3000, warrenBinary
	o.reference = warrenBinary
	if err := o.check(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	s := newSuite(o, &said)
	var err error
	if s.contestants, err = o.enlist(); err != nil {
		t.Fatal(err)
	}
	if err := s.run(t.Context()); err != nil || len(s.problems) > 0 {
		t.Fatalf("%v, %v", err, s.problems)
	}
	for id, bounds := range map[string][2]float64{
		rowPeer: {100, 100e3}, rowMillion: {1e-3, 60}, rowMillionPeak: {1e6, 1e9}, rowMillionRest: {1e6, 1e9}, rowMillionTool: {1e6, 1e9},
	} {
		if v := s.samples[id][ours]; len(v) != 1 || v[0] < bounds[0] || v[0] > bounds[1] {
			t.Errorf("%s = %v, want one value within %v", id, v, bounds)
		}
	}
	if v := s.samples[rowIdle]; len(v[ours]) != 1 || len(v[reference]) != 1 || v[ours][0] < 0 || v[ours][0] > 1 {
		t.Errorf("idle processor time = %v, want a part of a core for both", v)
	}
}

func TestBenchSaysWhatIsMissing(t *testing.T) {
	nobody := func(c *exec.Cmd) {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	for _, tc := range []struct {
		name       string
		prepare    func(*exec.Cmd)
		args, want string
	}{
		{"load generator", finding(t), "", "the program iperf3, which makes the load, is not there\nhint: apt install iperf3"},
		{"root", nobody, "", "making network namespaces needs root\nhint: sudo warren bench"},
		{"directory of the result", nil, "--only ^tcp$ --json /nonexistent/result.json", "--json: stat /nonexistent: no such file or directory"},
		{"file for the result", nil, "--only ^tcp$ --json /run", "--json /run: is a directory"},
		{"reference", nil, "--reference /nonexistent", "--reference: "},
		{"daemon", nil, "--only ^tcp$ --runs 1 --duration 1s --ours --nonsense", "there is no option \"--nonsense\""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, errs, code := run(t, tc.prepare, strings.Fields(tc.args)...)
			if code != 1 || !strings.Contains(errs, tc.want) {
				t.Errorf("exit code %d, said\n%s\nwant 1 and %q", code, errs, tc.want)
			}
			if strings.Contains(tc.args, "--json") && strings.Contains(errs, "Gbit/s") {
				t.Errorf("it was said after measuring:\n%s", errs)
			}
		})
	}
}

// A tunnel through which nothing gets any more is an error, and soon.
func TestBenchDoesNotWaitForEver(t *testing.T) {
	r, err := newRig(t.Context(), &contestant{name: bare}, direct, 1420)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	// The server is no router, and says nothing of what it drops.
	if err := r.client.Route(netip.MustParsePrefix("203.0.113.0/24"), r.target); err != nil {
		t.Fatal(err)
	}
	r.target = netip.MustParseAddr("203.0.113.1")
	start := time.Now()
	if _, err := r.stream(t.Context(), time.Second); err == nil || !strings.Contains(err.Error(), "nothing gets through") {
		t.Errorf("stream: %v, want that nothing gets through", err)
	}
	if took := time.Since(start); took > 2*patience {
		t.Errorf("that took %v", took)
	}
}

// Between two runs the load generator's server is not there for a moment.
func TestBenchAwaitsTheLoadGenerator(t *testing.T) {
	r, err := newRig(t.Context(), &contestant{name: bare}, direct, 1420)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if _, err := r.server.Run(t.Context(), "sh", "-c", "kill -KILL $(pidof "+generator+")"); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	time.AfterFunc(200*time.Millisecond, func() { served <- r.serve(t.Context()) })
	if _, err := r.stream(t.Context(), time.Second); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// Killed at its worst moment, it leaves neither a file nor a process.
func TestBenchLeavesNothingWhenKilled(t *testing.T) {
	begin := func(t *testing.T, dir string, args ...string) *exec.Cmd {
		cmd := exec.Command(warrenBinary, append([]string{"bench", "--runs", "1", "--duration", "1s"}, args...)...)
		cmd.Env = append(os.Environ(), "TMPDIR="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		return cmd
	}
	t.Run("file", func(t *testing.T) {
		dir := t.TempDir()
		cmd := begin(t, dir, "--only", "^idle-peer$")
		await(t, "there is a file of peers", func() bool {
			named, err := filepath.Glob(dir + "/*/*")
			if err != nil {
				t.Fatal(err)
			}
			open, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", cmd.Process.Pid))
			return len(named) > 0 || slices.ContainsFunc(open, func(fd string) bool {
				to, _ := os.Readlink(fd)
				return strings.HasPrefix(to, dir)
			})
		})
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
	t.Run("process", func(t *testing.T) {
		dir := t.TempDir()
		counter, pid := filepath.Join(dir, "count"), filepath.Join(dir, "pid")
		script := fmt.Sprintf("#!/bin/sh\necho $$ >%s.new; mv %s.new %s; exec sleep 600\n", pid, pid, pid)
		if err := os.WriteFile(counter, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := begin(t, dir, "--only", "^handshakes$", "--handshakes", counter)
		var text []byte
		await(t, "it counts", func() (ok bool) {
			var err error
			text, err = os.ReadFile(pid)
			return err == nil
		})
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		number, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Kill(number, syscall.SIGKILL)
		await(t, "what counts has ended", func() bool {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", number))
			return err != nil || strings.Contains(string(status), ") Z ") // nobody may have waited for it
		})
	})
}

// await waits for something that another process brings about.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not after 10 s: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
