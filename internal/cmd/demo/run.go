package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/warrenvpn/warren/internal/netlab"
)

// labName is how a network of the demo is recognised.
const labName = "demo"

// demo is one run.
type demo struct {
	settings
	tools
	progress *progress
	keep     bool
}

// run makes the network, measures it, and removes it unless it is to be kept.
func (d *demo) run(ctx context.Context) (r *Result, err error) {
	start := time.Now()
	if os.Geteuid() != 0 {
		return nil, errNotRoot
	}
	if d.keep {
		if kept, err := keptLab(); err != nil || kept != nil {
			return nil, errors.Join(err, errAlreadyKept)
		}
	}
	d.progress.step("make five hosts, three NATs and an internet")
	lab, err := netlab.New(netlab.Options{Name: labName, Path: []string{toolDir}})
	if err != nil {
		return nil, err
	}
	defer func() { err = closeLab(lab, err) }() // does nothing to a lab that was kept
	members := fullNetwork()
	if err := build(lab, members); err != nil {
		return nil, err
	}
	if r, err = d.full(ctx, members); err != nil {
		return nil, err
	}
	d.progress.step("two hosts behind NATs: directly or through a relay")
	if r.Crossings, err = crossings(ctx, d.tools, d.crossing); err != nil {
		return nil, err
	}
	if d.keep {
		if err := lab.Keep(); err != nil {
			return nil, err
		}
	}
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

// full brings the five hosts up and measures all ordered pairs.
func (d *demo) full(ctx context.Context, members []*member) (*Result, error) {
	r := &Result{Relay: members[0].name}
	for _, m := range members {
		d.progress.step(fmt.Sprintf("%s: %s", m.name, d.describe()))
		if err := d.bringUp(ctx, m, "full"); err != nil {
			return nil, err
		}
		r.Hosts = append(r.Hosts, m.result())
	}
	d.progress.step("wait until everyone reaches everyone")
	if err := awaitAll(ctx, members, d.patience); err != nil {
		return nil, err
	}
	all := pairs(members)
	for i, p := range all {
		d.progress.step(fmt.Sprintf("measure %2d of %d: %s to %s", i+1, len(all), p.from.name, p.to.name))
		result, err := p.measure(ctx, members, d.stream)
		if err != nil {
			return nil, err
		}
		r.Pairs = append(r.Pairs, result)
	}
	show, err := members[0].host.Run(ctx, "wg", "show", tunnelLink)
	r.RelayShow = string(show)
	return r, err
}

// describe says how a host is brought up.
func (d *demo) describe() string {
	text := ""
	for i, word := range d.up {
		if i > 0 {
			text += " "
		}
		text += word
	}
	return text
}

func (m *member) result() HostResult {
	r := HostResult{Name: m.name, Tunnel: m.tunnel, BehindNAT: len(m.lan) > 0, PID: m.host.PID()}
	for _, p := range m.wan {
		r.Public = append(r.Public, p.Addr())
	}
	return r
}
