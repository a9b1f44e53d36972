package hostnet

import (
	"context"
	"slices"
	"time"

	"github.com/warrenvpn/warren/internal/journal"
	"github.com/warrenvpn/warren/internal/quick"
)

// patience is how long taking back a setting waits for a tunnel that is just
// coming up.
const patience = 10 * time.Second

// share waits until no other tunnel of this network namespace plans with, or
// changes, what they share: the priorities of rules, free tables, settings.
// Where there are no journals there is no lock, either.
func (r *Run) share(ctx context.Context) (*journal.Lock, error) {
	if r.Journal == nil {
		return nil, nil
	}
	lock, err := r.Journal.Lock(ctx, "routes")
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return lock, nil
}

// shared returns how many of the steps come before all of the rest is the
// tunnel's own.
func shared(steps []quick.Step) int {
	for i, s := range slices.Backward(steps) {
		switch s.Kind {
		case quick.AddRule, quick.SetSysctl, quick.HoldSysctl, quick.AddFirewall:
			return i + 1
		}
	}
	return 0
}
