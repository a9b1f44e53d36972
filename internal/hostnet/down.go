package hostnet

import (
	"context"
	"errors"
	"fmt"

	"github.com/warrenvpn/warren/internal/journal"
	"github.com/warrenvpn/warren/internal/quick"
)

// Down takes the tunnel down: what this program recorded to have done for it,
// or, without a journal, what wg-quick would have. It stops at a hook that
// fails; what was done stays done. An up or a down that was interrupted is
// finished, without the hooks of an up that never was.
func (r *Run) Down(ctx context.Context) error {
	l, _, err := openLedger(r.Journal, r.Config.Name) // without, the host itself is looked at
	if errors.Is(err, journal.ErrBusy) {
		return &quick.Problem{Text: fmt.Sprintf("another process is just bringing `%s' up or taking it down", r.Config.Name), Hint: "wait for it, or end it", Err: err}
	}
	if err != nil {
		return err
	}
	over, err := r.down(ctx, l)
	return errors.Join(err, l.close(over))
}

// down reports whether nothing is left that a journal could tell.
func (r *Run) down(ctx context.Context, l *ledger) (over bool, err error) {
	facts, err := r.facts(ctx, quick.Remove)
	if err != nil {
		return false, err
	}
	if facts.Obstacle != nil {
		return false, facts.Obstacle
	}
	switch {
	case l.halved() && facts.LinkExists && facts.WireGuard:
		facts.Doubtful = true
	case l.found && l.phase == journal.Up:
		return false, r.recover(ctx, l, facts)
	case l.found && l.phase == journal.Down:
		if err := r.recover(ctx, l, facts); err != nil {
			return false, err
		}
		if err := l.release(); err != nil {
			return false, err
		}
		return true, r.hooks(ctx, l, "PostDown")
	case facts.WireGuard && !facts.LinkExists && !r.Config.Compat:
		_, err := quick.Down(r.Config, facts) // says where it may be
		return false, err
	case l.found && !sameLink(l, facts):
		renamed, err := r.renamed(l)
		if err != nil {
			return false, err
		}
		if renamed {
			return false, r.renamedProblem()
		}
		if err := r.recover(ctx, l, facts); err != nil || !facts.LinkExists && !r.Config.Compat {
			return false, err
		}
	}
	r.sayDamage(l)
	facts.Journal, facts.Recorded = l.found, l.steps()
	steps, err := quick.Down(r.Config, facts)
	if err != nil {
		return false, err
	}
	return r.takeDown(ctx, l, steps)
}

// sameLink reports whether the interface is the one that the journal is about.
func sameLink(l *ledger, f quick.Facts) bool {
	if l.stale {
		return false // an index tells nothing of what was then
	}
	index := l.index()
	return f.LinkExists && (index == 0 || index == f.Index)
}

func (r *Run) hooks(ctx context.Context, l *ledger, key string) error {
	for _, s := range r.Config.Hooks(key) {
		if err := r.perform(ctx, l, s); err != nil {
			return err
		}
	}
	return nil
}

// takeDown carries out the plan of a down.
func (r *Run) takeDown(ctx context.Context, l *ledger, steps []quick.Step) (over bool, err error) {
	begun := false
	var failed []error
	for _, s := range steps {
		if err := context.Cause(ctx); err != nil && !begun {
			return false, err
		}
		undo := s.Undoes()
		if undo && !begun {
			// From here there is no way back, but one forward.
			begun = true
			r.unwritten(l.enter(journal.Down))
		}
		if undo {
			if err := r.undoOne(context.WithoutCancel(ctx), l, s); err != nil {
				if !s.Lenient {
					return false, errors.Join(append(failed, err)...)
				}
				failed = append(failed, err)
			}
			continue
		}
		if s.Key == "PostDown" && !over {
			// The hooks may bring it up again, and must not find a journal.
			if over = len(pending(l)) == 0; over {
				if err := l.release(); err != nil {
					return false, err
				}
			}
		}
		if err := r.down1(ctx, l, s); err != nil {
			return over, errors.Join(append(failed, err)...)
		}
	}
	return len(pending(l)) == 0, r.tolerated(failed)
}

// down1 performs a hook, or saves.
func (r *Run) down1(ctx context.Context, l *ledger, s quick.Step) error {
	err := r.perform(ctx, l, s)
	if u, ok := s.Undo(); ok && err == nil {
		return l.undone(u) // the file is in its place
	}
	return err
}

// tolerated tells of failures with which wg-quick does not end, and returns
// those with which it does.
func (r *Run) tolerated(failed []error) error {
	err := errors.Join(failed...)
	if err != nil && r.Config.Compat {
		r.Announce(quick.Step{Kind: quick.Warn, Text: err.Error()})
		return nil
	}
	return err
}
