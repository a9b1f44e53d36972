package demo

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// Result is what `warren demo --json` prints.
type Result struct {
	Hosts     []HostResult     `json:"hosts"`
	Pairs     []PairResult     `json:"pairs"`
	Relay     string           `json:"relay"`      // its name
	RelayShow string           `json:"relay_show"` // `wg show` there
	Crossings []CrossingResult `json:"nat_to_nat"`
	Seconds   float64          `json:"seconds"` // that all of it took
}

// HostResult describes a host.
type HostResult struct {
	Name      string       `json:"name"`
	Tunnel    []netip.Addr `json:"tunnel"`
	Public    []netip.Addr `json:"public"` // its own, or its NAT's
	BehindNAT bool         `json:"behind_nat"`
	PID       int          `json:"pid"` // of its first process
}

// PathResult is how packets go from one host to another.
type PathResult struct {
	// Via is the host that passes the packets on; empty if the path is direct.
	Via string `json:"via,omitempty"`
	// ReadableBy are the hosts that have the packets in the clear.
	ReadableBy []string `json:"readable_by"`
}

// PairResult is what was measured from one host to another.
type PairResult struct {
	From string `json:"from"`
	To   string `json:"to"`
	PathResult
	Ping4         PingResult `json:"ping_ipv4"`
	Ping6         PingResult `json:"ping_ipv6"`
	BitsPerSecond float64    `json:"tcp_bits_per_second"`
}

// PingResult is what some echoes took.
type PingResult struct {
	Milliseconds float64 `json:"median_ms"`
	Lost         int     `json:"lost"`
	Sent         int     `json:"sent"`
}

// settings are how long things may take.
type settings struct {
	stream   time.Duration // of one measurement of throughput
	patience time.Duration // until every pair must be able to talk
	crossing time.Duration // until two hosts behind NATs must have found each other
}

var defaults = settings{stream: time.Second, patience: 15 * time.Second, crossing: 8 * time.Second}

// pair is an ordered pair of members.
type pair struct{ from, to *member }

func pairs(members []*member) (all []pair) {
	for _, from := range members {
		for _, to := range members {
			if from != to {
				all = append(all, pair{from, to})
			}
		}
	}
	return all
}

// awaitAll waits until every pair can talk in both families.
func awaitAll(ctx context.Context, members []*member, patience time.Duration) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range pairs(members) {
		for _, a := range p.to.tunnel {
			g.Go(func() error { return await(ctx, p.from.host, a, patience) })
		}
	}
	return g.Wait()
}

// path finds out how packets of a pair go, and that both families go alike.
func (p pair) path(members []*member) (PathResult, error) {
	var via []string
	for _, a := range p.to.tunnel {
		by, err := firstHop(p.from.host, a)
		if err != nil {
			return PathResult{}, err
		}
		name, err := ownerOf(by, members)
		if err != nil {
			return PathResult{}, fmt.Errorf("from %s to %s: %w", p.from.name, p.to.name, err)
		}
		via = append(via, name)
	}
	if via[0] != via[1] {
		return PathResult{}, fmt.Errorf("from %s to %s: IPv4 goes to %s, IPv6 to %s", p.from.name, p.to.name, via[0], via[1])
	}
	r := PathResult{ReadableBy: []string{p.from.name, p.to.name}}
	if via[0] != p.to.name {
		r.Via = via[0]
		r.ReadableBy = append(r.ReadableBy, r.Via)
	}
	return r, nil
}

func ownerOf(a netip.Addr, members []*member) (string, error) {
	for _, m := range members {
		if slices.Contains(m.tunnel, a) {
			return m.name, nil
		}
	}
	return "", fmt.Errorf("%s answered, which is no host of the network", a)
}

// measure does everything for one pair.
func (p pair) measure(ctx context.Context, members []*member, length time.Duration) (PairResult, error) {
	r := PairResult{From: p.from.name, To: p.to.name}
	if err := ctx.Err(); err != nil {
		return r, err
	}
	var err error
	if r.PathResult, err = p.path(members); err != nil {
		return r, err
	}
	for i, result := range []*PingResult{&r.Ping4, &r.Ping6} {
		median, lost, err := ping(p.from.host, p.to.tunnel[i])
		if err != nil {
			return r, err
		}
		*result = PingResult{float64(median) / float64(time.Millisecond), lost, pings}
	}
	r.BitsPerSecond, err = throughput(ctx, p.from.host, p.to.host, p.to.tunnel[0], length)
	return r, err
}
