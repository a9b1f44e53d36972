package bench

import (
	"context"
	"slices"
	"strconv"

	"github.com/warrenvpn/warren/internal/netlab"
)

// experiment takes readings for some rows.
type experiment struct {
	rows []string
	line line
	// versus are the contestants besides ourselves and the reference.
	versus []string
	// others says that whatever a user might pick instead takes part.
	others bool
	read   func(ctx context.Context, r *rig, o *options) (*reading, error)
	// apart runs an experiment that is not made of turns on rigs.
	apart func(ctx context.Context, s *suite) error
}

// reading is what one run gave.
type reading struct {
	values map[string]float64 // by row
	state  string             // idle or loaded, of the echoes
	echoes *echoes
}

func value(row string, v float64, err error) (*reading, error) {
	return &reading{values: map[string]float64{row: v}}, err
}

// experiments returns all of them, in the order in which they run: those on the
// same rigs together, those that leave a daemon fat at the end.
func experiments() []experiment {
	return []experiment{
		{rows: []string{rowTCP, rowTCPLimit, rowMemory}, versus: []string{limit, bare}, others: true, read: readTCP},
		{rows: []string{rowReverse}, others: true, read: func(ctx context.Context, r *rig, o *options) (*reading, error) {
			v, err := r.stream(ctx, o.duration, "-R")
			return value(rowReverse, v, err)
		}},
		{rows: []string{rowStreams}, others: true, read: func(ctx context.Context, r *rig, o *options) (*reading, error) {
			v, err := r.stream(ctx, o.duration, "-P", strconv.Itoa(o.streams))
			return value(rowStreams, v, err)
		}},
		{rows: []string{rowBoth}, read: func(ctx context.Context, r *rig, o *options) (*reading, error) {
			v, err := r.stream(ctx, o.duration, "--bidir")
			return value(rowBoth, v, err)
		}},
		{rows: []string{rowUDP}, others: true, read: func(ctx context.Context, r *rig, o *options) (*reading, error) {
			v, err := r.flood(ctx, o.duration, 1300, o.offered)
			return value(rowUDP, v, err)
		}},
		{rows: []string{rowUDPSmall}, others: true, read: func(ctx context.Context, r *rig, o *options) (*reading, error) {
			v, err := r.flood(ctx, o.duration, 64, "0")
			return value(rowUDPSmall, v, err)
		}},
		{rows: []string{rowPing}, versus: []string{bare}, others: true, read: readPing},
		{rows: []string{rowPingLoaded}, others: true, read: readLoadedPing},
		{rows: []string{rowRelay}, line: relayed, read: func(ctx context.Context, r *rig, o *options) (*reading, error) {
			v, err := r.stream(ctx, o.duration)
			return value(rowRelay, v, err)
		}},
		{rows: []string{rowHandshakes}, apart: shakeHands},
		{rows: []string{rowSeal, rowOpen}, apart: timeCipher},
		{rows: []string{rowPeer, rowIdle}, apart: crowd},
		{rows: []string{rowMillion, rowMillionPeak, rowMillionRest, rowMillionTool}, apart: multitude},
	}
}

// takesPart reports whether a contestant is needed.
func (e *experiment) takesPart(c *contestant) bool {
	switch c.name {
	case ours, reference:
		return true
	}
	return c.other && e.others || slices.Contains(e.versus, c.name)
}

// readTCP measures a stream, and the memory of the fatter of the two daemons.
func readTCP(ctx context.Context, r *rig, o *options) (*reading, error) {
	var daemons []*netlab.Host
	if r.tunnelled {
		daemons = []*netlab.Host{r.server, r.client}
	}
	for _, h := range daemons {
		if err := forgetPeak(h); err != nil {
			return nil, err
		}
	}
	v, err := r.stream(ctx, o.duration)
	if err != nil {
		return nil, err
	}
	values := map[string]float64{rowTCP: v, rowTCPLimit: v}
	for _, h := range daemons {
		size, err := memoryOf(h, residentPeak)
		if err != nil {
			return nil, err
		}
		values[rowMemory] = max(values[rowMemory], size)
	}
	return &reading{values: values}, nil
}

func readPing(ctx context.Context, r *rig, o *options) (*reading, error) {
	e, err := r.echo(ctx, o.duration)
	if err != nil {
		return nil, err
	}
	return &reading{map[string]float64{rowPing: quantile(e.sorted(), 0.5)}, idle, e}, nil
}

// readLoadedPing lasts twice as long: it looks at the rare ones.
func readLoadedPing(ctx context.Context, r *rig, o *options) (*reading, error) {
	e, err := r.loadedEcho(ctx, 2*o.duration)
	if err != nil {
		return nil, err
	}
	return &reading{map[string]float64{rowPingLoaded: quantile(e.sorted(), 0.99)}, loaded, e}, nil
}
