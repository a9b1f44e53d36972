//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// iperfReport is what we read of iperf3's JSON.
type iperfReport struct {
	Error string
	End   struct {
		SumReceived        rate `json:"sum_received"`
		SumReceivedReverse rate `json:"sum_received_bidir_reverse"`
	}
	Server struct {
		End struct {
			Sum struct {
				Packets float64
				Lost    float64 `json:"lost_packets"`
				Seconds float64
			}
		}
	} `json:"server_output_json"`
}

type rate struct {
	BitsPerSecond float64 `json:"bits_per_second"`
}

// received is what arrived over TCP, both directions added.
func (r *iperfReport) received() float64 {
	return r.End.SumReceived.BitsPerSecond + r.End.SumReceivedReverse.BitsPerSecond
}

// delivered is how many datagrams arrived per second, by the server's count.
func (r *iperfReport) delivered() float64 {
	s := r.Server.End.Sum
	if s.Seconds == 0 {
		return 0
	}
	return (s.Packets - s.Lost) / s.Seconds
}

// iperf runs the load generator's client.
func (r *rig) iperf(ctx context.Context, args ...string) (*iperfReport, error) {
	out, err := r.client.Run(ctx, append([]string{"iperf3", "-J", "--get-server-output", "-c", r.target.String()}, args...)...)
	var report iperfReport
	if e := json.Unmarshal(out, &report); e != nil {
		return nil, errors.Join(err, e)
	}
	if report.Error != "" {
		return nil, errors.New("iperf3: " + report.Error)
	}
	return &report, err
}

func seconds(d time.Duration) string { return strconv.FormatFloat(max(d.Seconds(), 1), 'f', 0, 64) }

// tcp returns a measurement of bits per second.
func tcp(args ...string) func(context.Context, *rig, time.Duration) (float64, error) {
	return func(ctx context.Context, r *rig, length time.Duration) (float64, error) {
		// The first second is left out: the stream and the daemons warm up.
		report, err := r.iperf(ctx, append([]string{"-t", seconds(length), "-O", "1"}, args...)...)
		if err != nil {
			return 0, err
		}
		return report.received(), nil
	}
}

// udp returns a measurement of datagrams of a size that arrive per second.
func udp(size int, offered string) func(context.Context, *rig, time.Duration) (float64, error) {
	return func(ctx context.Context, r *rig, length time.Duration) (float64, error) {
		report, err := r.iperf(ctx, "-u", "-l", strconv.Itoa(size), "-b", offered, "-t", seconds(length))
		if err != nil {
			return 0, err
		}
		if report.delivered() == 0 {
			return 0, errors.New("the server counted no datagrams")
		}
		return report.delivered(), nil
	}
}

var pingTime = regexp.MustCompile(`time=([0-9.]+) ms`)

// pingQuantile returns a quantile of the round-trip times of count echoes, in
// seconds.
func (r *rig) pingQuantile(ctx context.Context, count int, q float64) (float64, error) {
	out, err := r.client.Run(ctx, "ping", "-c", strconv.Itoa(count), "-i", "0.002", r.target.String())
	if err != nil && len(out) == 0 {
		return 0, err
	}
	var times []float64
	for _, m := range pingTime.FindAllSubmatch(out, -1) {
		ms, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			return 0, err
		}
		times = append(times, ms/1000)
	}
	if len(times) < count/2 {
		return 0, fmt.Errorf("%d of %d echoes were answered: %s", len(times), count, bytes.TrimSpace(out))
	}
	slices.Sort(times)
	return times[min(int(q*float64(len(times))), len(times)-1)], nil
}

func idlePing(ctx context.Context, r *rig, length time.Duration) (float64, error) {
	return r.pingQuantile(ctx, int(length/(4*time.Millisecond)), 0.5)
}

// loadedPing measures while one TCP stream fills the tunnel.
func loadedPing(ctx context.Context, r *rig, length time.Duration) (float64, error) {
	loaded := make(chan error, 1)
	go func() {
		_, err := r.iperf(ctx, "-t", seconds(length+2*time.Second))
		loaded <- err
	}()
	time.Sleep(time.Second)
	p99, err := r.pingQuantile(ctx, int(length/(4*time.Millisecond)), 0.99)
	return p99, errors.Join(err, <-loaded)
}

// memory measures the daemon after bulk transfers.
func memory(ctx context.Context, r *rig, length time.Duration) (float64, error) {
	for _, args := range [][]string{nil, {"-R"}} {
		if _, err := r.iperf(ctx, append(args, "-t", seconds(length))...); err != nil {
			return 0, err
		}
	}
	return r.resident()
}
