package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// generator is the program that makes the load.
const generator = "iperf3"

// iperfReport is what we read of its JSON.
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

// between is how long the load generator's server may not be there after a run:
// it closes its socket and opens it anew.
const between = time.Second

// iperf runs the load generator's client, which is to take so long.
func (r *rig) iperf(ctx context.Context, length time.Duration, args ...string) (report *iperfReport, err error) {
	err = retry(ctx, between, func() (err error) {
		report, err = r.iperfOnce(ctx, length, args...)
		return err
	})
	return report, err
}

// iperfOnce is one attempt. Where nothing gets through any more it would wait for
// as long as TCP does.
func (r *rig) iperfOnce(ctx context.Context, length time.Duration, args ...string) (*iperfReport, error) {
	stuck := fmt.Errorf("%s: nothing gets through any more", generator)
	ctx, cancel := context.WithTimeoutCause(ctx, length+patience, stuck)
	defer cancel()
	out, err := r.client.Run(ctx, append([]string{generator, "-J", "--get-server-output", "-c", r.target.String()}, args...)...)
	if context.Cause(ctx) == stuck {
		return nil, stuck
	}
	var report iperfReport
	if e := json.Unmarshal(out, &report); e != nil {
		return nil, errors.Join(err, e)
	}
	if report.Error != "" {
		return nil, errors.New(generator + ": " + report.Error)
	}
	return &report, err
}

// wholeSeconds is a duration as the load generator takes it.
func wholeSeconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

// stream returns the bits per second of TCP.
func (r *rig) stream(ctx context.Context, length time.Duration, args ...string) (float64, error) {
	// The first second is left out: the stream and the daemons warm up.
	report, err := r.iperf(ctx, length+time.Second, append([]string{"-t", wholeSeconds(length), "-O", "1"}, args...)...)
	if err != nil {
		return 0, err
	}
	if report.received() == 0 {
		return 0, errors.New("the receiver counted nothing")
	}
	return report.received(), nil
}

// flood returns how many datagrams of a size arrive per second.
func (r *rig) flood(ctx context.Context, length time.Duration, size int, offered string) (float64, error) {
	report, err := r.iperf(ctx, length, "-u", "-l", strconv.Itoa(size), "-b", offered, "-t", wholeSeconds(length))
	if err != nil {
		return 0, err
	}
	if report.delivered() == 0 {
		return 0, errors.New("the receiver counted no datagrams")
	}
	return report.delivered(), nil
}

// echo returns the round trips of echoes, for as long as length lasts.
func (r *rig) echo(ctx context.Context, length time.Duration) (*echoes, error) {
	return r.echoes(ctx, int(length/echoInterval))
}

// loadedEcho does so while one TCP stream fills the tunnel.
func (r *rig) loadedEcho(ctx context.Context, length time.Duration) (*echoes, error) {
	loaded := make(chan error, 1)
	go func() {
		// A second before the first echo, and one behind the last.
		whole := length + 2*time.Second
		_, err := r.iperf(ctx, whole, "-t", wholeSeconds(whole))
		loaded <- err
	}()
	var e *echoes
	err := sleep(ctx, time.Second)
	if err == nil {
		e, err = r.echo(ctx, length)
	}
	return e, errors.Join(err, <-loaded)
}

// sleep waits, or returns why it did not.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
