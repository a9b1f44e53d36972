package hostnet

import (
	"context"
	"errors"
	"fmt"

	"github.com/warrenvpn/warren/internal/quick"
)

// Performer looks at one host and changes it. It is the seam at which tests put
// a host that does not exist.
type Performer interface {
	// Facts gathers what planning this stage needs. It changes nothing.
	Facts(ctx context.Context, c *quick.Config, s quick.Stage) (quick.Facts, error)
	// Perform carries out one step, wholly or not at all: a step that failed
	// is not undone. When ctx ends it either finishes or takes back what it
	// began. It is not called for quick.Warn.
	Perform(ctx context.Context, c *quick.Config, s quick.Step) error
}

// Run brings one tunnel up or down.
type Run struct {
	Config *quick.Config
	Host   Performer
	// Announce is told every step before it is performed, and every warning.
	Announce func(quick.Step)
}

// Up brings the tunnel up. On any failure, and when ctx ends first, everything
// done so far is undone in the opposite order before Up returns.
func (r *Run) Up(ctx context.Context) error {
	var undo []quick.Step
	err := r.stages(ctx, &undo)
	if err != nil {
		// The signal that ended ctx must not end the clean-up too.
		err = errors.Join(err, r.rollBack(context.WithoutCancel(ctx), undo))
	}
	return err
}

func (r *Run) stages(ctx context.Context, undo *[]quick.Step) error {
	for _, stage := range quick.Stages() {
		facts, err := r.Host.Facts(ctx, r.Config, stage)
		if err != nil {
			return orCause(ctx, err)
		}
		steps, err := quick.Up(r.Config, stage, facts)
		if err != nil {
			return err
		}
		for _, s := range steps {
			if err := r.perform(ctx, s); err != nil {
				return err
			}
			if u, ok := s.Undo(); ok {
				*undo = append(*undo, u)
			}
		}
	}
	return orCause(ctx, nil)
}

// rollBack performs steps from the last to the first. One that fails does not
// keep the others from being tried.
func (r *Run) rollBack(ctx context.Context, undo []quick.Step) error {
	var failed []error
	for i := len(undo) - 1; i >= 0; i-- {
		if err := r.perform(ctx, undo[i]); err != nil {
			failed = append(failed, fmt.Errorf("roll back: %w", err))
		}
	}
	return errors.Join(failed...)
}

// Down takes the tunnel down. It stops at the first step that fails; what was
// done stays done.
func (r *Run) Down(ctx context.Context) error {
	facts, err := r.Host.Facts(ctx, r.Config, quick.Remove)
	if err != nil {
		return orCause(ctx, err)
	}
	steps, err := quick.Down(r.Config, facts)
	if err != nil {
		return err
	}
	for _, s := range steps {
		if err := r.perform(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// perform announces and carries out one step.
func (r *Run) perform(ctx context.Context, s quick.Step) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	r.Announce(s)
	if s.Kind == quick.Warn {
		return nil
	}
	if err := r.Host.Perform(ctx, r.Config, s); err != nil {
		return orCause(ctx, r.Config.Failed(s, err))
	}
	return nil
}

// orCause prefers the reason why ctx ended to the failure that this led to.
func orCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}
