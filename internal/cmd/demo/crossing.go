package demo

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/warrenvpn/warren/internal/netlab"
)

// CrossingResult is how two hosts behind NATs of their own reach each other.
type CrossingResult struct {
	NATs [2]string `json:"nats"` // what each does with ports
	PathResult
	// After is when the direct path was there, in seconds; 0 if never.
	After float64 `json:"after_seconds,omitempty"`
}

var portPolicies = map[netlab.PortPolicy]string{
	netlab.KeepPorts:   "keeps the source port",
	netlab.RandomPorts: "random source ports",
}

// crossings runs the network of examples/nat-to-nat with both kinds of NAT.
func crossings(ctx context.Context, t tools, patience time.Duration) ([]CrossingResult, error) {
	kinds := []netlab.PortPolicy{netlab.KeepPorts, netlab.RandomPorts}
	results := make([]CrossingResult, len(kinds))
	// Side by side: they mostly wait.
	g, ctx := errgroup.WithContext(ctx)
	for i, kind := range kinds {
		g.Go(func() (err error) {
			results[i], err = crossing(ctx, t, kind, patience)
			if err != nil {
				return fmt.Errorf("nat-to-nat, %s: %w", portPolicies[kind], err)
			}
			return nil
		})
	}
	return results, g.Wait()
}

// crossing makes the network with one kind of second NAT and watches which way
// the two peers settle on.
func crossing(ctx context.Context, t tools, second netlab.PortPolicy, patience time.Duration) (_ CrossingResult, err error) {
	r := CrossingResult{NATs: [2]string{portPolicies[netlab.KeepPorts], portPolicies[second]}}
	lab, err := netlab.New(netlab.Options{Name: "nat-to-nat", Path: []string{toolDir}})
	if err != nil {
		return r, err
	}
	defer func() { err = closeLab(lab, err) }()
	members := crossingNetwork(second)
	if err := build(lab, members); err != nil {
		return r, err
	}
	for _, m := range members {
		if err := t.bringUp(ctx, m, "nat-to-nat"); err != nil {
			return r, err
		}
	}
	start := time.Now()
	if err := awaitAll(ctx, members, patience); err != nil {
		return r, err
	}
	for {
		there, back, err := bothWays(members)
		switch {
		case err != nil && time.Since(start) > patience:
			return r, err
		case err == nil && there.Via == "" && back.Via == "":
			r.PathResult, r.After = there, time.Since(start).Seconds()
			return r, nil
		case err == nil && there.Via == back.Via && time.Since(start) > patience:
			r.PathResult = there
			return r, nil
		}
		// The two sides switch over up to a second apart; meanwhile what one
		// sends directly the other does not accept.
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// bothWays finds the paths between the two peers.
func bothWays(members []*member) (there, back PathResult, err error) {
	a, b := members[1], members[2]
	if there, err = (pair{a, b}).path(members); err != nil {
		return there, back, err
	}
	back, err = pair{b, a}.path(members)
	return there, back, err
}

// closeLab removes a lab, and reports the first of the errors.
func closeLab(lab *netlab.Lab, err error) error {
	if e := lab.Close(); err == nil && e != nil {
		return fmt.Errorf("remove the network: %w", e)
	}
	return err
}
